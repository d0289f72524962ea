//! What raw objects hold, told by how their text begins, and how a record is taken out of it.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::archive::{self, Line};
use schemas::position::Position;
use serde::Deserialize;

use super::cutter::{Head, Shape, head, object_end};
use crate::record::Origin;

/// What an object holds. What is none of the others is taken for documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own archive.
    Archive,
    /// Rejects, ours or Firehose's: the records are in `rawData`.
    Errors,
    /// `{"Records":[...]}`, as CloudTrail writes.
    Records,
    /// NDJSON, or Firehose's backups.
    Documents,
}

impl Format {
    /// By the first portion of the text.
    pub fn of(text: &[u8]) -> Format {
        let text = text.trim_ascii_start();
        if text.starts_with(archive::MAGIC) {
            Format::Archive
        } else if matches!(head(text), Head::Is(_)) {
            Format::Records
        } else if object_end(text).is_some_and(|end| reject(&text[..end]).is_some()) {
            Format::Errors
        } else {
            Format::Documents
        }
    }

    pub fn shape(self) -> Shape {
        match self {
            Format::Archive | Format::Errors => Shape::Lines,
            Format::Records => Shape::Records,
            Format::Documents => Shape::Documents,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Archive => "archive",
            Format::Errors => "errors",
            Format::Records => "Records arrays",
            Format::Documents => "documents",
        }
    }
}

/// A record taken out of its object.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    pub data: Cow<'a, [u8]>,
    pub origin: Option<(Cow<'a, str>, Position)>,
    /// Milliseconds since the epoch, where it is known.
    pub arrived_at: Option<i64>,
}

impl<'a> Raw<'a> {
    /// A line that is not what its object's format says is a record as it stands: what is wrong shows in the errors output.
    pub fn of(format: Format, piece: &'a [u8]) -> Raw<'a> {
        let taken_out = match format {
            Format::Archive => archived(piece),
            Format::Errors => reject(piece),
            Format::Records | Format::Documents => None,
        };
        taken_out.unwrap_or(Raw { data: Cow::Borrowed(piece), origin: None, arrived_at: None })
    }

    pub fn origin(&self) -> Option<Origin<'_>> {
        self.origin.as_ref().map(|(shard, position)| Origin { shard, position: position.clone() })
    }
}

fn archived(piece: &[u8]) -> Option<Raw<'_>> {
    let line = Line::parse(piece)?;
    let data = match (line.record, line.raw_data) {
        (Some(object), _) => Cow::Borrowed(object.get().as_bytes()),
        (None, text) => Cow::Owned(STANDARD.decode(text?).ok()?),
    };
    Some(Raw { data, origin: Some((line.shard, line.position)), arrived_at: Some(line.arrived_at) })
}

/// Firehose's members under their documented names and as captured from the service; ours have shard and position too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reject<'a> {
    #[serde(borrow)]
    raw_data: Cow<'a, str>,
    attempts_made: Option<serde::de::IgnoredAny>,
    error_code: Option<serde::de::IgnoredAny>,
    last_error_code: Option<serde::de::IgnoredAny>,
    arrival_timestamp: Option<i64>,
    #[serde(borrow)]
    shard: Option<Cow<'a, str>>,
    position: Option<Position>,
}

fn reject(piece: &[u8]) -> Option<Raw<'_>> {
    let reject: Reject<'_> = serde_json::from_slice(piece).ok()?;
    reject.attempts_made.and(reject.error_code.or(reject.last_error_code))?;
    let data = Cow::Owned(STANDARD.decode(&*reject.raw_data).ok()?);
    Some(Raw { data, origin: reject.shard.zip(reject.position), arrived_at: reject.arrival_timestamp })
}

#[cfg(test)]
mod tests {
    use schemas::reject::{Reason, error_line};

    use super::*;

    const FIREHOSE: &str = r#"{"rawData":"eyJhIjoxfQ==","errorCode":"Lambda.ProcessingFailedStatus","errorMessage":"m","attemptsMade":1,"arrivalTimestamp":1789014240448,"attemptEndingTimestamp":1789014301529,"lambdaARN":"arn:aws:lambda:x"}"#;
    const CONVERSION: &str = r#"{"attemptsMade":1,"arrivalTimestamp":1700000000000,"lastErrorCode":"DataFormatConversion.ParseError","lastErrorMessage":"m","attemptEndingTimestamp":1700000001000,"rawData":"eyJhIjoxfQ==","sequenceNumber":"49","subSequenceNumber":null,"dataCatalogTable":{"region":"us-east-1"}}"#;

    fn ours() -> String {
        let reject = schemas::reject::Reject::new(Reason::NotJson, "no JSON");
        let position = Position::new("495", 2).expect("digits").with_document(3);
        String::from_utf8(error_line(&reject, "s:0", &position, 7, "eyJhIjoxfQ==")).expect("text")
    }

    #[test]
    fn each_format_is_told_by_its_beginning() {
        let archive = archive::line("s", &Position::zero(), 1, archive::Raw::Json(b"{}"));
        assert_eq!(Format::of(&archive), Format::Archive);
        for text in [FIREHOSE.to_string(), CONVERSION.to_string(), format!("\n{}\n{FIREHOSE}", ours())] {
            assert_eq!(Format::of(text.as_bytes()), Format::Errors, "{text}");
        }
        assert_eq!(Format::of(b"{ \"Records\":[{}]}"), Format::Records);
        for text in ["", "{\"a\":1}", "{\"rawData\":\"eA==\"}", "{\"Records\":5}", "nonsense", "[1]", "PAR1"] {
            assert_eq!(Format::of(text.as_bytes()), Format::Documents, "{text}");
        }
    }

    #[test]
    fn a_rejected_record_is_what_it_was_and_where_it_was() {
        let (ours, one) = (ours(), Cow::<[u8]>::Borrowed(b"{\"a\":1}"));
        let raw = Raw::of(Format::Errors, ours.as_bytes());
        let origin = raw.origin().expect("it says so");
        assert_eq!((origin.shard, origin.position.to_string().as_str()), ("s:0", "495.2.3"));
        assert_eq!((&raw.data, raw.arrived_at), (&one, Some(7)));
        for (text, at) in [(FIREHOSE, 1_789_014_240_448), (CONVERSION, 1_700_000_000_000)] {
            let raw = Raw::of(Format::Errors, text.as_bytes());
            assert_eq!(raw, Raw { data: one.clone(), origin: None, arrived_at: Some(at) });
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_stays_as_it_is() {
        for text in
            ["{\"rawData\":\"?\",\"errorCode\":\"x\",\"attemptsMade\":1}", "{", "{\"archive\":1,\"shard\":\"s\"}"]
        {
            for format in [Format::Errors, Format::Archive] {
                let raw = Raw { data: Cow::Borrowed(text.as_bytes()), origin: None, arrived_at: None };
                assert_eq!(Raw::of(format, text.as_bytes()), raw);
            }
        }
    }
}
