//! From the raw records of one shard, whoever fetched them, to records the pipeline can take: checked, taken apart, in pieces that
//! chain. Pure.
//!
//! A position can lie inside a Kinesis record: behind one user record of an aggregate, or behind one of the documents in a record.
//! So whoever reads on after a position asks for the record it lies in once more (`AT_SEQUENCE_NUMBER`), and what is at or below
//! the position is dropped here. That record is the anchor: if another one comes first, retention has trimmed it.
//!
//! ```text
//! loop {
//!     tail.anchor();                            // when the next record to come is the one that `last` lies in
//!     if let Some(gap) = tail.offer(records)? { // the anchor is gone
//!         /* is it a loss? if not: */ tail.prove();
//!     }
//!     while let Some(piece) = tail.piece() { /* hand over */ }
//! }
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use schemas::position::{Position, Span};

use super::counters::{KinesisCounters, add};
use super::kpl::{Aggregate, Content, HashRange, content};
use super::service::RawRecord;
use crate::record::Record;
use crate::source::SourceError;

/// Most records of one piece: aggregates of 10 MiB can hold 1.7 million.
pub(super) const PIECE_RECORDS_MAX: usize = 10_000;

/// Records to hand over. The span may reach further than the last of them: an aggregate can be empty.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) records: Vec<Record>,
    pub(super) span: Span,
}

/// The record of `after` is gone, and so may be what stood between it and `first`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) after: Position,
    /// None: no record has come at all.
    pub(super) first: Option<Position>,
}

#[derive(Debug)]
pub(super) struct Tail {
    /// Who reads what, for errors.
    doing: String,
    /// The last position handed over.
    last: Position,
    /// The last Kinesis record that came.
    came: Position,
    anchor: Option<Position>,
    waiting: VecDeque<(Position, RawRecord)>,
    open: Option<Open>,
    range: Option<HashRange>,
    counters: Arc<KinesisCounters>,
}

/// An aggregate whose user records are being handed over.
#[derive(Debug)]
struct Open {
    position: Position,
    arrived_at: i64,
    users: Aggregate,
}

impl Tail {
    /// Everything up to `last` is known. `range` is of the shard's hash keys, where known.
    pub(super) fn new(doing: String, last: Position, range: Option<HashRange>, counters: Arc<KinesisCounters>) -> Self {
        let came = last.with_sub(0);
        Tail { doing, last, came, anchor: None, waiting: VecDeque::new(), open: None, range, counters }
    }

    /// Where to read on.
    pub(super) fn last(&self) -> &Position {
        &self.last
    }

    /// The next record to come is the one that `last` lies in, unless that is gone. Nothing to do for a shard never read.
    pub(super) fn anchor(&mut self) {
        if !self.last.is_zero() {
            let anchor = self.last.with_sub(0);
            (self.came, self.anchor) = (anchor.clone(), Some(anchor));
        }
    }

    /// The anchor has not come yet.
    pub(super) fn is_anchored(&self) -> bool {
        self.anchor.is_some()
    }

    /// The anchor is gone, and nothing came in its place.
    pub(super) fn gap_at_end(&self) -> Option<Gap> {
        self.anchor.is_some().then(|| Gap { after: self.last.clone(), first: None })
    }

    /// The anchor is gone, and that is no reason to stop.
    pub(super) fn prove(&mut self) {
        self.anchor = None;
    }

    /// Takes in what came, in its order.
    ///
    /// # Errors
    /// A record that does not stand behind the one before it would be lost or doubled further on: better to stop here.
    pub(super) fn offer(&mut self, records: Vec<RawRecord>) -> Result<Option<Gap>, SourceError> {
        let mut gap = None;
        for raw in records {
            let position = Position::new(raw.sequence_number.as_str(), 0)
                .map_err(|bad| self.broken(format!("sequence number {bad}")))?;
            match self.anchor.take() {
                Some(anchor) if position == anchor => {}
                Some(anchor) if position > anchor => {
                    gap = Some(Gap { after: self.last.clone(), first: Some(position.clone()) });
                }
                _ if position > self.came => {}
                _ => {
                    return Err(
                        self.broken(format!("record {position} came after record {}, but is not greater", self.came))
                    );
                }
            }
            self.came = position.clone();
            self.waiting.push_back((position, raw));
        }
        Ok(gap)
    }

    /// The next records to hand over, at most [`PIECE_RECORDS_MAX`]; `last` moves behind them.
    pub(super) fn piece(&mut self) -> Option<Piece> {
        let from = self.last.clone();
        let mut records = Vec::new();
        while records.len() < PIECE_RECORDS_MAX
            && let Some(record) = self.next()
        {
            records.push(record);
        }
        let moved = self.last != from;
        moved.then(|| Piece { records, span: Span::new(from, self.last.clone()) })
    }

    /// A piece without anything.
    pub(super) fn nothing(&self) -> Piece {
        Piece { records: Vec::new(), span: Span::new(self.last.clone(), self.last.clone()) }
    }

    /// More came than the record that `last` lies in.
    pub(super) fn is_ahead(&self) -> bool {
        self.came > self.last.with_sub(0)
    }

    /// Nothing is left to hand over.
    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.open.as_ref().is_none_or(|open| open.users.left() == 0)
    }

    fn next(&mut self) -> Option<Record> {
        loop {
            while let Some(open) = &mut self.open
                && let Some(user) = open.users.next()
            {
                let position = open.position.with_sub(user.sub);
                if position > self.last {
                    let record = Record { position, arrived_at: open.arrived_at, data: user.data };
                    add(&self.counters.user_records, 1);
                    add(&self.counters.stray_user_records, user.stray.into());
                    self.last = record.position.clone();
                    return Some(record);
                }
            }
            let (position, raw) = self.waiting.pop_front()?;
            if let Some(record) = self.unpack(position, raw) {
                return Some(record);
            }
        }
    }

    /// A plain record, if it is new; an aggregate is opened.
    fn unpack(&mut self, position: Position, raw: RawRecord) -> Option<Record> {
        let RawRecord { arrived_at, data, .. } = raw;
        let content = content(&data, self.range);
        let is_new = position > self.last;
        match content {
            Content::Aggregate(users) => {
                add(&self.counters.aggregates, is_new.into());
                // What holds no user record is behind us at once.
                if is_new && users.left() == 0 {
                    self.last = position.clone();
                }
                self.open = Some(Open { position, arrived_at, users });
                return None;
            }
            Content::Broken => add(&self.counters.broken_aggregates, is_new.into()),
            Content::Plain => {}
        }
        is_new.then(|| {
            self.last = position.clone();
            Record { position, arrived_at, data }
        })
    }

    fn broken(&self, message: String) -> SourceError {
        SourceError::Environment { doing: self.doing.clone(), message }
    }
}
