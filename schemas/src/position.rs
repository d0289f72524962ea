//! Where a record stands in its shard, and the half-open spans that reading moves through.
//!
//! A shard is an ordered sequence that can be read again. Kinesis numbers its records with up to 129 decimal digits (56 in
//! practice, more than 128 bits), the journal with (segment, offset), a replay with (object, line): all of them are a decimal
//! sequence and a sub-sequence. One record may hold several documents; a third number tells them apart.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest sequence number a source may give, in digits (the Kinesis API's own pattern).
pub const SEQUENCE_DIGITS_MAX: usize = 129;

/// Name of a shard, unique within one table's state: `stream:shardId-000000000000`, `intake:<journal id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(Arc<str>);

impl ShardId {
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        ShardId(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Maps by shard are looked up by a name at hand.
impl std::borrow::Borrow<str> for ShardId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A point in one shard. Ordered by the number the digits mean (leading zeros do not count), then by the sub-sequence, then by
/// the document. Documents of one record count from 1, and 0 is the whole record, which comes after all of them: whoever has
/// read through `5` has read every document of it, whoever has read through `5.0.2` needs the record once more.
///
/// Text: `sequence[.sub[.document]]`, without the zeros at its end.
///
/// The text of the sequence is kept as the source gave it: some servers take back only what they sent, zeros included.
pub struct Position {
    sequence: Arc<str>,
    sub: u64,
    document: u32,
}

impl Clone for Position {
    fn clone(&self) -> Self {
        Position { sequence: self.sequence.clone(), sub: self.sub, document: self.document }
    }

    /// Records that share a sequence share its text: threads that count each other's copies of it wait for each other.
    fn clone_from(&mut self, source: &Self) {
        if !Arc::ptr_eq(&self.sequence, &source.sequence) {
            self.sequence = source.sequence.clone();
        }
        (self.sub, self.document) = (source.sub, source.document);
    }
}

/// Text that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no position: want decimal digits (at most {SEQUENCE_DIGITS_MAX}), optionally `.` and a sub-sequence, `.` and a document"
)]
pub struct BadPosition(pub String);

impl Position {
    /// Before the first record of any shard.
    pub fn zero() -> Self {
        Position { sequence: "0".into(), sub: 0, document: 0 }
    }

    pub fn new(sequence: impl Into<Arc<str>>, sub: u64) -> Result<Self, BadPosition> {
        let sequence = sequence.into();
        if is_sequence(&sequence) {
            Ok(Position { sequence, sub, document: 0 })
        } else {
            Err(BadPosition(sequence.to_string()))
        }
    }

    pub fn from_numbers(sequence: u64, sub: u64) -> Self {
        Position { sequence: sequence.to_string().into(), sub, document: 0 }
    }

    pub fn sequence(&self) -> &str {
        &self.sequence
    }

    pub fn sub(&self) -> u64 {
        self.sub
    }

    pub fn document(&self) -> u32 {
        self.document
    }

    /// One document of this record, from 1; 0 is the record.
    pub fn with_document(&self, document: u32) -> Self {
        Position { sequence: self.sequence.clone(), sub: self.sub, document }
    }

    /// One record of several that share this sequence, from 0.
    pub fn with_sub(&self, sub: u64) -> Self {
        Position { sequence: self.sequence.clone(), sub, document: 0 }
    }

    /// The record that this is or lies in.
    pub fn record(&self) -> Self {
        self.with_document(0)
    }

    pub fn is_zero(&self) -> bool {
        self.sub == 0 && self.document == 0 && significant(&self.sequence).is_empty()
    }
}

fn is_sequence(text: &str) -> bool {
    !text.is_empty() && text.len() <= SEQUENCE_DIGITS_MAX && text.bytes().all(|b| b.is_ascii_digit())
}

/// Where a document stands among those of its record: the record itself is behind them.
fn within(document: u32) -> u32 {
    document.checked_sub(1).unwrap_or(u32::MAX)
}

fn significant(digits: &str) -> &str {
    digits.trim_start_matches('0')
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (significant(&self.sequence), significant(&other.sequence));
        let sequences = a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        sequences.then(self.sub.cmp(&other.sub)).then(within(self.document).cmp(&within(other.document)))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Position {}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sequence)?;
        match (self.sub, self.document) {
            (0, 0) => Ok(()),
            (sub, 0) => write!(f, ".{sub}"),
            (sub, document) => write!(f, ".{sub}.{document}"),
        }
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let bad = || BadPosition(text.to_string());
        let mut parts = text.splitn(3, '.');
        let sequence = parts.next().unwrap_or_default();
        let (sub, document) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
        let (sub, document) = (number(sub).ok_or_else(bad)?, number(document).ok_or_else(bad)?);
        let position = Position::new(sequence, sub).map_err(|_| bad())?;
        Ok(position.with_document(document.try_into().map_err(|_| bad())?))
    }
}

fn number(digits: &str) -> Option<u64> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Everything after `from` up to and including `to`: `(from, to]`. Spans of one shard chain: the next one's `from` is this
/// one's `to`, and whatever does not chain is a gap or a repetition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Position, Position)", into = "(Position, Position)")]
pub struct Span {
    pub from: Position,
    pub to: Position,
}

impl Span {
    pub fn new(from: Position, to: Position) -> Self {
        Span { from, to }
    }

    pub fn contains(&self, position: &Position) -> bool {
        *position > self.from && *position <= self.to
    }

    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }
}

impl From<(Position, Position)> for Span {
    fn from((from, to): (Position, Position)) -> Self {
        Span { from, to }
    }
}

impl From<Span> for (Position, Position) {
    fn from(span: Span) -> Self {
        (span.from, span.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Position {
        text.parse().expect("test position")
    }

    #[test]
    fn fifty_six_digits_compare_as_numbers() {
        let a = at("49590338271490256608559692538361571095921575989136588898");
        let b = at("49590338271490256608559692538361571095921575989136588899");
        assert!(a < b && at("9") < at("10") && at("000000000000000000000000000007") == at("7"));
        assert_eq!(a.to_string().parse::<Position>(), Ok(a));
    }

    #[test]
    fn sub_sequence_breaks_ties_and_zero_is_before_all() {
        assert!(at("5") < at("5.1") && at("5.9") < at("6") && at("5.9") < at("5.10"));
        assert!(Position::zero().is_zero() && at("000").is_zero() && Position::zero() < at("0.1"));
    }

    #[test]
    fn a_record_comes_after_its_documents_and_before_the_next_record() {
        let ascending = ["5.0.1", "5.0.2", "5.0.10", "5", "5.1.1", "5.1", "6.0.1", "6"].map(at);
        assert!(ascending.is_sorted() && ascending[1].record() == ascending[3] && ascending[3] != ascending[2]);
        assert!(ascending.iter().all(|p| p.to_string().parse() == Ok(p.clone())));
        assert_eq!(at("5").with_document(3).to_string(), "5.0.3");
        assert_eq!(at("5.0.3").with_sub(2).to_string(), "5.2");
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            "a",
            "-1",
            "1.x",
            "1.2.3.4",
            "1.2.",
            "1.2.4294967296",
            "+1",
            &"9".repeat(130),
            "1.99999999999999999999",
        ] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    #[test]
    fn span_is_half_open() {
        let span = Span::new(at("5"), at("7"));
        assert!(
            !span.contains(&at("5"))
                && span.contains(&at("5.1"))
                && span.contains(&at("7"))
                && !span.contains(&at("7.1"))
        );
        assert_eq!(serde_json::to_string(&span).expect("serialises"), r#"["5","7"]"#);
    }
}
