//! How far a replay is: for the progress line and the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Problems that are told one by one; of the others the number.
pub const PROBLEMS_MAX: usize = 100;

/// Bumped by the readers, looked at by whoever shows it.
#[derive(Debug, Default)]
pub struct ReplayCounters {
    /// As they lie in the store, fetched or passed over because an earlier start has read them.
    pub bytes: AtomicU64,
    pub bytes_in_all: AtomicU64,
    pub objects: AtomicU64,
    pub objects_in_all: AtomicU64,
    /// Objects of which everything is stored.
    pub objects_stored: AtomicU64,
    /// Objects that are gone without having been read to their end, as accepted.
    pub objects_lost: AtomicU64,
    pub records: AtomicU64,
    problems: Told,
    stops: Told,
}

/// Texts, up to a bound.
#[derive(Debug, Default)]
struct Told {
    count: AtomicU64,
    texts: Mutex<Vec<String>>,
}

impl Told {
    fn add(&self, text: String) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut texts = self.texts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if texts.len() < PROBLEMS_MAX {
            texts.push(text);
        }
    }

    /// A line each.
    fn all(&self) -> Option<String> {
        let texts = self.texts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let more = self.count.load(Ordering::Relaxed).saturating_sub(texts.len() as u64);
        let rest = (more > 0).then(|| format!("and {more} more"));
        let lines: Vec<String> = texts.iter().cloned().chain(rest).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

impl ReplayCounters {
    /// Something about an object that its operator must know; the replay goes on.
    pub fn problem(&self, text: String) {
        tracing::warn!("{text}");
        self.problems.add(text);
    }

    /// All problems, a line each; nothing if there was none.
    pub fn problems(&self) -> Option<String> {
        self.problems.all()
    }

    /// Why a shard is not read on; the others are.
    pub fn stop(&self, text: String) {
        tracing::error!("{text}");
        self.stops.add(text);
    }

    /// Why shards are not read to their end, a line each; nothing if all are.
    pub fn stops(&self) -> Option<String> {
        self.stops.all()
    }

    /// An object is gone, with what was not read of it; the operator has accepted that.
    pub fn lost(&self, text: &str) {
        tracing::warn!("{text}");
        self.objects_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// An object is done with, of which so many bytes were not fetched.
    pub fn object_done(&self, not_fetched: u64) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(not_fetched, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_up_to_a_bound_and_counted_beyond() {
        let counters = ReplayCounters::default();
        assert_eq!(counters.problems(), None);
        (0..PROBLEMS_MAX + 5).for_each(|n| counters.problem(format!("object {n}")));
        let text = counters.problems().expect("some");
        assert!(text.starts_with("object 0\n") && text.ends_with("\nand 5 more"), "{text}");
        assert_eq!(text.lines().count(), PROBLEMS_MAX + 1);
    }
}
