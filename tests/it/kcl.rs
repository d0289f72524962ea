//! The Kinesis Client Library assigns, we fence: machines that read one stream through its real daemon, and are killed.

use std::thread;
use std::time::Duration;

use tests::alluvium::{Lake, attribute_events};
use tests::kcl::{Machine, jars, required, wait_for_shards};
use tests::kinesis::Stream;
use tests::numbered::{Producer, check};
use tests::{emulator, unique, wait_for};

/// Short ages, so that a kill finds cuts in all states.
const BUFFER: &str = "[buffer]\nage = \"2 s\"\nidle = \"1 s\"\nrows = 200\n";

const SHARDS: u64 = 4;

/// Seconds for the daemon to start, agree on a leader and assign: about 40 on two busy cores.
const ASSIGNED_SECONDS: u64 = 180;

/// Seconds for the shards of a dead leader: its lock is held for 120.
const LEADER_SECONDS: u64 = 300;

/// After a change, until it has been read under it for a while.
const READ_ON: Duration = Duration::from_secs(3);

fn sections() -> String {
    format!("{}\n{BUFFER}", attribute_events())
}

/// About 180 events a second.
fn put_slowly(stream: &Stream) -> Producer {
    let stream = stream.clone();
    Producer::start(move |records| {
        // The event's number is near its begin: every shard gets some, which is what the library balances by.
        stream.put(records, |event| String::from_utf8_lossy(&event[..24]).into_owned());
        thread::sleep(Duration::from_millis(200));
        true
    })
}

fn step(what: &str) {
    println!("kcl: {what}");
    thread::sleep(READ_ON);
}

/// A leader's death costs two minutes of waiting for its lock: only where the lane asks for it.
#[test]
fn two_machines_are_killed_in_every_part_and_no_event_suffers() {
    let Some(jars) = jars("two machines with the Kinesis Client Library") else { return };
    let stream = Stream::new(emulator::ministack(), "kcl", SHARDS as i32);
    let (lake, application) = (Lake::s3("kcl"), unique("kcl-app"));
    let machine = |name: &str| Machine::new(name, jars.clone(), &lake, &stream, &application, &sections());
    let (mut a, mut b) = (machine("a"), machine("b"));
    let producer = put_slowly(&stream);
    a.start();
    wait_for_shards(&[&a], SHARDS, 1, ASSIGNED_SECONDS);
    b.start();
    wait_for_shards(&[&a, &b], SHARDS, 1, ASSIGNED_SECONDS);
    step("a second machine took shards over by agreement");
    b.die();
    wait_for_shards(&[&a], SHARDS, SHARDS, ASSIGNED_SECONDS);
    step("the shards of a dead machine are read by the other");
    b.start();
    wait_for_shards(&[&a, &b], SHARDS, 1, ASSIGNED_SECONDS);
    step("the machine has come back");
    a.kill_daemon();
    step("a daemon was killed");
    wait_for_shards(&[&a, &b], SHARDS, 1, ASSIGNED_SECONDS);
    b.kill_run();
    step("a run was killed");
    wait_for_shards(&[&a, &b], SHARDS, 1, ASSIGNED_SECONDS);
    if required() {
        a.die();
        wait_for_shards(&[&b], SHARDS, SHARDS, LEADER_SECONDS);
        step("the shards of the dead leader are read by the other");
    }
    let put = producer.stop();
    lake.until_cut(put.known.len());
    b.stop();
    if !required() {
        a.stop();
    }
    check(&lake, &put);
    println!("kcl: {} events, each once", put.known.len());
}

#[test]
fn a_shard_that_is_split_is_stored_to_its_end_before_its_children() {
    let Some(jars) = jars("a split with the Kinesis Client Library") else { return };
    let stream = Stream::new(emulator::kinesis_local(), "kcl-split", 1);
    let (lake, application) = (Lake::s3("kcl-split"), unique("kcl-app"));
    let mut machine = Machine::new("m", jars, &lake, &stream, &application, &sections());
    let producer = put_slowly(&stream);
    machine.start();
    wait_for_shards(&[&machine], 1, 1, ASSIGNED_SECONDS);
    stream.split(&stream.open_shards()[0]);
    wait_for_shards(&[&machine], 2, 2, ASSIGNED_SECONDS);
    step("a shard was split");
    let put = producer.stop();
    lake.until_cut(put.known.len());
    wait_for("the shard's end in the log", 60, || machine.log().contains("shard given up").then_some(()));
    machine.stop();
    check(&lake, &put);
}
