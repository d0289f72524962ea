//! Open buffers: one per target, each with its own clock and limits, all under one cap on memory.

pub mod budget;
pub mod policy;
pub mod rope;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use schemas::log_entry::{FlushReason, Output, Target};
use schemas::position::Position;

use self::policy::Figures;
use self::rope::{Rope, RowIn};
use crate::settings::{BufferSettings, Limits};

/// Bytes an open buffer takes beside its rows (map entry, key, spans), about.
pub const BUFFER_OVERHEAD: u64 = 512;

/// What a buffer holds of its rows: all that decisions need to know. The writer holds the rows themselves ([`Rope`]), a forecast
/// their figures alone; when either is cut is decided by the same code.
pub trait Content: Default {
    type Row<'r>;

    /// Index into the writer's list of shards.
    fn shard_of(row: &Self::Row<'_>) -> u32;
    /// Adds a row; gives the bytes of memory newly taken.
    fn push(&mut self, row: Self::Row<'_>) -> u64;
    fn rows(&self) -> u64;
    /// Bytes of events in it.
    fn data_bytes(&self) -> u64;
    /// Bytes it takes in memory.
    fn allocated(&self) -> u64;
}

impl Content for Rope {
    type Row<'r> = RowIn<'r>;

    fn shard_of(row: &RowIn<'_>) -> u32 {
        row.shard
    }

    fn push(&mut self, row: RowIn<'_>) -> u64 {
        Rope::push(self, row)
    }

    fn rows(&self) -> u64 {
        Rope::rows(self)
    }

    fn data_bytes(&self) -> u64 {
        Rope::data_bytes(self)
    }

    fn allocated(&self) -> u64 {
        Rope::allocated(self)
    }
}

/// Rows of one target, not cut yet.
#[derive(Debug)]
pub struct Buffer<C = Rope> {
    pub target: Target,
    pub rope: C,
    pub opened_at: i64,
    pub last_row_at: i64,
    /// For each shard with rows here: the position before the first of them.
    pub before: BTreeMap<u32, Position>,
}

impl<C: Content> Buffer<C> {
    pub fn new(target: Target, now: i64) -> Self {
        Buffer { target, rope: C::default(), opened_at: now, last_row_at: now, before: BTreeMap::new() }
    }

    pub fn figures(&self) -> Figures {
        Figures {
            rows: self.rope.rows(),
            data_bytes: self.rope.data_bytes(),
            opened_at: self.opened_at,
            last_row_at: self.last_row_at,
        }
    }

    pub fn memory(&self) -> u64 {
        self.rope.allocated() + BUFFER_OVERHEAD
    }
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes of memory newly taken.
    pub memory: u64,
    /// The row is its buffer's first of this shard.
    pub first_of_shard: bool,
    /// What the buffer holds now.
    pub rows: u64,
    pub data_bytes: u64,
}

/// All open buffers.
#[derive(Debug)]
pub struct Buffers<C = Rope> {
    /// For each output in the order of [`Output::ALL`].
    by_output: [OfOutput<C>; Output::ALL.len()],
    memory: u64,
    /// The latest time seen.
    clock: i64,
}

impl<C: Content> Default for Buffers<C> {
    fn default() -> Self {
        Buffers { by_output: Output::ALL.map(|_| OfOutput::default()), memory: 0, clock: 0 }
    }
}

/// A buffer that is going to be a file, and why.
pub type Cuttable<C> = (Buffer<C>, FlushReason);

/// When a row's buffer is full: the limits of its output, and file bytes per byte as seen lately.
#[derive(Debug, Clone, Copy)]
pub struct Full {
    pub limits: Limits,
    pub ratio: f64,
}

impl<C: Content> Buffers<C> {
    pub fn len(&self) -> usize {
        self.by_output.iter().map(|of| of.by_path.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory of all open buffers.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Adds a row to the partition or folder `path` of an output. `before` is the position of the record before it in its shard.
    pub fn push(&mut self, output: Output, path: &str, row: C::Row<'_>, before: &Position, now: i64) -> Pushed {
        self.push_to(output, path, &mut Open::default(), row, before, now)
    }

    /// The same for who adds several rows to a path: `open` is kept from one to the next.
    pub fn push_to(
        &mut self,
        output: Output,
        path: &str,
        open: &mut Open,
        row: C::Row<'_>,
        before: &Position,
        now: i64,
    ) -> Pushed {
        let of = &mut self.by_output[output as usize];
        let mut memory = 0;
        if !of.is_open(*open) {
            *open = of.open(path, || {
                memory = BUFFER_OVERHEAD;
                Buffer::new(output.target(path.into()), now)
            });
        }
        let mut pushed = push(of.buffer(*open), row, before, now);
        pushed.memory += memory;
        self.memory += pushed.memory;
        pushed
    }

    /// Takes the buffer of a path out if a push has made it full.
    pub fn take_full(&mut self, output: Output, path: &str, pushed: &Pushed, full: Full) -> Option<Cuttable<C>> {
        let reason = policy::full(pushed.rows, pushed.data_bytes, &full.limits, full.ratio)?;
        self.take(output, path).map(|buffer| (buffer, reason))
    }

    /// Takes out every buffer whose time has come. `ratios`: file bytes per byte, by output.
    pub fn take_due_at(
        &mut self,
        settings: &BufferSettings,
        ratios: [f64; Output::ALL.len()],
        now: i64,
    ) -> Vec<Cuttable<C>> {
        self.clock_is(now);
        self.take_due(|buffer| {
            let output = buffer.target.output();
            policy::due(&buffer.figures(), &settings.of(output), ratios[output as usize], now)
        })
    }

    /// The earliest time at which [`Buffers::take_due_at`] may find something, as long as nothing is pushed.
    pub fn next_due(&self, settings: &BufferSettings) -> Option<i64> {
        self.all().map(|buffer| policy::due_from(&buffer.figures(), &settings.of(buffer.target.output()))).min()
    }

    /// Takes out every buffer that `due` names a reason for.
    pub fn take_due(&mut self, mut due: impl FnMut(&Buffer<C>) -> Option<FlushReason>) -> Vec<Cuttable<C>> {
        let mut out = Vec::new();
        for of in &mut self.by_output {
            for (path, reason) in of.due(&mut due) {
                out.extend(of.take(&path).map(|buffer| (buffer, reason)));
            }
        }
        self.memory -= out.iter().map(|(buffer, _)| buffer.memory()).sum::<u64>();
        // Their order here is by chance; a cut's file order should not be.
        out.sort_by(|a, b| a.0.target.cmp(&b.0.target));
        out
    }

    /// Takes out the buffer of one partition or folder.
    pub fn take(&mut self, output: Output, path: &str) -> Option<Buffer<C>> {
        let buffer = self.by_output[output as usize].take(path)?;
        self.memory -= buffer.memory();
        Some(buffer)
    }

    fn all(&self) -> impl Iterator<Item = &Buffer<C>> {
        self.by_output.iter().flat_map(OfOutput::all)
    }

    /// Takes out the largest, oldest first, when memory is short.
    pub fn take_over_memory(&mut self, limit: u64) -> Vec<Cuttable<C>> {
        // Asked after every batch: the common answer must not walk all buffers.
        if !policy::is_high(self.memory, limit) {
            return Vec::new();
        }
        let mut all: Vec<&Buffer<C>> = self.all().collect();
        all.sort_by(|a, b| a.opened_at.cmp(&b.opened_at).then_with(|| a.target.cmp(&b.target)));
        let sizes: Vec<u64> = all.iter().map(|b| b.memory()).collect();
        let chosen: std::collections::BTreeSet<Target> =
            policy::over_memory(&sizes, self.memory, limit).into_iter().map(|i| all[i].target.clone()).collect();
        self.take_due(|buffer| chosen.contains(&buffer.target).then_some(FlushReason::Memory))
    }

    /// The wall clock may be set back: then buffers count from the new time, or they would wait until it has caught up.
    pub fn clock_is(&mut self, now: i64) {
        if now >= self.clock {
            self.clock = now;
            return;
        }
        self.clock = now;
        for buffer in self.by_output.iter_mut().flat_map(|of| of.places.iter_mut()).filter_map(|p| p.buffer.as_mut()) {
            buffer.opened_at = buffer.opened_at.min(now);
            buffer.last_row_at = buffer.last_row_at.min(now);
        }
    }

    /// The open partitions of the table, each with when it was opened.
    pub fn of_table(&self) -> impl Iterator<Item = (&str, i64)> {
        self.by_output[Output::Table as usize].all().map(|buffer| (buffer.target.path(), buffer.opened_at))
    }

    /// When the oldest open buffer was opened.
    pub fn oldest(&self) -> Option<i64> {
        self.all().map(|b| b.opened_at).min()
    }
}

fn push<C: Content>(buffer: &mut Buffer<C>, row: C::Row<'_>, before: &Position, now: i64) -> Pushed {
    let shard = C::shard_of(&row);
    let first_of_shard = !buffer.before.contains_key(&shard);
    if first_of_shard {
        buffer.before.insert(shard, before.clone());
    }
    buffer.last_row_at = now;
    let memory = buffer.rope.push(row);
    Pushed { memory, first_of_shard, rows: buffer.rope.rows(), data_bytes: buffer.rope.data_bytes() }
}

/// Where the open buffer of a path was. It may be cut by now: then it is looked for again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open {
    place: usize,
    /// Of the buffer; none has 0.
    number: u64,
}

/// The open buffers of an output.
#[derive(Debug)]
struct OfOutput<C> {
    by_path: HashMap<Arc<str>, usize>,
    places: Vec<Place<C>>,
    /// Places without a buffer.
    free: Vec<usize>,
    /// Of the buffer opened last.
    number: u64,
}

impl<C> Default for OfOutput<C> {
    fn default() -> Self {
        OfOutput { by_path: HashMap::new(), places: Vec::new(), free: Vec::new(), number: 0 }
    }
}

#[derive(Debug)]
struct Place<C> {
    buffer: Option<Buffer<C>>,
    /// Of this buffer, or of the one that was here: each has its own.
    number: u64,
}

impl<C: Content> OfOutput<C> {
    fn is_open(&self, open: Open) -> bool {
        self.places.get(open.place).is_some_and(|place| place.number == open.number && place.buffer.is_some())
    }

    /// Where the buffer of a path is, with `new` in case there is none.
    fn open(&mut self, path: &str, new: impl FnOnce() -> Buffer<C>) -> Open {
        if let Some(place) = self.by_path.get(path).copied() {
            return Open { place, number: self.places[place].number };
        }
        self.number += 1;
        let opened = Place { buffer: Some(new()), number: self.number };
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place] = opened;
                place
            }
            None => {
                self.places.push(opened);
                self.places.len() - 1
            }
        };
        self.by_path.insert(path.into(), place);
        Open { place, number: self.number }
    }

    fn buffer(&mut self, open: Open) -> &mut Buffer<C> {
        self.places[open.place].buffer.as_mut().expect("asked for where it is open")
    }

    fn take(&mut self, path: &str) -> Option<Buffer<C>> {
        let place = self.by_path.remove(path)?;
        self.free.push(place);
        self.places[place].buffer.take()
    }

    fn all(&self) -> impl Iterator<Item = &Buffer<C>> {
        self.places.iter().filter_map(|place| place.buffer.as_ref())
    }

    fn due(&self, due: &mut impl FnMut(&Buffer<C>) -> Option<FlushReason>) -> Vec<(Arc<str>, FlushReason)> {
        let of = |(path, place): (&Arc<str>, &usize)| Some((path.clone(), due(self.places[*place].buffer.as_ref()?)?));
        self.by_path.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_one(buffers: &mut Buffers, path: &str, number: u64, now: i64) -> Pushed {
        let position = Position::from_numbers(number, 0);
        let before = Position::from_numbers(number - 1, 0);
        let row = RowIn { shard: 0, position: &position, arrived_at: now, data: b"{}", outline: &[], origin: None };
        buffers.push(Output::Table, path, row, &before, now)
    }

    #[test]
    fn ten_thousand_partitions_with_one_row_each_are_small_and_leave_together() {
        let mut buffers: Buffers = Buffers::default();
        let taken: u64 = (1..=10_000).map(|i| push_one(&mut buffers, &format!("k={i}"), i, 0).memory).sum();
        assert_eq!((buffers.len(), buffers.memory()), (10_000, taken));
        assert!(taken < 20_000_000, "{taken} bytes");
        let out = buffers.take_due(|_| Some(FlushReason::Age));
        assert_eq!((out.len(), buffers.len(), buffers.memory()), (10_000, 0, 0));
    }

    #[test]
    fn one_due_buffer_leaves_the_others_alone() {
        let mut buffers: Buffers = Buffers::default();
        assert!(push_one(&mut buffers, "hot", 1, 0).first_of_shard);
        assert!(push_one(&mut buffers, "cold", 2, 0).first_of_shard);
        assert!(!push_one(&mut buffers, "hot", 3, 5).first_of_shard);
        let out = buffers.take_due(|b| (b.rope.rows() >= 2).then_some(FlushReason::Rows));
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].0.before[&0], Position::zero());
        assert_eq!((buffers.len(), out[0].0.last_row_at), (1, 5));
    }

    #[test]
    fn a_path_that_was_cut_is_looked_for_again() {
        let mut buffers: Buffers = Buffers::default();
        let mut opens = [Open::default(); 3];
        let mut push = |buffers: &mut Buffers, name: usize| {
            let position = Position::from_numbers(1, 0);
            let row = RowIn { shard: 0, position: &position, arrived_at: 0, data: b"{}", outline: &[], origin: None };
            let path = ["a", "b", "c"][name];
            buffers.push_to(Output::Table, path, &mut opens[name], row, &Position::zero(), 0).rows
        };
        assert_eq!([0, 1, 1, 0].map(|name| push(&mut buffers, name)), [1, 1, 2, 2]);
        assert_eq!(buffers.take(Output::Table, "a").map(|buffer| buffer.rope.rows()), Some(2));
        // The place that has become free is another path's.
        assert_eq!([2, 0, 1, 2, 0].map(|name| push(&mut buffers, name)), [1, 1, 3, 2, 2]);
        let left = buffers.take_due(|_| Some(FlushReason::Age));
        let left: Vec<_> = left.iter().map(|(buffer, _)| (buffer.target.path(), buffer.rope.rows())).collect();
        assert_eq!((left, buffers.memory()), (vec![("a", 2), ("b", 3), ("c", 2)], 0));
    }
}
