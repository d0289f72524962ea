//! The archive: every record that a source gave, accepted or rejected, one line each, byte for byte.
//!
//! A line says where and when the record was taken and holds its bytes: as they are, in `record`, where they are one JSON object
//! without a line break or anything around it, so that engines can query the archive; otherwise in base64, in `rawData`. Files
//! lie in a folder for each UTC day of arrival.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::instant::format_date;
use crate::position::Position;

/// Version of the line.
pub const FORMAT: u32 = 1;

/// What a file of the archive begins with, decompressed: nothing else that is replayed does.
pub const MAGIC: &[u8] = b"{\"archive\":1,\"shard\":\"";

/// A record's bytes on their way into a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw<'a> {
    /// See [`is_plain`].
    Json(&'a [u8]),
    Base64(&'a str),
}

/// Whether the bytes of one JSON object can stand in a line as they are: what is read back has to be every byte of it.
pub fn is_plain(object: &[u8]) -> bool {
    object.first() == Some(&b'{') && object.last() == Some(&b'}') && !object.iter().any(|b| matches!(b, b'\n' | b'\r'))
}

/// The line, without its newline: a function of the record alone, so that doing a cut again gives the same bytes.
pub fn line(shard: &str, position: &Position, arrived_at: i64, raw: Raw<'_>) -> Vec<u8> {
    let shard = serde_json::to_string(shard).expect("text serialises");
    let head =
        format!("{{\"archive\":{FORMAT},\"shard\":{shard},\"position\":\"{position}\",\"arrivedAt\":{arrived_at},");
    let (member, raw, end): (&str, &[u8], &str) = match raw {
        Raw::Json(object) => ("\"record\":", object, "}"),
        Raw::Base64(text) => ("\"rawData\":\"", text.as_bytes(), "\"}"),
    };
    [head.as_bytes(), member.as_bytes(), raw, end.as_bytes()].concat()
}

/// The folder of the day on which a record arrived.
pub fn folder(arrived_at: i64) -> String {
    match format_date(arrived_at) {
        Some(date) => format!("date={}", String::from_utf8_lossy(&date)),
        None => "date=unknown".into(),
    }
}

/// A line as it is read.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line<'a> {
    pub archive: u32,
    #[serde(borrow)]
    pub shard: std::borrow::Cow<'a, str>,
    pub position: Position,
    pub arrived_at: i64,
    /// The record's bytes as they are.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub record: Option<&'a RawValue>,
    /// In base64.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Nothing, where the text is no line of this version.
    pub fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let parsed: Line<'a> = serde_json::from_slice(line).ok()?;
        (parsed.archive == FORMAT && (parsed.record.is_some() != parsed.raw_data.is_some())).then_some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(raw: Raw<'_>) -> String {
        let position = Position::new("00495", 2).expect("digits");
        String::from_utf8(line("s:\"1", &position, 1_700_000_000_000, raw)).expect("text")
    }

    #[test]
    fn a_line_is_json_and_gives_back_every_byte() {
        let object = r#"{ "a" : 1.50,"a":"\u00e9é" }"#;
        assert!(is_plain(object.as_bytes()));
        let text = written(Raw::Json(object.as_bytes()));
        assert!(text.as_bytes().starts_with(MAGIC), "{text}");
        let line = Line::parse(text.as_bytes()).expect("a line");
        assert_eq!((&*line.shard, line.position.to_string().as_str()), ("s:\"1", "00495.2"));
        assert_eq!((line.arrived_at, line.record.map(RawValue::get)), (1_700_000_000_000, Some(object)));
        let other = written(Raw::Base64("eA=="));
        let line = Line::parse(other.as_bytes()).expect("a line");
        assert_eq!((line.raw_data, line.record.is_none()), (Some("eA=="), true));
    }

    #[test]
    fn what_would_not_come_back_as_it_was_is_not_plain() {
        for text in ["", " {}", "{}\n", "{\"a\":\n1}", "{\r}", "[1]", "5"] {
            assert!(!is_plain(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_line_is_none() {
        let good = written(Raw::Base64("eA=="));
        for text in [good.replace("\"archive\":1", "\"archive\":2"), good.replace("rawData", "data"), "{}".into()] {
            assert!(Line::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn days_are_utc_days_of_arrival() {
        assert_eq!(folder(1_700_000_000_000), "date=2023-11-14");
        assert_eq!(folder(-1), "date=1969-12-31");
        assert_eq!(folder(i64::MAX), "date=unknown");
    }
}
