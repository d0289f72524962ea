//! A stream that is short enough to go through every order of events: its records are numbered over all shards, so that a set of
//! rows is a bit mask.

use schemas::log_entry::Target;
use schemas::position::{Position, ShardId};

pub(super) const SHARDS: usize = 2;

/// Records of the stream, one bit each; those of shard 0 come first.
pub(super) type Rows = u16;

#[derive(Debug)]
pub(super) struct Record {
    pub(super) shard: usize,
    /// From 1 in its shard.
    pub(super) at: u8,
    pub(super) target: usize,
    pub(super) position: Position,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) records: Vec<Record>,
    pub(super) shards: [ShardId; SHARDS],
    pub(super) targets: Vec<Target>,
}

impl Stream {
    /// For each shard its records, each named by the letter of its target.
    pub(super) fn new(shards: [&str; SHARDS]) -> Stream {
        let mut records = Vec::new();
        for (shard, letters) in shards.iter().enumerate() {
            for (index, letter) in letters.bytes().enumerate() {
                let at = index as u8 + 1;
                let target = usize::from(letter - b'a');
                records.push(Record { shard, at, target, position: position(at) });
            }
        }
        let targets = ["a", "b"].map(|name| Target::Table(name.into())).to_vec();
        Stream { records, shards: ["s0", "s1"].map(ShardId::new), targets }
    }

    pub(super) fn all(&self) -> Rows {
        (1 << self.records.len()) - 1
    }

    pub(super) fn length(&self, shard: usize) -> u8 {
        self.of_shard(shard).map(|(_, record)| record.at).max().unwrap_or(0)
    }

    pub(super) fn select(&self, wanted: impl Fn(&Record) -> bool) -> Rows {
        self.numbered().filter(|(_, record)| wanted(record)).fold(0, |rows, (bit, _)| rows | bit)
    }

    pub(super) fn of_target(&self, target: usize) -> Rows {
        self.select(|record| record.target == target)
    }

    pub(super) fn rows_of_shard(&self, shard: usize) -> Rows {
        self.select(|record| record.shard == shard)
    }

    pub(super) fn of_shard(&self, shard: usize) -> impl Iterator<Item = (Rows, &Record)> {
        self.numbered().filter(move |(_, record)| record.shard == shard)
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (Rows, &Record)> {
        self.records.iter().enumerate().map(|(number, record)| (1 << number, record))
    }

    /// First and last of these rows in a shard.
    pub(super) fn bounds(&self, rows: Rows, shard: usize) -> Option<(u8, u8)> {
        let mut ats = self.of_shard(shard).filter(|(bit, _)| rows & bit != 0).map(|(_, record)| record.at);
        let first = ats.next()?;
        Some((first, ats.last().unwrap_or(first)))
    }

    pub(super) fn target_of(&self, rows: Rows) -> usize {
        self.records[rows.trailing_zeros() as usize].target
    }

    pub(super) fn number_of(&self, shard: &ShardId) -> usize {
        self.shards.iter().position(|id| id == shard).expect("a shard of the stream")
    }
}

pub(super) fn position(at: u8) -> Position {
    Position::from_numbers(u64::from(at), 0)
}

pub(super) fn number(position: &Position) -> u8 {
    position.sequence().parse().expect("a position of the stream")
}

pub(super) fn shards_of(mask: u8) -> impl Iterator<Item = usize> {
    (0..SHARDS).filter(move |shard| mask & (1 << shard) != 0)
}
