//! What is looked at, and what the service shows.

use std::time::Duration;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, ScalingType, Shard, ShardFilter, ShardFilterType, ShardIteratorType as Type,
};
use md5::{Digest, Md5};
use tests::block_on;
use tests::kinesis::Stream;

/// One look at a server.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What the service shows.
    pub(super) service: &'static str,
    /// What the server at this endpoint shows.
    pub(super) see: fn(&str) -> String,
}

const fn check(name: &'static str, service: &'static str, see: fn(&str) -> String) -> Check {
    Check { name, service, see }
}

const INVALID: &str = "InvalidArgumentException";

pub(super) const CHECKS: &[Check] = &[
    check("a new stream", "ACTIVE, 3 open, shardId-000000000000 to shardId-000000000002, all keys", new_stream),
    check("the same name again", "ResourceInUseException", created_twice),
    check("a stream that is not there", "ResourceNotFoundException, ResourceNotFoundException", absent),
    check("digits of a sequence number", "56, growing", sequence_numbers),
    check("a partition key's shard", "by md5", routed_by_key),
    check("an explicit hash key", "first, last", routed_explicitly),
    check("iterator types", "0123; ; 0123; 123; 23; 23", iterator_types),
    check("a sequence number of another stream", INVALID, foreign_number),
    check("an instant in the future", INVALID, future_instant),
    check("an iterator of no meaning", INVALID, garbage_iterator),
    check("more than 500 records in one call", "ValidationException", too_many_records),
    check("a record of 1 MiB and a byte", "ValidationException", too_large_a_record),
    check("a read of 10,001 records", "ValidationException", too_large_a_limit),
    check("10 MiB in one read", "10 of 12, behind; 2, at the tip", read_by_size),
    check("a limit", "2, 2, 1", read_by_limit),
    check("a split", "parent closed, children of it in two halves", split),
    check("a merge", "parents closed, one child of both", merge),
    check("the end of a split shard", "no next iterator, two children", end_of_shard),
    check("a record after a merge", "in the child, greater than its parents' last", put_after_merge),
    check("a split outside of the range", INVALID, split_outside),
    check("a merge of strangers", INVALID, merge_strangers),
    check("4 shards made 8", "8 open of 12", doubled),
    check("4 shards made 2", "2 open of 6", halved),
    check("4 shards made 9", INVALID, more_than_doubled),
    check("pages of a list", "2, 2, 1 of 5", pages),
    check("a page's token with a name", INVALID, token_and_name),
    check("filters", "open 4, after the second 4, exclusive 4", filters),
    check("retention", "24, 48, 24; longer than a year: InvalidArgumentException", retention),
];

fn stream(endpoint: &str, shards: i32) -> Stream {
    Stream::at(endpoint, "conforms", shards).expect("the server makes a stream")
}

fn code<T, E: ProvideErrorMetadata>(outcome: Result<T, SdkError<E>>) -> String {
    match outcome {
        Ok(_) => "accepted".into(),
        Err(error) => {
            let status = error.raw_response().map(|raw| raw.status().as_u16());
            error.code().map_or_else(|| format!("http {status:?}"), str::to_string)
        }
    }
}

/// Puts one byte under a key.
fn put(stream: &Stream, key: &str, data: &str) -> (String, String) {
    let call = stream.client().put_record().stream_name(&stream.name).partition_key(key).data(Blob::new(data));
    let done = block_on(call.send()).expect("a record is taken");
    (done.shard_id, done.sequence_number)
}

fn iterator(stream: &Stream, shard: &str, kind: Type) -> String {
    let call = stream.client().get_shard_iterator().stream_name(&stream.name).shard_id(shard).shard_iterator_type(kind);
    block_on(call.send()).expect("an iterator").shard_iterator.expect("an iterator")
}

fn read(stream: &Stream, iterator: &str, limit: Option<i32>) -> GetRecordsOutput {
    let call = stream.client().get_records().shard_iterator(iterator).set_limit(limit);
    block_on(call.send()).expect("a read")
}

fn texts(answer: &GetRecordsOutput) -> String {
    answer.records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref())).collect()
}

fn range(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().expect("a range");
    let number = |text: &str| text.parse().expect("128 bits");
    (number(range.starting_hash_key()), number(range.ending_hash_key()))
}

fn is_closed(shard: &Shard) -> bool {
    shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some())
}

fn new_stream(endpoint: &str) -> String {
    let stream = stream(endpoint, 3);
    let call = stream.client().describe_stream_summary().stream_name(&stream.name);
    let summary = block_on(call.send()).expect("a summary").stream_description_summary.expect("a summary");
    let mut shards = stream.shards();
    shards.sort_by_key(range);
    let chained = shards.windows(2).all(|pair| range(&pair[0]).1 + 1 == range(&pair[1]).0);
    let all = chained && range(&shards[0]).0 == 0 && range(&shards[2]).1 == u128::MAX;
    let (first, last) = (shards[0].shard_id(), shards[2].shard_id());
    let keys = if all { "all keys" } else { "some keys" };
    format!("{}, {} open, {first} to {last}, {keys}", summary.stream_status, summary.open_shard_count)
}

fn created_twice(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    code(block_on(stream.client().create_stream().stream_name(&stream.name).shard_count(1).send()))
}

fn absent(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    let list = code(block_on(stream.client().list_shards().stream_name("absent").send()));
    let put = stream.client().put_record().stream_name("absent").partition_key("k").data(Blob::new("x"));
    format!("{list}, {}", code(block_on(put.send())))
}

fn sequence_numbers(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    let numbers: Vec<String> = (0..4).map(|n| put(&stream, "k", &n.to_string()).1).collect();
    let digits = numbers.iter().map(String::len).max().unwrap_or(0);
    format!("{digits}, {}", if numbers.is_sorted() { "growing" } else { "not growing" })
}

fn routed_by_key(endpoint: &str) -> String {
    let stream = stream(endpoint, 4);
    let shards = stream.shards();
    for n in 0..24 {
        let key = format!("key {n} ö");
        let hash = u128::from_be_bytes(Md5::digest(key.as_bytes()).into());
        let home = shards.iter().find(|shard| (range(shard).0..=range(shard).1).contains(&hash)).expect("all keys");
        let (shard, _) = put(&stream, &key, "x");
        if shard != home.shard_id() {
            return format!("{key} went to {shard} instead of {}", home.shard_id());
        }
    }
    "by md5".into()
}

fn routed_explicitly(endpoint: &str) -> String {
    let stream = stream(endpoint, 4);
    let mut shards = stream.shards();
    shards.sort_by_key(range);
    let at = |hash: u128| {
        let call = stream.client().put_record().stream_name(&stream.name).partition_key("same").data(Blob::new("x"));
        let done = block_on(call.explicit_hash_key(hash.to_string()).send()).expect("a record is taken");
        let place = shards.iter().position(|shard| shard.shard_id() == done.shard_id);
        ["first", "second", "third", "last"][place.expect("one of them")]
    };
    format!("{}, {}", at(0), at(u128::MAX))
}

fn iterator_types(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    let numbers: Vec<String> = (0..2).map(|n| put(&stream, "k", &n.to_string()).1).collect();
    // An instant between two records, whatever the server's clock rounds to.
    std::thread::sleep(Duration::from_millis(60));
    put(&stream, "k", "2");
    put(&stream, "k", "3");
    let shard = &stream.shards()[0].shard_id;
    let third = read(&stream, &iterator(&stream, shard, Type::TrimHorizon), None);
    let arrived = third.records[2].approximate_arrival_timestamp.expect("an arrival").to_millis().expect("an instant");
    let of = |kind: Type, number: Option<&String>, at: Option<i64>| {
        let call =
            stream.client().get_shard_iterator().stream_name(&stream.name).shard_id(shard).shard_iterator_type(kind);
        let call = call.set_starting_sequence_number(number.cloned()).set_timestamp(at.map(DateTime::from_millis));
        let iterator = block_on(call.send()).expect("an iterator").shard_iterator.expect("an iterator");
        texts(&read(&stream, &iterator, None))
    };
    [
        of(Type::TrimHorizon, None, None),
        of(Type::Latest, None, None),
        of(Type::AtSequenceNumber, Some(&numbers[0]), None),
        of(Type::AfterSequenceNumber, Some(&numbers[0]), None),
        of(Type::AfterSequenceNumber, Some(&numbers[1]), None),
        of(Type::AtTimestamp, None, Some(arrived - 20)),
    ]
    .join("; ")
}

fn foreign_number(endpoint: &str) -> String {
    let (stream, other) = (stream(endpoint, 1), stream(endpoint, 4));
    put(&stream, "k", "x");
    let (shard, number) = put(&other, "another key", "x");
    let number = if shard.ends_with('0') { put(&other, "a third key", "x").1 } else { number };
    let shard = &stream.shards()[0].shard_id;
    let call = stream.client().get_shard_iterator().stream_name(&stream.name).shard_id(shard);
    code(block_on(call.shard_iterator_type(Type::AfterSequenceNumber).starting_sequence_number(number).send()))
}

fn future_instant(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    let shard = &stream.shards()[0].shard_id;
    let call = stream.client().get_shard_iterator().stream_name(&stream.name).shard_id(shard);
    let later = DateTime::from_millis(ingest::clock::now_ms() + 3_600_000);
    code(block_on(call.shard_iterator_type(Type::AtTimestamp).timestamp(later).send()))
}

fn garbage_iterator(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    code(block_on(stream.client().get_records().shard_iterator("no iterator").send()))
}

fn put_many(stream: &Stream, count: usize, bytes: usize) -> String {
    let entry = |_| PutRecordsRequestEntry::builder().data(Blob::new(vec![b'x'; bytes])).partition_key("k").build();
    let entries: Result<Vec<_>, _> = (0..count).map(entry).collect();
    let call = stream.client().put_records().stream_name(&stream.name);
    code(block_on(call.set_records(Some(entries.expect("entries"))).send()))
}

fn too_many_records(endpoint: &str) -> String {
    put_many(&stream(endpoint, 1), 501, 1)
}

fn too_large_a_record(endpoint: &str) -> String {
    put_many(&stream(endpoint, 1), 1, (1 << 20) + 1)
}

fn too_large_a_limit(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    let iterator = iterator(&stream, &stream.shards()[0].shard_id, Type::TrimHorizon);
    code(block_on(stream.client().get_records().shard_iterator(iterator).limit(10_001).send()))
}

fn read_by_size(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    for _ in 0..3 {
        assert_eq!(put_many(&stream, 4, 1_000_000), "accepted");
    }
    let first = read(&stream, &iterator(&stream, &stream.shards()[0].shard_id, Type::TrimHorizon), None);
    let rest = read(&stream, &first.next_shard_iterator.clone().expect("the shard is open"), None);
    let place = |answer: &GetRecordsOutput| if answer.millis_behind_latest > Some(0) { "behind" } else { "at the tip" };
    let (one, two) = (first.records.len(), rest.records.len());
    format!("{one} of {}, {}; {two}, {}", one + two, place(&first), place(&rest))
}

fn read_by_limit(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    assert_eq!(put_many(&stream, 5, 1), "accepted");
    let mut at = iterator(&stream, &stream.shards()[0].shard_id, Type::TrimHorizon);
    let mut counts = Vec::new();
    for _ in 0..3 {
        let answer = read(&stream, &at, Some(2));
        counts.push(answer.records.len().to_string());
        at = answer.next_shard_iterator.expect("the shard is open");
    }
    counts.join(", ")
}

fn split(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    let parent = stream.shards().remove(0);
    stream.split(&parent);
    let shards = stream.shards();
    let mut children: Vec<_> = shards.iter().filter(|s| s.parent_shard_id() == Some(parent.shard_id())).collect();
    children.sort_by_key(|shard| range(shard));
    let halves = children.len() == 2
        && range(children[0]).0 == 0
        && range(children[0]).1 + 1 == range(children[1]).0
        && range(children[1]).1 == u128::MAX;
    let closed = shards.iter().any(|shard| shard.shard_id == parent.shard_id && is_closed(shard));
    let parent = if closed { "parent closed" } else { "parent open or gone" };
    format!("{parent}, {}", if halves { "children of it in two halves" } else { "no two halves" })
}

fn merged(endpoint: &str) -> (Stream, Vec<Shard>) {
    let stream = stream(endpoint, 2);
    let mut parents = stream.shards();
    parents.sort_by_key(range);
    stream.merge(&parents[0], &parents[1]);
    (stream, parents)
}

fn merge(endpoint: &str) -> String {
    let (stream, parents) = merged(endpoint);
    let shards = stream.shards();
    let closed = parents.iter().all(|p| shards.iter().any(|s| s.shard_id == p.shard_id && is_closed(s)));
    let both = |s: &&Shard| {
        s.parent_shard_id() == Some(parents[0].shard_id())
            && s.adjacent_parent_shard_id() == Some(parents[1].shard_id())
            && range(s) == (0, u128::MAX)
    };
    let closed = if closed { "parents closed" } else { "parents open or gone" };
    let child = if shards.iter().filter(both).count() == 1 { "one child of both" } else { "no child of both" };
    format!("{closed}, {child}")
}

fn end_of_shard(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    let parent = stream.shards().remove(0);
    put(&stream, "k", "x");
    stream.split(&parent);
    let mut answer = read(&stream, &iterator(&stream, parent.shard_id(), Type::TrimHorizon), None);
    // The service may want one more read to notice that this is the end.
    if let Some(next) = answer.next_shard_iterator.clone() {
        answer = read(&stream, &next, None);
    }
    let next = if answer.next_shard_iterator.is_none() { "no next iterator" } else { "a next iterator" };
    format!("{next}, {} children", ["no", "one", "two", "three"][answer.child_shards().len()])
}

fn put_after_merge(endpoint: &str) -> String {
    let stream = stream(endpoint, 2);
    let before: Vec<String> = (0..6).map(|n| put(&stream, &n.to_string(), "x").1).collect();
    let mut parents = stream.shards();
    parents.sort_by_key(range);
    stream.merge(&parents[0], &parents[1]);
    let (shard, number) = put(&stream, "k", "x");
    let place = if parents.iter().any(|p| p.shard_id == shard) { "in a parent" } else { "in the child" };
    let greater = before.iter().all(|old| (old.len(), old) < (number.len(), &number));
    format!("{place}, {}greater than its parents' last", if greater { "" } else { "not " })
}

fn split_at(stream: &Stream, shard: &Shard, at: u128) -> String {
    let call = stream.client().split_shard().stream_name(&stream.name).shard_to_split(shard.shard_id());
    code(block_on(call.new_starting_hash_key(at.to_string()).send()))
}

fn split_outside(endpoint: &str) -> String {
    let stream = stream(endpoint, 2);
    let mut shards = stream.shards();
    shards.sort_by_key(range);
    split_at(&stream, &shards[0], u128::MAX - 5)
}

fn merge_strangers(endpoint: &str) -> String {
    let stream = stream(endpoint, 3);
    let mut shards = stream.shards();
    shards.sort_by_key(range);
    let call = stream.client().merge_shards().stream_name(&stream.name).shard_to_merge(shards[0].shard_id());
    code(block_on(call.adjacent_shard_to_merge(shards[2].shard_id()).send()))
}

fn scale(stream: &Stream, target: i32) -> String {
    let call = stream.client().update_shard_count().stream_name(&stream.name).target_shard_count(target);
    let outcome = block_on(call.scaling_type(ScalingType::UniformScaling).send());
    if outcome.is_err() {
        return code(outcome);
    }
    stream.wait_until_active();
    format!("{} open of {}", stream.open_shards().len(), stream.shards().len())
}

fn doubled(endpoint: &str) -> String {
    scale(&stream(endpoint, 4), 8)
}

fn halved(endpoint: &str) -> String {
    scale(&stream(endpoint, 4), 2)
}

fn more_than_doubled(endpoint: &str) -> String {
    scale(&stream(endpoint, 4), 9)
}

fn pages(endpoint: &str) -> String {
    let stream = stream(endpoint, 5);
    let (mut sizes, mut ids, mut token) = (Vec::new(), Vec::new(), None);
    loop {
        let call = stream.client().list_shards().max_results(2);
        let call = match token.take() {
            Some(token) => call.next_token(token),
            None => call.stream_name(&stream.name),
        };
        let page = block_on(call.send()).expect("a page");
        sizes.push(page.shards().len().to_string());
        ids.extend(page.shards().iter().map(|shard| shard.shard_id.clone()));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    ids.dedup();
    format!("{} of {}", sizes.join(", "), ids.len())
}

fn token_and_name(endpoint: &str) -> String {
    let stream = stream(endpoint, 3);
    let first =
        block_on(stream.client().list_shards().stream_name(&stream.name).max_results(1).send()).expect("a page");
    let call = stream.client().list_shards().stream_name(&stream.name).next_token(first.next_token.expect("more"));
    code(block_on(call.send()))
}

fn filters(endpoint: &str) -> String {
    let stream = stream(endpoint, 2);
    let mut shards = stream.shards();
    shards.sort_by_key(range);
    stream.split(&shards[0]);
    stream.split(&stream.open_shards()[1]);
    let second = "shardId-000000000001";
    let count = |kind: ShardFilterType, id: Option<&str>| {
        let filter =
            ShardFilter::builder().r#type(kind).set_shard_id(id.map(str::to_string)).build().expect("a filter");
        let call = stream.client().list_shards().stream_name(&stream.name).shard_filter(filter);
        block_on(call.send()).expect("a list").shards().len()
    };
    let after = count(ShardFilterType::AfterShardId, Some(second));
    let call = stream.client().list_shards().stream_name(&stream.name).exclusive_start_shard_id(second);
    let exclusive = block_on(call.send()).expect("a list").shards().len();
    let open = count(ShardFilterType::AtLatest, None);
    format!("open {open}, after the second {after}, exclusive {exclusive}")
}

fn retention(endpoint: &str) -> String {
    let stream = stream(endpoint, 1);
    let hours = || {
        let call = stream.client().describe_stream_summary().stream_name(&stream.name);
        let summary = block_on(call.send()).expect("a summary").stream_description_summary.expect("a summary");
        summary.retention_period_hours
    };
    let longer = |to: i32| {
        let call = stream.client().increase_stream_retention_period().stream_name(&stream.name);
        code(block_on(call.retention_period_hours(to).send()))
    };
    let first = hours();
    longer(48);
    let second = hours();
    let call = stream.client().decrease_stream_retention_period().stream_name(&stream.name).retention_period_hours(24);
    code(block_on(call.send()));
    format!("{first}, {second}, {}; longer than a year: {}", hours(), longer(8_761))
}
