//! Makes aggregates, and things that are nearly some. Written from the format's description, apart from the reader.

use bytes::Bytes;
use md5::{Digest, Md5};

/// One user record as a producer gives it.
#[derive(Debug, Clone, Default)]
pub(super) struct User {
    pub(super) key: String,
    pub(super) explicit: Option<String>,
    pub(super) data: Vec<u8>,
}

pub(super) fn user(key: &str, data: &[u8]) -> User {
    User { key: key.into(), explicit: None, data: data.to_vec() }
}

pub(super) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A field of bytes.
pub(super) fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A field of a number.
pub(super) fn index(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

/// The protobuf message of an aggregate; each user record has table entries of its own.
pub(super) fn message(users: &[User]) -> Vec<u8> {
    let mut out = Vec::new();
    for user in users {
        out.extend(field(1, user.key.as_bytes()));
        if let Some(explicit) = &user.explicit {
            out.extend(field(2, explicit.as_bytes()));
        }
    }
    let mut explicits = 0;
    for (n, user) in users.iter().enumerate() {
        let mut record = index(1, n as u64);
        if user.explicit.is_some() {
            record.extend(index(2, explicits));
            explicits += 1;
        }
        record.extend(field(3, &user.data));
        out.extend(field(3, &record));
    }
    out
}

/// Magic and checksum around any bytes.
pub(super) fn wrapped(message: &[u8]) -> Bytes {
    let digest = Md5::digest(message);
    [&[0xF3, 0x89, 0x9A, 0xC2], message, &digest[..]].concat().into()
}

pub(super) fn aggregate(users: &[User]) -> Bytes {
    wrapped(&message(users))
}
