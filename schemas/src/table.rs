//! A table's spec: columns, partition columns with their projection rules, how files are sorted and indexed.
//!
//! `schemas/tables/*.toml` is the source of truth. From it come the Arrow schema, the DDL of every engine, the writer's guard
//! and the reader's pruning.

use serde::{Deserialize, Serialize};

use crate::column::{Column, DataType};
use crate::problem::Problem;
use crate::projection::Rule;

/// A table's spec, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// The TOML text it was parsed from, byte for byte.
    pub text: String,
    pub name: String,
    pub database: String,
    pub comment: Option<String>,
    /// Default LOCATION of the generated DDL; ends in `/`.
    pub location: String,
    /// Columns that the event fills, in file order. See [`TableSpec::stored_columns`] for what the file holds.
    pub columns: Vec<Column>,
    /// In path order. Not repeated in the file.
    pub partitions: Vec<PartitionColumn>,
    pub unknown_fields: UnknownFields,
    /// Add `_shard`, `_position` and `_arrived_at`.
    pub metadata: bool,
    /// Columns rows are sorted by inside a file (ascending, nulls first); empty: arrival order.
    pub sort: Vec<String>,
    /// Columns with a bloom filter.
    pub bloom: Vec<String>,
}

/// A partition column.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionColumn {
    pub name: String,
    /// `string`, `int`, `bigint` or `date`.
    pub data_type: DataType,
    pub comment: Option<String>,
    /// Which values the table's readers can see. `None`: no projection, partitions are registered by other means.
    pub projection: Option<Rule>,
}

/// What happens to top-level members of an event that no column reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownFields {
    /// Dropped, and counted by name.
    Drop,
    /// Kept as JSON text in the column `_rest`.
    Rest,
}

/// Codec of the data pages. In text: `zstd`, `zstd(3)`, `snappy`, `gzip(6)`, `lz4`, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Compression {
    /// Level 1..=22; 1 if not said: level 3 costs a third more time for 2 % of size.
    Zstd(i32),
    Snappy,
    /// Level 1..=9; 6 if not said.
    Gzip(u32),
    /// LZ4_RAW.
    Lz4,
    None,
}

impl TableSpec {
    /// Parses and validates; every problem found, each with its line. `file` is what messages call the text.
    pub fn parse(text: &str, file: &str) -> Result<TableSpec, Vec<Problem>> {
        let _ = (text, file);
        Err(vec![])
    }

    /// The columns of a data file in file order: the event's, then `_rest`, then the metadata columns.
    pub fn stored_columns(&self) -> Vec<Column> {
        self.columns.clone()
    }
}

impl TryFrom<String> for Compression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Err(text)
    }
}

impl From<Compression> for String {
    fn from(codec: Compression) -> String {
        match codec {
            Compression::Zstd(level) => format!("zstd({level})"),
            Compression::Snappy => "snappy".into(),
            Compression::Gzip(level) => format!("gzip({level})"),
            Compression::Lz4 => "lz4".into(),
            Compression::None => "none".into(),
        }
    }
}
