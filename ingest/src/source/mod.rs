//! Where records come from. A source reads shards in order, and can read any span of any shard again.

mod claims;
pub mod intake;
pub mod kcl;
pub mod kinesis;
pub mod loss;
pub mod replay;
pub mod split;

use async_trait::async_trait;
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::claims::{Claimed, Claims, Request, Resume, ShardStanding};
use crate::record::{Batch, Record, Unpacked};

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
    Lost {
        shard: ShardId,
        after: Position,
        /// The first record behind the lost ones, where it is known.
        first: Option<Position>,
        message: String,
    },
    /// A shard that could only be ours is another writer's.
    #[error("shard {shard} belongs to writer {writer}")]
    Taken { shard: ShardId, writer: String },
    /// The pipeline is gone; it says why itself.
    #[error("pipeline closed")]
    Closed,
}

/// How fast records may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub calls_per_second: u64,
    pub bytes_per_second: u64,
}

/// A source of records.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug + 'static {
    /// Reads the shards that it may claim, claiming each before its first read, until `stop` is cancelled (then returns promptly, batches already
    /// sent stand) or something fails for good: among it a shard of [`Claims::known`] that the source does not have. A closed
    /// shard's last batch has `last`. A child shard is read after all its parents were read to their end, and its first read
    /// begins at their start: the earliest of the [`Start`]s that reading its parents began with.
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, stop: CancellationToken) -> Result<(), SourceError>;

    /// Reads exactly `span` of a shard again and sends it as chained batches, the last one ending at `span.to`. `span.from` zero
    /// means from `start`; within a record, that record is the first one sent. `span.to` is a record's position. Used by
    /// recovery, before [`Source::run`] or, for shards taken over later, beside it.
    ///
    /// `seen_at`: at this instant the shard held nothing behind `span.from`, or nothing behind a position before it. By it a
    /// source that forgets by time tells what it may forget from a loss.
    async fn reread(
        &self,
        shard: &ShardId,
        start: &Start,
        span: &Span,
        seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError>;

    /// What a record of this source holds. A replay gives records with a note of where they were first taken; all others give
    /// them as they are.
    fn unpack<'a>(&self, record: &'a Record) -> Unpacked<'a> {
        Unpacked { data: &record.data, origin: None }
    }

    /// How fast it may take records from here on: an intake from each of its callers, a stream's reader from each shard.
    fn set_rate(&self, _rate: Rate) {}

    /// Everything at or below `watermark` is stored: the source may forget it. A record that the watermark lies in is still needed.
    async fn release(&self, shard: &ShardId, watermark: &Position) -> Result<(), SourceError>;
}
