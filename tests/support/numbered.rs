//! Numbered events under load, and the check that each is stored exactly once: what every test that kills, pauses or takes over
//! processes ends with.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::alluvium::Lake;
use crate::bundle::unpacked;
use crate::kinesis::Stream;
use crate::{duck, log};

/// Events in one put, and the pause after it: about 2,000 events per second.
pub const PUT_EVENTS: usize = 40;
const PUT_PAUSE: Duration = Duration::from_millis(20);

/// Every so many events one is no JSON, and has to be in the errors output as exactly once as the others in the table.
const BROKEN_EVERY: usize = 20;

/// Puts numbered events without end.
#[derive(Debug)]
pub struct Producer {
    stop: Arc<AtomicBool>,
    put: Arc<Mutex<Put>>,
    thread: JoinHandle<()>,
}

/// What was put, by number.
#[derive(Debug, Default, Clone)]
pub struct Put {
    /// Of these we know that they were taken: each has to be stored.
    pub known: Vec<usize>,
    /// All that were sent; without an answer they may be stored or not, but not twice.
    pub sent: usize,
}

impl Producer {
    /// Into a stream, spread over its shards.
    pub fn into_stream(stream: Stream) -> Producer {
        Producer::start(move |records| {
            stream.put(records, |data| format!("{:?}", data.len() % 7));
            true
        })
    }

    /// `put_call` says whether the events were taken.
    pub fn start(put_call: impl Fn(&[Vec<u8>]) -> bool + Send + 'static) -> Producer {
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
    pub fn stop(self) -> Put {
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
pub fn event(number: usize) -> Vec<u8> {
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

/// Each event once in the table or once in the errors output, and no object that the log does not name.
pub fn check(lake: &Lake, put: &Put) {
    let counts =
        duck::query(&format!("select event_id, count(*) as n from {} group by all", duck::lake(&lake.table.url())));
    let rows = counts.iter().map(|row| (text(row, "event_id"), row["n"].as_u64().expect("a count")));
    exactly_once(put, "the table", rows.collect(), |number| !is_broken(number));
    let mut broken = BTreeMap::new();
    for reject in lake.rejects() {
        let raw = STANDARD.decode(text(&reject, "rawData")).expect("base64");
        // A record that is one event is rejected as it came.
        let raw = String::from_utf8(unpacked(raw)).expect("the event was text");
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
    let found: HashSet<String> = found.into_iter().map(|(id, _)| id).collect();
    let lost: Vec<_> = put.known.iter().filter(|n| belongs(**n) && !found.contains(&number_id(**n))).collect();
    assert!(lost.is_empty(), "{place}: {} events lost: {:?}", lost.len(), &lost[..lost.len().min(5)]);
    let sent: HashSet<String> = (0..put.sent).filter(|n| belongs(*n)).map(number_id).collect();
    let foreign: Vec<_> = found.difference(&sent).take(5).collect();
    assert!(foreign.is_empty(), "{place}: events nobody sent: {foreign:?}");
}
