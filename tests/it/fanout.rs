//! `reader = "fan-out"`: emulators push, the real process stores each event once, through kills, splits and a consumer that goes
//! away.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::alluvium::{Lake, Running, attribute_events};
use tests::kinesis::Stream;
use tests::{corpus, duck, emulator, log, wait_for};

use crate::end_to_end::{entity, kinesis_source};

const BUFFER: &str = "[buffer]\nage = \"2 s\"\nidle = \"500 ms\"\n";

/// Kills of the process that is pushed to. Each may cost the next one the five seconds for which a subscription is its former
/// holder's.
const KILLS: usize = 6;
const LIFE_MS: std::ops::Range<u64> = 200..9_000;

fn sections(stream: &Stream, more: &str) -> String {
    format!("{}reader = \"fan-out\"\n{more}\n{}\n{BUFFER}", kinesis_source(stream), attribute_events())
}

/// The first `events` of the log are in the table once each, and no object is there that the log does not name.
fn check(lake: &Lake, events: usize) {
    let rows = duck::query(&format!(
        "select count(*) as rows, count(distinct event_id) as events from {}",
        duck::lake(&lake.table.url())
    ));
    assert_eq!(rows, [serde_json::json!({"rows": events, "events": events})]);
    assert_eq!(log::named_objects(&lake.state).into_iter().collect::<Vec<_>>(), lake.table.list());
    assert!(lake.rejects().is_empty());
}

/// A number of `/metrics`.
fn metric(running: &Running, name: &str) -> u64 {
    let text = running.metrics();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("_total "));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

#[test]
fn events_that_are_pushed_are_stored_once_each_through_kills() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (stream, lake) = (Stream::new(emulator::ministack(), "pushed", 2), Lake::s3("pushed"));
    let sections = sections(&stream, "");
    let events = &corpus::sp500()[..(KILLS + 1) * 300];
    let mut parts = events.chunks(300);
    for kill in 0..KILLS {
        let mut running = Running::spawn(&lake, &sections);
        let life = Duration::from_millis(random.random_range(LIFE_MS));
        std::thread::sleep(life / 2);
        stream.put(parts.next().expect("a part for each"), entity);
        std::thread::sleep(life / 2);
        assert!(running.is_alive(), "kill {kill}, seed {seed}: ended by itself:\n{}", running.log());
        running.kill();
    }
    let last = Running::start(&lake, &sections);
    stream.put(parts.next().expect("a part for each"), entity);
    lake.until_cut(events.len());
    assert!(metric(&last, "alluvium_kinesis_subscriptions") >= 2, "{}", last.log());
    assert!(metric(&last, "alluvium_kinesis_fanout_events") > 0, "{}", last.log());
    last.stop();
    check(&lake, events.len());
    assert_eq!(stream.consumers().len(), 1, "all processes of a lake share one");
}

#[test]
fn a_consumer_that_is_deregistered_is_registered_again() {
    let (stream, lake) = (Stream::new(emulator::ministack(), "pushed-again", 1), Lake::local());
    let events = &corpus::sp500()[..200];
    stream.put(&events[..100], entity);
    let running = Running::start(&lake, &sections(&stream, "consumer = \"one.lake\""));
    lake.until_cut(100);
    assert_eq!(stream.consumers(), ["one.lake"]);
    stream.deregister("one.lake");
    stream.put(&events[100..], entity);
    lake.until_cut(events.len());
    running.stop();
    check(&lake, events.len());
    assert_eq!(stream.consumers(), ["one.lake"], "and left registered");
}

/// kinesis-local does not tell a subscriber that its shard has ended.
#[test]
fn a_shard_that_is_split_under_its_subscriber_is_followed_by_its_children() {
    let (stream, lake) = (Stream::new(emulator::kinesis_local(), "pushed-split", 1), Lake::local());
    let running = Running::start(&lake, &sections(&stream, "discover_every = \"1 s\""));
    let events = &corpus::sp500()[..400];
    for (round, part) in events.chunks(100).enumerate() {
        stream.put(part, entity);
        lake.until_cut((round + 1) * 50);
        if round < 3 {
            stream.split(&stream.open_shards()[0]);
        }
    }
    lake.until_cut(events.len());
    running.stop();
    check(&lake, events.len());
    assert_eq!(stream.open_shards().len(), 4);
}

#[test]
fn an_idle_shard_is_caught_up() {
    let (stream, lake) = (Stream::new(emulator::ministack(), "pushed-idle", 3), Lake::local());
    let running = Running::start(&lake, &sections(&stream, ""));
    wait_for("the lag of three shards", 60, || {
        let lags =
            running.metrics().lines().filter(|l| l.starts_with("alluvium_kinesis_millis_behind_latest{")).count();
        (lags == 3).then_some(())
    });
    running.stop();
    assert!(lake.table.list().is_empty());
}
