//! ListShards: pages, filters, tokens that expire.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::calls::{Outcome, Refusal, Wanted, invalid, no_stream, refused};
use super::faults::Fault;
use super::reading::{LIFETIME_MS, open_token, token};
use super::stream::{Shard, Stream, shard_id};

/// Shards on a page: the default, and the most one may ask for.
const PAGE: usize = 1_000;
const PAGE_MAX: i64 = 10_000;

/// What a token or a first request asks for.
struct Page {
    stream: String,
    /// The last shard on the page before.
    after: Option<String>,
    filter: Value,
}

pub(super) fn list(streams: &BTreeMap<String, Stream>, wanted: Wanted<'_>, now: i64, fault: Fault) -> Outcome {
    let Page { stream, after, filter } = page(wanted, now)?;
    let stream = streams.get(&stream).ok_or_else(|| no_stream(&stream))?;
    let size = wanted.number("MaxResults").unwrap_or(PAGE as i64);
    if !(1..=PAGE_MAX).contains(&size) {
        return Err(invalid(format!("MaxResults {size}")));
    }
    // A list may be older than what has happened since.
    let seen = fault.list_is_as_of(now);
    let chosen = |shard: &&Shard| stream.is_there(shard, now) && passes(&filter, shard, seen);
    let all = stream.shards.iter().filter(|shard| shard.created_at <= seen).filter(chosen);
    let rest: Vec<&Shard> = all.filter(|shard| after.as_ref().is_none_or(|after| shard.id() > *after)).collect();
    let shown = &rest[..rest.len().min(size as usize)];
    let mut answer = json!({ "Shards": shown.iter().map(|shard| shown_as(shard, seen)).collect::<Vec<_>>() });
    if let (true, Some(last)) = (rest.len() > shown.len(), shown.last()) {
        let next = json!({ "stream": stream.name, "after": last.id(), "filter": filter, "at": now });
        answer["NextToken"] = token(&next).into();
    }
    Ok(answer)
}

fn page(wanted: Wanted<'_>, now: i64) -> Result<Page, Refusal> {
    let filter = wanted.0.get("ShardFilter").cloned().unwrap_or(Value::Null);
    let after = wanted.optional("ExclusiveStartShardId").map(str::to_string);
    let Some(text) = wanted.optional("NextToken") else {
        return Ok(Page { stream: wanted.stream()?.to_string(), after, filter });
    };
    if wanted.optional("StreamName").is_some() || after.is_some() {
        return Err(invalid("NextToken and StreamName cannot be provided together."));
    }
    let said = open_token(text).ok_or_else(|| invalid("NextToken is invalid."))?;
    if now - said["at"].as_i64().unwrap_or(0) > LIFETIME_MS {
        return Err(refused("ExpiredNextTokenException", "NextToken has expired."));
    }
    let said_text = |field: &str| said[field].as_str().map(str::to_string);
    let stream = said_text("stream").ok_or_else(|| invalid("NextToken is invalid."))?;
    Ok(Page { stream, after: said_text("after"), filter: said["filter"].clone() })
}

fn passes(filter: &Value, shard: &Shard, now: i64) -> bool {
    let filter = Wanted(filter);
    let at = filter.instant("Timestamp").unwrap_or(now);
    let closed_before = |at: i64| shard.closed.is_some_and(|(closed, _)| closed < at);
    match filter.optional("Type") {
        Some("AT_LATEST") => shard.closed.is_none(),
        Some("AFTER_SHARD_ID") => filter.optional("ShardId").is_none_or(|id| shard.id().as_str() > id),
        Some("AT_TRIM_HORIZON") => shard.parents.is_empty(),
        Some("AT_TIMESTAMP") => shard.created_at <= at && !closed_before(at),
        Some("FROM_TIMESTAMP") => !closed_before(at),
        _ => true,
    }
}

fn shown_as(shard: &Shard, seen: i64) -> Value {
    let mut numbers = json!({ "StartingSequenceNumber": shard.sequence(shard.first_number) });
    if let Some((_, end)) = shard.closed.filter(|(at, _)| *at <= seen) {
        numbers["EndingSequenceNumber"] = shard.sequence(end).into();
    }
    let mut shown = json!({
        "ShardId": shard.id(),
        "HashKeyRange": { "StartingHashKey": shard.range.0.to_string(), "EndingHashKey": shard.range.1.to_string() },
        "SequenceNumberRange": numbers,
    });
    for (parent, field) in shard.parents.iter().zip(["ParentShardId", "AdjacentParentShardId"]) {
        shown[field] = shard_id(*parent).into();
    }
    shown
}
