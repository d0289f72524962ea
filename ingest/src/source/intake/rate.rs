//! How much one caller may send: requests and bytes per second. Pure: data and `now` in, a decision out.
//!
//! A bucket holds one second's worth and is refilled evenly. Whoever finds something in it may take any amount, and what is
//! missing then has to be refilled first: a request larger than the bucket passes, and the rate holds over time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Tokens are counted in thousandths: what a rate of one a second gives in a millisecond.
const SCALE: i64 = 1_000;

/// One rate.
#[derive(Debug, Clone)]
pub struct Bucket {
    per_second: i64,
    /// In thousandths; below zero while a large request is paid off.
    level: i64,
    at: i64,
}

impl Bucket {
    /// Full at `now`, milliseconds.
    pub fn new(per_second: u64, now: i64) -> Bucket {
        // So that no product below overflows.
        let per_second = i64::try_from(per_second).unwrap_or(i64::MAX).clamp(1, 1 << 42);
        Bucket { per_second, level: per_second * SCALE, at: now }
    }

    /// Whether something may be taken; else how long until it may. A clock that was set back refills nothing.
    pub fn ready(&mut self, now: i64) -> Result<(), Duration> {
        let elapsed = now.saturating_sub(self.at).max(0);
        self.at = now;
        let refill = elapsed.saturating_mul(self.per_second);
        self.level = self.level.saturating_add(refill).min(self.per_second * SCALE);
        if self.level > 0 {
            return Ok(());
        }
        let missing = 1 - self.level;
        Err(Duration::from_millis(missing.unsigned_abs().div_ceil(self.per_second.unsigned_abs())))
    }

    /// Another rate from here on; what is owed stays owed.
    pub fn set(&mut self, per_second: u64) {
        self.per_second = Bucket::new(per_second, 0).per_second;
        self.level = self.level.min(self.per_second * SCALE);
    }

    /// Takes `cost`, whatever is there: the caller has asked whether it is ready.
    pub fn take(&mut self, cost: u64) {
        let cost = i64::try_from(cost).unwrap_or(i64::MAX).saturating_mul(SCALE);
        self.level = self.level.saturating_sub(cost);
    }
}

/// Requests and bytes of each caller. One place for each credential and one for all who have none.
#[derive(Debug)]
pub(super) struct Rates(Vec<Mutex<[Bucket; 2]>>);

impl Rates {
    pub(super) fn new(callers: usize, requests: u64, bytes: u64, now: i64) -> Rates {
        let both = || Mutex::new([Bucket::new(requests, now), Bucket::new(bytes, now)]);
        Rates((0..callers).map(|_| both()).collect())
    }

    /// Other rates for every caller.
    pub(super) fn set(&self, requests: u64, bytes: u64) {
        for caller in 0..self.0.len() {
            self.both(caller, |buckets| {
                buckets[0].set(requests);
                buckets[1].set(bytes);
            });
        }
    }

    /// Whether a request of this caller would be let in now. Takes nothing: who sends it may not be proven yet, and nobody may
    /// use up what is another's.
    pub(super) fn ready(&self, caller: usize, now: i64) -> Result<(), Duration> {
        self.both(caller, |buckets| buckets.iter_mut().try_for_each(|bucket| bucket.ready(now)))
    }

    /// Lets one request of so many bytes in, or says how long to wait.
    pub(super) fn take(&self, caller: usize, bytes: usize, now: i64) -> Result<(), Duration> {
        self.both(caller, |buckets| {
            buckets.iter_mut().try_for_each(|bucket| bucket.ready(now))?;
            buckets[0].take(1);
            buckets[1].take(bytes as u64);
            Ok(())
        })
    }

    fn both<T>(&self, caller: usize, act: impl FnOnce(&mut [Bucket; 2]) -> T) -> T {
        act(&mut self.0[caller].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_is_taken_at_once_and_then_at_the_rate() {
        let mut bucket = Bucket::new(10, 0);
        for _ in 0..10 {
            bucket.ready(0).expect("full");
            bucket.take(1);
        }
        assert_eq!(bucket.ready(0), Err(Duration::from_millis(1)));
        bucket.ready(100).expect("refilled");
        bucket.take(1);
        bucket.ready(100).expect_err("taken");
    }

    #[test]
    fn what_is_larger_than_the_bucket_passes_and_is_paid_off() {
        let mut bucket = Bucket::new(1_000, 0);
        bucket.ready(0).expect("full");
        bucket.take(5_000);
        assert_eq!(bucket.ready(0), Err(Duration::from_millis(4_001)));
        assert!(bucket.ready(4_000).is_err() && bucket.ready(4_001).is_ok());
    }

    #[test]
    fn a_clock_set_back_refills_nothing_and_locks_nobody_out() {
        let mut bucket = Bucket::new(1, 1_000_000);
        bucket.take(1);
        assert_eq!(bucket.ready(0), Err(Duration::from_millis(1)));
        bucket.ready(1_000).expect("refilled from the new time on");
    }

    #[test]
    fn callers_do_not_take_from_each_other() {
        let rates = Rates::new(2, 1, 1_000, 0);
        rates.take(0, 10, 0).expect("full");
        rates.take(0, 10, 0).expect_err("taken");
        rates.take(1, 10, 0).expect("another's");
    }

    #[test]
    fn another_rate_holds_at_once_and_forgives_nothing() {
        let mut bucket = Bucket::new(1_000, 0);
        bucket.take(2_000);
        bucket.set(10);
        assert_eq!(bucket.ready(0), Err(Duration::from_millis(100_001)));
        let mut bucket = Bucket::new(1_000, 0);
        bucket.set(1);
        bucket.ready(0).expect("full");
        bucket.take(1);
        bucket.ready(0).expect_err("one a second now");
        bucket.ready(1_000).expect("refilled");
    }

    proptest! {
        /// Over any time, no more than the rate gives and one bucket and one request beyond it.
        #[test]
        fn the_rate_holds_over_time(rate in 1u64..10_000, steps in prop::collection::vec((0i64..3_000, 0u64..50_000), 1..200)) {
            let (mut bucket, mut now, mut taken, mut last) = (Bucket::new(rate, 0), 0, 0, 0);
            for (pause, cost) in steps {
                now += pause;
                if bucket.ready(now).is_ok() {
                    bucket.take(cost);
                    taken += cost;
                    last = last.max(cost);
                }
            }
            prop_assert!(taken <= rate + rate * now as u64 / 1_000 + 1 + last);
        }

        /// Whoever waits as long as told is let in, and no sooner.
        #[test]
        fn the_wait_told_is_exact(rate in 1u64..10_000, cost in 1u64..1_000_000) {
            let mut bucket = Bucket::new(rate, 0);
            bucket.take(cost);
            if let Err(wait) = bucket.ready(0) {
                let wait = i64::try_from(wait.as_millis()).expect("short");
                prop_assert!(bucket.clone().ready(wait - 1).is_err());
                prop_assert!(bucket.ready(wait).is_ok());
            }
        }
    }
}
