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
    pub records: AtomicU64,
    problems: AtomicU64,
    told: Mutex<Vec<String>>,
}

impl ReplayCounters {
    /// Something about an object that its operator must know; the replay goes on.
    pub fn problem(&self, text: String) {
        tracing::warn!("{text}");
        self.problems.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.len() < PROBLEMS_MAX {
            told.push(text);
        }
    }

    /// All problems, a line each; nothing if there was none.
    pub fn problems(&self) -> Option<String> {
        let told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let more = self.problems.load(Ordering::Relaxed).saturating_sub(told.len() as u64);
        let rest = (more > 0).then(|| format!("and {more} more"));
        let lines: Vec<String> = told.iter().cloned().chain(rest).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
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
