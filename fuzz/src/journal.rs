//! A journal whose segments hold good frames, broken frames and any bytes: opening and reading it never gives a record that
//! no whole frame holds, and gives every record that a second, slower reading of the same bytes gives.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingest::source::intake::journal::{Journal, JournalError, JournalSettings, MAX_BYTES_LEAST};

use super::input::Input;

const ID: [u8; 16] = *b"the journal's id";
const HEADER: usize = 64;
const FRAME: usize = 16;
const MORE: u32 = 1 << 31;
const GROUP: u32 = 1 << 30;
const LENGTH_MAX: usize = 1_024_000;
const SEGMENTS_MAX: u64 = 3;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
}

/// A record as it stands in a segment.
type Record = (i64, Vec<u8>);

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let segments = segments(&mut input);
    let folder = tempfile::tempdir().expect("a folder");
    for (n, bytes) in segments.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{:020}.segment", n + 1)), bytes).expect("written");
    }
    let opened = RUNTIME.with(|runtime| runtime.block_on(read(folder.path())));
    let (last, before) = segments.split_last().expect("at least one");
    match (opened, scan(last)) {
        (Ok(records), Ok(expected)) => {
            let earlier = before.iter().zip(&segments[1..]).flat_map(|(bytes, next)| frames(bytes, end_of(next)));
            assert!(records == earlier.chain(expected).collect::<Vec<_>>(), "other records than the frames hold");
        }
        (Ok(_), Err(())) => panic!("opened although an acknowledged record is broken"),
        (Err(JournalError::Damaged { .. }), _) => assert!(is_damaged(&segments), "whole, but called damaged"),
        (Err(error), _) => panic!("{error}"),
    }
    let again = RUNTIME.with(|runtime| runtime.block_on(read(folder.path())));
    assert!(!matches!(again, Err(JournalError::InUse(_) | JournalError::Io { .. })), "{again:?}");
}

/// Opens the journal and reads it from its beginning to its tip.
async fn read(folder: &Path) -> Result<Vec<Record>, JournalError> {
    let directory = folder.to_path_buf();
    let settings = JournalSettings { directory, max_bytes: MAX_BYTES_LEAST, segment_bytes: 1 << 20 };
    let journal = open(&settings)?;
    let tip = *journal.tip().borrow();
    let (mut after, mut records) = (tip.released, Vec::new());
    while let Some(chunk) = journal.read(after, tip.durable).await? {
        assert!(!chunk.records.is_empty() && chunk.to > after, "a chunk moves on");
        after = chunk.to;
        records.extend(chunk.records.iter().map(|record| (record.arrived_at, record.data.to_vec())));
    }
    Ok(records)
}

/// A child that another thread of this process starts holds what is open here, the folder's lock too, until it runs its own
/// program.
fn open(settings: &JournalSettings) -> Result<Journal, JournalError> {
    for _ in 0..500 {
        match Journal::open(settings, [9; 16], Arc::default()) {
            Err(JournalError::InUse(_)) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened,
        }
    }
    Journal::open(settings, [9; 16], Arc::default())
}

/// What the bytes say the segments hold: headers that belong together, then whatever they say.
fn segments(input: &mut Input<'_>) -> Vec<Vec<u8>> {
    let count = 1 + u64::from(input.byte()) % SEGMENTS_MAX;
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for number in 1..=count {
        let end = segments.last().map_or(0, |bytes: &Vec<u8>| bytes.len() as u64);
        // A segment may be closed before its last bytes.
        let end = if number > 1 { end.saturating_sub(u64::from(input.byte()) / 64) } else { end };
        let mut bytes = header(number, end.max(if number > 1 { HEADER as u64 } else { 0 })).to_vec();
        let mut parts = 1 + input.byte() % 16;
        while parts > 0 && !input.is_empty() {
            parts -= 1;
            part(input, &mut bytes);
        }
        segments.push(bytes);
    }
    segments
}

fn header(number: u64, previous_end: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(b"ALVJRNL\n");
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    bytes[16..32].copy_from_slice(&ID);
    bytes[32..40].copy_from_slice(&number.to_le_bytes());
    bytes[48..56].copy_from_slice(&previous_end.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A good frame, one with a wrong checksum or length, or bytes of any kind.
fn part(input: &mut Input<'_>, out: &mut Vec<u8>) {
    let kind = input.byte();
    let flags = u32::from(kind >> 6) << 30;
    match kind % 8 {
        0..=4 => {
            let (arrived_at, data) = (i64::from(input.byte()), input.piece());
            out.extend(frame(data.len() as u32 | flags, arrived_at, data));
        }
        5 => {
            let data = input.piece();
            let mut broken = frame(data.len() as u32 | flags, 0, data);
            let at = usize::from(input.byte()) % broken.len();
            broken[at] ^= input.byte();
            out.extend(broken);
        }
        6 => {
            let length = u32::from(input.byte()) << 14;
            out.extend(frame(length & !(MORE | GROUP) | flags, 0, b"other data"));
        }
        _ => out.extend(input.piece()),
    }
}

fn frame(word: u32, arrived_at: i64, data: &[u8]) -> Vec<u8> {
    let arrived_at = arrived_at.to_le_bytes();
    let mut bytes = word.to_le_bytes().to_vec();
    bytes.extend(checksum(word, &arrived_at, data).to_le_bytes());
    bytes.extend(arrived_at);
    bytes.extend(data);
    bytes
}

fn checksum(word: u32, arrived_at: &[u8], data: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(crc32fast::hash(&ID));
    crc.update(&word.to_le_bytes());
    crc.update(arrived_at);
    crc.update(data);
    crc.finalize()
}

/// The frame at `at`: its record, its flags and where it ends.
fn frame_at(bytes: &[u8], at: usize) -> Option<(Record, u32, usize)> {
    let rest = bytes.get(at..)?;
    let word = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?);
    let crc = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?);
    let arrived_at: [u8; 8] = rest.get(8..FRAME)?.try_into().ok()?;
    let length = (word & !(MORE | GROUP)) as usize;
    let data = rest.get(FRAME..FRAME + length)?;
    let good = length <= LENGTH_MAX && checksum(word, &arrived_at, data) == crc;
    good.then(|| ((i64::from_le_bytes(arrived_at), data.to_vec()), word, at + FRAME + length))
}

/// The records of the last segment's whole appends; an error if a group begins somewhere behind a broken frame.
fn scan(bytes: &[u8]) -> Result<Vec<Record>, ()> {
    let (mut whole, mut open, mut at) = (Vec::new(), Vec::new(), HEADER);
    while let Some((record, word, end)) = frame_at(bytes, at) {
        open.push(record);
        at = end;
        if word & MORE == 0 {
            whole.append(&mut open);
        }
    }
    let group = |at| frame_at(bytes, at).is_some_and(|(_, word, _)| word & GROUP != 0);
    if at < bytes.len() && (at + 1..bytes.len()).any(group) { Err(()) } else { Ok(whole) }
}

/// Where a segment says that the one before it ends.
fn end_of(next: &[u8]) -> usize {
    u64::from_le_bytes(next[48..56].try_into().expect("eight bytes")) as usize
}

/// The records of a closed segment, as far as they are whole.
fn frames(bytes: &[u8], end: usize) -> Vec<Record> {
    let (mut records, mut at) = (Vec::new(), HEADER);
    while let Some((record, _, next)) = frame_at(&bytes[..end], at) {
        records.push(record);
        at = next;
    }
    records
}

fn is_damaged(segments: &[Vec<u8>]) -> bool {
    let ends = |(bytes, next): (&Vec<u8>, &Vec<u8>)| {
        let (end, mut at) = (end_of(next), HEADER);
        while let Some((_, _, next)) = frame_at(&bytes[..end], at) {
            at = next;
        }
        at == end
    };
    let closed = segments.iter().zip(&segments[1..]).all(ends);
    !closed || scan(segments.last().expect("at least one")).is_err()
}
