//! The rules a record is turned into a row by: key programs, table spec, file settings. Their fingerprint is in every cut, and
//! their text is stored beside the log, so that a cut can be finished under the rules it was made with.

use serde::{Deserialize, Serialize};

use crate::table::{Compression, TableSpec};

/// Everything that decides which file a record goes to and what that file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Version of this document.
    pub format: u32,
    /// Version of the code that follows it, [`Rules::LOGIC`].
    pub logic: u32,
    /// Key name and jq program, in partition order.
    pub keys: Vec<(String, String)>,
    /// The table spec's TOML text as read.
    pub table: String,
    /// How files are written.
    pub parquet: ParquetSettings,
    /// How a record becomes events. Documents from before it was there have the defaults.
    #[serde(default)]
    pub decode: DecodeSettings,
    /// Whose numbers and dates the keys have. Left out where it is ours, so that documents from before it was there are the same.
    #[serde(default, skip_serializing_if = "JqCompat::is_off")]
    pub jq_compat: JqCompat,
}

/// `[decode] jq_compat`: what a key's program answers where this program and a version of jq differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JqCompat {
    /// Exact integers, dates with fractions and offsets.
    #[default]
    #[serde(rename = "off")]
    Off,
    /// As jq 1.6, which Amazon Data Firehose runs: numbers are doubles, `fromdate` takes whole seconds in UTC alone.
    #[serde(rename = "1.6")]
    V16,
}

impl JqCompat {
    pub fn is_off(&self) -> bool {
        *self == JqCompat::Off
    }
}

/// `[decode]`: how a record becomes events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeSettings {
    /// JSON documents in one record at most; a record with more is one reject.
    pub documents: u32,
    /// Whether gzip and zstd payloads are decompressed.
    pub decompress: bool,
    /// Bytes of one record after decompression at most; a larger one is a reject.
    pub decompressed_bytes: u64,
}

impl Default for DecodeSettings {
    fn default() -> Self {
        DecodeSettings { documents: 10_000, decompress: true, decompressed_bytes: 64 << 20 }
    }
}

/// `[parquet]`: how files are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParquetSettings {
    pub compression: Compression,
    /// Rows in one row group at most.
    pub row_group_rows: usize,
    /// Bytes of one data page, before compression, at about.
    pub page_bytes: usize,
    /// Write dictionaries for columns whose values repeat.
    pub dictionary: bool,
    /// Write column and offset index (statistics by page).
    pub page_index: bool,
}

impl Default for ParquetSettings {
    fn default() -> Self {
        ParquetSettings {
            compression: Compression::Zstd(1),
            row_group_rows: 1_048_576,
            page_bytes: 1024 * 1024,
            dictionary: true,
            page_index: true,
        }
    }
}

impl Rules {
    pub const FORMAT: u32 = 1;

    /// Raised whenever decode, keys, guard or encode send a record another way than before, or make other rows of it: work that
    /// was begun under another number is not finished by this code.
    pub const LOGIC: u32 = 3;

    /// Rules of this version, with the default [`DecodeSettings`].
    pub fn new(keys: Vec<(String, String)>, spec: &TableSpec, parquet: ParquetSettings) -> Self {
        let decode = DecodeSettings::default();
        Rules {
            format: Self::FORMAT,
            logic: Self::LOGIC,
            keys,
            table: spec.text.clone(),
            parquet,
            decode,
            jq_compat: JqCompat::Off,
        }
    }

    /// The document as stored at `configs/<fingerprint>.json`. The fingerprint is the hash of exactly these bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("strings and numbers serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_from_before_decode_has_its_defaults() {
        let text = r#"{"format":1,"logic":1,"keys":[],"table":"","parquet":{"compression":"none","row_group_rows":1,
            "page_bytes":1,"dictionary":true,"page_index":true}}"#;
        let old: Result<Rules, _> = serde_json::from_str(text);
        assert_eq!(old.expect("reads").decode, DecodeSettings::default());
    }

    #[test]
    fn jqs_version_is_in_the_document_only_where_it_is_not_ours() {
        let spec = "version = 1\nname = \"t\"\nlocation = \"s3://b/t/\"\n[[column]]\nname = \"x\"\ntype = \"string\"\n\
                    [[partition]]\nname = \"p\"\ntype = \"string\"\n";
        let spec = TableSpec::parse(spec, "t.toml").expect("a spec");
        let ours = Rules::new(Vec::new(), &spec, ParquetSettings::default());
        let jqs = Rules { jq_compat: JqCompat::V16, ..ours.clone() };
        assert!(!String::from_utf8_lossy(&ours.to_json()).contains("jq_compat"));
        assert!(String::from_utf8_lossy(&jqs.to_json()).contains("\"jq_compat\": \"1.6\""));
        assert_eq!(serde_json::from_slice::<Rules>(&jqs.to_json()).expect("reads").jq_compat, JqCompat::V16);
    }
}
