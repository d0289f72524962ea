//! When a buffer is cut: pure decisions over its figures and the time.

use std::time::Duration;

use schemas::log_entry::FlushReason;

use crate::settings::{BufferSettings, Limits};

/// Share of the memory cap at which the largest buffers are cut early, in percent: the rest is for what is being written.
pub const MEMORY_HIGH_PERCENT: u64 = 60;
/// ... and how far down that brings the open buffers.
pub const MEMORY_LOW_PERCENT: u64 = 40;

/// What is known of one open buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub rows: u64,
    /// Bytes of events.
    pub data_bytes: u64,
    /// Milliseconds since the epoch.
    pub opened_at: i64,
    pub last_row_at: i64,
}

/// Is it due, and why? `ratio` is file bytes per event byte as seen lately.
pub fn due(figures: &Figures, limits: &Limits, ratio: f64, now: i64) -> Option<FlushReason> {
    if let Some(reason) = full(figures.rows, figures.data_bytes, limits, ratio) {
        return Some(reason);
    }
    if waited(figures.opened_at, now) >= limits.age {
        return Some(FlushReason::Age);
    }
    if waited(figures.last_row_at, now) >= limits.idle {
        return Some(FlushReason::Idle);
    }
    None
}

/// The earliest time at which a buffer that is not full can be due, if no row comes.
pub fn due_from(figures: &Figures, limits: &Limits) -> i64 {
    let after = |since: i64, limit: Duration| {
        since.saturating_add(i64::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX))
    };
    after(figures.opened_at, limits.age).min(after(figures.last_row_at, limits.idle))
}

/// Is it full, whatever the time?
pub fn full(rows: u64, data_bytes: u64, limits: &Limits, ratio: f64) -> Option<FlushReason> {
    if file_bytes(data_bytes, ratio) >= limits.size {
        return Some(FlushReason::Size);
    }
    if rows >= limits.rows {
        return Some(FlushReason::Rows);
    }
    None
}

/// What the buffer's file will have, in bytes, as far as one can tell before it is made.
pub fn file_bytes(data_bytes: u64, ratio: f64) -> u64 {
    (data_bytes as f64 * ratio) as u64
}

fn waited(since: i64, now: i64) -> Duration {
    Duration::from_millis(u64::try_from(now.saturating_sub(since)).unwrap_or(0))
}

/// Which buffers to cut when the memory is nearly used up: the largest first, until the open ones are down to the low mark.
/// Where sizes are about the same this is the order given (oldest first).
pub fn over_memory(allocated: &[u64], open: u64, limit: u64) -> Vec<usize> {
    if !is_high(open, limit) {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..allocated.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(allocated[*i]));
    let target = limit / 100 * MEMORY_LOW_PERCENT;
    let mut left = open;
    order.retain(|i| {
        let cut = left > target;
        left = left.saturating_sub(if cut { allocated[*i] } else { 0 });
        cut
    });
    order
}

/// Do the open buffers take more than their share?
pub fn is_high(open: u64, limit: u64) -> bool {
    open > limit / 100 * MEMORY_HIGH_PERCENT
}

/// Most bytes of events in one cut (a single larger buffer makes a cut of its own): small enough that what is flushed together
/// is encoded on several threads.
pub const CUT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Most files of one cut: its entry stays below a megabyte.
pub const CUT_FILES_MAX: usize = 1000;

/// How many of the buffers that are to be cut, of so many bytes of events, go into the next cut.
pub fn of_next_cut(data_bytes: impl Iterator<Item = u64>) -> usize {
    let mut bytes = 0;
    let fits = data_bytes.take(CUT_FILES_MAX).take_while(|data| {
        bytes += data;
        bytes <= CUT_BYTES_MAX
    });
    fits.count().max(1)
}

/// How often buffers are looked at, so that none is late by more than about a tenth of its limit.
pub fn tick(settings: &BufferSettings) -> Duration {
    (settings.age.min(settings.idle).min(settings.archive.age) / 10)
        .clamp(Duration::from_millis(10), Duration::from_secs(1))
}

/// Smallest file, in bytes of events, that says something about the ratio.
pub const RATIO_FROM_BYTES: u64 = 64 * 1024;

/// Running estimate of file bytes per event byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio(f64);

impl Default for Ratio {
    /// Before the first file: Parquet with zstd takes about a fifth of the JSON.
    fn default() -> Self {
        Ratio(0.2)
    }
}

impl Ratio {
    pub fn get(self) -> f64 {
        self.0
    }

    /// Takes a finished file into account: large ones count, small ones (mostly footer) not at all.
    pub fn seen(&mut self, data_bytes: u64, file_bytes: u64) {
        if data_bytes >= RATIO_FROM_BYTES {
            let weight = 0.5 * data_bytes as f64 / (data_bytes as f64 + 4_000_000.0);
            self.0 += weight * (file_bytes as f64 / data_bytes as f64 - self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { size: 1000, age: Duration::from_secs(300), idle: Duration::from_secs(60), rows: 10 }
    }

    fn figures(rows: u64, data_bytes: u64, opened_at: i64, last_row_at: i64) -> Figures {
        Figures { rows, data_bytes, opened_at, last_row_at }
    }

    #[test]
    fn each_limit_cuts_at_its_value_and_not_before() {
        let s = limits();
        let at = |f: Figures, now| due(&f, &s, 0.5, now);
        assert_eq!(at(figures(1, 1999, 0, 0), 0), None);
        assert_eq!(at(figures(1, 2000, 0, 0), 0), Some(FlushReason::Size));
        assert_eq!(at(figures(9, 1, 0, 0), 0), None);
        assert_eq!(at(figures(10, 1, 0, 0), 0), Some(FlushReason::Rows));
        assert_eq!(at(figures(1, 1, 0, 250_000), 299_999), None);
        assert_eq!(at(figures(1, 1, 0, 250_000), 300_000), Some(FlushReason::Age));
        assert_eq!(at(figures(1, 1, 0, 5_000), 64_999), None);
        assert_eq!(at(figures(1, 1, 0, 5_000), 65_000), Some(FlushReason::Idle));
        assert_eq!(at(figures(1, 1, 100, 100), 0), None, "a clock that went back is no reason");
    }

    #[test]
    fn nothing_is_due_before_the_time_that_is_named_for_it() {
        let s = limits();
        for (opened_at, last_row_at) in [(0, 0), (0, 239_999), (0, 240_000), (0, 299_000), (-5, 70)] {
            let f = figures(1, 1, opened_at, last_row_at);
            let from = due_from(&f, &s);
            assert_eq!(due(&f, &s, 0.5, from - 1), None, "{f:?}");
            assert!(due(&f, &s, 0.5, from).is_some(), "{f:?}");
        }
    }

    #[test]
    fn a_cut_has_bounds_and_at_least_one_buffer() {
        let of = |sizes: &[u64]| of_next_cut(sizes.iter().copied());
        assert_eq!(of(&[1; 3000]), CUT_FILES_MAX);
        assert_eq!(of(&[CUT_BYTES_MAX + 1, 1]), 1);
        assert_eq!(of(&[CUT_BYTES_MAX - 1, 1, 1]), 2);
    }

    #[test]
    fn memory_takes_the_largest_down_to_the_low_mark() {
        assert!(over_memory(&[10, 590], 600, 1000).is_empty());
        assert_eq!(over_memory(&[10, 300, 301], 611, 1000), vec![2]);
        assert_eq!(over_memory(&[100; 7], 700, 1000), vec![0, 1, 2]);
    }

    #[test]
    fn ratio_follows_large_files_and_shrugs_off_small_ones() {
        let mut ratio = Ratio::default();
        ratio.seen(1_000, 9_000);
        assert_eq!(ratio, Ratio::default());
        (0..50).for_each(|_| ratio.seen(100_000_000, 10_000_000));
        assert!((ratio.get() - 0.1).abs() < 0.001);
    }
}
