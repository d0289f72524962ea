//! A record that cannot become a row: why, and the line it leaves in the errors output.
//!
//! The line carries Amazon Data Firehose's error-record fields (developer guide, "data transformation" and "record format
//! conversion"; field order as captured from the service), so that redrive tools written for Firehose go on working, and ours
//! beside them: shard, position, the machine-readable reason, and the key or column it is about.

use serde::Serialize;

use crate::position::Position;

/// Why a record was rejected. The text is what stands in the errors output, in `explain` and as the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The bytes are not one strict JSON text in UTF-8.
    NotJson,
    /// Strict JSON, but no object.
    NotObject,
    /// Nested deeper than the limit.
    TooDeep,
    /// The record holds more documents than the limit; none of them is taken.
    TooManyDocuments,
    /// The record is a compressed payload that is broken, cut short or followed by something else.
    BrokenCompression,
    /// The record has more bytes than the limit once it is decompressed.
    TooLarge,
    /// The key's program gave null although every path it reads is there.
    KeyNull,
    /// The key's program gave null and a path it reads is not in the record.
    KeyMissing,
    /// The key's program gave the empty string.
    KeyEmpty,
    /// The key's program gave an object or an array.
    KeyNotScalar,
    /// The key's program gave no output.
    KeyNoOutput,
    /// The key's program gave more than one output.
    KeySeveralOutputs,
    /// The key's program failed.
    KeyError,
    /// The key's program exceeded its step, depth or output budget.
    KeyBudget,
    /// The key's value cannot be a path segment (longer than the limit).
    KeyTooLong,
    /// The key's value is outside the table's projection: no query would ever see the row.
    OutsideProjection,
    /// The key's value cannot stand where the table's layout has it: it would leave its folder.
    OutsideLayout,
    /// A value does not fit its column.
    Column,
}

impl Reason {
    pub const ALL: [Reason; 18] = [
        Reason::NotJson,
        Reason::NotObject,
        Reason::TooDeep,
        Reason::TooManyDocuments,
        Reason::BrokenCompression,
        Reason::TooLarge,
        Reason::KeyNull,
        Reason::KeyMissing,
        Reason::KeyEmpty,
        Reason::KeyNotScalar,
        Reason::KeyNoOutput,
        Reason::KeySeveralOutputs,
        Reason::KeyError,
        Reason::KeyBudget,
        Reason::KeyTooLong,
        Reason::OutsideProjection,
        Reason::OutsideLayout,
        Reason::Column,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NotJson => "not_json",
            Reason::NotObject => "not_object",
            Reason::TooDeep => "too_deep",
            Reason::TooManyDocuments => "too_many_documents",
            Reason::BrokenCompression => "broken_compression",
            Reason::TooLarge => "too_large",
            Reason::KeyNull => "key_null",
            Reason::KeyMissing => "key_missing",
            Reason::KeyEmpty => "key_empty",
            Reason::KeyNotScalar => "key_not_scalar",
            Reason::KeyNoOutput => "key_no_output",
            Reason::KeySeveralOutputs => "key_several_outputs",
            Reason::KeyError => "key_error",
            Reason::KeyBudget => "key_budget",
            Reason::KeyTooLong => "key_too_long",
            Reason::OutsideProjection => "outside_projection",
            Reason::OutsideLayout => "outside_layout",
            Reason::Column => "column",
        }
    }

    /// Firehose's `errorCode` for this kind of failure.
    pub fn firehose_code(self) -> &'static str {
        match self {
            Reason::Column => "DataFormatConversion.MalformedData",
            _ => "DynamicPartitioning.MetadataExtractionFailed",
        }
    }

    /// Firehose's `error-output-type`: the folder below the errors URL.
    pub fn output(self) -> ErrorsOutput {
        match self {
            Reason::Column => ErrorsOutput::FormatConversion,
            _ => ErrorsOutput::MetadataExtraction,
        }
    }
}

/// The folders of the errors output, named as Firehose names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorsOutput {
    MetadataExtraction,
    FormatConversion,
}

impl ErrorsOutput {
    pub fn folder(self) -> &'static str {
        match self {
            ErrorsOutput::MetadataExtraction => "metadata-extraction-failed",
            ErrorsOutput::FormatConversion => "format-conversion-failed",
        }
    }
}

/// Longest piece of a record that is quoted in a message, in bytes. The whole record is in `rawData`.
pub const QUOTE_MAX: usize = 200;

/// Why one record was rejected, and what the reason is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub reason: Reason,
    /// In lower case, naming key or column and value: what a person reads.
    pub message: String,
    /// The key this is about.
    pub key: Option<String>,
    /// The column this is about, with its path inside nested types (`source.score`, `tags[]`).
    pub column: Option<String>,
}

impl Reject {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Reject { reason, message: message.into(), key: None, column: None }
    }

    pub fn key(reason: Reason, key: &str, message: impl Into<String>) -> Self {
        Reject { key: Some(key.to_string()), ..Reject::new(reason, message) }
    }

    pub fn column(column: impl Into<String>, message: impl Into<String>) -> Self {
        Reject { column: Some(column.into()), ..Reject::new(Reason::Column, message) }
    }
}

/// A value for a message: shortened at a character boundary, control characters escaped.
pub fn quote(value: &str) -> String {
    if value.len() <= QUOTE_MAX {
        return value.escape_debug().to_string();
    }
    let end = (0..=QUOTE_MAX).rev().find(|i| value.is_char_boundary(*i)).unwrap_or(0);
    format!("{}... ({} bytes)", value[..end].escape_debug(), value.len())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(rename = "rawData")]
    raw_data: &'a str,
    error_code: &'a str,
    error_message: &'a str,
    attempts_made: u32,
    arrival_timestamp: i64,
    attempt_ending_timestamp: i64,
    sequence_number: &'a str,
    sub_sequence_number: u64,
    reason: &'a str,
    shard: &'a str,
    position: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
}

/// The NDJSON line (without newline) of a rejected record. `raw_base64` is the record's bytes in standard base64.
///
/// A function of the record alone (`attemptEndingTimestamp` is the arrival time): doing a cut again gives the same bytes.
pub fn error_line(reject: &Reject, shard: &str, position: &Position, arrived_at: i64, raw_base64: &str) -> Vec<u8> {
    let line = Line {
        raw_data: raw_base64,
        error_code: reject.reason.firehose_code(),
        error_message: &reject.message,
        attempts_made: 1,
        arrival_timestamp: arrived_at,
        attempt_ending_timestamp: arrived_at,
        sequence_number: position.sequence(),
        sub_sequence_number: position.sub(),
        reason: reject.reason.as_str(),
        shard,
        position: position.to_string(),
        key: reject.key.as_deref(),
        column: reject.column.as_deref(),
    };
    serde_json::to_vec(&line).expect("strings and numbers serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_firehose_fields_and_ours() {
        let reject = Reject::key(Reason::KeyNull, "created_date", "key created_date is null");
        let position = Position::new("495", 2).expect("digits");
        let line = error_line(&reject, "s:shardId-0", &position, 1_700_000_000_000, "e30=");
        let text = String::from_utf8(line).expect("utf-8");
        assert_eq!(
            text,
            r#"{"rawData":"e30=","errorCode":"DynamicPartitioning.MetadataExtractionFailed","errorMessage":"key created_date is null","attemptsMade":1,"arrivalTimestamp":1700000000000,"attemptEndingTimestamp":1700000000000,"sequenceNumber":"495","subSequenceNumber":2,"reason":"key_null","shard":"s:shardId-0","position":"495.2","key":"created_date"}"#
        );
    }

    #[test]
    fn quote_cuts_at_a_character() {
        let long = "é".repeat(150);
        let quoted = quote(&long);
        assert!(quoted.ends_with("... (300 bytes)") && quoted.starts_with('é'));
        assert_eq!(quote("a\u{0}\n"), "a\\0\\n");
    }
}
