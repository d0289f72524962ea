//! Reading one span again, for recovery: exactly `(from, to]`, or an error.

use std::sync::Arc;
use std::time::Duration;

use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Shared;
use super::shard::{Read, ShardReader};
use crate::record::Batch;
use crate::source::SourceError;

/// Reads in a row that may find nothing at the tip before the span's end counts as gone.
const EMPTY_READS_MAX: u32 = 3;

/// The batches carry no permit: recovery may keep them, and what it does not take waits in `out`.
pub(super) async fn reread(
    shared: Arc<Shared>,
    id: &str,
    start: &Start,
    span: &Span,
    out: mpsc::Sender<Batch>,
) -> Result<(), SourceError> {
    let shard = shared.shard_id(id);
    let mut empty = EmptyReads { give_up: shared.settings.give_up, at_tip: 0, since: None };
    let mut reader = ShardReader::new(shared, id, span.from.clone(), start.clone());
    let mut at = span.from.clone();
    while at < span.to {
        let (read, _permit) = reader.read().await?;
        empty.note(&read);
        let behind_ms = read.behind_ms;
        let ends = ends_before(&read, &span.to, &empty);
        let records: Vec<_> = read.records.into_iter().take_while(|r| r.position <= span.to).collect();
        if let Some(last) = records.last() {
            let from = std::mem::replace(&mut at, last.position.clone());
            let span = Span::new(from, at.clone());
            let batch =
                Batch { shard: shard.clone(), span, records, behind_ms, seen_at: None, last: false, permit: None };
            out.send(batch).await.map_err(|_| SourceError::Closed)?;
        }
        if at < span.to
            && let Some(why) = ends
        {
            return Err(lost(shard, at, span, why));
        }
    }
    Ok(())
}

/// An unbroken row of reads that gave no record.
#[derive(Debug)]
struct EmptyReads {
    give_up: Duration,
    /// How many of the last ones found the tip.
    at_tip: u32,
    since: Option<Instant>,
}

impl EmptyReads {
    fn note(&mut self, read: &Read) {
        self.at_tip = if read.caught_up { self.at_tip + 1 } else { 0 };
        self.since = if read.records.is_empty() { self.since.or_else(|| Some(Instant::now())) } else { None };
    }

    /// The service may answer with nothing although more follows, but not for ever.
    fn too_long(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= self.give_up)
    }
}

/// Why nothing more of the span can come, if so. `to` is the position of a record: whatever stands beyond it proves it gone.
fn ends_before(read: &Read, to: &Position, empty: &EmptyReads) -> Option<&'static str> {
    if read.span.to > *to {
        Some("a later record came")
    } else if read.last {
        Some("the shard ended")
    } else if empty.at_tip >= EMPTY_READS_MAX {
        Some("the shard holds no more")
    } else if empty.too_long() {
        Some("no read gave a record for as long as `give_up`")
    } else {
        None
    }
}

fn lost(shard: ShardId, after: Position, span: &Span, why: &str) -> SourceError {
    let message = format!("{why} before record {}, which an unfinished cut needs", span.to);
    SourceError::Lost { shard, after, message }
}
