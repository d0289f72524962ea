//! Segment files: names, header, and the places within a journal.
//!
//! A segment is `<number, 20 digits>.segment`: a header of 64 bytes, then frames. Its header says where the segment before it
//! ends and how many records came before it: a segment whose last writes failed is closed at its last good offset by the
//! header of its successor, whatever bytes still follow that offset.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use schemas::position::Position;

use super::JournalError;
use super::disk::{Disk, sync_directory};

/// Bytes of a segment's header: the offset of its first frame.
pub(super) const HEADER: u64 = 64;

const MAGIC: &[u8; 8] = b"ALVJRNL\n";
const VERSION: u32 = 1;
const SUFFIX: &str = ".segment";
/// A segment whose header is not on the disk yet.
const UNNAMED: &str = ".new";
const DIGITS: usize = 20;

/// A place in a journal: the end of a frame, or of a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct At {
    pub segment: u64,
    pub offset: u64,
}

impl At {
    pub(super) fn new(segment: u64, offset: u64) -> At {
        At { segment, offset }
    }

    /// The end of the record that a position names or lies in; none if it cannot be one of a journal.
    pub fn of(position: &Position) -> Option<At> {
        Some(At::new(position.sequence().parse().ok()?, position.sub()))
    }

    /// Up to where nothing is needed any more once everything up to `position` is stored. A record that is stored in part is
    /// needed whole: then it is some place before the record's end.
    pub fn released_by(position: &Position) -> Option<At> {
        let at = At::of(position)?;
        let in_part = u64::from(position.document() > 0);
        Some(At::new(at.segment, at.offset.saturating_sub(in_part)))
    }
}

impl From<At> for Position {
    fn from(at: At) -> Position {
        Position::from_numbers(at.segment, at.offset)
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.segment, self.offset)
    }
}

/// What stands at the head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: [u8; 16],
    pub(super) number: u64,
    /// Records the journal had accepted before this segment.
    pub(super) records_before: u64,
    /// Where the segment before this one ends.
    pub(super) previous_end: u64,
}

impl Header {
    fn encode(&self) -> [u8; HEADER as usize] {
        let mut bytes = [0; HEADER as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id);
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.records_before.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.previous_end.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER as usize]) -> Result<Header, String> {
        if &bytes[..8] != MAGIC {
            return Err("this is no journal segment".to_string());
        }
        let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        if version != VERSION {
            return Err(format!("it has format version {version}, this program reads version {VERSION}"));
        }
        let mut unsigned = *bytes;
        unsigned[12..16].fill(0);
        if crc32fast::hash(&unsigned).to_le_bytes() != bytes[12..16] {
            return Err("its header is broken".to_string());
        }
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let id = bytes[16..32].try_into().expect("sixteen bytes");
        Ok(Header { id, number: number(32), records_before: number(40), previous_end: number(48) })
    }
}

pub(super) fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:0DIGITS$}{SUFFIX}"))
}

/// Numbers of all segments, ascending. Removes what a crash left of a segment that was never named.
pub(super) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if number_of(&name, UNNAMED).is_some() {
            std::fs::remove_file(entry.path())?;
        } else if let Some(number) = number_of(&name, SUFFIX) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn number_of(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let all_digits = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

/// Makes a segment under its final name, header and name on the disk. Doing it again gives the same file.
pub(super) fn create(disk: &mut dyn Disk, directory: &Path, header: &Header) -> io::Result<File> {
    let path = path_of(directory, header.number);
    let unnamed = directory.join(format!("{:0DIGITS$}{UNNAMED}", header.number));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&unnamed)?;
    disk.write(&file, &header.encode(), 0)?;
    disk.sync(&file)?;
    std::fs::rename(&unnamed, &path)?;
    sync_directory(directory)?;
    Ok(file)
}

pub(super) fn read_header(path: &Path) -> Result<Header, JournalError> {
    let mut bytes = [0; HEADER as usize];
    File::open(path)
        .and_then(|file| file.read_exact_at(&mut bytes, 0))
        .map_err(|error| JournalError::io("reading", path, &error))?;
    Header::decode(&bytes).map_err(|what| JournalError::Damaged { path: path.to_path_buf(), offset: 0, what })
}
