//! How a record lies in a segment: `[len and flags u32][crc32 u32][arrived_at i64][data]`, little-endian.
//!
//! The checksum covers the length word, the arrival and the data, and starts from a value derived from the journal's random
//! id: bytes that a client chose can never pass for a frame of this journal.
//!
//! Two flags ride on the length. `MORE`: the next frame belongs to the same append, so that an append survives a crash whole
//! or not at all. `GROUP`: the frame is the first of a group, which is written only after the group before it was synced. A
//! broken frame with a `GROUP` frame somewhere behind it was therefore acknowledged, and is damage.
//!
//! Without one it belongs to the last group of the segment, and the bytes cannot say which of two things has happened: a crash
//! before the group was synced (a torn tail; nobody was told that its records were taken), or damage to it after it was synced
//! and answered. It is taken for a torn tail and cut off, with a warning. If it was damage, and records of it are in cuts already,
//! the journal now ends before the position to read on from, which the source refuses; if none of them are, they are lost.

use std::ops::Range;

use bytes::Bytes;

/// Most bytes of one record (Firehose's own limit, before base64).
pub const RECORD_BYTES_MAX: usize = 1_024_000;
/// Bytes before the data of a frame.
pub(super) const FRAME_HEADER: usize = 16;

const MORE: u32 = 1 << 31;
const GROUP: u32 = 1 << 30;
const LENGTH: u32 = GROUP - 1;

/// Seed of the checksums of one journal.
pub(super) fn seed_of(id: &[u8; 16]) -> u32 {
    crc32fast::hash(id)
}

/// Bytes of the records once they are framed.
pub(super) fn framed_bytes(records: &[Bytes]) -> usize {
    records.iter().map(|record| FRAME_HEADER + record.len()).sum()
}

/// Records of one append, framed.
#[derive(Debug)]
pub(super) struct Frames {
    seed: u32,
    bytes: Vec<u8>,
    /// Where each frame ends within `bytes`.
    ends: Vec<usize>,
}

impl Frames {
    /// Frames `records`, each at most [`RECORD_BYTES_MAX`] long; otherwise the length of the first that is longer.
    pub(super) fn build(seed: u32, records: &[Bytes], arrived_at: i64) -> Result<Frames, usize> {
        if let Some(long) = records.iter().find(|record| record.len() > RECORD_BYTES_MAX) {
            return Err(long.len());
        }
        let bytes = Vec::with_capacity(framed_bytes(records));
        let mut frames = Frames { seed, bytes, ends: Vec::with_capacity(records.len()) };
        for (index, data) in records.iter().enumerate() {
            let more = if index + 1 < records.len() { MORE } else { 0 };
            frames.push(data.len() as u32 | more, arrived_at, data);
        }
        Ok(frames)
    }

    fn push(&mut self, word: u32, arrived_at: i64, data: &[u8]) {
        let arrived_at = arrived_at.to_le_bytes();
        self.bytes.extend_from_slice(&word.to_le_bytes());
        self.bytes.extend_from_slice(&checksum(self.seed, word, &arrived_at, data).to_le_bytes());
        self.bytes.extend_from_slice(&arrived_at);
        self.bytes.extend_from_slice(data);
        self.ends.push(self.bytes.len());
    }

    /// Makes the first frame the first of a group.
    pub(super) fn begin_group(&mut self) {
        let Some(&end) = self.ends.first() else { return };
        let word = word_at(&self.bytes, 0) | GROUP;
        let crc = checksum(self.seed, word, &self.bytes[8..FRAME_HEADER], &self.bytes[FRAME_HEADER..end]);
        self.bytes[..4].copy_from_slice(&word.to_le_bytes());
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }
}

/// One frame found in a segment; places are within the bytes searched.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) arrived_at: i64,
    pub(super) data: Range<usize>,
    more: bool,
    group: bool,
}

impl Frame {
    pub(super) fn end(&self) -> usize {
        self.data.end
    }
}

/// Why there is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The bytes end before the frame does.
    Short,
    Length(u32),
    Checksum,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Short => f.write_str("the record runs past the end"),
            Broken::Length(length) => write!(f, "a record of {length} bytes is longer than {RECORD_BYTES_MAX}"),
            Broken::Checksum => f.write_str("the checksum does not fit the record"),
        }
    }
}

/// The frame at `at`.
pub(super) fn parse(bytes: &[u8], at: usize, seed: u32) -> Result<Frame, Broken> {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.len() < FRAME_HEADER {
        return Err(Broken::Short);
    }
    let word = word_at(rest, 0);
    let length = word & LENGTH;
    if length as usize > RECORD_BYTES_MAX {
        return Err(Broken::Length(length));
    }
    let end = FRAME_HEADER + length as usize;
    if rest.len() < end {
        return Err(Broken::Short);
    }
    let arrived_at: [u8; 8] = rest[8..FRAME_HEADER].try_into().expect("eight bytes");
    if checksum(seed, word, &arrived_at, &rest[FRAME_HEADER..end]) != word_at(rest, 4) {
        return Err(Broken::Checksum);
    }
    Ok(Frame {
        arrived_at: i64::from_le_bytes(arrived_at),
        data: at + FRAME_HEADER..at + end,
        more: word & MORE != 0,
        group: word & GROUP != 0,
    })
}

/// What the last segment of a journal holds after a crash.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Whole appends up to `end`; what may follow is of the last group, broken, and taken for a torn tail.
    Good { end: usize, records: u64 },
    /// A record that had been acknowledged is broken.
    Damaged { at: usize, broken: Broken },
}

/// Reads all frames from `start` on.
pub(super) fn scan(bytes: &[u8], start: usize, seed: u32) -> Scan {
    let (mut at, mut open) = (start, 0);
    let (mut end, mut records) = (start, 0);
    while at < bytes.len() {
        match parse(bytes, at, seed) {
            Ok(frame) => {
                (at, open) = (frame.end(), open + 1);
                if !frame.more {
                    (end, records, open) = (at, records + open, 0);
                }
            }
            Err(broken) if group_follows(bytes, at + 1, seed) => return Scan::Damaged { at, broken },
            Err(_) => break,
        }
    }
    Scan::Good { end, records }
}

/// Whether a group begins at or after `from`. Tries every offset, since lengths before it cannot be trusted; the flag and the
/// length word rule nearly all of them out before a checksum is computed.
fn group_follows(bytes: &[u8], from: usize, seed: u32) -> bool {
    let candidate = |at: &usize| {
        let word = word_at(bytes, *at);
        word & GROUP != 0 && (word & LENGTH) as usize <= RECORD_BYTES_MAX
    };
    let last = bytes.len().saturating_sub(FRAME_HEADER);
    (from..=last).filter(candidate).any(|at| parse(bytes, at, seed).is_ok_and(|frame| frame.group))
}

fn word_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().expect("four bytes")))
}

fn checksum(seed: u32, word: u32, arrived_at: &[u8], data: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(seed);
    crc.update(&word.to_le_bytes());
    crc.update(arrived_at);
    crc.update(data);
    crc.finalize()
}
