//! What a journal's directory holds when it is opened, after any crash.

use std::collections::VecDeque;
use std::path::Path;

use super::JournalError;
use super::disk::{Disk, open_for_writing, sync_directory};
use super::frame::{self, Scan, seed_of};
use super::log::{Active, Closed};
use super::segment::{self, HEADER, Header, path_of, read_header};

/// The state to write on from.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) id: [u8; 16],
    pub(super) closed: VecDeque<Closed>,
    /// Where the segment before the oldest one ended.
    pub(super) released_to: u64,
    pub(super) active: Active,
    pub(super) accepted: u64,
}

/// Reads the directory; begins a journal named `id` in an empty one. The caller holds the lock.
pub(super) fn recover(disk: &mut dyn Disk, directory: &Path, id: [u8; 16]) -> Result<Recovered, JournalError> {
    let numbers = segment::list(directory).map_err(|error| JournalError::io("listing", directory, &error))?;
    let headers = headers(directory, &numbers)?;
    let Some((last, before)) = headers.split_last() else { return begin(disk, directory, id) };
    let mut closed = VecDeque::with_capacity(before.len());
    for pair in headers.windows(2) {
        closed.push_back(close(directory, &pair[0], &pair[1])?);
    }
    let (active, records) = reopen(disk, directory, last)?;
    Ok(Recovered {
        id: last.id,
        released_to: before.first().unwrap_or(last).previous_end,
        closed,
        active,
        accepted: last.records_before + records,
    })
}

fn begin(disk: &mut dyn Disk, directory: &Path, id: [u8; 16]) -> Result<Recovered, JournalError> {
    let header = Header { id, number: 1, records_before: 0, previous_end: 0 };
    let file = segment::create(disk, directory, &header)
        .map_err(|error| JournalError::io("creating", &path_of(directory, 1), &error))?;
    let active = Active { number: 1, file, records_before: 0, durable: HEADER, written: HEADER };
    Ok(Recovered { id, closed: VecDeque::new(), released_to: 0, active, accepted: 0 })
}

/// The headers, in order: of one journal, and without a gap.
fn headers(directory: &Path, numbers: &[u64]) -> Result<Vec<Header>, JournalError> {
    let mut headers: Vec<Header> = Vec::with_capacity(numbers.len());
    for &number in numbers {
        let path = path_of(directory, number);
        let header = read_header(&path)?;
        let damaged = |what: String| JournalError::Damaged { path: path.clone(), offset: 0, what };
        if header.number != number {
            return Err(damaged(format!("the header says segment {}", header.number)));
        }
        if let Some(before) = headers.last() {
            if before.id != header.id {
                return Err(damaged("the segment belongs to another journal than the one before it".to_string()));
            }
            if before.number + 1 != number {
                return Err(damaged(format!("segment {} before it is missing", number - 1)));
            }
        }
        headers.push(header);
    }
    Ok(headers)
}

fn close(directory: &Path, header: &Header, next: &Header) -> Result<Closed, JournalError> {
    let path = path_of(directory, header.number);
    let length = std::fs::metadata(&path).map_err(|error| JournalError::io("reading", &path, &error))?.len();
    let end = next.previous_end;
    if length < end {
        let what = format!("the segment has {length} bytes, its successor says {end}");
        return Err(JournalError::Damaged { path, offset: length, what });
    }
    Ok(Closed { number: header.number, end, records_before: header.records_before })
}

/// Opens the last segment to write on, and cuts off a broken end of its last group (`frame` says what that may have been).
///
/// The sync is not optional: a process killed between write and sync leaves whole records that only the page cache holds, and
/// from here on they count as accepted and are read. The same goes for the directory: killed after the rename, the segment's
/// name may be in the cache alone.
fn reopen(disk: &mut dyn Disk, directory: &Path, header: &Header) -> Result<(Active, u64), JournalError> {
    let path = path_of(directory, header.number);
    let failed = |doing: &'static str, error: &std::io::Error| JournalError::io(doing, &path, error);
    let bytes = std::fs::read(&path).map_err(|error| failed("reading", &error))?;
    let (end, records) = match frame::scan(&bytes, HEADER as usize, seed_of(&header.id)) {
        Scan::Good { end, records } => (end as u64, records),
        Scan::Damaged { at, broken } => {
            return Err(JournalError::Damaged { path, offset: at as u64, what: broken.to_string() });
        }
    };
    let file = open_for_writing(&path).map_err(|error| failed("opening", &error))?;
    let torn = bytes.len() as u64 - end;
    if torn > 0 {
        tracing::warn!(path = %path.display(), offset = end, bytes = torn, "cut off the torn tail of an unfinished write");
        disk.truncate(&file, end).map_err(|error| failed("truncating", &error))?;
    }
    disk.sync(&file).map_err(|error| failed("syncing", &error))?;
    sync_directory(directory).map_err(|error| failed("syncing the directory of", &error))?;
    let active =
        Active { number: header.number, file, records_before: header.records_before, durable: end, written: end };
    Ok((active, records))
}
