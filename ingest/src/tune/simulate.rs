//! The sample through the writer's own decisions: buffers that hold figures instead of rows, and a clock that is told the time.
//!
//! When a buffer is cut is decided by `writer::buffer`, the code that decides it in `run`: the same buffers, limits, ratio of file
//! bytes, memory marks, ticks and bounds of a cut. What is not simulated: how long encoding and storing take, what both need of
//! memory, and that a batch's rows have one time.

use std::collections::BTreeMap;

use schemas::log_entry::{FlushReason, Output};
use schemas::position::Position;
use writer::Open;
use writer::buffer::policy::{self, Ratio};
use writer::buffer::rope::Room;
use writer::buffer::{Buffers, Content, Cuttable, Full};
use writer::settings::BufferSettings;

use super::histogram::Histogram;
use super::sample::{Routed, Timeline};
use super::sizes::SizeModel;

/// A buffer's content without its rows.
#[derive(Debug, Default)]
pub struct Counted {
    rows: u64,
    data_bytes: u64,
    room: Room,
    /// When rows came, and how many.
    came: Vec<(i64, u32)>,
    place: u32,
}

/// A row of it.
#[derive(Debug, Clone, Copy)]
pub struct CountedRow {
    pub place: u32,
    pub bytes: u32,
    pub stored: u32,
    pub rows: u32,
    pub at: i64,
}

impl Content for Counted {
    type Row<'r> = CountedRow;

    fn shard_of(_: &CountedRow) -> u32 {
        0
    }

    fn push(&mut self, row: CountedRow) -> u64 {
        self.rows += u64::from(row.rows);
        self.data_bytes += u64::from(row.bytes);
        self.place = row.place;
        match self.came.last_mut() {
            Some((at, rows)) if *at == row.at => *rows += row.rows,
            _ => self.came.push((row.at, row.rows)),
        }
        self.room.take(row.stored as usize) as u64
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    fn allocated(&self) -> u64 {
        self.room.allocated()
    }
}

/// How long the sample runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Once, from empty buffers to a stop that cuts them all.
    Once,
    /// Round and round: `warm_up` ms first, then `measured` ms that count.
    Steady { warm_up: i64, measured: i64 },
}

/// Files of one group of partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Group {
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
}

/// What came of it, while it counted.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Milliseconds.
    pub measured: i64,
    /// Bytes of the table's files.
    pub files: Histogram,
    pub rows: u64,
    pub data_bytes: u64,
    pub by_reason: BTreeMap<FlushReason, u64>,
    /// Files of the errors output and of the archive.
    pub other_files: u64,
    /// Log entries that are cuts.
    pub cuts: u64,
    /// Milliseconds from a row's arrival to its cut.
    pub delays: Histogram,
    /// Bytes of open buffers, by milliseconds.
    pub memory: Histogram,
    /// Open buffers of the table, errors and archive, by milliseconds.
    pub open: Histogram,
    pub groups: Vec<Group>,
}

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub routed: &'a Routed,
    pub timeline: &'a Timeline,
    pub settings: &'a BufferSettings,
    pub sizes: &'a SizeModel,
    /// File bytes per byte of the archive's lines.
    pub archive_ratio: f64,
}

/// Runs it. `step` is called once in a while with how many items came.
pub fn simulate(input: Input<'_>, span: Span, step: &dyn Fn(u64)) -> Outcome {
    let mut simulation = Simulation::new(input, span);
    let (items, timeline) = (&input.routed.items, input.timeline);
    let mut begin = 0;
    loop {
        for (chunk, times) in items.chunks(STEP).zip(timeline.at.chunks(STEP)) {
            for (item, at) in chunk.iter().zip(times) {
                let now = begin + at;
                if now >= simulation.end {
                    return simulation.finish();
                }
                let place = item.place;
                let row = CountedRow { place, bytes: item.bytes, stored: item.stored, rows: item.rows, at: now };
                simulation.push(row, now);
            }
            step(chunk.len() as u64);
        }
        begin += timeline.period;
        if begin >= simulation.end || items.is_empty() {
            return simulation.finish();
        }
    }
}

/// Items between two steps.
const STEP: usize = 1 << 16;

struct Simulation<'a> {
    input: Input<'a>,
    /// Behind the last item.
    end: i64,
    /// What is cut from here on counts.
    counts_from: i64,
    cuts_all_at_end: bool,
    buffers: Buffers<Counted>,
    opens: Vec<Open>,
    /// Of the table's and the archive's files.
    ratios: [Ratio; 2],
    tick: i64,
    next_tick: i64,
    /// No buffer is due by time before this.
    due_from: i64,
    looked_at: i64,
    outcome: Outcome,
}

impl<'a> Simulation<'a> {
    fn new(input: Input<'a>, span: Span) -> Self {
        let (counts_from, end) = match span {
            Span::Once => (0, input.timeline.period),
            Span::Steady { warm_up, measured } => (warm_up, warm_up + measured),
        };
        let tick = i64::try_from(policy::tick(input.settings).as_millis()).unwrap_or(i64::MAX).max(1);
        Simulation {
            input,
            end,
            counts_from,
            cuts_all_at_end: span == Span::Once,
            buffers: Buffers::default(),
            opens: vec![Open::default(); input.routed.places.len()],
            ratios: Default::default(),
            tick,
            next_tick: tick,
            due_from: i64::MAX,
            looked_at: 0,
            outcome: Outcome {
                measured: end - counts_from,
                groups: vec![Group::default(); input.routed.groups],
                ..Outcome::default()
            },
        }
    }

    fn push(&mut self, row: CountedRow, now: i64) {
        self.pass_time(now);
        let place = &self.input.routed.places[row.place as usize];
        let open = &mut self.opens[row.place as usize];
        let pushed = self.buffers.push_to(place.output, &place.path, open, row, &Position::zero(), now);
        let limits = self.input.settings.of(place.output);
        if pushed.rows == u64::from(row.rows) {
            let soonest = i64::try_from(limits.age.min(limits.idle).as_millis()).unwrap_or(i64::MAX);
            self.due_from = self.due_from.min(now.saturating_add(soonest));
        }
        let full = Full { limits, ratio: self.ratio(place.output) };
        let full = self.buffers.take_full(place.output, &place.path, &pushed, full);
        self.cut(full.into_iter().collect(), now);
        let short = self.buffers.take_over_memory(self.input.settings.memory);
        self.cut(short, now);
    }

    /// What happens by time alone, up to `now`.
    fn pass_time(&mut self, now: i64) {
        while self.next_tick <= now {
            if self.next_tick < self.due_from {
                // Looks that would find nothing are not taken.
                let until = self.due_from.min(now.saturating_add(1)) - self.next_tick;
                self.next_tick += until.div_euclid(self.tick) * self.tick;
                self.next_tick += if until.rem_euclid(self.tick) > 0 { self.tick } else { 0 };
                continue;
            }
            let at = self.next_tick;
            self.observe(at);
            let ratios = Output::ALL.map(|output| self.ratio(output));
            let due = self.buffers.take_due_at(self.input.settings, ratios, at);
            self.cut(due, at);
            self.due_from = self.buffers.next_due(self.input.settings).unwrap_or(i64::MAX);
            self.next_tick += self.tick;
        }
        self.observe(now);
    }

    /// Open buffers were as they are now since they were last looked at.
    fn observe(&mut self, now: i64) {
        let since = self.looked_at.max(self.counts_from);
        if now > since {
            let weight = (now - since) as u64;
            self.outcome.memory.add(self.buffers.memory(), weight);
            self.outcome.open.add(self.buffers.len() as u64, weight);
        }
        self.looked_at = now;
    }

    fn ratio(&self, output: Output) -> f64 {
        match output {
            Output::Table => self.ratios[0].get(),
            Output::Archive => self.ratios[1].get(),
            Output::Errors => 1.0,
        }
    }

    fn cut(&mut self, mut cuttable: Vec<Cuttable<Counted>>, now: i64) {
        while !cuttable.is_empty() {
            let count = policy::of_next_cut(cuttable.iter().map(|(buffer, _)| buffer.rope.data_bytes));
            if now >= self.counts_from {
                self.outcome.cuts += 1;
            }
            for (buffer, reason) in cuttable.drain(..count) {
                self.file(&buffer.rope, buffer.target.output(), reason, now);
            }
        }
    }

    fn file(&mut self, content: &Counted, output: Output, reason: FlushReason, now: i64) {
        let bytes = match output {
            Output::Table => self.input.sizes.file_bytes_of(content.place, content.data_bytes),
            Output::Archive => (content.data_bytes as f64 * self.input.archive_ratio) as u64,
            Output::Errors => content.data_bytes + content.rows,
        };
        match output {
            Output::Table => self.ratios[0].seen(content.data_bytes, bytes),
            Output::Archive => self.ratios[1].seen(content.data_bytes, bytes),
            Output::Errors => {}
        }
        if now < self.counts_from {
            return;
        }
        let outcome = &mut self.outcome;
        if output != Output::Table {
            outcome.other_files += 1;
            return;
        }
        outcome.files.add(bytes, 1);
        outcome.rows += content.rows;
        outcome.data_bytes += content.data_bytes;
        *outcome.by_reason.entry(reason).or_default() += 1;
        for (came, rows) in &content.came {
            outcome.delays.add((now - came).max(0) as u64, u64::from(*rows));
        }
        let group = self.input.routed.places[content.place as usize].group as usize;
        if let Some(group) = outcome.groups.get_mut(group) {
            *group = Group { rows: group.rows + content.rows, files: group.files + 1, bytes: group.bytes + bytes };
        }
    }

    fn finish(mut self) -> Outcome {
        self.pass_time(self.end - 1);
        if self.cuts_all_at_end {
            let all = self.buffers.take_due(|_| Some(FlushReason::Shutdown));
            self.cut(all, self.end);
        }
        self.outcome
    }
}

#[cfg(test)]
#[path = "tests/simulate.rs"]
mod tests;
