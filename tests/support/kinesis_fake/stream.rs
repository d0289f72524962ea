//! A stream: shards with their hash ranges and ancestors, records with their numbers.

use std::collections::VecDeque;

use md5::{Digest, Md5};

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// The widths of a sequence number's parts: `49`, the shard's birth in milliseconds, the number, the shard. 56 digits as in the
/// service, growing within a shard, and a child's greater than its parents'.
const BIRTH_DIGITS: usize = 13;
const NUMBER_DIGITS: usize = 25;
const SHARD_DIGITS: usize = 16;

/// A record as it is kept.
#[derive(Debug, Clone)]
pub struct Record {
    /// Grows over the whole stream.
    pub(super) number: u64,
    /// As the service says it.
    pub sequence: String,
    /// Milliseconds since the epoch.
    pub arrived_at: i64,
    pub data: Vec<u8>,
    pub(super) key: String,
}

impl Record {
    /// What counts against the limits of a read.
    pub(super) fn size(&self) -> usize {
        self.data.len() + self.key.len()
    }
}

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) index: usize,
    pub(super) parents: Vec<usize>,
    /// First and last hash key.
    pub(super) range: (u128, u128),
    pub(super) created_at: i64,
    /// When, and the number that no record of it reaches.
    pub(super) closed: Option<(i64, u64)>,
    pub(super) first_number: u64,
    pub(super) records: VecDeque<Record>,
}

impl Shard {
    pub(super) fn id(&self) -> String {
        shard_id(self.index)
    }

    pub(super) fn sequence(&self, number: u64) -> String {
        format!("49{:0BIRTH_DIGITS$}{number:0NUMBER_DIGITS$}{:0SHARD_DIGITS$}", self.created_at, self.index)
    }

    /// The number in a sequence number, if it is one of this shard's.
    pub(super) fn number(&self, sequence: &str) -> Option<u64> {
        let number: u64 = sequence.get(2 + BIRTH_DIGITS..2 + BIRTH_DIGITS + NUMBER_DIGITS)?.parse().ok()?;
        (self.sequence(number) == sequence).then_some(number)
    }

    fn is_open_for(&self, hash: u128) -> bool {
        self.closed.is_none() && (self.range.0..=self.range.1).contains(&hash)
    }
}

pub(super) fn shard_id(index: usize) -> String {
    format!("shardId-{index:012}")
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) created_at: i64,
    pub(super) retention_hours: i64,
    /// Until then it is being created or changed.
    pub(super) busy_until: i64,
    pub(super) shards: Vec<Shard>,
    next_number: u64,
    last_birth: i64,
}

impl Stream {
    pub(super) fn new(name: &str, shards: u32, now: i64, busy_until: i64) -> Self {
        let mut stream = Stream {
            name: name.to_string(),
            created_at: now,
            retention_hours: 24,
            busy_until,
            shards: Vec::new(),
            next_number: 1,
            last_birth: now,
        };
        let width = u128::MAX / u128::from(shards);
        for n in 0..u128::from(shards) {
            let last = if n + 1 == u128::from(shards) { u128::MAX } else { (n + 1) * width - 1 };
            stream.add(Vec::new(), (n * width, last), now);
        }
        stream
    }

    /// A child's numbers are greater than its parents', also within one millisecond.
    fn birth(&mut self, now: i64) -> i64 {
        self.last_birth = now.max(self.last_birth + 1);
        self.last_birth
    }

    fn add(&mut self, parents: Vec<usize>, range: (u128, u128), created_at: i64) {
        let (index, first_number) = (self.shards.len(), self.next_number);
        let records = VecDeque::new();
        self.shards.push(Shard { index, parents, range, created_at, closed: None, first_number, records });
        self.next_number += 1;
    }

    fn close(&mut self, index: usize, now: i64) {
        self.shards[index].closed = Some((now, self.next_number));
        self.next_number += 1;
    }

    /// `at` is the second child's first hash key.
    pub(super) fn split(&mut self, index: usize, at: u128, now: i64) {
        let (first, last) = self.shards[index].range;
        self.close(index, now);
        let birth = self.birth(now);
        self.add(vec![index], (first, at - 1), birth);
        self.add(vec![index], (at, last), birth);
    }

    /// The shards' ranges are neighbours.
    pub(super) fn merge(&mut self, one: usize, other: usize, now: i64) {
        let (a, b) = (self.shards[one].range, self.shards[other].range);
        self.close(one, now);
        self.close(other, now);
        let birth = self.birth(now);
        self.add(vec![one, other], (a.0.min(b.0), a.1.max(b.1)), birth);
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(|shard| shard.closed.is_none())
    }

    /// Splits the widest or merges the narrowest neighbours until so many are open.
    pub(super) fn scale(&mut self, target: usize, now: i64) {
        while self.open().count() < target {
            let widest =
                self.open().max_by_key(|shard| (shard.range.1 - shard.range.0, std::cmp::Reverse(shard.index)));
            let shard = widest.expect("a stream has open shards");
            let (index, at) = (shard.index, shard.range.0 + (shard.range.1 - shard.range.0) / 2 + 1);
            self.split(index, at, now);
        }
        while self.open().count() > target {
            let mut open: Vec<&Shard> = self.open().collect();
            open.sort_by_key(|shard| shard.range);
            let pairs = open.windows(2);
            let pair = pairs.min_by_key(|pair| pair[1].range.1 - pair[0].range.0).expect("more than one is open");
            let (one, other) = (pair[0].index, pair[1].index);
            self.merge(one, other, now);
        }
    }

    /// Adds a record and says where it went.
    pub(super) fn put(&mut self, key: &str, hash: Option<u128>, data: Vec<u8>, now: i64) -> (String, String) {
        let hash = hash.unwrap_or_else(|| u128::from_be_bytes(Md5::digest(key.as_bytes()).into()));
        let number = self.next_number;
        self.next_number += 1;
        let shard = self.shards.iter_mut().find(|shard| shard.is_open_for(hash)).expect("open shards cover all keys");
        let sequence = shard.sequence(number);
        let record = Record { number, sequence: sequence.clone(), arrived_at: now, data, key: key.to_string() };
        shard.records.push_back(record);
        (shard.id(), sequence)
    }

    /// Forgets what is older than the retention.
    pub(super) fn trim(&mut self, now: i64) {
        let oldest = self.horizon(now);
        for shard in &mut self.shards {
            while shard.records.front().is_some_and(|record| record.arrived_at < oldest) {
                shard.records.pop_front();
            }
        }
    }

    /// The earliest arrival that is kept.
    pub(super) fn horizon(&self, now: i64) -> i64 {
        now - self.retention_hours * HOUR
    }

    /// A shard that was closed for longer than the retention is gone.
    pub(super) fn is_there(&self, shard: &Shard, now: i64) -> bool {
        shard.closed.is_none_or(|(at, _)| at >= self.horizon(now))
    }
}
