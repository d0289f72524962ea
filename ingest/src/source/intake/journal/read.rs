//! Reading a journal's records, a chunk at a time, up to a limit that is known to be on the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::JournalError;
use super::frame::{self, Broken};
use super::segment::{At, HEADER, path_of, read_header};
use crate::record::Record;

/// Most bytes read at once; one record always fits.
pub(super) const CHUNK_BYTES: u64 = 4 << 20;
/// Most records handed on at once.
pub(super) const CHUNK_RECORDS: usize = 5_000;

/// Records that lie together.
#[derive(Debug)]
pub struct Chunk {
    /// The end of the last record.
    pub to: At,
    pub records: Vec<Record>,
}

/// Reads any part of a journal that is on the disk. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) directory: PathBuf,
    pub(super) seed: u32,
}

impl Reader {
    /// What follows `after`, at least one record and at most a chunk; nothing if there is none up to `limit`. `after` and
    /// `limit` are ends of frames or headers, and everything up to `limit` is on the disk.
    pub(super) fn chunk(&self, mut after: At, limit: At) -> Result<Option<Chunk>, JournalError> {
        while after < limit {
            let end = self.end_of(after.segment, limit)?;
            if after.offset < end {
                return self.frames(after, end).map(Some);
            }
            if after.offset > end {
                let what = format!("the segment ends at {end}");
                return Err(self.damaged(after, what));
            }
            after = At::new(after.segment + 1, HEADER);
        }
        Ok(None)
    }

    /// Where the record that ends at `end` begins. Looks through the segment from its beginning.
    pub(super) fn begin_of(&self, end: At) -> Result<At, JournalError> {
        let mut after = At::new(end.segment, HEADER);
        while after.offset < end.offset {
            let chunk = self.frames(after, end.offset)?;
            match chunk.records.len() {
                _ if chunk.to < end => after = chunk.to,
                0 | 1 => return Ok(after),
                more => return Ok(At::of(&chunk.records[more - 2].position).unwrap_or(after)),
            }
        }
        Err(self.damaged(end, "no record ends here".to_string()))
    }

    fn end_of(&self, segment: u64, limit: At) -> Result<u64, JournalError> {
        if segment == limit.segment {
            return Ok(limit.offset);
        }
        Ok(read_header(&path_of(&self.directory, segment + 1))?.previous_end)
    }

    fn frames(&self, after: At, end: u64) -> Result<Chunk, JournalError> {
        let path = path_of(&self.directory, after.segment);
        let bytes = read_part(&path, after.offset, (end - after.offset).min(CHUNK_BYTES))
            .map_err(|error| JournalError::io("reading", &path, &error))?;
        let bytes = Bytes::from(bytes);
        let mut chunk = Chunk { to: after, records: Vec::new() };
        let mut at = 0;
        while at < bytes.len() && chunk.records.len() < CHUNK_RECORDS {
            let found = match frame::parse(&bytes, at, self.seed) {
                Ok(found) => found,
                // The chunk ends inside this record: it is the first of the next one.
                Err(Broken::Short) if after.offset + (bytes.len() as u64) < end && at > 0 => break,
                Err(broken) => {
                    let place = At::new(after.segment, after.offset + at as u64);
                    return Err(self.damaged(place, broken.to_string()));
                }
            };
            at = found.end();
            chunk.to.offset = after.offset + at as u64;
            let position = chunk.to.into();
            chunk.records.push(Record { position, arrived_at: found.arrived_at, data: bytes.slice(found.data) });
        }
        Ok(chunk)
    }

    fn damaged(&self, at: At, what: String) -> JournalError {
        JournalError::Damaged { path: path_of(&self.directory, at.segment), offset: at.offset, what }
    }
}

fn read_part(path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    File::open(path)?.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
