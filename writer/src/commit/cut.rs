//! From frozen buffers to files: encode, name, and the entry that says so.
//!
//! Encoding comes before the entry although the entry comes before the PUT: it has no effect outside this process, and so the
//! entry can state rows, bytes and checksum of each object, and which rows did not fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemas::layout;
use schemas::log_entry::{Cut, File, FlushReason, Object, Target};
use schemas::position::{Position, ShardId, Span};
use schemas::reject::{ErrorsOutput, Reject, error_line};

use crate::buffer::Buffer;
use crate::buffer::rope::{Place, RowOut};
use crate::encode::{Encoder, Row};
use crate::error::WriterError;

/// The rules a file is made by.
#[derive(Debug, Clone)]
pub struct FileRules {
    pub fingerprint: Arc<str>,
    pub encoder: Arc<Encoder>,
    /// Partition columns whose lag is told by their values, see [`crate::lag`].
    pub lag_columns: Arc<[String]>,
}

/// Buffers that are going to be stored together.
#[derive(Debug)]
pub struct Frozen {
    pub cut: u64,
    pub rules: FileRules,
    pub buffers: Vec<(Buffer, FlushReason)>,
    /// Names of the shards that rows refer to by index.
    pub shards: Arc<Vec<ShardId>>,
}

/// A file ready to be stored.
#[derive(Debug, Clone)]
pub struct Made {
    pub file: File,
    /// Bytes of `file.object`, then of `file.rejects`.
    pub object: Bytes,
    pub rejects: Bytes,
    /// Reasons of rejected rows.
    pub rejected: u64,
    pub dropped: BTreeMap<String, u64>,
    /// Milliseconds since the epoch at which the earliest row came in.
    pub oldest: i64,
}

/// What a file is made from, beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    pub writer: &'a str,
    pub cut: u64,
    pub file: usize,
    pub reason: FlushReason,
}

/// Makes one file. Rows stand in it by shard name, then by position: doing it again gives the same bytes.
pub fn make(buffer: &Buffer, shards: &[ShardId], rules: &FileRules, naming: Naming<'_>) -> Result<Made, WriterError> {
    let mut rows: Vec<RowOut<'_>> = Vec::with_capacity(buffer.rope.rows() as usize);
    rows.extend(buffer.rope.iter());
    // Those of one shard came in the order of their positions.
    if rows.iter().any(|row| row.place.shard != rows[0].place.shard) {
        rows.sort_by(|a, b| shards[a.place.shard as usize].cmp(&shards[b.place.shard as usize]));
    }
    let spans = spans(buffer, &rows, shards);
    let oldest = rows.iter().map(|r| r.arrived_at).min().unwrap_or(0);
    let mut made = Made {
        file: File {
            target: buffer.target.clone(),
            object: None,
            rejects: None,
            reason: naming.reason,
            data_bytes: buffer.rope.data_bytes(),
            spans,
        },
        object: Bytes::new(),
        rejects: Bytes::new(),
        rejected: 0,
        dropped: BTreeMap::new(),
        oldest,
    };
    match &buffer.target {
        Target::Table(partition) => make_table(&mut made, partition, &rows, shards, rules, naming)?,
        Target::Errors(folder) => {
            made.object = lines(rows.iter().map(|row| row.data));
            let path = layout::errors_object(folder, naming.writer, naming.cut, naming.file);
            made.file.object = Some(object(path, rows.len() as u64, &made.object));
        }
        Target::Archive(folder) => {
            made.object = compress(&lines(rows.iter().map(|row| row.data)))?;
            let path = layout::archive_object(folder, naming.writer, naming.cut, naming.file);
            made.file.object = Some(object(path, rows.len() as u64, &made.object));
        }
    }
    Ok(made)
}

fn make_table(
    made: &mut Made,
    partition: &str,
    rows: &[RowOut<'_>],
    shards: &[ShardId],
    rules: &FileRules,
    naming: Naming<'_>,
) -> Result<(), WriterError> {
    let input: Vec<Row<'_>> = rows
        .iter()
        .map(|r| {
            let Place { shard, sequence, sub, document } = r.told();
            let shard = shards[shard as usize].as_str();
            Row { shard, sequence, sub, document, arrived_at: r.arrived_at, data: r.data, outline: r.outline }
        })
        .collect();
    let encoded = rules.encoder.encode(&input, &metadata(&made.file.spans, rules, naming))?;
    made.dropped = encoded.dropped;
    if encoded.rows > 0 {
        let path = layout::data_object(partition, naming.writer, naming.cut, naming.file);
        made.file.object = Some(object(path, encoded.rows, &encoded.bytes));
        made.object = encoded.bytes;
    }
    if !encoded.rejects.is_empty() {
        made.rejected = encoded.rejects.len() as u64;
        let rejected: Vec<Vec<u8>> =
            encoded.rejects.iter().map(|(i, reject)| reject_line(&rows[*i], shards, reject)).collect();
        made.rejects = lines(rejected.iter().map(Vec::as_slice));
        let folder = ErrorsOutput::FormatConversion.folder();
        let path = layout::errors_object(folder, naming.writer, naming.cut, naming.file);
        made.file.rejects = Some(object(path, made.rejected, &made.rejects));
    }
    Ok(())
}

/// What a data file says of itself.
fn metadata(spans: &BTreeMap<ShardId, Span>, rules: &FileRules, naming: Naming<'_>) -> Vec<(String, String)> {
    vec![
        ("alluvium.cut".into(), format!("{}-{:08}", naming.writer, naming.cut)),
        ("alluvium.spans".into(), serde_json::to_string(spans).expect("strings serialise")),
        ("alluvium.rules".into(), rules.fingerprint.to_string()),
    ]
}

fn reject_line(row: &RowOut<'_>, shards: &[ShardId], reject: &Reject) -> Vec<u8> {
    let shard = shards[row.told().shard as usize].as_str();
    error_line(reject, shard, &row.told().position(), row.arrived_at, &STANDARD.encode(row.data))
}

fn lines<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let mut out = Vec::new();
    for line in lines {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.into()
}

/// Level of the archive's files: its speed is that of the way there, and higher ones save little on events.
pub const ARCHIVE_LEVEL: i32 = 3;

fn compress(text: &[u8]) -> Result<Bytes, WriterError> {
    let compressed = zstd::bulk::compress(text, ARCHIVE_LEVEL);
    compressed.map(Bytes::from).map_err(|e| WriterError::environment("cannot compress a file of the archive", e))
}

fn object(path: String, rows: u64, bytes: &Bytes) -> Object {
    Object { path, rows, bytes: bytes.len() as u64, crc32: crc32fast::hash(bytes) }
}

/// For each shard: from before the first row to the last one.
fn spans(buffer: &Buffer, rows: &[RowOut<'_>], shards: &[ShardId]) -> BTreeMap<ShardId, Span> {
    let mut last: BTreeMap<u32, &RowOut<'_>> = BTreeMap::new();
    for row in rows {
        last.insert(row.place.shard, row);
    }
    let span = |(shard, row): (u32, &RowOut<'_>)| {
        let from = buffer.before.get(&shard).cloned().unwrap_or_else(Position::zero);
        (shards[shard as usize].clone(), Span::new(from, row.place.position()))
    };
    last.into_iter().map(span).collect()
}

/// The entry for files made from one frozen cut.
pub fn cut_of(writer: &str, frozen: u64, rules: &FileRules, files: &[Made]) -> Cut {
    Cut {
        by: writer.to_string(),
        cut: frozen,
        rules: rules.fingerprint.to_string(),
        files: files.iter().map(|made| made.file.clone()).collect(),
    }
}
