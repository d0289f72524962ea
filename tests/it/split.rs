//! Several processes share a stream's shards: added, removed, killed and paused while events flow, and each event is stored once.

use std::thread;
use std::time::Duration;

use tests::alluvium::{Lake, Running, attribute_events};
use tests::kinesis::Stream;
use tests::numbered::{Producer, check};
use tests::{emulator, wait_for};

use crate::end_to_end::kinesis_source;

/// Short ages, so that a hand-over finds cuts under way; shards are looked for often, so that one given up is soon found.
const FAST: &str = "discover_every = \"1 s\"\nidle_poll = \"100 ms\"\n";
const BUFFER: &str = "[buffer]\nage = \"300 ms\"\nidle = \"150 ms\"\nrows = 100\n";

/// Seconds for something to be noticed between processes.
const NOTICED_SECONDS: u64 = 60;

fn sections(stream: &Stream) -> String {
    format!("{}{FAST}\n{}\n{BUFFER}", kinesis_source(stream), attribute_events())
}

/// Waits until the process says that it reads so many shards.
fn reads(running: &Running, shards: usize) {
    let line = format!("shards_owned {shards}\n");
    wait_for(&format!("{line} of\n{}", running.log()), NOTICED_SECONDS, || {
        running.metrics().contains(&line).then_some(())
    });
}

fn flow() {
    thread::sleep(Duration::from_millis(700));
}

#[test]
fn processes_come_and_go_while_events_flow() {
    let (stream, lake) = (Stream::new(emulator::ministack(), "split", 4), Lake::s3("split"));
    let sections = sections(&stream);
    let producer = Producer::into_stream(stream);
    let alone = Running::start_task(&lake, &sections, "0/1");
    reads(&alone, 4);
    flow();
    // A second one is added: it takes its half, the first one goes on with the rest.
    let beside = lake.beside();
    let second = Running::start_task(&beside, &sections, "1/2");
    reads(&second, 2);
    reads(&alone, 2);
    flow();
    // It is removed: what it gives up is found by the one that counts all shards as its own.
    second.stop();
    reads(&alone, 4);
    flow();
    // Added again, and killed: its shards wait for it.
    let mut second = Running::start_task(&beside, &sections, "1/2");
    reads(&second, 2);
    flow();
    second.kill();
    flow();
    let second = Running::start_task(&beside, &sections, "1/2");
    reads(&second, 2);
    reads(&alone, 2);
    let put = producer.stop();
    lake.until_cut(put.known.len());
    second.stop();
    alone.stop();
    check(&lake, &put);
}

#[test]
fn a_paused_writer_does_no_harm_when_it_wakes() {
    let (stream, lake) = (Stream::new(emulator::ministack(), "paused", 2), Lake::s3("paused"));
    let sections = sections(&stream);
    let producer = Producer::into_stream(stream);
    let mut current = Running::start(&lake, &sections);
    for round in 0..4 {
        thread::sleep(Duration::from_millis(400 + 130 * round));
        current.signal("STOP");
        let next = Running::start(&lake.beside(), &sections);
        flow();
        current.signal("CONT");
        assert_eq!(current.ended(NOTICED_SECONDS).code(), Some(4), "{}", current.log());
        current = next;
    }
    let put = producer.stop();
    lake.until_cut(put.known.len());
    current.stop();
    check(&lake, &put);
}

#[test]
fn children_wait_for_a_parent_that_the_other_process_reads() {
    let stream = Stream::new(emulator::kinesis_local(), "family", 2);
    let lake = Lake::local();
    let sections = sections(&stream);
    let producer = Producer::into_stream(stream.clone());
    let first = Running::start_task(&lake, &sections, "0/2");
    let beside = lake.beside();
    let second = Running::start_task(&beside, &sections, "1/2");
    flow();
    // Shard 0 is the first one's; its children 2 and 3 are shared out. Then 1 and 2 are merged into 4.
    let open = stream.open_shards();
    stream.split(&open[0]);
    reads(&second, 2);
    let open = stream.open_shards();
    let of = |id: &str| open.iter().find(|s| s.shard_id().ends_with(id)).unwrap_or_else(|| panic!("{id} of {open:?}"));
    stream.merge(of("3"), of("1"));
    reads(&first, 3);
    flow();
    let put = producer.stop();
    lake.until_cut(put.known.len());
    first.stop();
    second.stop();
    check(&lake, &put);
}
