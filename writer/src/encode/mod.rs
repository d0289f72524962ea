//! Rows to one Parquet file: JSON text to Arrow columns by the table's spec, then pages.
//!
//! A value that does not fit its column rejects that row alone; the rest of the file is written. The bytes are a function of the
//! rows, their order, the spec and the settings: no clock, no randomness, a fixed `created_by`.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::reject::Reject;
use schemas::rules::ParquetSettings;
use schemas::table::TableSpec;

use crate::error::WriterError;

/// One row on its way into a file.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub shard: &'a str,
    /// Decimal digits, see [`schemas::position::Position`].
    pub sequence: &'a str,
    pub sub: u64,
    /// Milliseconds since the epoch.
    pub arrived_at: i64,
    /// The event: one strict JSON object in UTF-8, nested at most [`crate::encode::DEPTH_MAX`] deep (the pipeline has checked).
    pub data: &'a [u8],
}

/// Deepest nesting of an event, in levels of objects and arrays.
pub const DEPTH_MAX: usize = 128;

/// A finished file.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The file. Empty if every row was rejected.
    pub bytes: Bytes,
    /// Rows in it.
    pub rows: u64,
    /// Rows that do not fit, by index into the input, ascending.
    pub rejects: Vec<(usize, Reject)>,
    /// Top-level members that no column reads and that were dropped: name and count. At most
    /// [`UNKNOWN_NAMES_MAX`] names, the rest under `...`.
    pub dropped: BTreeMap<String, u64>,
}

/// Most names of unknown members that are counted apart.
pub const UNKNOWN_NAMES_MAX: usize = 100;

/// What becomes of one event's members, for `explain`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explained {
    /// Columns (of the event) that will be null.
    pub nulls: Vec<String>,
    /// Top-level members that no column reads.
    pub unread: Vec<String>,
}

/// Turns rows of one table into files. Cheap to share between threads.
#[derive(Debug)]
pub struct Encoder {
    _spec: TableSpec,
}

impl Encoder {
    /// Fails if the spec asks for something Parquet or Arrow cannot do.
    pub fn new(spec: &TableSpec, _settings: &ParquetSettings) -> Result<Encoder, WriterError> {
        Ok(Encoder { _spec: spec.clone() })
    }

    /// One file from `rows` in the order given (then sorted, stably, by the spec's sort columns). `metadata` goes into the
    /// file's key-value metadata.
    pub fn encode(&self, _rows: &[Row<'_>], _metadata: &[(String, String)]) -> Result<Encoded, WriterError> {
        Err(WriterError::Config("not yet".into()))
    }

    /// What would become of one event.
    pub fn explain(&self, _row: Row<'_>) -> Result<Explained, Reject> {
        Ok(Explained::default())
    }
}
