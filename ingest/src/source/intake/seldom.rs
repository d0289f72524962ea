//! A warning that strangers can provoke is written at most once in ten seconds, with how many were left out.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Between two warnings.
const PAUSE_MS: i64 = 10_000;

#[derive(Debug)]
pub(super) struct Seldom {
    last: AtomicI64,
    left_out: AtomicU64,
}

impl Default for Seldom {
    fn default() -> Seldom {
        Seldom { last: AtomicI64::new(i64::MIN / 2), left_out: AtomicU64::new(0) }
    }
}

impl Seldom {
    /// Whether to warn now, and how many warnings were left out since the last one.
    pub(super) fn now(&self, now: i64) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        let due = (now - last).abs() >= PAUSE_MS;
        if due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_ten_seconds_and_the_rest_is_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.now(0), Some(0));
        assert_eq!((seldom.now(1), seldom.now(9_999)), (None, None));
        assert_eq!(seldom.now(10_000), Some(2));
        assert_eq!(seldom.now(-5_000), Some(0), "a clock set back silences nothing");
    }
}
