//! What flows from a source into the pipeline.

use bytes::Bytes;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::OwnedSemaphorePermit;

/// One record as the source gave it, undecoded: one event or several.
#[derive(Debug, Clone)]
pub struct Record {
    pub position: Position,
    /// When the source took it, milliseconds since the epoch.
    pub arrived_at: i64,
    pub data: Bytes,
}

/// What a record holds, and where it was first taken.
#[derive(Debug)]
pub struct Unpacked<'a> {
    pub data: &'a [u8],
    pub origin: Option<Origin<'a>>,
}

/// Where a record was first taken, where that is not where it is read from: its rows and rejects tell of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin<'a> {
    pub shard: &'a str,
    pub position: Position,
}

impl Origin<'_> {
    /// The position of the document that stands at `event` in this record.
    pub fn of(&self, event: &Position) -> Position {
        if event.document() > 0 { self.position.with_document(event.document()) } else { self.position.clone() }
    }
}

/// What one read of one shard gave. The span covers everything read, also where it held no record.
#[derive(Debug)]
pub struct Batch {
    pub shard: ShardId,
    /// `from` is the `to` of the shard's batch before: batches chain.
    pub span: Span,
    /// Ascending by position, all inside the span.
    pub records: Vec<Record>,
    /// How far the shard's tip is away, where the source knows.
    pub behind_ms: Option<u64>,
    /// At this instant (milliseconds since the epoch) the shard held nothing behind the span. Where nothing comes for long, a
    /// batch without records says so.
    pub seen_at: Option<i64>,
    /// The shard is closed and this is its end.
    pub last: bool,
    /// Given back when the pipeline has taken the batch in: bounds what is read ahead.
    pub permit: Option<OwnedSemaphorePermit>,
}
