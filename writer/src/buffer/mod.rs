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

/// Bytes an open buffer takes beside its rows (map entry, key, spans), about.
pub const BUFFER_OVERHEAD: u64 = 512;

/// Rows of one target, not cut yet.
#[derive(Debug)]
pub struct Buffer {
    pub target: Target,
    pub rope: Rope,
    pub opened_at: i64,
    pub last_row_at: i64,
    /// For each shard with rows here: the position before the first of them.
    pub before: BTreeMap<u32, Position>,
}

impl Buffer {
    pub fn new(target: Target, now: i64) -> Self {
        Buffer { target, rope: Rope::default(), opened_at: now, last_row_at: now, before: BTreeMap::new() }
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
#[derive(Debug, Default)]
pub struct Buffers {
    /// By path, for each output in the order of [`Output::ALL`].
    by_output: [HashMap<Arc<str>, Buffer>; Output::ALL.len()],
    memory: u64,
    /// The latest time seen.
    clock: i64,
}

impl Buffers {
    pub fn len(&self) -> usize {
        self.by_output.iter().map(HashMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory of all open buffers.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Adds a row to the partition or folder `path` of an output. `before` is the position of the record before it in its shard.
    pub fn push(&mut self, output: Output, path: &str, row: RowIn<'_>, before: &Position, now: i64) -> Pushed {
        let pushed = push(&mut self.by_output[output as usize], path, output, row, before, now);
        self.memory += pushed.memory;
        pushed
    }

    /// Takes out every buffer that `due` names a reason for.
    pub fn take_due(&mut self, mut due: impl FnMut(&Buffer) -> Option<FlushReason>) -> Vec<(Buffer, FlushReason)> {
        let mut out = Vec::new();
        for map in &mut self.by_output {
            for (_, buffer, reason) in take_if(map, &mut due) {
                self.memory -= buffer.memory();
                out.push((buffer, reason));
            }
        }
        // Map order is random; a cut's file order should not be.
        out.sort_by(|a, b| a.0.target.cmp(&b.0.target));
        out
    }

    /// Takes out the buffer of one partition or folder.
    pub fn take(&mut self, output: Output, path: &str) -> Option<Buffer> {
        let buffer = self.by_output[output as usize].remove(path)?;
        self.memory -= buffer.memory();
        Some(buffer)
    }

    fn all(&self) -> impl Iterator<Item = &Buffer> {
        self.by_output.iter().flat_map(HashMap::values)
    }

    /// Takes out the largest, oldest first, when memory is short.
    pub fn take_over_memory(&mut self, limit: u64) -> Vec<(Buffer, FlushReason)> {
        // Asked after every batch: the common answer must not walk all buffers.
        if !policy::is_high(self.memory, limit) {
            return Vec::new();
        }
        let mut all: Vec<&Buffer> = self.all().collect();
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
        for buffer in self.by_output.iter_mut().flat_map(HashMap::values_mut) {
            buffer.opened_at = buffer.opened_at.min(now);
            buffer.last_row_at = buffer.last_row_at.min(now);
        }
    }

    /// When the oldest open buffer was opened.
    pub fn oldest(&self) -> Option<i64> {
        self.all().map(|b| b.opened_at).min()
    }
}

fn push(
    map: &mut HashMap<Arc<str>, Buffer>,
    path: &str,
    output: Output,
    row: RowIn<'_>,
    before: &Position,
    now: i64,
) -> Pushed {
    let mut memory = 0;
    let buffer = map.entry_ref(path).or_insert_with(|| {
        memory = BUFFER_OVERHEAD;
        Buffer::new(output.target(path.into()), now)
    });
    let first_of_shard = !buffer.before.contains_key(&row.shard);
    if first_of_shard {
        buffer.before.insert(row.shard, before.clone());
    }
    buffer.last_row_at = now;
    memory += buffer.rope.push(row);
    Pushed { memory, first_of_shard, rows: buffer.rope.rows(), data_bytes: buffer.rope.data_bytes() }
}

fn take_if(
    map: &mut HashMap<Arc<str>, Buffer>,
    due: &mut impl FnMut(&Buffer) -> Option<FlushReason>,
) -> Vec<(Arc<str>, Buffer, FlushReason)> {
    let reasons: Vec<(Arc<str>, FlushReason)> =
        map.iter().filter_map(|(path, buffer)| Some((path.clone(), due(buffer)?))).collect();
    reasons.into_iter().filter_map(|(path, reason)| Some((path.clone(), map.remove(&path)?, reason))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_one(buffers: &mut Buffers, path: &str, number: u64, now: i64) -> Pushed {
        let position = Position::from_numbers(number, 0);
        let before = Position::from_numbers(number - 1, 0);
        let row = RowIn { shard: 0, position: &position, arrived_at: now, data: b"{}", origin: None };
        buffers.push(Output::Table, path, row, &before, now)
    }

    #[test]
    fn ten_thousand_partitions_with_one_row_each_are_small_and_leave_together() {
        let mut buffers = Buffers::default();
        let taken: u64 = (1..=10_000).map(|i| push_one(&mut buffers, &format!("k={i}"), i, 0).memory).sum();
        assert_eq!((buffers.len(), buffers.memory()), (10_000, taken));
        assert!(taken < 20_000_000, "{taken} bytes");
        let out = buffers.take_due(|_| Some(FlushReason::Age));
        assert_eq!((out.len(), buffers.len(), buffers.memory()), (10_000, 0, 0));
    }

    #[test]
    fn one_due_buffer_leaves_the_others_alone() {
        let mut buffers = Buffers::default();
        assert!(push_one(&mut buffers, "hot", 1, 0).first_of_shard);
        assert!(push_one(&mut buffers, "cold", 2, 0).first_of_shard);
        assert!(!push_one(&mut buffers, "hot", 3, 5).first_of_shard);
        let out = buffers.take_due(|b| (b.rope.rows() >= 2).then_some(FlushReason::Rows));
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].0.before[&0], Position::zero());
        assert_eq!((buffers.len(), out[0].0.last_row_at), (1, 5));
    }
}
