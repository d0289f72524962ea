//! Taking in: a span enters flight, its rows, rejects and raw records join open buffers, the span is left.

use std::collections::BTreeMap;

use schemas::log_entry::{Output, Target};
use schemas::position::{Position, ShardId, Span};

use super::Writer;
use crate::buffer::rope::{Origin, RowIn};
use crate::buffer::{Full, Open};
use crate::error::WriterError;

/// A span being taken in.
#[derive(Debug)]
pub struct Intake {
    pub shard: ShardId,
    index: u32,
    span: Span,
    /// Position of the record before the next one.
    before: Position,
    now: i64,
    /// File bytes per byte, by output. Looked up once: what a file cut meanwhile says is for the next span.
    ratios: [f64; Output::ALL.len()],
}

/// One row, reject or raw record as it is handed over.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    pub position: &'a Position,
    /// Milliseconds since the epoch.
    pub arrived_at: i64,
    pub data: &'a [u8],
    /// Of `data`, see [`crate::tape::outline`]; empty if it is not known.
    pub outline: &'a [u8],
    /// Shard and position that the row tells of itself, where it was first taken from another place than it is read from now.
    pub origin: Option<(&'a str, &'a Position)>,
}

impl Writer {
    /// The whole span enters flight, before any record of it is looked at.
    pub fn enter(&self, shard: &ShardId, span: &Span) -> Result<Intake, WriterError> {
        self.shared.shards.enter(shard, span)?;
        let index = self.index_of(shard)?;
        let now = self.shared.clock.now();
        let ratios = Output::ALL.map(|output| self.shared.ratio(output));
        Ok(Intake { shard: shard.clone(), index, before: span.from.clone(), span: span.clone(), now, ratios })
    }

    pub(super) fn index_of(&self, shard: &ShardId) -> Result<u32, WriterError> {
        let index = self.index.get(shard).copied();
        index.ok_or_else(|| WriterError::Corrupt(format!("shard {shard} is not owned")))
    }

    /// A row for a partition of the table.
    pub fn row(&mut self, intake: &mut Intake, partition: &str, given: Given<'_>) {
        self.row_to(intake, partition, &mut Open::default(), given);
    }

    /// The same for who has several rows for a partition: `open` is kept from one to the next.
    pub fn row_to(&mut self, intake: &mut Intake, partition: &str, open: &mut Open, given: Given<'_>) {
        self.take_in(intake, Output::Table, partition, open, given);
        intake.before.clone_from(given.position);
    }

    /// A line for a folder of the errors output.
    pub fn reject(&mut self, intake: &mut Intake, folder: &str, given: Given<'_>) {
        self.take_in(intake, Output::Errors, folder, &mut Open::default(), given);
        intake.before.clone_from(given.position);
    }

    /// A line for a folder of the archive: a whole record, handed over before its events. They stand at or before the record's
    /// position, so what comes before them stays as it is.
    pub fn archive(&mut self, intake: &mut Intake, folder: &str, given: Given<'_>) {
        self.take_in(intake, Output::Archive, folder, &mut Open::default(), given);
    }

    fn take_in(&mut self, intake: &Intake, output: Output, path: &str, open: &mut Open, given: Given<'_>) {
        let row = self.row_of(intake.index, given);
        let pushed = self.buffers.push_to(output, path, open, row, &intake.before, intake.now);
        self.shared.budget.take(pushed.memory);
        if pushed.first_of_shard {
            self.shared.shards.hold(&intake.shard, &intake.before);
        }
        let full = Full { limits: self.settings.of(output), ratio: intake.ratios[output as usize] };
        self.frozen.extend(self.buffers.take_full(output, path, &pushed, full));
    }

    /// A row of a shard whose spans are read again, for [`crate::commit::redo::Redo::offer`].
    pub fn row_in<'a>(&mut self, shard: &ShardId, given: Given<'a>) -> Result<RowIn<'a>, WriterError> {
        Ok(self.row_of(self.index_of(shard)?, given))
    }

    fn row_of<'a>(&mut self, shard: u32, given: Given<'a>) -> RowIn<'a> {
        let Given { position, arrived_at, data, outline, origin } = given;
        let origin = origin.map(|(shard, position)| Origin { shard: self.origin(shard), position });
        RowIn { shard, position, arrived_at, data, outline, origin }
    }

    fn origin(&mut self, shard: &str) -> u32 {
        if let Some(index) = self.index.get(shard) {
            return *index;
        }
        self.know(&ShardId::new(shard));
        self.index[shard]
    }

    /// A record that needs nothing more (recovery found it stored).
    pub fn skip(&self, intake: &mut Intake, position: &Position) {
        intake.before.clone_from(position);
    }

    /// Keeps the memory cap within a span whose records unfold to far more than they are: cuts what is full, and the largest
    /// buffers if memory is short, and waits for room.
    pub async fn relieve(&mut self) -> Result<(), WriterError> {
        let short = self.buffers.take_over_memory(self.shared.budget.limit());
        self.frozen.extend(short);
        self.cut_frozen().await?;
        self.room().await
    }

    /// The span is taken in. Cuts what is full, and the largest buffers if memory is short.
    pub async fn leave(&mut self, intake: Intake, at_end: bool) -> Result<(), WriterError> {
        self.shared.shards.entered(&intake.shard, &intake.span, at_end);
        let short = self.buffers.take_over_memory(self.shared.budget.limit());
        self.frozen.extend(short);
        self.cut_frozen().await
    }
}

/// Is a row already in a file that was cut? `marks` are the shard's.
pub fn is_cut(marks: &BTreeMap<Target, Position>, target: &Target, position: &Position) -> bool {
    marks.get(target).is_some_and(|mark| position <= mark)
}
