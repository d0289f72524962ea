//! A table's spec: columns, partition columns with their projection rules, how files are sorted and indexed.
//!
//! `schemas/tables/*.toml` is the source of truth. From it come the Arrow schema, the DDL of every engine, the writer's guard
//! and the reader's pruning.

mod folders;
mod parse;
mod path;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::column::{Column, ColumnSource, DataType};
use crate::problem::{Problem, nearest};
use crate::projection::Rule;
pub use folders::{Folders, Misfit};

/// Most columns and partition columns of a table.
pub const COLUMNS_MAX: usize = 2000;

/// Longest comment of a column, in bytes: Glue's limit.
pub const COMMENT_MAX: usize = 255;

/// Longest comment of the table, in bytes: Glue's limit of a description.
pub const DESCRIPTION_MAX: usize = 2048;

/// Names of the columns that the writer fills, see [`ColumnSource`]. No spec may use them.
pub const RESERVED_COLUMNS: [&str; 4] = ["_rest", "_shard", "_position", "_arrived_at"];

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
    /// Folders other than `name=value/name=value`.
    pub layout: Option<Folders>,
    pub unknown_fields: UnknownFields,
    /// Add `_shard`, `_position` and `_arrived_at`.
    pub metadata: bool,
    /// Columns rows are sorted by inside a file (ascending, nulls first); empty: arrival order.
    pub sort: Vec<String>,
    /// Columns with a bloom filter.
    pub bloom: Vec<String>,
    /// Partition columns that every query is documented to name: lint P007 counts them as one value.
    pub required_predicates: Vec<String>,
    /// Further TBLPROPERTIES of the generated DDL.
    pub properties: BTreeMap<String, String>,
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
    /// The event's member that the path already holds: it is neither counted as unknown nor kept in `_rest`.
    pub path: Option<Vec<String>>,
}

impl PartitionColumn {
    /// Whether its values are dates: new ones for ever.
    pub fn is_of_time(&self) -> bool {
        self.data_type == DataType::Date || matches!(self.projection, Some(Rule::Date(_)))
    }
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
        parse::parse(text, file)
    }

    /// The columns of a data file in file order: the event's, then `_rest`, then the metadata columns.
    pub fn stored_columns(&self) -> Vec<Column> {
        let mut columns = self.columns.clone();
        if self.unknown_fields == UnknownFields::Rest {
            columns.push(filled(
                "_rest",
                DataType::String,
                ColumnSource::Rest,
                "members that no column reads, as JSON",
            ));
        }
        if self.metadata {
            columns.extend([
                filled("_shard", DataType::String, ColumnSource::Shard, "shard the record was read from"),
                filled("_position", DataType::String, ColumnSource::Position, "position of the record in its shard"),
                filled("_arrived_at", DataType::Timestamp, ColumnSource::ArrivedAt, "when the source took the record"),
            ]);
        }
        columns
    }

    /// The line of `text` where a column's `[[column]]` or `[[partition]]` names it.
    pub fn line_of(&self, column: &str) -> Option<usize> {
        reader::line_of_item(&self.text, &["column", "partition"], column)
    }
}

fn filled(name: &str, data_type: DataType, source: ColumnSource, comment: &str) -> Column {
    Column { name: name.into(), data_type, path: Vec::new(), comment: Some(comment.into()), source }
}

impl TryFrom<String> for Compression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (name, level) = split_level(&text).ok_or_else(|| unknown_codec(&text))?;
        match (name, level) {
            ("zstd", level) => in_range("zstd", level.unwrap_or(1), 22).map(|level| Compression::Zstd(level as i32)),
            ("gzip", level) => in_range("gzip", level.unwrap_or(6), 9).map(Compression::Gzip),
            ("snappy", None) => Ok(Compression::Snappy),
            ("lz4", None) => Ok(Compression::Lz4),
            ("none", None) => Ok(Compression::None),
            ("snappy" | "lz4" | "none", Some(_)) => Err(format!("compression `{name}` has no level: write `{name}`")),
            _ => Err(unknown_codec(&text)),
        }
    }
}

/// `zstd(3)` to `zstd` and 3.
fn split_level(text: &str) -> Option<(&str, Option<u32>)> {
    let text = text.trim();
    match text.split_once('(') {
        None => Some((text, None)),
        Some((name, rest)) => {
            let level = rest.strip_suffix(')')?.trim();
            let digits = !level.is_empty() && level.bytes().all(|b| b.is_ascii_digit());
            // A number too long for 32 bits is out of every range.
            digits.then(|| (name.trim_end(), Some(level.parse().unwrap_or(u32::MAX))))
        }
    }
}

fn in_range(name: &str, level: u32, last: u32) -> Result<u32, String> {
    let ok = (1..=last).contains(&level);
    ok.then_some(level).ok_or_else(|| format!("{name} has no level {level}: write `{name}(1)` to `{name}({last})`"))
}

fn unknown_codec(text: &str) -> String {
    let typed = text.split('(').next().unwrap_or_default().trim().to_ascii_lowercase();
    match nearest(&typed, ["zstd", "snappy", "gzip", "lz4", "none"]) {
        Some(near @ ("zstd" | "gzip")) => {
            format!("unknown compression `{text}`: write `{near}` or, with a level, `{near}(3)`")
        }
        Some(near) => format!("unknown compression `{text}`: write `{near}`"),
        None => format!("unknown compression `{text}`: write zstd, zstd(3), snappy, gzip(6), lz4 or none"),
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
