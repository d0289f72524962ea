//! Records aggregated by Amazon's own library (KPL format), through kills: each user record is one row, also where a cut ended
//! inside an aggregate.

use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::alluvium::{Lake, Running, attribute_events};
use tests::emulator::Emulator;
use tests::kinesis::Stream;
use tests::{corpus, duck, emulator, file, log, tools};

use crate::end_to_end::kinesis_source;

/// Files of few rows, so that one aggregate goes into many cuts.
const BUFFER: &str = "[buffer]\nage = \"300 ms\"\nidle = \"150 ms\"\nrows = 3\n";

/// Bytes of an aggregate: about eighty events.
const AGGREGATE_BYTES: usize = 25_000;

const LIFE_MS: std::ops::Range<u64> = 200..2_000;

#[test]
fn each_user_record_is_stored_once_through_kills_inside_aggregates() {
    through_kills(emulator::ministack(), 4_000, 8);
}

#[test]
fn also_with_the_sequence_numbers_of_kinesis() {
    through_kills(emulator::kinesis_local(), 1_000, 4);
}

fn through_kills(emulator: &Emulator, events: usize, kills: usize) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (stream, lake) = (Stream::new(emulator, "aggregates", 2), Lake::local());
    let records = put(&lake, &stream, &corpus::sp500()[..events]);
    assert!(records > events / 150 && records < events / 20, "{events} events in {records} records");
    // Few records a read, so that a life ends while there is more to come.
    let sections = format!("{}records_per_read = 4\n{}\n{BUFFER}", kinesis_source(&stream), attribute_events());
    for kill in 0..kills {
        let mut running = Running::spawn(&lake, &sections);
        std::thread::sleep(Duration::from_millis(random.random_range(LIFE_MS)));
        assert!(running.is_alive(), "kill {kill}, seed {seed}: ended by itself:\n{}", running.log());
        running.kill();
    }
    let last = Running::start(&lake, &sections);
    lake.until_cut(events);
    last.stop();
    check(&lake, events);
}

/// Puts the events, aggregated by Amazon's library for Python; gives the number of records.
fn put(lake: &Lake, stream: &Stream, events: &[Vec<u8>]) -> usize {
    let lines = lake.file("events.ndjson");
    std::fs::write(&lines, events.join(&b'\n')).expect("writable");
    let mut command = Command::new(tools::python("python"));
    command.arg(file("tests/support/put_aggregates.py")).args([&stream.endpoint, &stream.name]).arg(lines);
    command.arg(AGGREGATE_BYTES.to_string()).env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    tools::output(&mut command).trim().parse().expect("a number")
}

fn check(lake: &Lake, events: usize) {
    let table = duck::lake(&lake.table.url());
    let rows = duck::query(&format!("select count(*) as rows, count(distinct event_id) as events from {table}"));
    assert_eq!(rows, [serde_json::json!({"rows": events, "events": events})]);
    assert!(lake.rejects().is_empty());
    assert_eq!(log::named_objects(&lake.state).into_iter().collect::<Vec<_>>(), lake.table.list());
    let split = duck::number(&format!(
        "select count(*) from (
            select split_part(_position, '.', 1) as record from {}
            group by all having count(distinct regexp_extract(filename, '([0-9a-f]+-[0-9]+)-[0-9]+.parquet$', 1)) > 1)",
        table.replace("hive_partitioning", "filename = true, hive_partitioning")
    ));
    assert!(split > 0, "no aggregate went into several cuts: the test shows less than it says");
}
