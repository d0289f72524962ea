//! GetShardIterator and GetRecords.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use super::calls::{Outcome, Refusal, Wanted, invalid, no_stream, not_found, refused, seconds};
use super::faults::Fault;
use super::stream::{Record, Shard, Stream, shard_id};

/// An iterator or page token is good for five minutes.
pub(super) const LIFETIME_MS: i64 = 300_000;

/// Records and bytes in one read.
const READ_RECORDS_MAX: i64 = 10_000;
const READ_BYTES_MAX: usize = 10 << 20;

/// What is said to a client in words that mean nothing to it.
pub(super) fn token(said: &Value) -> String {
    URL_SAFE.encode(said.to_string())
}

pub(super) fn open_token(text: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE.decode(text).ok()?).ok()
}

/// Reads on at the first record whose number is `from` or greater.
fn iterator_at(stream: &str, shard: usize, from: u64, now: i64) -> String {
    token(&json!({ "stream": stream, "shard": shard, "from": from, "at": now }))
}

fn shard_of<'a>(stream: &'a Stream, id: &str, now: i64) -> Result<&'a Shard, Refusal> {
    let found = stream.shards.iter().find(|shard| shard.id() == id && stream.is_there(shard, now));
    found.ok_or_else(|| not_found(format!("Shard {id} in stream {} does not exist", stream.name)))
}

pub(super) fn iterator(stream: &Stream, wanted: Wanted<'_>, now: i64) -> Outcome {
    let shard = shard_of(stream, wanted.text("ShardId")?, now)?;
    let numbered = || {
        let text = wanted.optional("StartingSequenceNumber").ok_or_else(|| invalid("no StartingSequenceNumber"))?;
        let message = || format!("StartingSequenceNumber {text} is invalid because it did not come from this shard.");
        shard.number(text).ok_or_else(|| invalid(message()))
    };
    let from = match wanted.text("ShardIteratorType")? {
        "TRIM_HORIZON" => 0,
        "LATEST" => shard.records.back().map_or(0, |record| record.number + 1),
        "AT_SEQUENCE_NUMBER" => numbered()?,
        "AFTER_SEQUENCE_NUMBER" => numbered()? + 1,
        "AT_TIMESTAMP" => {
            let at = wanted.instant("Timestamp").ok_or_else(|| invalid("no Timestamp"))?;
            if at > now {
                return Err(invalid("Timestamp is in the future."));
            }
            let first = shard.records.iter().find(|record| record.arrived_at >= at);
            let end = || shard.records.back().map_or(0, |record| record.number + 1);
            first.map_or_else(end, |record| record.number)
        }
        other => return Err(refused("ValidationException", format!("no iterator type {other}"))),
    };
    Ok(json!({ "ShardIterator": iterator_at(&stream.name, shard.index, from, now) }))
}

pub(super) fn records(streams: &BTreeMap<String, Stream>, wanted: Wanted<'_>, now: i64, fault: Fault) -> Outcome {
    let limit = wanted.number("Limit").unwrap_or(READ_RECORDS_MAX);
    if !(1..=READ_RECORDS_MAX).contains(&limit) {
        return Err(refused("ValidationException", format!("Value '{limit}' at 'limit': at most {READ_RECORDS_MAX}")));
    }
    let said = open_token(wanted.text("ShardIterator")?).ok_or_else(|| invalid("Invalid ShardIterator."))?;
    let (name, from) = (said["stream"].as_str().unwrap_or_default(), said["from"].as_u64().unwrap_or(0));
    if now - said["at"].as_i64().unwrap_or(0) > LIFETIME_MS || fault == Fault::Expired {
        return Err(refused("ExpiredIteratorException", "Iterator expired."));
    }
    let stream = streams.get(name).ok_or_else(|| no_stream(name))?;
    let id = shard_id(said["shard"].as_u64().unwrap_or(0) as usize);
    let shard = shard_of(stream, &id, now)?;
    let waiting: Vec<&Record> = shard.records.iter().skip_while(|record| record.number < from).collect();
    let taken = if fault == Fault::EmptyRead { &[] } else { &waiting[..taken(&waiting, limit as usize)] };
    let next = taken.last().map_or(from, |record| record.number + 1);
    let left = waiting.get(taken.len());
    let mut answer = json!({
        "Records": taken.iter().map(|record| shown(record)).collect::<Vec<_>>(),
        "MillisBehindLatest": left.map_or(0, |record| (now - record.arrived_at).max(1)),
    });
    if left.is_some() || shard.closed.is_none() {
        answer["NextShardIterator"] = iterator_at(name, shard.index, next, now).into();
    } else {
        answer["ChildShards"] = children(stream, shard.index).into();
    }
    Ok(answer)
}

/// How many of them one answer holds: one is always given, however large.
fn taken(waiting: &[&Record], limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |record: &&&Record| {
        bytes += record.size();
        bytes <= READ_BYTES_MAX
    };
    waiting.iter().take(limit).take_while(fits).count().max(waiting.len().min(1))
}

fn shown(record: &Record) -> Value {
    json!({
        "SequenceNumber": record.sequence,
        "ApproximateArrivalTimestamp": seconds(record.arrived_at),
        "Data": STANDARD.encode(&record.data),
        "PartitionKey": record.key,
        "EncryptionType": "NONE",
    })
}

fn children(stream: &Stream, index: usize) -> Vec<Value> {
    let born = stream.shards.iter().filter(|shard| shard.parents.contains(&index));
    born.map(|shard| {
        json!({
            "ShardId": shard.id(),
            "ParentShards": shard.parents.iter().map(|parent| shard_id(*parent)).collect::<Vec<_>>(),
            "HashKeyRange": { "StartingHashKey": shard.range.0.to_string(), "EndingHashKey": shard.range.1.to_string() },
        })
    })
    .collect()
}
