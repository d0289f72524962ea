//! What the pipeline's side and the committer's side of the writer share.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use schemas::log_entry::Output;

use crate::buffer::budget::Budget;
use crate::buffer::policy::Ratio;
use crate::lag::Lags;
use crate::metrics::WriterMetrics;
use crate::progress::Shards;

/// Milliseconds since the epoch. Injected: tests and simulations bring their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    pub fn new(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Clock(Arc::new(now))
    }

    pub fn now(&self) -> i64 {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Shared {
    pub budget: Budget,
    pub shards: Shards,
    pub clock: Clock,
    pub metrics: Arc<WriterMetrics>,
    pub lags: Lags,
    /// By output: of the table's and the archive's files.
    ratios: Mutex<[Ratio; 2]>,
    /// When the oldest buffer of the cuts that are not stored was opened; `i64::MAX` if all are stored.
    oldest_unstored: AtomicI64,
}

impl Shared {
    pub fn new(memory: u64, clock: Clock, metrics: Arc<WriterMetrics>) -> Self {
        Shared {
            budget: Budget::new(memory),
            shards: Shards::default(),
            clock,
            metrics,
            lags: Lags::default(),
            ratios: Mutex::default(),
            oldest_unstored: AtomicI64::new(i64::MAX),
        }
    }

    /// File bytes per byte that goes into a file of this output, as seen lately.
    pub fn ratio(&self, output: Output) -> f64 {
        match compressed(output) {
            Some(which) => self.ratios.lock().unwrap_or_else(PoisonError::into_inner)[which].get(),
            // Written as it is: its file is as large as its lines.
            None => 1.0,
        }
    }

    pub fn saw_file(&self, output: Output, data_bytes: u64, file_bytes: u64) {
        if let Some(which) = compressed(output) {
            self.ratios.lock().unwrap_or_else(PoisonError::into_inner)[which].seen(data_bytes, file_bytes);
        }
    }

    pub(crate) fn set_oldest_unstored(&self, opened_at: Option<i64>) {
        self.oldest_unstored.store(opened_at.unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn oldest_unstored(&self) -> Option<i64> {
        Some(self.oldest_unstored.load(Ordering::Relaxed)).filter(|at| *at != i64::MAX)
    }
}

/// Which of the ratios an output's files follow.
fn compressed(output: Output) -> Option<usize> {
    match output {
        Output::Table => Some(0),
        Output::Archive => Some(1),
        Output::Errors => None,
    }
}
