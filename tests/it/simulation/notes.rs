//! What happened in a history, for whoever has to understand a failure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

/// Kept by the world and all its processes.
#[derive(Debug, Clone)]
pub(super) struct Notes(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    began: Instant,
    lines: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Notes {
    /// Of a history that began then.
    pub(super) fn new(began: Instant) -> Self {
        Notes(Arc::new(Inside { began, lines: Mutex::default(), counts: Mutex::default() }))
    }

    pub(super) fn note(&self, text: impl AsRef<str>) {
        let at = self.0.began.elapsed().as_secs_f64();
        self.0.lines.lock().expect("nothing panics holding it").push(format!("{at:9.3} {}", text.as_ref()));
    }

    pub(super) fn count(&self, what: &str) {
        *self.counts_mut().entry(what.to_string()).or_default() += 1;
    }

    fn counts_mut(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.counts.lock().expect("nothing panics holding it")
    }

    pub(super) fn counted(&self, what: &str) -> u64 {
        self.counts_mut().get(what).copied().unwrap_or(0)
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts_mut().clone()
    }

    pub(super) fn text(&self) -> String {
        self.0.lines.lock().expect("nothing panics holding it").join("\n")
    }
}
