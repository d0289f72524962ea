//! What the source counts, for metrics.

use std::sync::atomic::AtomicU64;

/// Counters of one socket since the process began. All but `connections` are totals.
#[derive(Debug, Default)]
pub struct KclCounters {
    /// Children connected now: shards the daemon has given this machine.
    pub connections: AtomicU64,
    /// Records the daemon gave, de-aggregated.
    pub records: AtomicU64,
    /// Of these: records that the state holds already, or that lie before the shard's start.
    pub passed_over: AtomicU64,
    /// Records read from the stream because the daemon had begun behind them.
    pub gap_records: AtomicU64,
    /// Checkpoints the lease table took.
    pub checkpoints: AtomicU64,
    /// Checkpoints that were refused; the next one covers them.
    pub checkpoints_refused: AtomicU64,
    /// Shards taken by force: their owner had not given them up within `handover`.
    pub seized: AtomicU64,
}
