//! The calls of the API: what they want, what they refuse, what they answer.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::faults::Fault;
use super::stream::{Record, Shard, Stream};
use super::{Answer, listing, reading};

/// Records in one PutRecords, bytes in all, bytes in one record (its key included).
const PUT_RECORDS_MAX: usize = 500;
const PUT_BYTES_MAX: usize = 10 << 20;
const RECORD_BYTES_MAX: usize = 1 << 20;
const KEY_CHARS_MAX: usize = 256;
const RETENTION_HOURS: std::ops::RangeInclusive<i64> = 24..=8_760;

/// What a call answers when it refuses.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

pub(super) type Outcome = Result<Value, Refusal>;

/// A refusal for what the caller did.
pub(super) fn refused(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { status: 400, code, message: message.into() }
}

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    refused("InvalidArgumentException", message)
}

pub(super) fn not_found(message: impl Into<String>) -> Refusal {
    refused("ResourceNotFoundException", message)
}

/// All streams of an account.
#[derive(Debug)]
pub(super) struct Service {
    streams: BTreeMap<String, Stream>,
    change_takes: i64,
}

impl Service {
    pub(super) fn new(change_takes: i64) -> Self {
        Service { streams: BTreeMap::new(), change_takes }
    }

    /// One call.
    pub(super) fn handle(&mut self, name: &str, body: &[u8], now: i64, fault: Fault) -> Answer {
        let outcome = match fault.refusal() {
            Some((status, code)) => Err(Refusal { status, code, message: "injected".into() }),
            None => self.outcome(name, body, now, fault),
        };
        match outcome {
            Ok(Value::Null) => Answer { status: 200, body: Vec::new() },
            Ok(answer) => Answer { status: 200, body: answer.to_string().into_bytes() },
            Err(Refusal { status, code, message }) => {
                let body = json!({ "__type": code, "message": message }).to_string().into_bytes();
                Answer { status, body }
            }
        }
    }

    fn outcome(&mut self, name: &str, body: &[u8], now: i64, fault: Fault) -> Outcome {
        let wanted: Value =
            serde_json::from_slice(body).map_err(|e| refused("SerializationException", e.to_string()))?;
        self.streams.values_mut().for_each(|stream| stream.trim(now));
        let wanted = Wanted(&wanted);
        match name {
            "CreateStream" => self.create(wanted, now),
            "DeleteStream" => {
                let name = self.stream(wanted)?.name.clone();
                self.streams.remove(&name);
                Ok(Value::Null)
            }
            "DescribeStreamSummary" => Ok(summary(self.stream(wanted)?, now)),
            "PutRecord" => put(self.stream(wanted)?, wanted, now),
            "PutRecords" => put_all(self.stream(wanted)?, wanted, now, fault),
            "SplitShard" | "MergeShards" | "UpdateShardCount" => self.change(name, wanted, now),
            "IncreaseStreamRetentionPeriod" | "DecreaseStreamRetentionPeriod" => {
                keep_for(self.stream(wanted)?, wanted, name.starts_with("Increase"))
            }
            "ListShards" => listing::list(&self.streams, wanted, now, fault),
            "GetShardIterator" => reading::iterator(self.stream(wanted)?, wanted, now),
            "GetRecords" => reading::records(&self.streams, wanted, now, fault),
            other => Err(refused("UnknownOperationException", format!("no call {other}"))),
        }
    }

    fn stream(&mut self, wanted: Wanted<'_>) -> Result<&mut Stream, Refusal> {
        let name = wanted.stream()?;
        self.streams.get_mut(name).ok_or_else(|| no_stream(name))
    }

    fn create(&mut self, wanted: Wanted<'_>, now: i64) -> Outcome {
        let name = wanted.text("StreamName")?;
        if self.streams.contains_key(name) {
            return Err(refused("ResourceInUseException", format!("Stream {name} already exists.")));
        }
        let shards = wanted.number("ShardCount").unwrap_or(4);
        let shards = u32::try_from(shards).ok().filter(|n| *n > 0).ok_or_else(|| invalid("ShardCount"))?;
        self.streams.insert(name.to_string(), Stream::new(name, shards, now, now + self.change_takes));
        Ok(Value::Null)
    }

    fn change(&mut self, call: &str, wanted: Wanted<'_>, now: i64) -> Outcome {
        let takes = self.change_takes;
        let stream = self.stream(wanted)?;
        if stream.busy_until > now {
            let message = format!("Stream {} not ACTIVE, it is being changed.", stream.name);
            return Err(refused("ResourceInUseException", message));
        }
        let answer = match call {
            "SplitShard" => split(stream, wanted, now),
            "MergeShards" => merge(stream, wanted, now),
            _ => scale(stream, wanted, now),
        }?;
        stream.busy_until = now + takes;
        Ok(answer)
    }

    pub(super) fn accepted(&self, stream: &str) -> BTreeMap<String, Vec<Record>> {
        let shards = self.streams[stream].shards.iter();
        shards.map(|shard| (shard.id(), shard.records.iter().cloned().collect())).collect()
    }
}

pub(super) fn no_stream(name: &str) -> Refusal {
    not_found(format!("Stream {name} under account 000000000000 not found."))
}

/// A request's fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a>(pub(super) &'a Value);

impl<'a> Wanted<'a> {
    pub(super) fn optional(self, field: &str) -> Option<&'a str> {
        self.0.get(field).and_then(Value::as_str)
    }

    pub(super) fn text(self, field: &str) -> Result<&'a str, Refusal> {
        let missing =
            || refused("ValidationException", format!("Value null at '{field}' failed to satisfy constraint"));
        self.optional(field).ok_or_else(missing)
    }

    pub(super) fn number(self, field: &str) -> Option<i64> {
        self.0.get(field).and_then(Value::as_i64)
    }

    /// A timestamp: seconds with a fraction.
    pub(super) fn instant(self, field: &str) -> Option<i64> {
        self.0.get(field).and_then(Value::as_f64).map(|seconds| (seconds * 1_000.0).round() as i64)
    }

    /// By name or by ARN, whose last part it is.
    pub(super) fn stream(self) -> Result<&'a str, Refusal> {
        match self.optional("StreamARN") {
            Some(arn) => Ok(arn.rsplit('/').next().unwrap_or(arn)),
            None => self.text("StreamName"),
        }
    }
}

fn hash_key(text: &str) -> Result<u128, Refusal> {
    text.parse().map_err(|_| invalid(format!("Invalid hash key {text}.")))
}

fn summary(stream: &Stream, now: i64) -> Value {
    let status = match (now < stream.busy_until, stream.shards.iter().any(|shard| shard.closed.is_some())) {
        (true, false) => "CREATING",
        (true, true) => "UPDATING",
        (false, _) => "ACTIVE",
    };
    json!({ "StreamDescriptionSummary": {
        "StreamName": stream.name,
        "StreamARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", stream.name),
        "StreamStatus": status,
        "StreamModeDetails": { "StreamMode": "PROVISIONED" },
        "RetentionPeriodHours": stream.retention_hours,
        "StreamCreationTimestamp": seconds(stream.created_at),
        "EnhancedMonitoring": [{ "ShardLevelMetrics": [] }],
        "EncryptionType": "NONE",
        "OpenShardCount": stream.open().count(),
        "ConsumerCount": 0,
    } })
}

/// As the protocol writes instants.
pub(super) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

struct Put {
    key: String,
    hash: Option<u128>,
    data: Vec<u8>,
}

fn read_put(wanted: Wanted<'_>) -> Result<Put, Refusal> {
    let key = wanted.text("PartitionKey")?.to_string();
    if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
        return Err(refused("ValidationException", "Value at 'partitionKey' failed to satisfy constraint"));
    }
    let data = STANDARD.decode(wanted.text("Data")?).map_err(|e| refused("SerializationException", e.to_string()))?;
    if data.len() > RECORD_BYTES_MAX {
        return Err(refused(
            "ValidationException",
            "Value at 'data' failed to satisfy constraint: at most 1048576 bytes",
        ));
    }
    Ok(Put { key, hash: wanted.optional("ExplicitHashKey").map(hash_key).transpose()?, data })
}

fn put(stream: &mut Stream, wanted: Wanted<'_>, now: i64) -> Outcome {
    let Put { key, hash, data } = read_put(wanted)?;
    let (shard, sequence) = stream.put(&key, hash, data, now);
    Ok(json!({ "ShardId": shard, "SequenceNumber": sequence, "EncryptionType": "NONE" }))
}

fn put_all(stream: &mut Stream, wanted: Wanted<'_>, now: i64, fault: Fault) -> Outcome {
    let records = wanted.0.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !(1..=PUT_RECORDS_MAX).contains(&records.len()) {
        return Err(refused("ValidationException", format!("Value at 'records': 1 to {PUT_RECORDS_MAX} are taken")));
    }
    let puts = records.iter().map(|record| read_put(Wanted(record))).collect::<Result<Vec<_>, _>>()?;
    if puts.iter().map(|put| put.data.len() + put.key.len()).sum::<usize>() > PUT_BYTES_MAX {
        return Err(invalid(format!("Records size exceeds {PUT_BYTES_MAX} bytes")));
    }
    let (mut failed, mut answers) = (0, Vec::new());
    for (n, Put { key, hash, data }) in puts.into_iter().enumerate() {
        if fault.fails_record(n) {
            failed += 1;
            let code = "ProvisionedThroughputExceededException";
            answers.push(json!({ "ErrorCode": code, "ErrorMessage": "injected" }));
            continue;
        }
        let (shard, sequence) = stream.put(&key, hash, data, now);
        answers.push(json!({ "ShardId": shard, "SequenceNumber": sequence }));
    }
    Ok(json!({ "FailedRecordCount": failed, "Records": answers, "EncryptionType": "NONE" }))
}

/// An open shard by its name.
fn open_shard<'a>(stream: &'a Stream, id: &str) -> Result<&'a Shard, Refusal> {
    let name = &stream.name;
    let found = stream.shards.iter().find(|shard| shard.id() == id);
    let shard = found.ok_or_else(|| not_found(format!("Could not find shard {id} in stream {name}.")))?;
    if shard.closed.is_some() {
        let message = format!("Shard {id} in stream {name} has already been merged or split.");
        return Err(refused("ResourceInUseException", message));
    }
    Ok(shard)
}

fn split(stream: &mut Stream, wanted: Wanted<'_>, now: i64) -> Outcome {
    let shard = open_shard(stream, wanted.text("ShardToSplit")?)?;
    let at = hash_key(wanted.text("NewStartingHashKey")?)?;
    let (index, (first, last)) = (shard.index, shard.range);
    // The service wants two hash keys on both sides.
    if at <= first.saturating_add(1) || at >= last {
        return Err(invalid(format!("NewStartingHashKey {at} must be within the shard's range {first}..{last}.")));
    }
    stream.split(index, at, now);
    Ok(Value::Null)
}

fn merge(stream: &mut Stream, wanted: Wanted<'_>, now: i64) -> Outcome {
    let one = open_shard(stream, wanted.text("ShardToMerge")?)?;
    let other = open_shard(stream, wanted.text("AdjacentShardToMerge")?)?;
    let neighbours = |low: &Shard, high: &Shard| low.range.1.checked_add(1) == Some(high.range.0);
    if !neighbours(one, other) && !neighbours(other, one) {
        return Err(invalid(format!("Shards {} and {} are not adjacent.", one.id(), other.id())));
    }
    let (one, other) = (one.index, other.index);
    stream.merge(one, other, now);
    Ok(Value::Null)
}

fn scale(stream: &mut Stream, wanted: Wanted<'_>, now: i64) -> Outcome {
    let current = stream.open().count();
    let target = wanted.number("TargetShardCount").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    if target == 0 || target > current * 2 || target * 2 < current {
        return Err(invalid(format!("TargetShardCount {target}: {current} can be halved at most, or doubled.")));
    }
    stream.scale(target, now);
    Ok(json!({ "StreamName": stream.name, "CurrentShardCount": current, "TargetShardCount": target }))
}

fn keep_for(stream: &mut Stream, wanted: Wanted<'_>, longer: bool) -> Outcome {
    let hours = wanted.number("RetentionPeriodHours").unwrap_or(0);
    let grows = hours >= stream.retention_hours;
    if !RETENTION_HOURS.contains(&hours) || grows != longer && hours != stream.retention_hours {
        return Err(invalid(format!("RetentionPeriodHours {hours} is not possible.")));
    }
    stream.retention_hours = hours;
    Ok(Value::Null)
}
