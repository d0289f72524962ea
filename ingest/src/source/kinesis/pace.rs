//! How fast one shard may be read, and how long a failing one is tried. Pure: time comes in as a duration since the reader
//! began, and jitter is computed from the shard's name, not drawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::source::Rate;

/// How fast each shard may be read; all its readers share it.
#[derive(Debug)]
pub(super) struct Limits {
    reads_per_second: AtomicU64,
    bytes_per_second: AtomicU64,
}

impl Limits {
    pub(super) fn new(rate: Rate) -> Self {
        let limits = Limits { reads_per_second: AtomicU64::new(1), bytes_per_second: AtomicU64::new(1) };
        limits.set(rate);
        limits
    }

    /// From each shard's next read on.
    pub(super) fn set(&self, rate: Rate) {
        self.reads_per_second.store(rate.calls_per_second.max(1), Ordering::Relaxed);
        self.bytes_per_second.store(rate.bytes_per_second.max(1), Ordering::Relaxed);
    }

    fn gap(&self) -> Duration {
        Duration::from_secs(1).div_f64(self.reads_per_second.load(Ordering::Relaxed) as f64)
    }

    fn cost(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.load(Ordering::Relaxed) as f64)
    }
}

/// When the next `GetRecords` of a shard may go out.
///
/// The service allows five calls and 2 MiB a second to each shard and refuses further calls until a larger reply is paid for:
/// 10 MiB block it for five seconds. Waiting here costs nothing; being throttled costs a call and a backoff.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Arc<Limits>,
    idle: Duration,
    free_at: Duration,
}

impl Pace {
    /// `idle` is the gap after a read that found the shard's tip.
    pub(super) fn new(limits: Arc<Limits>, idle: Duration) -> Self {
        Pace { limits, idle, free_at: Duration::ZERO }
    }

    /// A read that began at `began` gave `bytes`.
    pub(super) fn spent(&mut self, began: Duration, bytes: u64, caught_up: bool) {
        let gap = self.limits.gap();
        let gap = if caught_up { self.idle.max(gap) } else { gap };
        self.free_at = began + self.limits.cost(bytes).max(gap);
    }

    pub(super) fn wait(&self, now: Duration) -> Duration {
        self.free_at.saturating_sub(now)
    }
}

/// Delays between attempts: they double from `base` to `cap`, and end `give_up` after the first failure of an unbroken row.
#[derive(Debug)]
pub(super) struct Retry {
    base: Duration,
    cap: Duration,
    give_up: Duration,
    attempt: u32,
    failing_since: Option<Duration>,
}

impl Retry {
    pub(super) fn new(base: Duration, cap: Duration, give_up: Duration) -> Self {
        Retry { base, cap, give_up, attempt: 0, failing_since: None }
    }

    /// How long to wait before the next attempt; none when it has failed for `give_up`. `jitter` is within 0..1 and takes away
    /// up to half, so that shards that fail together do not come back together.
    pub(super) fn failed(&mut self, now: Duration, jitter: f64) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        if now.saturating_sub(since) >= self.give_up {
            return None;
        }
        let doubled = self.base.saturating_mul(2u32.saturating_pow(self.attempt)).min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        Some(doubled.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0))
    }

    pub(super) fn succeeded(&mut self) {
        self.attempt = 0;
        self.failing_since = None;
    }

    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// A number within 0..1, the same for one name and attempt every time: it keeps the shards of one process apart, not two
/// processes that read the same shards.
pub(super) fn jitter(name: &str, attempt: u32) -> f64 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(name.as_bytes());
    hash.update(&attempt.to_le_bytes());
    f64::from(hash.finalize()) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn pace() -> Pace {
        Pace::new(limits(5), millis(1_000))
    }

    fn limits(reads: u64) -> Arc<Limits> {
        Arc::new(Limits::new(Rate { calls_per_second: reads, bytes_per_second: 2 * MIB }))
    }

    #[test]
    fn another_rate_holds_from_the_next_read_on() {
        let limits = limits(5);
        let mut pace = Pace::new(limits.clone(), millis(10));
        limits.set(Rate { calls_per_second: 1, bytes_per_second: MIB });
        pace.spent(millis(0), 10, false);
        assert_eq!(pace.wait(millis(0)), millis(1_000));
        pace.spent(millis(0), 3 * MIB, true);
        assert_eq!(pace.wait(millis(0)), millis(3_000));
    }

    #[test]
    fn five_reads_a_second_and_no_wait_before_the_first() {
        let mut pace = pace();
        assert_eq!(pace.wait(millis(0)), millis(0));
        pace.spent(millis(0), 10, false);
        assert_eq!(pace.wait(millis(50)), millis(150));
        assert_eq!(pace.wait(millis(200)), millis(0));
    }

    #[test]
    fn ten_mebibytes_block_five_seconds() {
        let mut pace = pace();
        pace.spent(millis(1_000), 10 * MIB, false);
        assert_eq!(pace.wait(millis(1_000)), millis(5_000));
        assert_eq!(pace.wait(millis(6_000)), millis(0));
    }

    #[test]
    fn any_row_of_reads_stays_within_both_limits() {
        let (mut pace, mut now, mut reads, mut bytes) = (pace(), Duration::ZERO, 0u32, 0u64);
        for n in 0..500u64 {
            now += pace.wait(now);
            let size = (n * 7_919_993) % (10 * MIB);
            (reads, bytes) = (reads + 1, bytes + size);
            pace.spent(now, size, false);
            let free = now + pace.wait(now);
            assert!(f64::from(reads) <= free.as_secs_f64() * 5.0 + 1e-6, "read {n}");
            assert!(bytes as f64 <= free.as_secs_f64() * 2.0 * MIB as f64 + 1.0, "read {n}");
        }
    }

    #[test]
    fn a_caught_up_shard_is_left_alone_for_the_idle_time_but_never_less_than_the_gap() {
        let mut slow = pace();
        slow.spent(millis(0), 0, true);
        assert_eq!(slow.wait(millis(0)), millis(1_000));
        let mut quick = Pace::new(limits(5), Duration::ZERO);
        quick.spent(millis(0), 0, true);
        assert_eq!(quick.wait(millis(0)), millis(200));
    }

    #[test]
    fn delays_double_to_the_cap_and_jitter_takes_at_most_half() {
        let mut plain = Retry::new(millis(200), millis(10_000), Duration::from_secs(300));
        let delays: Vec<_> = (0..8).filter_map(|_| plain.failed(millis(0), 0.0)).collect();
        assert_eq!(delays, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000].map(millis));
        let mut jittered = Retry::new(millis(200), millis(10_000), Duration::from_secs(300));
        assert_eq!(jittered.failed(millis(0), 1.0), Some(millis(100)));
    }

    #[test]
    fn gives_up_after_the_unbroken_time_and_a_success_starts_afresh() {
        let mut retry = Retry::new(millis(1), millis(10), millis(100));
        assert!(retry.failed(millis(0), 0.5).is_some() && retry.failed(millis(99), 0.5).is_some());
        retry.succeeded();
        assert_eq!(retry.attempt(), 0);
        assert!(retry.failed(millis(150), 0.5).is_some() && retry.failed(millis(249), 0.5).is_some());
        assert_eq!(retry.failed(millis(250), 0.5), None);
    }

    #[test]
    fn a_thousand_attempts_do_not_overflow() {
        let mut retry = Retry::new(Duration::from_secs(1), Duration::from_secs(10), Duration::MAX);
        let mut last = None;
        for n in 0..1_000 {
            last = retry.failed(millis(u64::from(n)), jitter("s", n));
        }
        assert!(last.is_some_and(|d| d >= Duration::from_secs(5) && d <= Duration::from_secs(10)));
    }

    #[test]
    fn jitter_stays_in_range_and_differs_between_shards() {
        assert!((0..1_000).all(|n| (0.0..1.0).contains(&jitter("shardId-000000000000", n))));
        assert_ne!(jitter("shardId-000000000000", 1), jitter("shardId-000000000001", 1));
    }
}
