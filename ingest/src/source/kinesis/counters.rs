//! What the source counts, for metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use schemas::position::ShardId;

use super::retention::RETENTION_MS_MIN;

/// Shards whose lag is kept; a stream has at most 20,000 open ones by default in the largest regions.
const LAGS_MAX: usize = 20_000;

/// Counters of one stream since the process began. All are totals.
#[derive(Debug, Default)]
pub struct KinesisCounters {
    /// `GetRecords` calls that gave an answer, empty ones included.
    pub reads: AtomicU64,
    pub records: AtomicU64,
    /// Bytes of data in those records.
    pub bytes: AtomicU64,
    /// Calls the service refused for their rate, after the SDK's own attempts.
    pub throttled: AtomicU64,
    /// Iterators that had expired (five minutes) and were asked for again.
    pub expired: AtomicU64,
    /// Calls that failed on the way (network, timeout, a failing server), after the SDK's own attempts.
    pub unreachable: AtomicU64,
    /// Records that held user records of the Kinesis Producer Library.
    pub aggregates: AtomicU64,
    /// User records in them.
    pub user_records: AtomicU64,
    /// Those whose hash key is not the shard's: Amazon's client library drops them, we do not.
    pub stray_user_records: AtomicU64,
    /// Records that begin like an aggregate and are none: delivered as they are.
    pub broken_aggregates: AtomicU64,
    /// Spans that retention took, each accepted by the operator. How many records they held, nobody knows.
    pub lost_spans: AtomicU64,
    /// 0: not asked for.
    retention_ms: AtomicI64,
    /// Events that subscriptions gave, those without records included.
    pub events: AtomicU64,
    /// `SubscribeToShard` calls that were taken.
    pub subscriptions: AtomicU64,
    /// Those of them that followed an earlier one of the same shard.
    pub renewals: AtomicU64,
    /// Waits because someone else held a shard's subscription.
    pub in_use: AtomicU64,
    behind_ms: Mutex<BTreeMap<ShardId, u64>>,
}

impl KinesisCounters {
    /// How far each open shard's reading is behind its tip, in milliseconds.
    pub fn behind_ms(&self) -> BTreeMap<ShardId, u64> {
        self.lags().clone()
    }

    pub(super) fn records(&self, records: usize, bytes: u64) {
        add(&self.records, records as u64);
        add(&self.bytes, bytes);
    }

    /// How much of the retention period the shard that is furthest behind has used, in percent. Until the period was asked for,
    /// which happens when it may matter, it counts as the least there is, 24 hours.
    pub fn retention_used_percent(&self) -> u64 {
        let period = self.retention_ms.load(Ordering::Relaxed).max(RETENTION_MS_MIN).unsigned_abs();
        self.lags().values().max().map_or(0, |lag| lag.saturating_mul(100) / period)
    }

    pub(super) fn retention_is(&self, period_ms: i64) {
        self.retention_ms.store(period_ms, Ordering::Relaxed);
    }

    pub(super) fn behind(&self, shard: &ShardId, behind_ms: u64) {
        let mut lags = self.lags();
        if let Some(lag) = lags.get_mut(shard) {
            *lag = behind_ms;
        } else if lags.len() < LAGS_MAX {
            lags.insert(shard.clone(), behind_ms);
        }
    }

    /// The shard has ended: it has no lag any more.
    pub(super) fn ended(&self, shard: &ShardId) {
        self.lags().remove(shard);
    }

    fn lags(&self) -> std::sync::MutexGuard<'_, BTreeMap<ShardId, u64>> {
        // A map of numbers is whole after any panic.
        self.behind_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
