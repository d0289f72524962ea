//! The messages of the Kinesis Client Library's MultiLangDaemon and its children: one JSON object a line, told apart by `action`.
//!
//! Names and shapes are those of the library's message classes (`software.amazon.kinesis.multilang.messages`, 3.1.3). The
//! older `shutdown` message of its first versions is read too. Pure: lines in, messages out.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use schemas::position::Position;
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// What the daemon says.
#[derive(Debug)]
pub(super) enum Message {
    /// A lease was assigned: the records after this checkpoint will come.
    Initialize { shard: String, checkpoint: Checkpoint },
    /// Records in order, de-aggregated; none where the daemon only gives the chance to checkpoint.
    ProcessRecords { records: Vec<Record>, behind_ms: Option<u64> },
    /// The answer to our checkpoint: the name of an exception, if it was refused.
    Checkpointed { error: Option<String> },
    /// The lease is another worker's.
    LeaseLost,
    /// Every record of the closed shard was given. It must be checkpointed at its end.
    ShardEnded,
    /// The lease will be given away as soon as this is answered.
    ShutdownRequested,
}

/// What the lease table says has been processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checkpoint {
    TrimHorizon,
    Latest,
    /// Through this record.
    At(Position),
    /// A word without a place: `AT_TIMESTAMP` comes without its timestamp.
    Other(String),
}

/// One message, and the action by whose name the daemon wants it answered.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) message: Message,
    pub(super) action: String,
}

/// A line that is no message of the protocol. The daemon does not send such: something else has connected, or the versions differ.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of the MultiLangDaemon: {0}")]
pub(super) struct BadMessage(String);

fn bad(why: impl std::fmt::Display) -> BadMessage {
    BadMessage(why.to_string())
}

/// All members of all messages: one pass over a line of many megabytes, nothing copied but the data.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow, default)]
    shard_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sequence_number: Option<Cow<'a, str>>,
    #[serde(default)]
    sub_sequence_number: Option<u64>,
    #[serde(borrow, default)]
    records: Option<Vec<WireRecord<'a>>>,
    #[serde(default)]
    millis_behind_latest: Option<u64>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRecord<'a> {
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
    #[serde(default)]
    sub_sequence_number: Option<u64>,
    #[serde(default)]
    approximate_arrival_timestamp: Option<i64>,
}

/// Reads one line.
pub(super) fn parse(line: &[u8]) -> Result<Received, BadMessage> {
    let wire: Wire<'_> = serde_json::from_slice(line).map_err(bad)?;
    let action = wire.action.to_string();
    let message = match &*action {
        "initialize" => Message::Initialize {
            checkpoint: checkpoint(wire.sequence_number.as_deref(), wire.sub_sequence_number)?,
            shard: wire.shard_id.ok_or_else(|| bad("initialize without shardId"))?.into_owned(),
        },
        "processRecords" => Message::ProcessRecords {
            records: records(wire.records.unwrap_or_default())?,
            behind_ms: wire.millis_behind_latest,
        },
        "checkpoint" => Message::Checkpointed { error: wire.error.map(Cow::into_owned) },
        "leaseLost" => Message::LeaseLost,
        "shardEnded" => Message::ShardEnded,
        "shutdownRequested" => Message::ShutdownRequested,
        "shutdown" => shutdown(wire.reason.as_deref())?,
        _ => return Err(bad(format!("unknown action `{}`", schemas::reject::quote(&action)))),
    };
    Ok(Received { message, action })
}

/// The one message for all ends that the library's first versions had, with their words and the later ones.
fn shutdown(reason: Option<&str>) -> Result<Message, BadMessage> {
    match reason {
        Some("TERMINATE" | "SHARD_END") => Ok(Message::ShardEnded),
        Some("ZOMBIE" | "LEASE_LOST") => Ok(Message::LeaseLost),
        Some("REQUESTED") => Ok(Message::ShutdownRequested),
        other => Err(bad(format!("shutdown for reason {other:?}"))),
    }
}

fn checkpoint(sequence: Option<&str>, sub: Option<u64>) -> Result<Checkpoint, BadMessage> {
    match sequence {
        Some("TRIM_HORIZON") => Ok(Checkpoint::TrimHorizon),
        Some("LATEST") => Ok(Checkpoint::Latest),
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            Position::new(digits, sub.unwrap_or(0)).map(Checkpoint::At).map_err(bad)
        }
        Some(word) => Ok(Checkpoint::Other(word.to_string())),
        None => Err(bad("initialize without sequenceNumber")),
    }
}

/// The data of all records lies in one piece of memory.
fn records(wire: Vec<WireRecord<'_>>) -> Result<Vec<Record>, BadMessage> {
    let text: usize = wire.iter().filter_map(|r| r.data.as_ref()).map(|data| data.len()).sum();
    let mut all = BytesMut::zeroed(base64::decoded_len_estimate(text) + 3 * wire.len());
    let (mut at, mut places) = (0, Vec::with_capacity(wire.len()));
    for record in &wire {
        let position = Position::new(&*record.sequence_number, record.sub_sequence_number.unwrap_or(0)).map_err(bad)?;
        // A time made up in its place would differ at the next reading.
        let arrived_at = record
            .approximate_arrival_timestamp
            .ok_or_else(|| bad(format!("record {position} has no approximateArrivalTimestamp")))?;
        let data = record.data.as_deref().unwrap_or_default();
        let length =
            STANDARD.decode_slice(data, &mut all[at..]).map_err(|e| bad(format!("data of record {position}: {e}")))?;
        places.push((position, arrived_at, at..at + length));
        at += length;
    }
    let all = all.freeze();
    let record = |(position, arrived_at, place)| Record { position, arrived_at, data: Bytes::slice(&all, place) };
    Ok(places.into_iter().map(record).collect())
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    action: &'static str,
    response_for: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckpointAt<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_sequence_number: Option<u64>,
}

/// The action is done; the daemon compares the name with the one it sent.
pub(super) fn status(action: &str) -> Vec<u8> {
    line(&Status { action: "status", response_for: action })
}

/// Everything through this record is stored. Allowed between an action and its status.
pub(super) fn checkpoint_at(position: &Position) -> Vec<u8> {
    let (sequence_number, sub_sequence_number) = (Some(position.sequence()), Some(position.sub()));
    line(&CheckpointAt { action: "checkpoint", sequence_number, sub_sequence_number })
}

/// The shard is stored to its end.
pub(super) fn checkpoint_end() -> Vec<u8> {
    line(&CheckpointAt { action: "checkpoint", sequence_number: None, sub_sequence_number: None })
}

/// The line feed before it is the protocol's advice: whatever the child may have printed without one does not spoil the message.
fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = b"\n".to_vec();
    serde_json::to_writer(&mut line, message).expect("texts and numbers serialise");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &str) -> Message {
        parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e}")).message
    }

    fn at(text: &str) -> Position {
        text.parse().expect("test position")
    }

    #[test]
    fn initialize_says_where_the_lease_table_stands() {
        for (sequence, wanted) in [
            ("TRIM_HORIZON", Checkpoint::TrimHorizon),
            ("LATEST", Checkpoint::Latest),
            ("AT_TIMESTAMP", Checkpoint::Other("AT_TIMESTAMP".into())),
            (
                "49590338271490256608559692538361571095921575989136588898",
                Checkpoint::At(at("49590338271490256608559692538361571095921575989136588898.7")),
            ),
        ] {
            let line = format!(
                r#"{{"action":"initialize","shardId":"shardId-000000000001","sequenceNumber":"{sequence}","subSequenceNumber":7}}"#
            );
            let Message::Initialize { shard, checkpoint } = message(&line) else { panic!("{line}") };
            assert_eq!((shard.as_str(), checkpoint), ("shardId-000000000001", wanted));
        }
    }

    #[test]
    fn records_come_with_position_arrival_and_bytes() {
        let line = r#"{"action":"processRecords","millisBehindLatest":12,"records":[
            {"data":"eyJuIjogMH0=","partitionKey":"\u00e9","sequenceNumber":"0007","approximateArrivalTimestamp":1795336751123,"subSequenceNumber":0,"action":"record"},
            {"data":"","partitionKey":"0","sequenceNumber":"0007","approximateArrivalTimestamp":1795336751124,"subSequenceNumber":1,"action":"record"},
            {"data":null,"sequenceNumber":"8","approximateArrivalTimestamp":1},
            {"data":"/v8=","sequenceNumber":"9","approximateArrivalTimestamp":2}]}"#;
        let Message::ProcessRecords { records, behind_ms } = message(line) else { panic!("{line}") };
        let found: Vec<_> = records.iter().map(|r| (r.position.to_string(), r.arrived_at, &*r.data)).collect();
        let wanted: [(String, i64, &[u8]); 4] = [
            ("0007".into(), 1_795_336_751_123, b"{\"n\": 0}"),
            ("0007.1".into(), 1_795_336_751_124, b""),
            ("8".into(), 1, b""),
            ("9".into(), 2, b"\xfe\xff"),
        ];
        assert_eq!((found.as_slice(), behind_ms), (wanted.as_slice(), Some(12)));
    }

    #[test]
    fn bytes_of_another_charset_in_a_partition_key_do_no_harm() {
        let line = b"{\"action\":\"processRecords\",\"records\":[{\"data\":\"\",\"partitionKey\":\"\xe9\",\"sequenceNumber\":\"1\",\"approximateArrivalTimestamp\":1}]}";
        assert!(parse(line).is_ok());
    }

    #[test]
    fn ends_of_all_versions_are_understood() {
        for (line, wanted) in [
            (r#"{"action":"leaseLost"}"#, "LeaseLost"),
            (r#"{"action":"shardEnded"}"#, "ShardEnded"),
            (r#"{"action":"shutdownRequested"}"#, "ShutdownRequested"),
            (r#"{"action":"shutdown","reason":"TERMINATE"}"#, "ShardEnded"),
            (r#"{"action":"shutdown","reason":"SHARD_END"}"#, "ShardEnded"),
            (r#"{"action":"shutdown","reason":"ZOMBIE"}"#, "LeaseLost"),
            (r#"{"action":"shutdown","reason":"REQUESTED"}"#, "ShutdownRequested"),
            (
                r#"{"action":"checkpoint","sequenceNumber":"1","subSequenceNumber":0,"error":null}"#,
                "Checkpointed { error: None }",
            ),
            (
                r#"{"action":"checkpoint","checkpoint":"1","error":"ThrottlingException"}"#,
                "Checkpointed { error: Some(\"ThrottlingException\") }",
            ),
        ] {
            assert_eq!(format!("{:?}", message(line)), wanted, "{line}");
        }
        assert_eq!(parse(br#"{"action":"shutdown","reason":"ZOMBIE"}"#).expect("legacy").action, "shutdown");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for line in [
            "",
            "hello",
            "{}",
            r#"{"action":"dance"}"#,
            r#"{"action":"initialize","sequenceNumber":"1"}"#,
            r#"{"action":"initialize","shardId":"a"}"#,
            r#"{"action":"shutdown"}"#,
            r#"{"action":"processRecords","records":[{"data":"??","sequenceNumber":"1","approximateArrivalTimestamp":1}]}"#,
            r#"{"action":"processRecords","records":[{"data":"","sequenceNumber":"x","approximateArrivalTimestamp":1}]}"#,
            r#"{"action":"processRecords","records":[{"data":"","sequenceNumber":"1"}]}"#,
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn answers_are_lines_as_the_daemon_reads_them() {
        let text = |line: Vec<u8>| String::from_utf8(line).expect("ASCII");
        assert_eq!(text(status("processRecords")), "\n{\"action\":\"status\",\"responseFor\":\"processRecords\"}\n");
        let checkpoint = "\n{\"action\":\"checkpoint\",\"sequenceNumber\":\"0012\",\"subSequenceNumber\":3}\n";
        assert_eq!(text(checkpoint_at(&at("0012.3"))), checkpoint);
        assert_eq!(text(checkpoint_end()), "\n{\"action\":\"checkpoint\"}\n");
    }
}
