//! The Kinesis that simulations run on behaves as the service does: one list of checks, through Amazon's own SDK, against our fake
//! and against kinesis-local. Where kinesis-local differs by a defect of its own, it stands in a list with what it says instead.

mod checks;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tests::emulator;
use tests::kinesis_fake::faults::{Fault, Faults};
use tests::kinesis_fake::{KinesisFake, server};

use checks::CHECKS;

/// A stream on the fake is busy for so long after a change, as on the emulator.
const CHANGE_TAKES: Duration = Duration::from_millis(50);

/// What kinesis-local 0.6.2 says otherwise than the service.
const KINESIS_LOCAL: &[(&str, &str)] = &[
    ("a sequence number of another stream", "ResourceNotFoundException"),
    ("an instant in the future", "accepted"),
    ("an iterator of no meaning", "http Some(500)"),
    ("more than 500 records in one call", "accepted"),
    ("a record of 1 MiB and a byte", "accepted"),
    ("a read of 10,001 records", "InvalidArgumentException"),
    // What is left arrived in the millisecond of the last record it gave: that counts as the tip there.
    ("10 MiB in one read", "10 of 12, at the tip; 2, at the tip"),
];

/// What a server sees otherwise than the service, beside its known defects.
fn differences(endpoint: &str, defects: &[(&str, &str)]) -> Vec<String> {
    let mut differences = Vec::new();
    for check in CHECKS {
        let defect = defects.iter().find(|(name, _)| *name == check.name);
        let expected = defect.map_or(check.service, |(_, said)| said);
        let seen = (check.see)(endpoint);
        if seen != expected {
            differences.push(format!("{}: {seen:?} instead of {expected:?}", check.name));
        }
    }
    differences
}

#[test]
fn the_fake_behaves_as_the_service_does() {
    let fake = KinesisFake::new(Arc::new(ingest::clock::now_ms), CHANGE_TAKES);
    let differences = differences(&server::start(fake), &[]);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn kinesis_local_behaves_as_the_service_does_but_for_known_defects() {
    let differences = differences(&emulator::kinesis_local().url(), KINESIS_LOCAL);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn known_defects_are_of_checks_that_there_are() {
    for (name, said) in KINESIS_LOCAL {
        let check = CHECKS.iter().find(|check| check.name == *name);
        assert!(check.is_some_and(|check| check.service != *said), "{name}");
    }
}

/// A stream `s` of one shard under a clock that stands still until it is moved.
fn still() -> (KinesisFake, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
    let read = clock.clone();
    let fake = KinesisFake::new(Arc::new(move || read.load(Ordering::SeqCst)), Duration::ZERO);
    said(&fake, "CreateStream", json!({ "StreamName": "s", "ShardCount": 1 }));
    (fake, clock)
}

fn said(fake: &KinesisFake, call: &str, body: Value) -> Value {
    let answer = fake.call(call, body.to_string().as_bytes());
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

fn put(fake: &KinesisFake, count: usize) {
    let record = json!({ "Data": "eA==", "PartitionKey": "k" });
    let answer = said(fake, "PutRecords", json!({ "StreamName": "s", "Records": vec![record; count] }));
    assert_eq!(answer["FailedRecordCount"], 0, "{answer}");
}

fn horizon(fake: &KinesisFake) -> Value {
    let wanted = json!({ "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON" });
    said(fake, "GetShardIterator", wanted)["ShardIterator"].clone()
}

fn read(fake: &KinesisFake, iterator: &Value) -> Value {
    said(fake, "GetRecords", json!({ "ShardIterator": iterator }))
}

fn count(answer: &Value) -> usize {
    answer["Records"].as_array().map_or(0, Vec::len)
}

#[test]
fn an_iterator_of_the_fake_is_good_for_five_minutes() {
    let (fake, clock) = still();
    put(&fake, 3);
    let iterator = horizon(&fake);
    clock.fetch_add(300_000, Ordering::SeqCst);
    let answer = read(&fake, &iterator);
    assert_eq!(count(&answer), 3);
    clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(read(&fake, &iterator)["__type"], "ExpiredIteratorException");
    assert_eq!(count(&read(&fake, &answer["NextShardIterator"])), 0, "the one that was given then is younger");
}

#[test]
fn the_fake_forgets_what_is_older_than_the_retention() {
    let (fake, clock) = still();
    put(&fake, 2);
    clock.fetch_add(20 * 3_600_000, Ordering::SeqCst);
    put(&fake, 3);
    said(
        &fake,
        "SplitShard",
        json!({ "StreamName": "s", "ShardToSplit": "shardId-000000000000",
        "NewStartingHashKey": (u128::MAX / 2).to_string() }),
    );
    clock.fetch_add(5 * 3_600_000, Ordering::SeqCst);
    assert_eq!(count(&read(&fake, &horizon(&fake))), 3);
    clock.fetch_add(20 * 3_600_000, Ordering::SeqCst);
    let listed = said(&fake, "ListShards", json!({ "StreamName": "s" }));
    assert_eq!(listed["Shards"].as_array().map(Vec::len), Some(2), "the parent is gone: {listed}");
}

#[test]
fn each_fault_is_injected_and_the_same_seed_injects_the_same() {
    let play = |seed| {
        let (fake, _) = still();
        fake.set_faults(Faults::seeded(seed, 50, 0));
        let mut answers = Vec::new();
        for _ in 0..300 {
            let records = json!([{ "Data": "eA==", "PartitionKey": "k" }, { "Data": "eQ==", "PartitionKey": "l" }]);
            for (call, body) in [
                ("PutRecords", json!({ "StreamName": "s", "Records": records })),
                ("ListShards", json!({ "StreamName": "s" })),
                ("GetRecords", json!({ "ShardIterator": horizon(&fake) })),
            ] {
                let answer = tests::block_on(fake.exchange(call, body.to_string().as_bytes()));
                answers.push(answer.map(|answer| (answer.status, answer.body)));
            }
        }
        (answers, fake.injected())
    };
    let (answers, injected) = play(7);
    let all =
        [Fault::Throttled, Fault::Failed, Fault::Unavailable, Fault::AnswerLost, Fault::Expired, Fault::EmptyRead];
    for fault in all.iter().chain(&[Fault::Partial(0), Fault::OldList]) {
        assert!(injected.get(fault).is_some_and(|count| *count > 5), "{fault:?}: {injected:?}");
    }
    assert_eq!(play(7).0, answers);
    assert_ne!(play(8).0, answers);
}
