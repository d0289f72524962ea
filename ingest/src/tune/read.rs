//! Raw objects to a sample: each record on the way it takes in `run` (documents, keys, guard), under every layout at once.

use std::sync::Arc;

use bytes::Bytes;
use schemas::archive::folder;
use schemas::instant;
use schemas::log_entry::Output;
use schemas::position::{Position, ShardId};
use writer::buffer::rope::RowIn;
use writer::objects::{Listed, Objects};

use super::layout::Layout;
use super::sample::{Asked, Item, Routed, Sample};
use super::sizes::{Kept, Limits};
use crate::archive::archive_line;
use crate::config::{Config, SourceConfig};
use crate::documents::Event;
use crate::error::RunError;
use crate::keys::{Budget, Keys};
use crate::place::Place;
use crate::record::Record;
use crate::route::Router;
use crate::source::replay::counters::ReplayCounters;
use crate::source::replay::format::Raw;
use crate::source::replay::object::{Broken, Missing, Raws, Records, fetch};
use crate::source::replay::plan::Planned;

/// Objects that cannot be read and are named one by one.
const BROKEN_NAMED_MAX: usize = 20;
/// Bytes of the archive's lines that are compressed to learn how far they shrink.
const ARCHIVE_TEXT: usize = 4 << 20;

/// The sample, and what of it can be encoded.
#[derive(Debug)]
pub struct Read {
    pub sample: Sample,
    /// One for each layout.
    pub kept: Vec<Kept>,
    pub shard: ShardId,
    /// Lines of the archive, where one is kept.
    pub archive_text: Vec<u8>,
}

/// Where records go, how far to read, and what tells an event's time.
#[derive(Debug)]
pub struct Reader {
    lanes: Vec<Lane>,
    asked: Asked,
    time: Option<Keys>,
    archives: bool,
    positions: Positions,
    events_max: u64,
    values: Vec<String>,
    last_time: Option<i64>,
    read: Read,
}

/// One layout.
#[derive(Debug)]
struct Lane {
    router: Router,
}

impl Reader {
    /// `time`: a jq program that gives an event's time.
    pub fn new(
        config: &Config,
        layouts: &[Layout],
        asked: Asked,
        time: Option<&str>,
        events_max: u64,
    ) -> Result<Reader, RunError> {
        let router = |layout: &Layout| layout.router(&config.parquet, &config.decode, &config.file);
        let lanes: Vec<Lane> =
            layouts.iter().map(|l| Ok(Lane { router: router(l)? })).collect::<Result<_, RunError>>()?;
        let time = time.map(|program| {
            Keys::compile(&[("time".into(), program.into())], Budget::default(), &|_| ("--time".into(), None))
        });
        let time = time.transpose().map_err(|problems| {
            RunError::Input(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        let limits = |at: usize| if at == 0 { Limits::CONFIGURED } else { Limits::OTHER };
        let positions = Positions::of(&config.source);
        let read = Read {
            sample: Sample { layouts: lanes.iter().map(|_| Routed::default()).collect(), ..Sample::default() },
            kept: (0..lanes.len()).map(|at| Kept::new(limits(at))).collect(),
            shard: positions.shard.clone(),
            archive_text: Vec::new(),
        };
        let archives = config.lake.archive.is_some();
        Ok(Reader { lanes, asked, time, archives, positions, events_max, values: Vec::new(), last_time: None, read })
    }

    /// Reads the objects in their order, up to the bounds.
    pub async fn run(
        mut self,
        objects: &Objects,
        listed: &[Listed],
        counters: &Arc<ReplayCounters>,
    ) -> Result<(Read, Vec<Router>), RunError> {
        for object in listed {
            let Listed { path, etag, size, modified } = object.clone();
            let planned = Planned { number: 1, lane: 0, path, etag, size, modified };
            let raws = fetch(objects, &planned, counters);
            let reading = tokio::task::spawn_blocking(move || {
                let ended = self.object(&planned, raws);
                (ended, self)
            });
            let ended;
            (ended, self) = reading.await.map_err(|e| RunError::Environment(format!("reading a sample: {e}")))?;
            self.read.sample.objects += 1;
            counters.object_done(0);
            if let Err(broken) = ended {
                self.broken(objects.url_of(&object.path), broken)?;
            }
            if self.read.sample.ended_early.is_some() {
                break;
            }
        }
        Ok((self.read, self.lanes.into_iter().map(|lane| lane.router).collect()))
    }

    fn broken(&mut self, url: String, broken: Broken) -> Result<(), RunError> {
        let why = match broken {
            Broken::Missing(Missing::Failed(error)) => return Err(error.into()),
            Broken::Missing(Missing::Gone) => "is gone since it was listed".to_string(),
            Broken::Missing(Missing::Changed) => "has changed since it was listed".to_string(),
            Broken::Text(error) => format!("is broken: {}", error.to_string().to_ascii_lowercase()),
        };
        let message = format!("{url} {why}");
        tracing::warn!("{message}; what stands before that is used");
        if self.read.sample.broken.len() < BROKEN_NAMED_MAX {
            self.read.sample.broken.push(message);
        }
        Ok(())
    }

    fn object(&mut self, planned: &Planned, raws: Raws) -> Result<(), Broken> {
        let mut records = Records::open(raws)?;
        while self.read.sample.ended_early.is_none() {
            if !records.portion(&mut |_, raw, _| self.record(&raw, planned.modified))? {
                break;
            }
        }
        Ok(())
    }

    fn record(&mut self, raw: &Raw<'_>, modified: i64) {
        if self.is_enough() {
            return;
        }
        self.read.sample.records += 1;
        let arrived_at = raw.arrived_at.unwrap_or(modified);
        let position = self.positions.next(raw.data.len());
        // The routers decode alike: only keys and guard differ.
        let Some(first) = self.lanes.first() else { return };
        let data = Bytes::copy_from_slice(&raw.data);
        let documents = first.router.documents(&data);
        if self.archives {
            let record = Record { position: position.clone(), arrived_at, data: data.clone() };
            let line = archive_line(&self.read.shard, &record, &documents);
            self.archived(&line, &position, arrived_at);
        }
        let from = self.read.sample.times.len();
        for event in documents.events(&position) {
            self.event(&event, raw.arrived_at, arrived_at);
        }
        // Its archive line comes with its first event.
        if self.archives
            && let Some(time) = self.read.sample.times.get(from).copied()
        {
            self.read.sample.times[from - 1] = time;
        }
    }

    fn is_enough(&mut self) -> bool {
        let sample = &mut self.read.sample;
        if sample.ended_early.is_some() {
            return true;
        }
        let why = if sample.events >= self.events_max {
            format!("the first {} events are used; --events takes more", sample.events)
        } else if sample.layouts.iter().any(Routed::is_full) {
            format!(
                "the first {} events are used: their partitions' paths fill the memory kept for them",
                sample.events
            )
        } else {
            return false;
        };
        sample.ended_early = Some(why);
        true
    }

    fn archived(&mut self, line: &[u8], position: &Position, arrived_at: i64) {
        let row = RowIn { shard: 0, position, arrived_at, data: line, outline: &[], origin: None };
        let folder = folder(arrived_at);
        for routed in &mut self.read.sample.layouts {
            let place = routed.place(Output::Archive, &folder, &self.asked);
            routed.items.push(item(place, &row));
        }
        self.read.sample.times.push(arrived_at);
        if self.read.archive_text.len() < ARCHIVE_TEXT {
            self.read.archive_text.extend_from_slice(line);
            self.read.archive_text.push(b'\n');
        }
    }

    fn event(&mut self, event: &Event<'_>, arrival: Option<i64>, arrived_at: i64) {
        let time = self.time_of(event, arrival);
        let Reader { lanes, asked, read, .. } = self;
        let Read { sample, kept, shard, .. } = read;
        sample.times.push(time);
        sample.events += 1;
        sample.event_bytes += event.data.len() as u64;
        for (at, lane) in lanes.iter_mut().enumerate() {
            match lane.router.route(event, arrived_at) {
                Ok(path) => {
                    let (position, outline) = (&*event.position, event.outline());
                    let row = RowIn { shard: 0, position, arrived_at, data: event.data, outline, origin: None };
                    let place = sample.layouts[at].place(Output::Table, path, asked);
                    sample.layouts[at].items.push(item(place, &row));
                    kept[at].add(place, path, row);
                }
                Err(reject) => {
                    let line = Place::of(event, None).reject_line(shard, event, arrived_at, &reject);
                    let position = &*event.position;
                    let row = RowIn { shard: 0, position, arrived_at, data: &line, outline: &[], origin: None };
                    let place = sample.layouts[at].place(Output::Errors, reject.reason.output().folder(), asked);
                    sample.layouts[at].items.push(item(place, &row));
                    if at == 0 {
                        sample.count_reject(reject.reason, &reject.message);
                    }
                }
            }
        }
    }

    /// Arrival where the record says so, else what the program says, else that of the event before.
    fn time_of(&mut self, event: &Event<'_>, arrival: Option<i64>) -> i64 {
        let told = arrival.or_else(|| {
            let keys = self.time.as_ref().filter(|_| event.broken.is_none())?;
            match event.tape {
                Some(tape) => keys.evaluate_apart(tape, None, &mut self.values),
                None => keys.evaluate(event.data, &mut self.values),
            }
            .ok()?;
            instant::parse_instant(self.values.first()?)
        });
        match told {
            Some(time) => {
                // Those before the first one that says so have its time.
                if self.last_time.is_none() {
                    self.read.sample.times.fill(time);
                }
                self.last_time = Some(time);
            }
            None => self.read.sample.untimed += 1,
        }
        self.read.sample.arrivals += u64::from(arrival.is_some());
        self.last_time.unwrap_or_default()
    }
}

fn item(place: u32, row: &RowIn<'_>) -> Item {
    let small = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    Item { place, bytes: small(row.data.len()), stored: small(row.stored_bytes()), rows: 1 }
}

/// Positions as long as those that the configured source gives: they are a column of the files.
#[derive(Debug)]
struct Positions {
    shard: ShardId,
    is_kinesis: bool,
    records: u64,
    bytes: u64,
}

/// What Kinesis' sequence numbers begin with; 19 digits follow.
const SEQUENCE_HEAD: &str = "4959033827149025660855969253836157109";
/// Between the sequence numbers of two records, about.
const SEQUENCE_STEP: u64 = 1_208_925_819;
/// In front of each record of the journal.
const FRAME: usize = 16;

impl Positions {
    fn of(source: &SourceConfig) -> Positions {
        let (shard, is_kinesis) = match source {
            SourceConfig::Kinesis { settings, .. } => (format!("{}:shardId-000000000000", settings.stream), true),
            SourceConfig::Kcl(_) => ("stream:shardId-000000000000".to_string(), true),
            SourceConfig::Intake(_) => (format!("intake:{}", "0123456789abcdef".repeat(2)), false),
        };
        Positions { shard: ShardId::new(shard), is_kinesis, records: 0, bytes: 0 }
    }

    fn next(&mut self, length: usize) -> Position {
        self.records += 1;
        self.bytes += (length + FRAME) as u64;
        if !self.is_kinesis {
            return Position::from_numbers(1, self.bytes);
        }
        let tail = self.records.wrapping_mul(SEQUENCE_STEP) % 10_000_000_000_000_000_000;
        Position::new(format!("{SEQUENCE_HEAD}{tail:019}"), 0).unwrap_or_else(|_| Position::from_numbers(tail, 0))
    }
}

/// The program that tells when an event took place: what the first key of time begins with, or the path of the first timestamp
/// column.
pub fn time_program(layout: &Layout) -> Option<String> {
    let of_day = |(_, program): &(String, String)| {
        let (head, then) = program.rsplit_once('|')?;
        (then.trim() == "utc_date").then(|| head.trim().to_string())
    };
    let of_column = || {
        let is_time = |c: &&schemas::column::Column| c.data_type == schemas::column::DataType::Timestamp;
        let column = layout.spec.columns.iter().find(is_time)?;
        let quoted: Vec<String> = column.path.iter().map(|member| format!(".\"{member}\"")).collect();
        Some(quoted.concat())
    };
    layout.keys.iter().find_map(of_day).or_else(of_column)
}

/// File bytes per byte of the archive's lines, compressed as its files are.
pub fn archive_ratio(text: &[u8]) -> f64 {
    let compressed = zstd::bulk::compress(text, writer::commit::cut::ARCHIVE_LEVEL).map_or(text.len(), |c| c.len());
    if text.is_empty() { 1.0 } else { compressed as f64 / text.len() as f64 }
}
