//! Streams whose shards change under their reader: split, merged, resized, drained while they are split again, found closed by a
//! cold start, listed by pages, and left by a process that ends just then.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ingest::record::Batch;
use ingest::source::kinesis::{KinesisSettings, StartSetting};
use schemas::position::ShardId;
use tests::alluvium::{Lake, Running, attribute_events};
use tests::kinesis::Stream;
use tests::kinesis_fake::{KinesisFake, server};
use tests::numbered::{Producer, check};
use tests::{emulator, wait_for};

use crate::end_to_end::kinesis_source;
use crate::kinesis::{Known, Reading, put, read, settings};

/// Files soon, so that a process that ends leaves cuts in all states.
const BUFFER: &str = "[buffer]\nage = \"300 ms\"\nidle = \"150 ms\"\nrows = 100\n";

fn shard_id(stream: &Stream, shard: &str) -> ShardId {
    ShardId::new(format!("{}:{shard}", stream.name))
}

fn index(batches: &[Batch], what: impl Fn(&Batch) -> bool) -> usize {
    batches.iter().position(what).expect("it came")
}

#[test]
fn a_split_parent_is_read_to_its_end_before_its_children() {
    let stream = Stream::new(emulator::kinesis_local(), "split", 1);
    put(&stream, 0..60);
    let parent = stream.open_shards().remove(0);
    stream.split(&parent);
    put(&stream, 60..120);
    let few = KinesisSettings { records_per_read: 25, ..settings(&stream, StartSetting::TrimHorizon) };
    let mut reading = Reading::start(few, &Known::default());
    let batches = reading.take(120);
    reading.stop();

    assert_eq!(read(&batches), Vec::from_iter(0..120));
    let parent = shard_id(&stream, parent.shard_id());
    let end = index(&batches, |b| b.last && b.shard == parent);
    assert_eq!(end + 1, index(&batches, |b| b.shard != parent), "children come right behind the parent's end");
    assert!(batches[end..].iter().skip(1).all(|b| b.shard != parent));
}

#[test]
fn a_cold_start_on_merged_shards_waits_for_both_parents() {
    let stream = Stream::new(emulator::kinesis_local(), "merge", 2);
    put(&stream, 0..60);
    let open = stream.open_shards();
    stream.merge(&open[0], &open[1]);
    put(&stream, 60..90);
    let mut reading = Reading::start(settings(&stream, StartSetting::TrimHorizon), &Known::default());
    let batches = reading.take(90);
    reading.stop();

    assert_eq!(read(&batches), Vec::from_iter(0..90));
    let parents: Vec<_> = open.iter().map(|s| shard_id(&stream, s.shard_id())).collect();
    let child = index(&batches, |b| !parents.contains(&b.shard));
    for parent in &parents {
        assert!(index(&batches, |b| b.last && b.shard == *parent) < child, "{parent} ends before its child begins");
    }
}

#[test]
fn a_stream_that_is_split_and_merged_while_it_is_read_from_latest_loses_and_repeats_nothing() {
    let stream = Stream::new(emulator::kinesis_local(), "live", 1);
    put(&stream, 0..10);
    // The emulator stamps to the millisecond, and `latest` begins with its own.
    thread::sleep(Duration::from_millis(20));
    let mut reading = Reading::start(settings(&stream, StartSetting::Latest), &Known::default());
    // `latest` is said when the source runs; a shard that is claimed says that it has been.
    wait_for("the shard to be claimed", 60, || {
        (!reading.known.lock().expect("nothing panics holding it").is_empty()).then_some(())
    });
    put(&stream, 10..30);
    stream.split(&stream.open_shards()[0]);
    put(&stream, 30..60);
    let halves = stream.open_shards();
    stream.merge(&halves[0], &halves[1]);
    put(&stream, 60..90);
    let batches = reading.take(80);
    reading.stop();
    assert_eq!(read(&batches), Vec::from_iter(10..90));
}

/// No batch of a shard before the last one of each of its parents.
fn assert_parents_first(stream: &Stream, batches: &[Batch]) {
    for shard in stream.shards() {
        let Some(first) = batches.iter().position(|b| b.shard == shard_id(stream, shard.shard_id())) else { continue };
        for parent in [shard.parent_shard_id(), shard.adjacent_parent_shard_id()].into_iter().flatten() {
            let parent = shard_id(stream, parent);
            let end = index(batches, |b| b.last && b.shard == parent);
            assert!(end < first, "{} begins before {parent} has ended", shard.shard_id());
        }
    }
}

#[test]
fn children_that_are_split_again_while_their_parent_is_drained_wait_their_turn() {
    let stream = Stream::new(emulator::kinesis_local(), "again", 1);
    put(&stream, 0..100);
    let few = KinesisSettings { records_per_read: 10, ..settings(&stream, StartSetting::TrimHorizon) };
    let mut reading = Reading::start(few, &Known::default());
    let mut batches = reading.take(20);
    // The reader is in the midst of the first generation while two more come to be.
    for generation in 1..=2 {
        for shard in stream.open_shards() {
            stream.split(&shard);
        }
        put(&stream, generation * 100..(generation + 1) * 100);
    }
    batches.extend(reading.take(280));
    reading.stop();
    assert_eq!(read(&batches), Vec::from_iter(0..300));
    assert_parents_first(&stream, &batches);
}

#[test]
fn a_stream_that_is_resized_up_and_down_while_it_is_read_loses_and_repeats_nothing() {
    let stream = Stream::new(emulator::kinesis_local(), "resize", 2);
    let mut reading = Reading::start(settings(&stream, StartSetting::TrimHorizon), &Known::default());
    let mut batches = Vec::new();
    for (round, shards) in [4, 2, 3].into_iter().enumerate() {
        let first = round as u32 * 60;
        put(&stream, first..first + 60);
        assert!(stream.try_resize(shards), "to {shards} shards");
        assert_eq!(stream.open_shards().len(), shards as usize);
        batches.extend(reading.take(30));
    }
    batches.extend(reading.take(180 - read(&batches).len()));
    reading.stop();
    assert_eq!(read(&batches), Vec::from_iter(0..180));
    assert_parents_first(&stream, &batches);
}

#[test]
fn a_cold_start_at_the_tip_of_a_stream_with_closed_shards_takes_what_is_new_and_nothing_else() {
    let stream = Stream::new(emulator::kinesis_local(), "tip", 1);
    put(&stream, 0..20);
    stream.split(&stream.open_shards()[0]);
    let halves = stream.open_shards();
    put(&stream, 20..40);
    stream.merge(&halves[0], &halves[1]);
    // The emulator stamps to the millisecond, and `latest` begins with its own.
    thread::sleep(Duration::from_millis(20));
    let mut reading = Reading::start(settings(&stream, StartSetting::Latest), &Known::default());
    wait_for("the shard to be claimed", 60, || {
        (!reading.known.lock().expect("nothing panics holding it").is_empty()).then_some(())
    });
    put(&stream, 40..60);
    let batches = reading.take(20);
    reading.stop();
    assert_eq!(read(&batches), Vec::from_iter(40..60));
}

/// A page holds 1,000.
#[test]
fn more_shards_than_two_pages_of_their_list_are_all_read() {
    const SHARDS: u32 = 2_100;
    let fake = KinesisFake::new(Arc::new(ingest::clock::now_ms), Duration::from_millis(50));
    let stream = Stream::at(&server::start(fake), "pages", SHARDS as i32).expect("a stream of so many shards");
    put(&stream, 0..3 * SHARDS);
    let rarely = Duration::from_secs(3_600);
    let settings = KinesisSettings { idle_poll: rarely, ..settings(&stream, StartSetting::TrimHorizon) };
    let mut reading = Reading::start(settings, &Known::default());
    let batches = reading.take(3 * SHARDS as usize);
    let claimed = reading.known.lock().expect("nothing panics holding it").len();
    reading.stop();
    assert_eq!(read(&batches), Vec::from_iter(0..3 * SHARDS));
    assert_eq!(claimed, SHARDS as usize);
}

/// How a process ends right when its shard has been split.
enum Ended {
    Asked,
    Killed,
}

/// Splits the first shard, and after a moment ends the process that reads it: while it reads the parent's last records, stores
/// them, writes its end into the log, claims the children. What is put in between is in the children.
fn ends_at_a_split(how: &Ended) {
    let stream = Stream::new(emulator::kinesis_local(), "at-split", 1);
    let lake = Lake::local();
    let fast = "discover_every = \"1 s\"\nidle_poll = \"100 ms\"\n";
    let sections = format!("{}{fast}\n{}\n{BUFFER}", kinesis_source(&stream), attribute_events());
    let producer = Producer::into_stream(stream.clone());
    for after_ms in [0, 40, 120, 250, 500] {
        let mut running = Running::start(&lake, &sections);
        thread::sleep(Duration::from_millis(300));
        stream.split(&stream.open_shards()[0]);
        thread::sleep(Duration::from_millis(after_ms));
        match how {
            Ended::Asked => running.stop(),
            Ended::Killed => running.kill(),
        }
    }
    let last = Running::start(&lake, &sections);
    let put = producer.stop();
    lake.until_cut(put.known.len());
    last.stop();
    check(&lake, &put);
}

#[test]
fn a_process_that_is_stopped_right_at_a_split_goes_on_behind_it() {
    ends_at_a_split(&Ended::Asked);
}

#[test]
fn a_process_that_is_killed_right_at_a_split_goes_on_behind_it() {
    ends_at_a_split(&Ended::Killed);
}
