//! What the source needs of Kinesis, in its own words: a few calls and one list of failures. `api.rs` speaks it over the SDK,
//! the tests over a stream in memory that throttles, expires and reshards at will.

use async_trait::async_trait;
use bytes::Bytes;
use schemas::position::Position;

use super::tree::ListedShard;
use crate::source::SourceError;

/// Where an iterator begins. There is no `latest`: it would skip what arrives between two attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadFrom {
    TrimHorizon,
    /// The first record that arrived at or after this instant, milliseconds since the epoch.
    At(i64),
    /// The record that this position lies in, it included; if it was trimmed, the first one behind it.
    Record(Position),
    /// Behind this number, which need not be a record's.
    After(Position),
}

/// One page of the list of shards.
#[derive(Debug, Default)]
pub(super) struct ShardPage {
    pub(super) shards: Vec<ListedShard>,
    pub(super) next: Option<String>,
}

/// One record, its number unchecked.
#[derive(Debug, Clone)]
pub(super) struct RawRecord {
    pub(super) sequence_number: String,
    /// Milliseconds since the epoch.
    pub(super) arrived_at: i64,
    pub(super) data: Bytes,
}

/// What one `GetRecords` gave.
#[derive(Debug, Default)]
pub(super) struct RecordPage {
    pub(super) records: Vec<RawRecord>,
    /// None: the shard is closed and this is its end.
    pub(super) next: Option<String>,
    pub(super) behind_ms: Option<u64>,
}

impl RecordPage {
    pub(super) fn bytes(&self) -> u64 {
        self.records.iter().map(|r| r.data.len() as u64).sum()
    }

    /// Nothing came and nothing is known to be waiting.
    pub(super) fn caught_up(&self) -> bool {
        self.records.is_empty() && self.behind_ms.unwrap_or(0) == 0
    }
}

/// A registered consumer of the stream: whom the service pushes records to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consumer {
    pub(super) arn: String,
    pub(super) state: ConsumerState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConsumerState {
    Creating,
    Active,
    Deleting,
}

/// What the service pushed at once.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    pub(super) records: Vec<RawRecord>,
    /// Where the next subscription goes on: behind everything that was pushed, and behind what the service knows to be no
    /// record of ours. It moves on although no record comes, and is not always the number of one.
    pub(super) continuation: Option<String>,
    pub(super) behind_ms: Option<u64>,
    /// The shard is closed and this is its end.
    pub(super) last: bool,
}

/// One subscription to one shard. Dropped, it ends.
#[async_trait]
pub(super) trait Subscription: Send + std::fmt::Debug {
    /// None: the service has ended it, as it does after five minutes.
    async fn next(&mut self) -> Result<Option<Pushed>, Failure>;
}

/// Why a call failed, by what to do about it. Every SDK error becomes one of these once, in `api.rs`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Too many calls, or the stream is being changed: slow down.
    #[error("throttled: {0}")]
    Throttled(String),
    /// The stream is being changed, the consumer made, or someone else holds the subscription: later.
    #[error("in use: {0}")]
    InUse(String),
    /// The iterator (or page token) is older than five minutes: get a new one.
    #[error("expired: {0}")]
    Expired(String),
    /// No such stream, shard or consumer.
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    InvalidArgument(String),
    /// Credentials are refused, or may not do this (KMS included).
    #[error("access denied: {0}")]
    Denied(String),
    /// Network, timeout, a failing server: may pass.
    #[error("{0}")]
    Unreachable(String),
    /// What no repetition mends.
    #[error("{0}")]
    Fatal(String),
}

impl Failure {
    /// Trying again after a while may help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Failure::Throttled(_) | Failure::InUse(_) | Failure::Expired(_) | Failure::Unreachable(_))
    }

    /// As the error of the source, once nothing more is tried.
    pub(super) fn into_error(self, doing: String) -> SourceError {
        match self {
            Failure::NotFound(_) | Failure::InvalidArgument(_) | Failure::Denied(_) => {
                SourceError::Config(format!("{doing}: {self}"))
            }
            _ => SourceError::Environment { doing, message: self.to_string() },
        }
    }
}

/// One stream.
#[async_trait]
pub(super) trait Service: Send + Sync + std::fmt::Debug {
    /// Where the stream is, for messages: ``stream `x` at http://...``.
    fn place(&self) -> &str;

    /// A page of all shards, closed ones too; `token` is the page before's `next`.
    async fn list_shards(&self, token: Option<String>) -> Result<ShardPage, Failure>;

    async fn iterator(&self, shard: &str, from: &ReadFrom) -> Result<String, Failure>;

    async fn records(&self, iterator: &str, limit: i32) -> Result<RecordPage, Failure>;

    /// How long the stream keeps its records.
    async fn retention_hours(&self) -> Result<i32, Failure>;

    /// The stream's consumer of this name; none: it is not registered.
    async fn consumer(&self, name: &str) -> Result<Option<Consumer>, Failure>;

    /// Registers it. [`Failure::InUse`]: it is there already.
    async fn register(&self, name: &str) -> Result<(), Failure>;

    /// Subscribes a consumer to a shard. A subscription of the same consumer to the same shard that is older than five seconds
    /// ends by it.
    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard: &str,
        from: &ReadFrom,
    ) -> Result<Box<dyn Subscription>, Failure>;
}
