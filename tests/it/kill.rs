//! kill -9 at random moments under load, start again by the same command: no row lost, none twice, no object that the log does
//! not name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::alluvium::{Lake, Running, attribute_events, loopback};
use tests::bundle::bundle;
use tests::firehose::Firehose;
use tests::kinesis::Stream;
use tests::{duck, emulator, log};

use crate::clients::{STREAM, intake_source};
use crate::end_to_end::kinesis_source;

/// Kills for each way.
const ROUNDS: u32 = 30;

/// Longest life of a process, from its start: long enough for recovery, reading, cuts and uploads to be what is cut short.
const LIFE_MS_MAX: u64 = 1_500;

/// Events in one put, and the pause after it: about 2,000 events per second.
const PUT_EVENTS: usize = 40;
const PUT_PAUSE: Duration = Duration::from_millis(20);

/// Every so many events one is no JSON, and has to be in the errors output as exactly once as the others in the table.
const BROKEN_EVERY: usize = 20;

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
    let producer = Producer::start(move |records| {
        stream.put(records, |data| format!("{:?}", data.len() % 7));
        true
    });
    kill_rounds(&lake, &sections, rounds);
    let put = producer.stop();
    let last = Running::start(&lake, &sections);
    lake.until_cut(put.known.len());
    last.stop();
    check(&lake, &put);
}

fn kill_rounds(lake: &Lake, sections: &str, rounds: u32) {
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

/// Puts numbered events without end.
#[derive(Debug)]
struct Producer {
    stop: Arc<AtomicBool>,
    put: Arc<Mutex<Put>>,
    thread: JoinHandle<()>,
}

/// What was put, by number.
#[derive(Debug, Default, Clone)]
struct Put {
    /// Of these we know that they were taken: each has to be stored.
    known: Vec<usize>,
    /// All that were sent; without an answer they may be stored or not, but not twice.
    sent: usize,
}

impl Producer {
    fn start(put_call: impl Fn(&[Vec<u8>]) -> bool + Send + 'static) -> Producer {
        let (stop, put) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Put::default())));
        let (stopped, ledger) = (stop.clone(), put.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let first = ledger.lock().expect("no panic holds it").sent;
                let numbers = first..first + PUT_EVENTS;
                let taken = put_call(&numbers.clone().map(event).collect::<Vec<_>>());
                let mut ledger = ledger.lock().expect("no panic holds it");
                ledger.sent = numbers.end;
                if taken {
                    ledger.known.extend(numbers);
                }
                drop(ledger);
                thread::sleep(PUT_PAUSE);
            }
        });
        Producer { stop, put, thread }
    }

    /// Puts a little more, then ends.
    fn stop(self) -> Put {
        thread::sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the producer ends");
        let put = self.put.lock().expect("no panic holds it");
        put.clone()
    }
}

fn is_broken(number: usize) -> bool {
    number % BROKEN_EVERY == BROKEN_EVERY - 1
}

/// Twelve partitions at most, so that a kill meets files of several of them.
fn event(number: usize) -> Vec<u8> {
    let id = number_id(number);
    if is_broken(number) {
        return format!("{{\"event_id\":\"{id}\"").into_bytes();
    }
    let (day, entity) = (1 + number % 2, number % 3);
    let attribute = ["name", "industry"][number / 2 % 2];
    format!(
        "{{\"event_id\":\"{id}\",\"entity_id\":\"us:{entity}\",\"attribute_name\":\"{attribute}\",\"op\":\"set\",\
         \"value\":\"{number}\",\"previous_value\":null,\"created_at\":\"2024-01-0{day}T00:00:00Z\",\
         \"source\":{{\"type\":\"test\",\"message\":\"{}\"}}}}",
        "x".repeat(number % 300)
    )
    .into_bytes()
}

fn number_id(number: usize) -> String {
    format!("n{number:08}")
}

fn check(lake: &Lake, put: &Put) {
    let counts =
        duck::query(&format!("select event_id, count(*) as n from {} group by all", duck::lake(&lake.table.url())));
    let rows = counts.iter().map(|row| (text(row, "event_id"), row["n"].as_u64().expect("a count")));
    exactly_once(put, "the table", rows.collect(), |number| !is_broken(number));
    let mut broken = std::collections::BTreeMap::new();
    for reject in lake.rejects() {
        let raw = STANDARD.decode(text(&reject, "rawData")).expect("base64");
        let raw = String::from_utf8(raw).expect("the event was text");
        let id = raw.trim_start_matches("{\"event_id\":\"").trim_end_matches('"').to_string();
        *broken.entry(id).or_insert(0) += 1;
    }
    exactly_once(put, "the errors output", broken.into_iter().collect(), is_broken);

    let named: Vec<String> = log::named_objects(&lake.state).into_iter().collect();
    assert_eq!(named, lake.table.list(), "objects the log names, objects there are");
}

fn text(row: &serde_json::Value, member: &str) -> String {
    row[member].as_str().unwrap_or_else(|| panic!("no text {member} in {row}")).to_string()
}

/// `found` are ids with their counts; `belongs` says which numbers belong there.
fn exactly_once(put: &Put, place: &str, found: Vec<(String, u64)>, belongs: impl Fn(usize) -> bool) {
    let twice: Vec<_> = found.iter().filter(|(_, n)| *n != 1).collect();
    assert!(twice.is_empty(), "{place}: {} events repeated: {:?}", twice.len(), &twice[..twice.len().min(5)]);
    let found: std::collections::HashSet<String> = found.into_iter().map(|(id, _)| id).collect();
    let lost: Vec<_> = put.known.iter().filter(|n| belongs(**n) && !found.contains(&number_id(**n))).collect();
    assert!(lost.is_empty(), "{place}: {} events lost: {:?}", lost.len(), &lost[..lost.len().min(5)]);
    let sent: std::collections::HashSet<String> = (0..put.sent).filter(|n| belongs(*n)).map(number_id).collect();
    let foreign: Vec<_> = found.difference(&sent).take(5).collect();
    assert!(foreign.is_empty(), "{place}: events nobody sent: {foreign:?}");
}
