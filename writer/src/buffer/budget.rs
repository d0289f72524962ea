//! The cap on memory over all buffers: what is open, what is being encoded, what waits for its PUT.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Shared account of bytes. Reading pauses while it is overdrawn; nothing is refused.
#[derive(Debug)]
pub struct Budget {
    limit: AtomicU64,
    used: AtomicU64,
    freed: Notify,
}

impl Budget {
    pub fn new(limit: u64) -> Self {
        Budget { limit: AtomicU64::new(limit), used: AtomicU64::new(0), freed: Notify::new() }
    }

    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Acquire)
    }

    /// Another cap from here on. What is above it drains: reading pauses until it is kept.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Release);
        self.freed.notify_waiters();
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    pub fn take(&self, bytes: u64) {
        // Nearly every row finds room in its buffer's chunk.
        if bytes == 0 {
            return;
        }
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    pub fn give_back(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::AcqRel);
        debug_assert!(before >= bytes, "gave back {bytes} of {before}");
        self.freed.notify_waiters();
    }

    pub fn is_overdrawn(&self) -> bool {
        self.used() >= self.limit()
    }

    /// Waits until something is given back or a moment has passed (so that a missed wake-up costs only that).
    pub async fn freed(&self) {
        let pause = std::time::Duration::from_millis(50);
        drop(tokio::time::timeout(pause, self.freed.notified()).await);
    }
}
