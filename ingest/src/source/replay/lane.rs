//! One lane read in order: its objects to chained batches.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use writer::objects::Objects;

use super::counters::ReplayCounters;
use super::format::Raw;
use super::frame::{looks_packed, pack};
use super::loss::Accepted;
use super::object::{Broken, Missing, Raws, Records, fetch};
use super::plan::Planned;
use crate::record::{Batch, Record};
use crate::source::SourceError;

/// A shard of a replay.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) shard: ShardId,
    pub(super) planned: Arc<[Planned]>,
    pub(super) objects: Objects,
    pub(super) counters: Arc<ReplayCounters>,
    /// Objects that may be missing.
    pub(super) accepted: Arc<Accepted>,
}

/// How far to read.
#[derive(Debug, Clone)]
pub(super) enum Until {
    TheEnd,
    /// Up to this record, which was read before: what is no longer there is lost.
    Position(Position),
}

impl Lane {
    /// Sends every record behind `after`, object by object.
    pub(super) async fn read(self, after: Position, until: Until, out: mpsc::Sender<Batch>) -> Result<(), SourceError> {
        let mut from = after;
        let (planned, first) = (self.planned.clone(), self.planned.partition_point(|object| object.end() <= from));
        if let Until::TheEnd = until {
            planned[..first].iter().for_each(|object| self.counters.object_done(object.size));
        }
        for object in &planned[first..] {
            if matches!(&until, Until::Position(to) if from >= *to) {
                return Ok(());
            }
            let raws = fetch(&self.objects, object, &self.counters);
            let reading = Reading {
                shard: self.shard.clone(),
                object: object.clone(),
                from: from.clone(),
                to: match &until {
                    Until::Position(to) if *to < object.end() => Some(to.clone()),
                    _ => None,
                },
                out: out.clone(),
                counters: self.counters.clone(),
            };
            let done = tokio::task::spawn_blocking(move || reading.run(raws)).await;
            let done = done.map_err(|e| self.failed("reading", object, &e))?;
            from = match done {
                Ok(through) => through,
                Err(Ended::Closed) => return Err(SourceError::Closed),
                Err(Ended::Broken(through, why)) => self.broken(object, through, why, &until, &out).await?,
            };
            self.counters.object_done(0);
        }
        Ok(())
    }

    fn failed(&self, doing: &str, object: &Planned, cause: &dyn std::fmt::Display) -> SourceError {
        let doing = format!("{doing} {}", self.objects.url_of(&object.path));
        SourceError::Environment { doing, message: cause.to_string() }
    }

    /// An object that is not whole is told and passed over, for good. One that is not there as it was planned ends the lane, as does
    /// one whose records were read and not stored, unless the operator goes on without it.
    async fn broken(
        &self,
        object: &Planned,
        through: Position,
        why: Broken,
        until: &Until,
        out: &mpsc::Sender<Batch>,
    ) -> Result<Position, SourceError> {
        let url = self.objects.url_of(&object.path);
        let is_needed = matches!(until, Until::Position(to) if through < *to);
        let records = if through < object.position(1) { 0 } else { through.sub() };
        let what = match why {
            Broken::Missing(Missing::Failed(error)) => return Err(self.failed("reading", object, &error)),
            Broken::Missing(missing) => {
                let what = missing_what(&missing, object);
                if !self.accepted.has(object.number) {
                    return Err(self.lost(
                        object,
                        through,
                        format!("{url} {what}, and {}", unread(is_needed, records)),
                    ));
                }
                if let Until::TheEnd = until {
                    self.counters.lost(&format!(
                        "{url} {what}; {records} records of it were read, the others are lost, as accepted"
                    ));
                }
                return self.pass_over(object, through, until, out).await;
            }
            Broken::Text(error) => format!("is broken: {}", error.to_string().to_ascii_lowercase()),
        };
        // A broken text is broken at the same place each time: what stands before it comes again.
        if is_needed {
            return Err(self.lost(
                object,
                through,
                format!("{url} {what}, and records of it were read and not stored"),
            ));
        }
        let do_what = "put it whole under another name to have it read";
        self.counters.problem(format!("{url} {what}; {records} records of it were read; {do_what}"));
        self.pass_over(object, through, until, out).await
    }

    /// Nothing more comes of this object.
    async fn pass_over(
        &self,
        object: &Planned,
        through: Position,
        until: &Until,
        out: &mpsc::Sender<Batch>,
    ) -> Result<Position, SourceError> {
        let to = match until {
            Until::Position(to) if *to < object.end() => to.clone(),
            _ => object.end(),
        };
        let span = Span::new(through, to.clone());
        out.send(batch(&self.shard, span, Vec::new())).await.map_err(|_| SourceError::Closed)?;
        Ok(to)
    }

    fn lost(&self, object: &Planned, after: Position, what: String) -> SourceError {
        let url = self.objects.url_of(&object.path);
        let message = format!("{what}: put it back as it was, or go on without it with --accept-loss {url}");
        SourceError::Lost { shard: self.shard.clone(), after, first: None, message }
    }
}

fn missing_what(missing: &Missing, object: &Planned) -> String {
    match missing {
        Missing::Changed => format!("is another object than when it was planned (etag {} then)", object.etag),
        Missing::Gone | Missing::Failed(_) => "is gone".into(),
    }
}

fn unread(is_needed: bool, records: u64) -> String {
    match is_needed {
        true => "records of it were read and not stored".into(),
        false => format!("{records} records of it were read, and not those behind them"),
    }
}

fn batch(shard: &ShardId, span: Span, records: Vec<Record>) -> Batch {
    Batch { shard: shard.clone(), span, records, behind_ms: None, seen_at: None, last: false, permit: None }
}

/// One object on its own thread.
struct Reading {
    shard: ShardId,
    object: Planned,
    from: Position,
    /// The last record that is wanted, where that is not all of them.
    to: Option<Position>,
    out: mpsc::Sender<Batch>,
    counters: Arc<ReplayCounters>,
}

enum Ended {
    Closed,
    /// Everything up to this position was sent.
    Broken(Position, Broken),
}

impl Reading {
    /// Sends what is wanted of the object; gives the position through which it did.
    fn run(mut self, raws: Raws) -> Result<Position, Ended> {
        let mut records = Records::open(raws).map_err(|broken| Ended::Broken(self.from.clone(), broken))?;
        let mut usual = 0;
        loop {
            let mut taken = Taken { places: Vec::with_capacity(usual), ..Taken::default() };
            // A text of its own for the positions of each batch: threads that count copies of one text wait for each other.
            let begin = Position::from_numbers(self.object.number, 0);
            let more = records.portion(&mut |number, raw, text| {
                self.take(begin.with_sub(number), &raw, text, &mut taken);
            });
            let more = match more {
                Ok(more) => more && !taken.enough,
                Err(broken) => return Err(Ended::Broken(self.from, broken)),
            };
            let last = taken.places.last().map_or_else(|| self.from.clone(), |(position, ..)| position.clone());
            // Behind the last record the object is done with, and need not be looked at again.
            let to = match (more, &self.to) {
                (false, None) => self.object.end(),
                (false, Some(to)) => to.clone(),
                (true, _) => last,
            };
            let span = Span::new(std::mem::replace(&mut self.from, to.clone()), to);
            usual = taken.places.len();
            let records = taken.records();
            self.counters.records.fetch_add(records.len() as u64, Ordering::Relaxed);
            self.out.blocking_send(batch(&self.shard, span, records)).map_err(|_| Ended::Closed)?;
            if !more {
                return Ok(self.from);
            }
        }
    }

    fn take(&self, position: Position, raw: &Raw<'_>, text: &Bytes, taken: &mut Taken) {
        taken.enough |= self.to.as_ref().is_some_and(|to| *to <= position);
        // A record that reading begins within is behind that place, and is given once more.
        if !taken.begun && position <= self.from || self.to.as_ref().is_some_and(|to| position > *to) {
            return;
        }
        taken.begun = true;
        let data = match (&raw.data, raw.origin()) {
            (Cow::Borrowed(data), None) if !looks_packed(data) => Data::Text(text.slice_ref(data)),
            (data, origin) => {
                let start = taken.packed.len();
                pack(&mut taken.packed, data, origin.as_ref());
                Data::Packed(start..taken.packed.len())
            }
        };
        taken.places.push((position, raw.arrived_at.unwrap_or(self.object.modified), data));
    }
}

/// Records of one portion.
#[derive(Default)]
struct Taken {
    packed: Vec<u8>,
    places: Vec<(Position, i64, Data)>,
    /// The first one that is wanted has come.
    begun: bool,
    /// The last one that is wanted has come.
    enough: bool,
}

enum Data {
    /// A part of the portion's text.
    Text(Bytes),
    Packed(Range<usize>),
}

impl Taken {
    fn records(self) -> Vec<Record> {
        let packed = Bytes::from(self.packed);
        let data = |data| match data {
            Data::Text(data) => data,
            Data::Packed(range) => packed.slice(range),
        };
        let record = |(position, arrived_at, at)| Record { position, arrived_at, data: data(at) };
        self.places.into_iter().map(record).collect()
    }
}
