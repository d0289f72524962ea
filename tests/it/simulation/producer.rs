//! Who fills the stream, and who changes its shards.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::plan::Change;
use super::world::{STREAM, World};

/// Pause before a call is tried again.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(500);

/// Tries of one call. A producer that gives up is a producer whose records were never accepted.
const TRIES: usize = 8;

/// A record's text. Every eighth is one of three kinds of reject: broken JSON, a key outside the projection, a value that does
/// not fit its column.
pub(super) fn text(id: usize) -> String {
    let key = ["a", "b", "c", "a"][id % 4];
    match (id % 8, id % 3) {
        (5, 0) => format!("{{\"id\":{id}"),
        (5, 1) => format!("{{\"id\":{id},\"k\":\"elsewhere\"}}"),
        (5, _) => format!("{{\"id\":\"x{id}\",\"k\":\"{key}\"}}"),
        _ => format!("{{\"id\":{id},\"k\":\"{key}\"}}"),
    }
}

/// The id that a row of this text has; none where it is a reject.
pub(super) fn row_id(text: &str) -> Option<i64> {
    let id: i64 = text.bytes().filter(u8::is_ascii_digit).map(|b| b as char).collect::<String>().parse().ok()?;
    (id % 8 != 5).then_some(id)
}

/// Puts records, again those that were refused, and again all where no answer came: then they are there twice.
pub(super) async fn produce(world: &World) {
    let mut id = 0;
    for (pause, count) in &world.plan.puts {
        tokio::time::sleep(*pause).await;
        let mut open: Vec<Value> = (id..id + count).map(entry).collect();
        id += count;
        for _ in 0..TRIES {
            let Some(answer) = call(world, "PutRecords", json!({ "StreamName": STREAM, "Records": open })).await else {
                world.count("put again");
                continue;
            };
            let refused = |n: usize| answer["Records"][n].get("ErrorCode").is_some();
            open = open.into_iter().enumerate().filter(|(n, _)| refused(*n)).map(|(_, record)| record).collect();
            if open.is_empty() {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn entry(id: usize) -> Value {
    json!({ "Data": STANDARD.encode(text(id)), "PartitionKey": id.to_string() })
}

/// The answer, if it came and was no error.
async fn call(world: &World, name: &str, body: Value) -> Option<Value> {
    let answer = world.kinesis.exchange(name, body.to_string().as_bytes()).await;
    match answer.filter(|answer| answer.status == 200) {
        Some(answer) => Some(serde_json::from_slice(&answer.body).unwrap_or(Value::Null)),
        None => {
            tokio::time::sleep(AGAIN).await;
            None
        }
    }
}

/// Splits, merges and scales, as far as there is something to split or merge.
pub(super) async fn reshard(world: &World) {
    for (pause, change) in &world.plan.changes {
        tokio::time::sleep(*pause).await;
        for _ in 0..TRIES {
            let Some(listed) = call(world, "ListShards", json!({ "StreamName": STREAM })).await else { continue };
            let Some((name, body)) = wanted(*change, &open(&listed)) else { break };
            if call(world, name, body).await.is_some() {
                world.note(format!("{change:?}"));
                world.count("resharded");
                break;
            }
        }
    }
}

struct Open {
    id: String,
    range: (u128, u128),
}

/// Open shards by their ranges.
fn open(listed: &Value) -> Vec<Open> {
    let shards = listed["Shards"].as_array().map(Vec::as_slice).unwrap_or_default();
    let key = |shard: &Value, which: &str| {
        shard["HashKeyRange"][which].as_str().and_then(|text| text.parse().ok()).expect("a hash key")
    };
    let is_open = |shard: &&Value| shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none();
    let mut open: Vec<Open> = shards
        .iter()
        .filter(is_open)
        .map(|shard| Open {
            id: shard["ShardId"].as_str().expect("a name").to_string(),
            range: (key(shard, "StartingHashKey"), key(shard, "EndingHashKey")),
        })
        .collect();
    open.sort_by_key(|shard| shard.range);
    open
}

/// At most so many shards are open at once.
const OPEN_MAX: usize = 5;

fn wanted(change: Change, open: &[Open]) -> Option<(&'static str, Value)> {
    match change {
        Change::Split(n) if open.len() < OPEN_MAX => {
            let shard = &open[n % open.len()];
            let at = (shard.range.0 + (shard.range.1 - shard.range.0) / 2).to_string();
            Some(("SplitShard", json!({ "StreamName": STREAM, "ShardToSplit": shard.id, "NewStartingHashKey": at })))
        }
        Change::Merge(n) if open.len() > 1 => {
            let low = n % (open.len() - 1);
            let (one, other) = (&open[low].id, &open[low + 1].id);
            let body = json!({ "StreamName": STREAM, "ShardToMerge": one, "AdjacentShardToMerge": other });
            Some(("MergeShards", body))
        }
        Change::Scale(to) => {
            let target = to.clamp(open.len().div_ceil(2), OPEN_MAX.min(open.len() * 2));
            let body = json!({ "StreamName": STREAM, "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING" });
            Some(("UpdateShardCount", body))
        }
        _ => None,
    }
}
