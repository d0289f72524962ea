//! How many connections may be open: over all, and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bits of an IPv6 address that one site is given.
const SITE_BITS: u32 = 64;

/// The places there are.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    per_address: usize,
}

/// A connection's place. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
    _one_of_all: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(all: usize, per_address: usize) -> Arc<Places> {
        let all = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Arc::new(Places { all, by_address: Mutex::default(), per_address })
    }

    /// Waits for one of all places. `on_wait` is called if there is none at once.
    pub(super) async fn one(&self, on_wait: impl FnOnce()) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.all.clone().try_acquire_owned() {
            return Some(permit);
        }
        on_wait();
        self.all.clone().acquire_owned().await.ok()
    }

    /// The place of a connection from this address; none if there are too many from there.
    pub(super) fn enter(self: &Arc<Places>, one: OwnedSemaphorePermit, from: IpAddr) -> Option<Place> {
        let address = site(from);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_address.get(&address).copied().unwrap_or_default();
        if open >= self.per_address {
            return None;
        }
        by_address.insert(address, open + 1);
        Some(Place { places: self.clone(), address, _one_of_all: one })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self.places.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_address.get_mut(&self.address) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: an IPv6 client has as many as it likes below one prefix.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> (128 - SITE_BITS) << (128 - SITE_BITS))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_cannot_take_all_places_and_gives_its_own_back() {
        let places = Places::new(3, 2);
        let enter = async |from: &str| {
            let one = places.one(|| panic!("there is one")).await.expect("open");
            places.enter(one, from.parse().expect("address"))
        };
        let first = enter("10.0.0.1").await.expect("there is one");
        let _second = enter("::ffff:10.0.0.1").await.expect("there is one");
        assert!(enter("10.0.0.1").await.is_none());
        let third = enter("10.0.0.2").await.expect("another address");
        drop((first, third));
        enter("10.0.0.1").await.expect("given back");
        assert_eq!(places.by_address.lock().expect("unpoisoned").len(), 1, "only who has one is remembered");
    }

    #[test]
    fn one_ipv6_prefix_is_one_address() {
        let of = |text: &str| site(text.parse().expect("address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
