//! The Kinesis Client Library assigns, we fence: machines that read one stream through its real daemon, and are killed.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tests::alluvium::{self, Lake, attribute_events};
use tests::kcl::{Machine, jars, required, wait_for_shards};
use tests::kinesis::Stream;
use tests::numbered::{Producer, check};
use tests::{emulator, unique, wait_for};

/// Short ages, so that a kill finds cuts in all states.
const BUFFER: &str = "[buffer]\nage = \"2 s\"\nidle = \"1 s\"\nrows = 200\n";

const SHARDS: u64 = 4;

/// Seconds for the daemon to start, agree on a leader and assign: about 40 on two busy cores.
const ASSIGNED_SECONDS: u64 = 300;

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
        // Every shard gets some, which is what the library balances by. The event's number is in its first 23 bytes, which
        // are all of a broken one.
        stream.put(records, |event| String::from_utf8_lossy(&event[..23]).into_owned());
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

/// Without the daemon: the child's part alone, as a process.
#[test]
fn the_child_of_a_shard_passes_on_both_ways() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kcl.sock");
    let run = UnixListener::bind(&path).expect("a socket");
    let mut shard = alluvium::command();
    shard.arg("shard").arg("--socket").arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = shard.spawn().expect("the binary starts");
    let (mut daemon, mut answers) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let (mut socket, _) = run.accept().expect("the child connects");
    daemon.write_all(b"question\n").expect("the child reads");
    let mut heard = [0; 9];
    socket.read_exact(&mut heard).expect("the question is passed on");
    socket.write_all(b"\nanswer\n").expect("the child reads");
    let mut answer = [0; 8];
    answers.read_exact(&mut answer).expect("the answer is passed on while both sides stay open");
    assert_eq!((&heard, &answer), (b"question\n", b"\nanswer\n"));
    drop(daemon);
    assert_eq!(socket.read(&mut heard).expect("the end of input is passed on"), 0);
    drop(socket);
    assert!(child.wait().expect("the child ends").success());
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
