//! Records that hold records: the aggregates that the Kinesis Producer Library (KPL) makes of many user records. Pure.
//!
//! The format is Amazon's `aggregation-format.md` (amazon-kinesis-producer): four magic bytes, a protobuf message, the MD5 of that
//! message. What counts as an aggregate follows `AggregatorUtil.deaggregate` of the Kinesis Client Library (KCL 3): whatever is too
//! short, begins otherwise, has another MD5 or is no such message is one plain record.
//!
//! In one point we differ on purpose. KCL drops all user records of an aggregate as soon as one's hash key lies outside the
//! shard, and those behind one whose key is not in the tables. The KPL puts a user record again that a reshard has led into a
//! wrong shard, and only that one; other producers aggregate without regard to shards and put nothing again, so that KCL loses
//! what they sent. Here every user record is delivered, and those that KCL would take for strays are counted.
//!
//! The message is read by hand: nothing is copied, the user records of 10 MiB (1.7 million, if they are empty) need not be in
//! memory at once, and missing required fields are an error, as they are for KCL and are not for the protobuf crates.

use bytes::Bytes;
use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST: usize = 16;

/// Entries of each key table whose place is looked at; those behind them count as inside. A bound on the time that hostile tables
/// take: real ones have at most as many entries as records.
const KEYS_EXAMINED_MAX: usize = 65_536;

/// Groups within groups, as in the protobuf library for Java.
const NESTING_MAX: u32 = 100;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

/// The hash keys of a shard, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashRange {
    pub first: u128,
    pub last: u128,
}

impl HashRange {
    fn holds(self, key: u128) -> bool {
        self.first <= key && key <= self.last
    }
}

/// One record of a producer, out of an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Its number in the aggregate, from 0: KCL's sub-sequence number.
    pub sub: u64,
    pub data: Bytes,
    /// Its hash key is not the shard's, or not in the tables: KCL would have dropped it.
    pub stray: bool,
}

/// What the bytes of one Kinesis record are.
#[derive(Debug)]
pub enum Content {
    Plain,
    /// Begins like an aggregate and is none: delivered as it is.
    Broken,
    Aggregate(Aggregate),
}

/// An aggregate that was found whole; gives its user records one by one.
#[derive(Debug)]
pub struct Aggregate {
    message: Bytes,
    at: usize,
    next: u64,
    count: u64,
    keys: Option<Keys>,
}

/// Tells what `data` is. `range` is the shard's, where known; without it no user record counts as stray.
pub fn content(data: &Bytes, range: Option<HashRange>) -> Content {
    if data.len() <= MAGIC.len() + DIGEST || !data.starts_with(&MAGIC) {
        return Content::Plain;
    }
    let message = data.slice(MAGIC.len()..data.len() - DIGEST);
    if Md5::digest(&message)[..] != data[data.len() - DIGEST..] {
        return Content::Broken;
    }
    let mut keys = range.map(Keys::new);
    match check(&message, keys.as_mut()) {
        Some(count) => Content::Aggregate(Aggregate { message, at: 0, next: 0, count, keys }),
        None => Content::Broken,
    }
}

impl Aggregate {
    /// User records still to come.
    pub fn left(&self) -> u64 {
        self.count - self.next
    }
}

impl Iterator for Aggregate {
    type Item = UserRecord;

    fn next(&mut self) -> Option<UserRecord> {
        let message = self.message.clone();
        let mut fields = Fields { bytes: &message, at: self.at };
        // `check` has read the same bytes without an error.
        while let Some(Field { number, value, at }) = fields.next()? {
            if let (3, Value::Bytes(record)) = (number, value) {
                let inner = user_record(record)?;
                let start = at + inner.data.start;
                let data = message.slice(start..start + inner.data.len());
                let stray = self.keys.as_ref().is_some_and(|keys| keys.is_stray(&inner));
                let sub = self.next;
                (self.at, self.next) = (fields.at, sub + 1);
                return Some(UserRecord { sub, data, stray });
            }
        }
        None
    }
}

/// Reads the whole message: the number of its user records, or nothing if it is no `AggregatedRecord`.
fn check(message: &[u8], mut keys: Option<&mut Keys>) -> Option<u64> {
    let mut fields = Fields { bytes: message, at: 0 };
    let mut count = 0;
    while let Some(Field { number, value, .. }) = fields.next()? {
        match (number, value, &mut keys) {
            (1, Value::Bytes(key), Some(keys)) => keys.partition(key),
            (2, Value::Bytes(key), Some(keys)) => keys.explicit(key),
            (3, Value::Bytes(record), _) => {
                user_record(record)?;
                count += 1;
            }
            _ => {}
        }
    }
    Some(count)
}

/// A `Record` message; `data` is where its bytes lie in it.
#[derive(Debug)]
struct Inner {
    partition: u64,
    explicit: Option<u64>,
    data: std::ops::Range<usize>,
}

/// As everywhere in protobuf, the last of several values counts and unknown fields are passed over.
fn user_record(bytes: &[u8]) -> Option<Inner> {
    let (mut partition, mut explicit, mut data) = (None, None, None);
    let mut fields = Fields { bytes, at: 0 };
    while let Some(Field { number, value, at }) = fields.next()? {
        match (number, value) {
            (1, Value::Varint(index)) => partition = Some(index),
            (2, Value::Varint(index)) => explicit = Some(index),
            (3, Value::Bytes(found)) => data = Some(at..at + found.len()),
            (4, Value::Bytes(tag)) => check_tag(tag)?,
            _ => {}
        }
    }
    Some(Inner { partition: partition?, explicit, data: data? })
}

/// A `Tag` must have a key. Nobody reads them.
fn check_tag(bytes: &[u8]) -> Option<()> {
    let mut fields = Fields { bytes, at: 0 };
    let mut has_key = false;
    while let Some(Field { number, value, .. }) = fields.next()? {
        has_key |= number == 1 && matches!(value, Value::Bytes(_));
    }
    has_key.then_some(())
}

/// Which entries of the two key tables lie outside the shard.
#[derive(Debug)]
struct Keys {
    range: HashRange,
    partition: Vec<bool>,
    explicit: Vec<bool>,
    /// Entries there are, examined or not.
    counts: (u64, u64),
}

impl Keys {
    fn new(range: HashRange) -> Self {
        Keys { range, partition: Vec::new(), explicit: Vec::new(), counts: (0, 0) }
    }

    fn partition(&mut self, key: &[u8]) {
        self.counts.0 += 1;
        if self.partition.len() < KEYS_EXAMINED_MAX {
            let hash = u128::from_be_bytes(Md5::digest(key).into());
            self.partition.push(!self.range.holds(hash));
        }
    }

    /// An explicit hash key is a decimal number; what is none, or a larger one, lies in no shard.
    fn explicit(&mut self, key: &[u8]) {
        self.counts.1 += 1;
        if self.explicit.len() < KEYS_EXAMINED_MAX {
            let hash = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
            self.explicit.push(!hash.is_some_and(|hash| self.range.holds(hash)));
        }
    }

    fn is_stray(&self, record: &Inner) -> bool {
        let entry = |outside: &[bool], index: u64| {
            usize::try_from(index).ok().and_then(|index| outside.get(index)).copied().unwrap_or(false)
        };
        if record.partition >= self.counts.0 || record.explicit.is_some_and(|index| index >= self.counts.1) {
            return true;
        }
        match record.explicit {
            Some(index) => entry(&self.explicit, index),
            None => entry(&self.partition, record.partition),
        }
    }
}

#[derive(Debug)]
struct Field<'a> {
    number: u32,
    value: Value<'a>,
    /// Where the value's bytes begin.
    at: usize,
}

#[derive(Debug)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message, in their order.
#[derive(Debug)]
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The next field; `Some(None)` at the end, `None` where the bytes are no message.
    fn next(&mut self) -> Option<Option<Field<'a>>> {
        if self.at == self.bytes.len() {
            return Some(None);
        }
        let (number, kind) = self.tag()?;
        let value = match kind {
            VARINT => Value::Varint(self.varint()?),
            BYTES => Value::Bytes(self.delimited()?),
            _ => {
                self.pass_over(number, kind)?;
                Value::Other
            }
        };
        let at = if let Value::Bytes(bytes) = value { self.at - bytes.len() } else { self.at };
        Some(Some(Field { number, value, at }))
    }

    fn tag(&mut self) -> Option<(u32, u8)> {
        // The library for Java reads 64 bits and keeps 32.
        let tag = self.varint()? as u32;
        let number = tag >> 3;
        (number != 0).then_some((number, (tag & 7) as u8))
    }

    /// At most ten bytes of seven bits each, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn delimited(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()? as u32 as i32).ok()?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let found = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(found)
    }

    /// Passes over a fixed-size value or a group with all that is in it. Groups are followed by a list, not by recursion.
    fn pass_over(&mut self, number: u32, kind: u8) -> Option<()> {
        let mut open = Vec::new();
        let mut field = (number, kind);
        loop {
            match field.1 {
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.take(8)?),
                BYTES => drop(self.delimited()?),
                FIXED32 => drop(self.take(4)?),
                GROUP if open.len() < NESTING_MAX as usize => open.push(field.0),
                GROUP_END if open.last() == Some(&field.0) => drop(open.pop()),
                _ => return None,
            }
            if open.is_empty() {
                return Some(());
            }
            field = self.tag()?;
        }
    }
}
