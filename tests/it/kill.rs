//! kill -9 at random moments under load, start again by the same command: no row lost, none twice, no object that the log does
//! not name.

use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::alluvium::{Lake, Running, attribute_events, loopback};
use tests::bundle::bundle;
use tests::emulator;
use tests::firehose::Firehose;
use tests::kinesis::Stream;
use tests::numbered::{PUT_EVENTS, Producer, check};

use crate::clients::{STREAM, intake_source};
use crate::end_to_end::kinesis_source;

/// Kills for each way.
const ROUNDS: u32 = 30;

/// Longest life of a process, from its start: long enough for recovery, reading, cuts and uploads to be what is cut short.
const LIFE_MS_MAX: u64 = 1_500;

/// Short ages, so that each life of a process holds many cuts.
const BUFFER: &str = "[buffer]\nage = \"300 ms\"\nidle = \"150 ms\"\nrows = 100\n";

#[test]
fn kinesis_to_local_disk() {
    through_kinesis(Lake::local(), ROUNDS);
}

#[test]
fn kinesis_to_s3() {
    through_kinesis(Lake::s3("kill"), ROUNDS);
}

#[test]
fn intake_to_local_disk() {
    through_intake(ROUNDS / 2, <[Vec<u8>]>::to_vec);
}

/// Cuts and kills fall within records.
#[test]
fn intake_of_several_events_in_a_record_to_local_disk() {
    through_intake(ROUNDS / 2, bundle);
}

fn through_intake(rounds: u32, records: fn(&[Vec<u8>]) -> Vec<Vec<u8>>) {
    let (lake, listen) = (Lake::local(), loopback());
    let client = Firehose::new(&listen, STREAM);
    let producer = Producer::start(move |events| client.put_call(&records(events)).is_ok());
    let sections = format!("{}\n{}\n{BUFFER}", intake_source(&lake, &listen), attribute_events());
    kill_rounds(&lake, &sections, rounds);
    let last = Running::start(&lake, &sections);
    let put = producer.stop();
    assert!(put.known.len() > PUT_EVENTS, "the intake answered {} events only", put.known.len());
    lake.until_cut(put.known.len());
    last.stop();
    check(&lake, &put);
}

fn through_kinesis(lake: Lake, rounds: u32) {
    let stream = Stream::new(emulator::ministack(), "kill", 4);
    let sections = format!("{}\n{}\n{BUFFER}", kinesis_source(&stream), attribute_events());
    let producer = Producer::into_stream(stream);
    kill_rounds(&lake, &sections, rounds);
    let put = producer.stop();
    let last = Running::start(&lake, &sections);
    lake.until_cut(put.known.len());
    last.stop();
    check(&lake, &put);
}

pub(crate) fn kill_rounds(lake: &Lake, sections: &str, rounds: u32) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..rounds {
        let mut running = Running::spawn(lake, sections);
        thread::sleep(Duration::from_millis(random.random_range(20..LIFE_MS_MAX)));
        assert!(running.is_alive(), "round {round}, seed {seed}: ended by itself:\n{}", running.log());
        running.kill();
    }
}
