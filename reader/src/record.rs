//! The raw record behind an event, byte for byte, out of the archive.
//!
//! The archive has a folder for each day of arrival and no index. A file's name tells writer and cut, and that cut's entry in the
//! writer log tells which positions the file holds: so a few small objects are read, and one file for the record. Where the log
//! says nothing of a file (another program laid it there), the file itself is looked into.

mod log;

use std::io::{BufRead, BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemas::archive::{Line, folder};
use schemas::position::{Position, ShardId};

use crate::error::ReaderError;
use crate::event::{Event, EventPlace};
use crate::lake::{Lake, Place};
use log::Log;

/// Files of the archive that are opened for one record at most.
pub const FILES_MAX: usize = 64;

/// Longest line of the archive that is read, in bytes: a record of 64 MiB in base64.
pub const LINE_BYTES_MAX: u64 = 96 << 20;

/// A record as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub bytes: Vec<u8>,
    /// The archive's object it lies in, below the archive's place.
    pub object: String,
    pub arrived_at: i64,
}

/// Where an event's record is, or why it is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Here(Record),
    /// The lake keeps no archive.
    NoArchive,
    /// The table does not say which record a row is from.
    NoPosition,
    /// There is an archive, and it is not in it: it is not stored yet, or was removed.
    NotFound,
}

/// Finds an event's record.
pub async fn of_event(lake: &Lake, event: &Event) -> Result<Kept, ReaderError> {
    let Some(archive) = &lake.archive else { return Ok(Kept::NoArchive) };
    let (Some(place), Some(arrived_at)) = (&event.place, event.arrived_at) else { return Ok(Kept::NoPosition) };
    let wanted = EventPlace { shard: place.shard.clone(), position: place.position.record() };
    let files = archive.list(&folder(arrived_at)).await?;
    let names = files.iter().map(|file| archive.relative(&file.location).to_string()).collect();
    let mut opened = 0;
    for object in candidates(lake, names, named(&event.file), &wanted).await? {
        opened += 1;
        if opened > FILES_MAX {
            let instead = "ask for another event, or read the archive by `alluvium replay`";
            return Err(ReaderError::TooMuch { what: "files of the archive", limit: FILES_MAX as u64, instead });
        }
        if let Some(record) = look_into(archive, object, wanted.clone()).await? {
            return Ok(Kept::Here(record));
        }
    }
    Ok(Kept::NotFound)
}

/// What a stored object's name says.
struct Named {
    writer: String,
    cut: u64,
}

/// `<folder>/<writer>-<cut>-<file>.<suffix>`
fn named(object: &str) -> Option<Named> {
    let name = object.rsplit('/').next()?.split('.').next()?;
    let (rest, _file) = name.rsplit_once('-')?;
    let (writer, cut) = rest.rsplit_once('-')?;
    Some(Named { writer: writer.to_string(), cut: cut.parse().ok()? })
}

/// The files that may hold the record: the one that the log says holds its position, else those that it says nothing of. Those that
/// were cut about when the row was are asked for first.
async fn candidates(
    lake: &Lake,
    mut names: Vec<String>,
    row: Option<Named>,
    wanted: &EventPlace,
) -> Result<Vec<String>, ReaderError> {
    names.sort_by_cached_key(|name| match (named(name), &row) {
        (Some(named), Some(row)) if named.writer == row.writer => named.cut.abs_diff(row.cut),
        _ => u64::MAX,
    });
    let Some(state) = &lake.state else { return Ok(names) };
    let (mut unknown, mut log) = (Vec::new(), Log::new(state));
    for name in names {
        match holds(&mut log, &name, wanted).await? {
            Some(true) => return Ok(vec![name]),
            Some(false) => {}
            None => unknown.push(name),
        }
    }
    Ok(unknown)
}

/// Whether a file of the archive holds a position, by the log; nothing if the log does not know the file.
async fn holds(log: &mut Log<'_>, object: &str, wanted: &EventPlace) -> Result<Option<bool>, ReaderError> {
    let Some(named) = named(object) else { return Ok(None) };
    let Some(cut) = log.cut(&named.writer, named.cut).await? else { return Ok(None) };
    let file = cut.files.iter().find(|file| file.object.as_ref().is_some_and(|stored| stored.path == object));
    Ok(file.map(|file| file.holds(&ShardId::new(wanted.shard.as_str()), &wanted.position)))
}

async fn look_into(archive: &Place, object: String, wanted: EventPlace) -> Result<Option<Record>, ReaderError> {
    let Some(bytes) = archive.get(&object).await? else { return Ok(None) };
    let name = object.clone();
    let found = tokio::task::spawn_blocking(move || find(&bytes, &wanted));
    let found = found.await.map_err(|e| ReaderError::environment(format!("read {name}"), e))?;
    let found = found.map_err(|why| ReaderError::Corrupt { object: name.clone(), why })?;
    Ok(found.map(|(bytes, arrived_at)| Record { bytes, object, arrived_at }))
}

/// The record at a position among the lines of one file.
fn find(packed: &Bytes, wanted: &EventPlace) -> Result<Option<(Vec<u8>, i64)>, String> {
    let mut lines = BufReader::new(zstd::Decoder::new(packed.as_ref()).map_err(|e| e.to_string())?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == LINE_BYTES_MAX {
            return Err(format!("a line has more than {LINE_BYTES_MAX} bytes"));
        }
        let Some(parsed) = Line::parse(line.trim_ascii_end()) else {
            return Err("a line is none of the archive".into());
        };
        if parsed.shard == wanted.shard && same_record(&parsed.position, &wanted.position) {
            return Ok(Some((raw(&parsed)?, parsed.arrived_at)));
        }
    }
}

fn same_record(a: &Position, b: &Position) -> bool {
    a.record() == b.record()
}

fn raw(line: &Line<'_>) -> Result<Vec<u8>, String> {
    match (line.record, line.raw_data) {
        (Some(object), _) => Ok(object.get().as_bytes().to_vec()),
        (None, Some(text)) => STANDARD.decode(text).map_err(|e| e.to_string()),
        (None, None) => Err("a line has no record".into()),
    }
}

#[cfg(test)]
mod tests {
    use schemas::archive::{Raw, line};

    use super::*;

    #[test]
    fn a_record_is_found_by_shard_and_position_and_comes_back_byte_for_byte() {
        let position = |n| Position::from_numbers(n, 0);
        let text = [
            line("s:0", &position(1), 5, Raw::Json(b"{\"a\": 1.50}")),
            line("s:1", &position(2), 6, Raw::Base64("AAEC")),
        ]
        .map(|line| [line, b"\n".to_vec()].concat())
        .concat();
        let packed = Bytes::from(zstd::encode_all(text.as_slice(), 1).expect("packs"));
        let at = |shard: &str, position| EventPlace { shard: shard.into(), position };
        let plain = find(&packed, &at("s:0", position(1).with_document(3).record()));
        assert_eq!(plain, Ok(Some((b"{\"a\": 1.50}".to_vec(), 5))));
        assert_eq!(find(&packed, &at("s:1", position(2))), Ok(Some((vec![0, 1, 2], 6))));
        assert_eq!(find(&packed, &at("s:1", position(1))), Ok(None));
        assert!(find(&Bytes::from_static(b"no zstd"), &at("s:1", position(1))).is_err());
    }

    #[test]
    fn names_tell_writer_and_cut() {
        let name = schemas::layout::archive_object("date=2024-01-01", "0af-9", 17, 3);
        let found = named(&name).expect("a name of ours");
        assert_eq!((found.writer.as_str(), found.cut), ("0af-9", 17));
        assert!(named("date=2024-01-01/part.ndjson.zst").is_none());
    }
}
