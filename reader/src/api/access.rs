//! Who may ask, and whether there is room for one more question.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderMap, header};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::problem::Problem;
use crate::config::Access;
use crate::error::ReaderError;

/// So many times as many questions may wait as are answered at the same time.
pub const WAITING_PER_PLACE: usize = 16;

/// Refuses whoever may not ask.
pub fn check(access: &Access, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match access {
        Access::Open => check_host(text(header::HOST.as_str())),
        Access::Token(token) => {
            let given = text(header::AUTHORIZATION.as_str()).and_then(|text| text.strip_prefix("Bearer "));
            let right = given.is_some_and(|given| verify_slices_are_equal(given.as_bytes(), token.as_bytes()).is_ok());
            let wants = || {
                let problem = Problem::new("who", "send the token: `Authorization: Bearer <token>`");
                problem.with("wants", "token".into())
            };
            right.then_some(()).ok_or_else(wants)
        }
        Access::TrustedHeader(name) => {
            let named = text(name).is_some_and(|who| !who.trim().is_empty());
            named.then_some(()).ok_or_else(|| Problem::new("who", format!("the proxy in front sends no `{name}`")))
        }
    }
}

/// A page of any site can have its name point here; a browser then sends that name. Without a token only this machine's own
/// names are answered.
fn check_host(host: Option<&str>) -> Result<(), Problem> {
    let Some(host) = host else { return Ok(()) };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let own = name == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    own.then_some(()).ok_or_else(|| Problem::new("host", "ask by an address of this machine, such as 127.0.0.1"))
}

/// Places for questions.
#[derive(Debug)]
pub struct Room {
    places: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Room {
    pub fn new(at_once: usize) -> Room {
        Room { places: Semaphore::new(at_once), waiting: AtomicUsize::new(0), waiting_max: at_once * WAITING_PER_PLACE }
    }

    /// A place, after waiting for it if need be; refused where too many wait already.
    pub async fn enter(&self) -> Result<SemaphorePermit<'_>, ReaderError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let waiting = Waiting::new(&self.waiting);
        if waiting.number > self.waiting_max {
            return Err(ReaderError::Busy(self.waiting_max));
        }
        let place = self.places.acquire().await;
        drop(waiting);
        place.map_err(|_| ReaderError::environment("take the question", "the reader stops"))
    }
}

/// One who waits; whoever gives up waiting is no longer counted.
struct Waiting<'w> {
    count: &'w AtomicUsize,
    number: usize,
}

impl Waiting<'_> {
    fn new(count: &AtomicUsize) -> Waiting<'_> {
        Waiting { number: count.fetch_add(1, Ordering::Relaxed) + 1, count }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::HeaderName::from_static(name), value.parse().expect("a header"))])
    }

    #[test]
    fn without_a_token_only_names_of_this_machine_are_answered() {
        for host in ["localhost", "localhost:9470", "127.0.0.1:9470", "[::1]:9470", "[::1]"] {
            assert!(check(&Access::Open, &with("host", host)).is_ok(), "{host}");
        }
        for host in ["evil.example", "evil.example:9470", "127.0.0.1.evil.example", "10.0.0.1:9470", ""] {
            assert!(check(&Access::Open, &with("host", host)).is_err(), "{host}");
        }
    }

    #[test]
    fn a_token_is_asked_for_and_compared_whole() {
        let access = Access::Token("0123456789abcdef".into());
        assert!(check(&access, &with("authorization", "Bearer 0123456789abcdef")).is_ok());
        for wrong in ["Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Basic 0123456789abcdef", "Bearer "] {
            assert!(check(&access, &with("authorization", wrong)).is_err(), "{wrong}");
        }
        assert!(check(&access, &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_trusted_header_has_to_name_someone() {
        let access = Access::TrustedHeader("x-forwarded-user".into());
        assert!(check(&access, &with("x-forwarded-user", "ada")).is_ok());
        assert!(check(&access, &with("x-forwarded-user", " ")).is_err() && check(&access, &HeaderMap::new()).is_err());
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded_and_those_who_give_up_are_not_counted() {
        let room = Room::new(1);
        let first = room.enter().await.expect("room");
        for _ in 0..WAITING_PER_PLACE {
            let gone = tokio::time::timeout(std::time::Duration::from_millis(1), room.enter()).await;
            assert!(gone.is_err(), "waits");
        }
        assert_eq!(room.waiting.load(Ordering::Relaxed), 0);
        let waiting =
            futures::future::join_all((0..=WAITING_PER_PLACE).map(|_| async { room.enter().await.map(drop) }));
        let (outcomes, ()) = futures::join!(waiting, async { drop(first) });
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(ReaderError::Busy(_)))).count();
        assert_eq!(refused, 1);
    }
}
