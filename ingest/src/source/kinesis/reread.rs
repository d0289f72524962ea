//! Reading one span again, for recovery: exactly `(from, to]`, or an error.

use std::sync::Arc;
use std::time::Duration;

use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Shared;
use super::retention::way_on;
use super::shard::{EMPTY_READS_MAX, Read, ShardReader};
use super::tail::Gap;
use crate::record::{Batch, Record};
use crate::source::{Resume, SourceError};

/// The batches carry no permit: recovery may keep them, and what it does not take waits in `out`.
///
/// A span that ends inside a record gets the whole record: which of its documents lie in the span, whoever takes it apart tells.
pub(super) async fn reread(
    shared: Arc<Shared>,
    id: &str,
    start: &Start,
    span: &Span,
    seen_at: Option<i64>,
    out: mpsc::Sender<Batch>,
) -> Result<(), SourceError> {
    let shard = shared.shard_id(id);
    let mut empty = EmptyReads { give_up: shared.settings.give_up, at_tip: 0, since: None };
    let resume = Resume { after: span.from.clone(), start: start.clone(), ended: false, seen_at };
    let mut reader = ShardReader::resumed(Arc::clone(&shared), id, resume);
    let mut at = span.from.clone();
    while at < span.to {
        let read = reader.read().await?;
        empty.note(&read);
        let behind_ms = read.behind_ms;
        let ends = ends_before(&read, &span.to, &empty);
        let (records, beyond) = up_to(&span.to, read.records);
        if let Some(last) = records.last() {
            let to = last.position.clone().min(span.to.clone());
            let span = Span::new(std::mem::replace(&mut at, to.clone()), to);
            send(&shard, span, records, behind_ms, &out).await?;
        }
        if at < span.to
            && let Some(why) = ends
        {
            let gap = Gap { after: at, first: beyond };
            if !shared.is_accepted(&shard, &gap) {
                return Err(lost(shard, gap, span, why));
            }
            return send(&shard, Span::new(gap.after, span.to.clone()), Vec::new(), behind_ms, &out).await;
        }
    }
    Ok(())
}

/// The records of the span, and the position of the first one behind it.
fn up_to(to: &Position, mut records: Vec<Record>) -> (Vec<Record>, Option<Position>) {
    let count = records.partition_point(|record| record.position <= to.record());
    let beyond = records.get(count).map(|record| record.position.clone());
    records.truncate(count);
    (records, beyond)
}

async fn send(
    shard: &ShardId,
    span: Span,
    records: Vec<Record>,
    behind_ms: Option<u64>,
    out: &mpsc::Sender<Batch>,
) -> Result<(), SourceError> {
    let batch = Batch { shard: shard.clone(), span, records, behind_ms, seen_at: None, last: false, permit: None };
    out.send(batch).await.map_err(|_| SourceError::Closed)
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

fn lost(shard: ShardId, gap: Gap, span: &Span, why: &str) -> SourceError {
    let way_on = way_on(&shard, &gap);
    let message = format!("{why} before record {}, which an unfinished cut needs: {way_on}", span.to);
    SourceError::Lost { shard, after: gap.after, first: gap.first, message }
}
