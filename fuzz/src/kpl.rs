//! Kinesis records that may be KPL aggregates. The first byte says what the others are: a record, the message of an aggregate whose
//! checksum is right, or user records to aggregate, which come back as they were.

use bytes::Bytes;
use ingest::source::kinesis::kpl::{Content, HashRange, content};
use md5::{Digest, Md5};

use super::input::Input;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const RANGE: HashRange = HashRange { first: 0, last: u128::MAX / 2 };
const EVERYWHERE: HashRange = HashRange { first: 0, last: u128::MAX };

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 3 {
        0 => is_bounded(&Bytes::copy_from_slice(input.0)),
        1 => is_bounded(&aggregate(input.0)),
        _ => comes_back(&mut input),
    }
}

/// Nothing is made up: all data are pieces of the record, as many as it says, numbered from 0.
fn is_bounded(record: &Bytes) {
    let plain = content(record, None);
    let Content::Aggregate(aggregate) = content(record, Some(RANGE)) else {
        return assert!(!matches!(plain, Content::Aggregate(_)));
    };
    let (count, mut bytes, mut subs) = (aggregate.left(), 0, 0);
    for user in aggregate {
        assert_eq!(user.sub, subs);
        let (from, within) = (user.data.as_ptr() as usize, record.as_ptr() as usize);
        assert!(user.data.is_empty() || (within..within + record.len()).contains(&from));
        bytes += user.data.len();
        subs += 1;
    }
    assert_eq!(subs, count);
    assert!(bytes <= record.len() && subs as usize <= record.len() / 2);
    let Content::Aggregate(aggregate) = plain else { panic!("an aggregate of one shard is none of any") };
    assert!(aggregate.left() == count && aggregate.into_iter().all(|user| !user.stray));
}

fn comes_back(input: &mut Input<'_>) {
    let mut users: Vec<(&[u8], &[u8], bool)> = Vec::new();
    while !input.is_empty() && users.len() < 200 {
        let explicit = input.byte() % 2 == 1;
        let length = usize::from(input.byte() % 32);
        users.push((input.take(length), input.piece(), explicit));
    }
    let put = aggregate(&message(&users));
    let aggregate = match content(&put, Some(EVERYWHERE)) {
        Content::Aggregate(aggregate) => aggregate,
        // As Amazon's library: no message at all is no aggregate.
        Content::Plain | Content::Broken => return assert!(users.is_empty(), "an aggregate is one"),
    };
    let found: Vec<_> = aggregate.map(|user| (user.data, user.stray)).collect();
    assert!(found.iter().map(|(data, _)| data.as_ref()).eq(users.iter().map(|(_, data, _)| *data)));
    assert!(found.iter().all(|(_, stray)| !stray), "a key of any shard is nobody's stray");
}

/// Magic and checksum around a message.
fn aggregate(message: &[u8]) -> Bytes {
    [&MAGIC, message, &Md5::digest(message)[..]].concat().into()
}

/// The message of an aggregate; every user record has table entries of its own.
fn message(users: &[(&[u8], &[u8], bool)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut explicits = 0;
    for (n, (key, data, explicit)) in users.iter().enumerate() {
        field(1, key, &mut out);
        let mut record = Vec::new();
        index(1, n as u64, &mut record);
        if *explicit {
            field(2, b"340282366920938463463374607431768211455", &mut out);
            index(2, explicits, &mut record);
            explicits += 1;
        }
        field(3, data, &mut record);
        field(3, &record, &mut out);
    }
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend(bytes);
}

fn index(number: u64, value: u64, out: &mut Vec<u8>) {
    varint(number << 3, out);
    varint(value, out);
}
