//! Where records come from. A source reads shards in order, and can read any span of any shard again.

pub mod file;
pub mod intake;
pub mod kcl;
pub mod kinesis;

use std::sync::Arc;

use async_trait::async_trait;
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::record::Batch;

/// Batches that may be read ahead of the pipeline, over all shards. One is at most 10 MiB (the Kinesis limit).
pub const READ_AHEAD_BATCHES: usize = 16;

/// A failure of a source, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The environment failed after retries: service, network, disk.
    #[error("{doing}: {message}")]
    Environment { doing: String, message: String },
    /// The configuration cannot work: no such stream, no credentials, a wrong endpoint.
    #[error("{0}")]
    Config(String),
    /// Records that are not stored yet are no longer there.
    #[error("shard {shard}: records after {after} are no longer in the source: {message}")]
    Lost { shard: ShardId, after: Position, message: String },
    /// The pipeline is gone; it says why itself.
    #[error("pipeline closed")]
    Closed,
}

/// Where to begin with a shard.
#[derive(Debug, Clone, PartialEq)]
pub struct Resume {
    /// Read on after this; zero: nothing was read yet, begin at `start`.
    pub after: Position,
    pub start: Start,
    /// The shard was read and stored to its end.
    pub ended: bool,
}

/// One shard asked for.
#[derive(Debug)]
pub struct ClaimRequest {
    pub shard: ShardId,
    /// Where to begin if nobody has ever read this shard.
    pub first_start: Start,
    pub reply: oneshot::Sender<Resume>,
}

/// Hands shards to a source: what it may read is what it has claimed.
#[derive(Debug, Clone)]
pub struct Claims {
    requests: mpsc::Sender<ClaimRequest>,
    known: Arc<[(ShardId, Position)]>,
}

impl Claims {
    /// `known`: see [`Claims::known`].
    pub fn new(requests: mpsc::Sender<ClaimRequest>, known: Arc<[(ShardId, Position)]>) -> Self {
        Claims { requests, known }
    }

    /// The state's shards that were not read to their end, each with the position read through. A source that does not have
    /// one of them must fail: what follows that position would be missing from the table, and nobody would know.
    pub fn known(&self) -> &[(ShardId, Position)] {
        &self.known
    }

    /// Makes the shard this process's own and says where to read on.
    pub async fn claim(&self, shard: ShardId, first_start: Start) -> Result<Resume, SourceError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(ClaimRequest { shard, first_start, reply }).await.map_err(|_| SourceError::Closed)?;
        answer.await.map_err(|_| SourceError::Closed)
    }
}

/// A source of records.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug + 'static {
    /// Reads all shards, claiming each before its first read, until `stop` is cancelled (then returns promptly, batches already
    /// sent stand) or something fails for good: among it a shard of [`Claims::known`] that the source does not have. A closed
    /// shard's last batch has `last`. A child shard is read after all its parents were read to their end, and its first read
    /// begins at their start: the earliest of the [`Start`]s that reading its parents began with.
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, stop: CancellationToken) -> Result<(), SourceError>;

    /// Reads exactly `span` of a shard again and sends it as chained batches, the last one ending at `span.to`. `span.from` zero
    /// means from `start`. Used by recovery, before [`Source::run`].
    async fn reread(
        &self,
        shard: &ShardId,
        start: &Start,
        span: &Span,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError>;

    /// Everything at or below `watermark` is stored: the source may forget it.
    async fn release(&self, shard: &ShardId, watermark: &Position) -> Result<(), SourceError>;
}
