//! What each stage of a record's way costs: `cargo bench -p ingest --bench stages [-- STAGE]`.
//!
//! Prints nanoseconds of this thread's CPU time per event (the least of several rounds: a busy machine only ever adds), so figures
//! of one machine can be compared with each other although other things run on it. `ONCE=1` runs each stage a single time over
//! fewer events, which is what an instruction counter around `timed` wants (`infra/local/instructions`); `--list` prints the stages.

#[path = "../../tests/bench/events.rs"]
mod events;

use ingest::documents::Documents;
use ingest::guard::Guard;
use ingest::keys::{Budget, Keys};
use ingest::route::Router;
use schemas::log_entry::Output;
use schemas::position::Position;
use schemas::rules::{DecodeSettings, ParquetSettings, Rules};
use schemas::table::{Compression, TableSpec};
use writer::buffer::rope::RowIn;
use writer::buffer::{Buffers, Open};
use writer::encode::{Encoder, Row};
use writer::tape;

const SPEC: &str = include_str!("../../schemas/tables/attribute_events.toml");
const EVENTS: usize = 20_000;
/// What an instruction counter has patience for.
const EVENTS_ONCE: usize = 4_000;
const ROUNDS: usize = 7;
/// When all events arrive, milliseconds since the epoch: 2024-03-01.
const ARRIVED_AT: i64 = 1_709_251_200_000;

const SHAPES: &[(&str, bool)] = &[("full", true), ("small", false)];

type Stage = fn(&Bench) -> usize;

const STAGES: &[(&str, Stage)] = &[
    ("decode", decode),
    ("keys", keys),
    ("guard", guard),
    ("route", route),
    ("buffer", buffer),
    ("encode none, 500 events a file", |bench| encode(bench, Compression::None, 500)),
    ("encode snappy, 500 events a file", |bench| encode(bench, Compression::Snappy, 500)),
    ("encode zstd(1), 5000 events a file", |bench| encode(bench, Compression::Zstd(1), 5000)),
    ("encode zstd(1), 500 events a file", |bench| encode(bench, Compression::Zstd(1), 500)),
    ("encode zstd(1), 50 events a file", |bench| encode(bench, Compression::Zstd(1), 50)),
];

struct Bench {
    events: Vec<String>,
    /// Of each event, as its decode leaves it behind.
    outlines: Vec<Vec<u8>>,
    spec: TableSpec,
    keys: Vec<(String, String)>,
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let (rounds, events) = if std::env::var_os("ONCE").is_some() { (1, EVENTS_ONCE) } else { (ROUNDS, EVENTS) };
    if std::env::args().any(|arg| arg == "--list") {
        SHAPES.iter().for_each(|(shape, _)| STAGES.iter().for_each(|(name, _)| println!("{shape} {name}")));
        return;
    }
    for (shape, full) in SHAPES {
        let bench = Bench::new(*full, events);
        let bytes: usize = bench.events.iter().map(String::len).sum();
        println!("{shape}: {} events of {} bytes", bench.events.len(), bytes / bench.events.len());
        for (name, stage) in STAGES {
            if wanted.iter().all(|wanted| format!("{shape} {name}").contains(wanted.as_str())) {
                let least = (0..rounds).map(|_| timed(|| stage(&bench))).min().expect("one round or more");
                let each = least as f64 / bench.events.len() as f64;
                println!("  {name:36} {each:8.0} ns/event {:8.0} MB/s", bytes as f64 * 1e3 / least as f64);
            }
        }
    }
}

/// Nanoseconds that this thread was on a processor for. Never inlined: instructions are counted within it.
#[inline(never)]
fn timed(run: impl FnOnce() -> usize) -> u64 {
    let began = on_processor();
    let done = run();
    let took = on_processor() - began;
    assert_ne!(std::hint::black_box(done), 0, "a stage has done nothing");
    took
}

fn on_processor() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("linux counts processor time by thread");
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("schedstat begins with nanoseconds")
}

impl Bench {
    fn new(full: bool, count: usize) -> Bench {
        let mut events = events::Events::new(full, events::DAYS);
        let events: Vec<String> = (0..count).map(|_| events.next_event().to_string()).collect();
        let outlines = events.iter().map(|event| outline_of(event)).collect();
        let spec = TableSpec::parse(SPEC, "attribute_events.toml").expect("the spec is good");
        let keys = [
            ("created_date", ".created_at | utc_date"),
            ("attribute_name", ".attribute_name"),
            ("entity_id_mod", ".entity_id | bucket(10)"),
        ];
        Bench {
            events,
            outlines,
            spec,
            keys: keys.map(|(name, program)| (name.to_string(), program.to_string())).to_vec(),
        }
    }

    fn keys(&self) -> Keys {
        let place = |_| ("bench".to_string(), None);
        Keys::compile(&self.keys, Budget::default(), &place).expect("the keys are good")
    }

    fn router(&self) -> Router {
        Router::compile(&Rules::new(self.keys.clone(), &self.spec, ParquetSettings::default()), "bench")
            .expect("good rules")
    }
}

fn outline_of(event: &str) -> Vec<u8> {
    let mut outline = Vec::new();
    tape::read_with_outline(event, &mut Vec::new(), &mut outline).expect("an event");
    outline
}

fn decode(bench: &Bench) -> usize {
    let settings = DecodeSettings::default();
    bench.events.iter().map(|event| Documents::of(event.as_bytes(), &settings).count()).sum()
}

fn keys(bench: &Bench) -> usize {
    let keys = bench.keys();
    let mut values = Vec::new();
    let one = |event: &String| {
        keys.evaluate(event.as_bytes(), &mut values).expect("keys are there");
        values.len()
    };
    bench.events.iter().map(one).sum()
}

fn guard(bench: &Bench) -> usize {
    let guard = Guard::new(&bench.spec);
    let values = ["2024-01-07", "industry", "3"].map(String::from);
    let mut path = String::new();
    let one = |_| {
        guard.path(&values, ARRIVED_AT, &mut path).expect("projected");
        path.len()
    };
    bench.events.iter().map(one).sum()
}

/// Decode, keys and guard.
fn route(bench: &Bench) -> usize {
    let mut router = bench.router();
    let position = Position::from_numbers(1, 0);
    let one = |event: &String| {
        let documents = router.documents(event.as_bytes());
        documents.events(&position).map(|event| router.route(&event, ARRIVED_AT).expect("a row").len()).sum::<usize>()
    };
    bench.events.iter().map(one).sum()
}

/// Rows into the buffers of 600 partitions.
fn buffer(bench: &Bench) -> usize {
    let paths: Vec<String> = (0..600)
        .map(|n| format!("created_date=2024-01-{:02}/attribute_name=industry/entity_id_mod={n}", n % 10))
        .collect();
    let mut buffers: Buffers = Buffers::default();
    let mut before = Position::zero();
    let mut opens = vec![Open::default(); paths.len()];
    for (number, event) in bench.events.iter().enumerate() {
        let position = Position::from_numbers(number as u64 + 1, 0);
        let (data, outline) = (event.as_bytes(), &*bench.outlines[number]);
        let row = RowIn { shard: 0, position: &position, arrived_at: ARRIVED_AT, data, outline, origin: None };
        let path = number * 7919 % 600;
        buffers.push_to(Output::Table, &paths[path], &mut opens[path], row, &before, ARRIVED_AT);
        before = position;
    }
    buffers.memory() as usize
}

fn encode(bench: &Bench, compression: Compression, rows: usize) -> usize {
    let settings = ParquetSettings { compression, ..ParquetSettings::default() };
    let encoder = Encoder::new(&bench.spec, &settings).expect("the spec can be encoded");
    let row = |(data, outline)| Row {
        shard: "s",
        sequence: "1",
        sub: 0,
        document: 0,
        arrived_at: ARRIVED_AT,
        data: String::as_bytes(data),
        outline: Vec::as_slice(outline),
    };
    let rows_of: Vec<Row<'_>> = bench.events.iter().zip(&bench.outlines).map(row).collect();
    rows_of.chunks(rows).map(|rows| encoder.encode(rows, &[]).expect("encodes").bytes.len()).sum()
}
