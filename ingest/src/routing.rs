//! Batches on their way from the source to the writer: what becomes of each event is worked out for several batches at once, and
//! what was worked out is taken in batch by batch, in the order they were read.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use schemas::position::{Position, ShardId};
use schemas::reject::Reason;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Duration, Instant};

use crate::archive::archive_line;
use crate::documents::{Documents, Event};
use crate::late::Late;
use crate::paths::Numbered;
use crate::place::Place;
use crate::record::{Batch, Origin, Record, Unpacked};
use crate::route::Router;
use crate::source::Source;

/// Batches worked on or waiting to be taken in, at most.
const AT_ONCE_MAX: usize = 10;
/// So many of them beside one for each processor: while a batch is taken in, no other one is begun.
const WAITING: usize = 2;

/// Bytes made of a batch before they are taken in: more than a batch has itself, but compressed records unfold, each of many small
/// documents may become a reject with a line of its own, and each event is a step.
pub const UNFOLDED_BYTES_MAX: usize = 16 << 20;

/// A batch and what becomes of its records.
#[derive(Debug)]
pub struct Routed {
    pub batch: Batch,
    /// In the order of the records.
    pub steps: Vec<Step>,
    made: Made,
    /// Records that are done with: all, unless more than [`UNFOLDED_BYTES_MAX`] comes of them.
    through: usize,
    /// How long it took.
    pub took: Duration,
}

/// One thing to be done for a record.
#[derive(Debug)]
pub struct Step {
    /// Its index in the batch.
    record: u32,
    /// Which of its documents; 0 for the record itself.
    document: u32,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// The record goes into the archive.
    Archive(Range<usize>),
    /// An event goes to a partition.
    Row { path: u32, outline: Range<u32>, data: Data, origin: Option<Arc<FirstTaken>> },
    /// An event goes to the errors output.
    Reject { reason: Reason, line: Range<usize>, origin: Option<Arc<FirstTaken>> },
    /// The documents before were all that the record holds.
    End,
}

/// Where the bytes of an event are.
#[derive(Debug)]
pub enum Data {
    Record(Range<usize>),
    /// In one of the texts.
    Text(usize, Range<usize>),
}

/// [`Origin`], owned.
#[derive(Debug)]
pub struct FirstTaken {
    pub shard: Box<str>,
    pub position: Position,
}

impl Routed {
    pub fn is_all(&self) -> bool {
        self.through == self.batch.records.len()
    }

    pub fn record(&self, step: &Step) -> &Record {
        &self.batch.records[step.record as usize]
    }

    /// Where the event of a step stands.
    pub fn position(&self, step: &Step) -> Cow<'_, Position> {
        let position = &self.record(step).position;
        if step.document > 0 { Cow::Owned(position.with_document(step.document)) } else { Cow::Borrowed(position) }
    }

    /// Events in the records that are done with.
    pub fn events(&self) -> usize {
        self.made.events
    }

    /// Late ones among its rows.
    pub fn late(&self) -> &Late {
        &self.made.late
    }

    pub fn line(&self, range: &Range<usize>) -> &[u8] {
        &self.made.lines[range.clone()]
    }

    /// How many paths there are.
    pub fn paths(&self) -> usize {
        self.made.path_ends.len()
    }

    pub fn path(&self, number: u32) -> &str {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.made.path_ends[before]);
        &self.made.paths[start..self.made.path_ends[number]]
    }

    pub fn outline(&self, range: &Range<u32>) -> &[u8] {
        &self.made.outlines[range.start as usize..range.end as usize]
    }

    pub fn data(&self, step: &Step, data: &Data) -> &[u8] {
        match data {
            Data::Record(range) => &self.record(step).data[range.clone()],
            Data::Text(text, range) => &self.made.texts[*text][range.clone()],
        }
    }
}

/// What a record of the batch's source holds, see [`Source::unpack`].
type Unpack<'r> = &'r dyn Fn(&Record) -> Unpacked<'_>;

/// Works out what becomes of a batch, from its record number `from` on. `archives`: whether its records go into the archive.
fn route(batch: Batch, from: usize, router: &mut Router, unpack: Unpack<'_>, archives: bool) -> Routed {
    let began = Instant::now();
    router.begin_batch();
    let steps = Vec::with_capacity(batch.records.len() - from);
    let mut making =
        Making { shard: &batch.shard, from: &batch.span.from, router, steps, made: Made::default(), record: 0 };
    let mut through = from;
    for record in &batch.records[from..] {
        if making.bytes() > UNFOLDED_BYTES_MAX {
            break;
        }
        making.record = u32::try_from(through).expect("a batch has fewer than 2^32 records");
        making.route_record(record, unpack(record), archives);
        through += 1;
    }
    let Making { steps, made, .. } = making;
    Routed { batch, steps, made, through, took: began.elapsed() }
}

struct Making<'r> {
    shard: &'r ShardId,
    /// The batch's begin, which may lie within its first record.
    from: &'r Position,
    router: &'r mut Router,
    steps: Vec<Step>,
    made: Made,
    /// The one at hand.
    record: u32,
}

impl Making<'_> {
    fn bytes(&self) -> usize {
        let Made { bytes, paths, path_ends, period_ends, outlines, .. } = &self.made;
        let ends = size_of_val(&**path_ends) + size_of_val(&**period_ends);
        bytes + paths.len() + ends + outlines.len() + self.steps.len() * size_of::<Step>()
    }

    /// Every event of a record behind the batch's begin.
    fn route_record(&mut self, record: &Record, unpacked: Unpacked<'_>, archives: bool) {
        let Unpacked { data, origin } = unpacked;
        let documents = self.router.documents(data);
        if archives {
            let line = self.made.line(&archive_line(self.shard, record, &documents));
            self.step(0, What::Archive(line));
        }
        for event in documents.events(&record.position).filter(|event| !is_behind(event, self.from)) {
            let data = self.made.data(record, &documents, event.data);
            let what = self.route_event(record, &event, data, origin.as_ref());
            self.step(event.position.document(), what);
        }
        self.made.events += documents.count();
        if documents.count() > 1 {
            self.step(0, What::End);
        }
        if let Some(text) = documents.into_unfolded() {
            self.made.bytes += text.len();
            self.made.texts.push(text);
        }
    }

    fn route_event(&mut self, record: &Record, event: &Event<'_>, data: Data, origin: Option<&Origin<'_>>) -> What {
        let first_taken = origin
            .map(|origin| Arc::new(FirstTaken { shard: origin.shard.into(), position: origin.of(&event.position) }));
        match self.router.route_to_number(event, record.arrived_at) {
            Ok(Numbered { number, new }) => {
                if let Some(path) = new {
                    self.made.path(path);
                    let end = self.router.period_end(self.made.last_path());
                    self.made.period_ends.push(end);
                }
                self.made.late.count(record.arrived_at, self.made.period_ends[number as usize]);
                let outline = self.made.outline(event.outline());
                What::Row { path: number, outline, data, origin: first_taken }
            }
            Err(reject) => {
                let line = Place::of(event, origin).reject_line(self.shard, event, record.arrived_at, &reject);
                What::Reject { reason: reject.reason, line: self.made.line(&line), origin: first_taken }
            }
        }
    }

    fn step(&mut self, document: u32, what: What) {
        self.steps.push(Step { record: self.record, document, what });
    }
}

/// What steps refer to and records do not hold.
#[derive(Debug, Default)]
struct Made {
    /// Partition paths, one behind the other in the order of their numbers, and where each ends.
    paths: String,
    path_ends: Vec<usize>,
    /// When the period of each path is over.
    period_ends: Vec<Option<i64>>,
    late: Late,
    outlines: Vec<u8>,
    lines: Vec<u8>,
    /// What records have unfolded to.
    texts: Vec<Vec<u8>>,
    /// Of lines and texts.
    bytes: usize,
    events: usize,
}

impl Made {
    fn path(&mut self, path: &str) {
        self.paths.push_str(path);
        self.path_ends.push(self.paths.len());
    }

    fn last_path(&self) -> &str {
        let end = |back| self.path_ends.len().checked_sub(back).map_or(0, |at| self.path_ends[at]);
        &self.paths[end(2)..end(1)]
    }

    fn outline(&mut self, outline: &[u8]) -> Range<u32> {
        let start = self.outlines.len();
        self.outlines.extend_from_slice(outline);
        let at = |place| u32::try_from(place).expect("a batch is left long before");
        at(start)..at(self.outlines.len())
    }

    fn line(&mut self, line: &[u8]) -> Range<usize> {
        let start = self.lines.len();
        self.lines.extend_from_slice(line);
        self.bytes += line.len();
        start..self.lines.len()
    }

    fn data(&self, record: &Record, documents: &Documents<'_>, event: &[u8]) -> Data {
        let in_text = || within(documents.unfolded()?, event).map(|range| Data::Text(self.texts.len(), range));
        within(&record.data, event)
            .map(Data::Record)
            .or_else(in_text)
            .expect("an event is a part of its record or its text")
    }
}

/// Where `part` lies in `whole`, if it is a part of it and no copy.
fn within(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start + part.len();
    (end <= whole.len()).then_some(start..end)
}

/// Whether an event of a record that is read once more was taken in before: only a position within the record can say so.
pub fn is_behind(event: &Event<'_>, from: &Position) -> bool {
    from.document() > 0 && *event.position <= *from
}

/// Batches under way.
#[derive(Debug)]
pub struct Routing {
    source: Arc<dyn Source>,
    archives: bool,
    /// Every other one is a copy of it.
    router: Router,
    idle: Arc<Mutex<Vec<Router>>>,
    under_way: FuturesOrdered<JoinHandle<Routed>>,
    most: usize,
}

impl Routing {
    pub fn new(router: Router, source: Arc<dyn Source>, archives: bool) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let most = (processors + WAITING).min(AT_ONCE_MAX);
        Routing { source, archives, router, idle: Arc::default(), under_way: FuturesOrdered::new(), most }
    }

    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    pub fn has_room(&self) -> bool {
        self.under_way.len() < self.most
    }

    /// For what is read again.
    pub fn router(&mut self) -> &mut Router {
        &mut self.router
    }

    /// Follows other rules. Nothing may be under way.
    pub fn set_router(&mut self, router: Router) {
        assert!(self.is_empty(), "rules change between batches only");
        self.router = router;
        // Those that wait are copies of the old one.
        self.idle = Arc::default();
    }

    /// Begins to work on the batch read next.
    pub fn begin(&mut self, batch: Batch) {
        let (idle, source, archives) = (self.idle.clone(), self.source.clone(), self.archives);
        let known = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut router = known.unwrap_or_else(|| self.router.another());
        let work = move || {
            let routed = route(batch, 0, &mut router, &|record| source.unpack(record), archives);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(router);
            routed
        };
        // A runtime of one thread is that of a simulation: other threads would bring their own order into it.
        self.under_way.push_back(match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => tokio::spawn(async move { work() }),
            _ => tokio::task::spawn_blocking(work),
        });
    }

    /// The rest of a batch that is not all done with.
    pub fn go_on(&mut self, Routed { batch, through, .. }: Routed) -> Routed {
        route(batch, through, &mut self.router, &|record| self.source.unpack(record), self.archives)
    }

    /// The batch that was begun first; none if none was. Given up half way, nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Routed, JoinError>> {
        self.under_way.next().await
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use bytes::Bytes;
    use schemas::position::Span;
    use schemas::rules::{ParquetSettings, Rules};
    use schemas::table::TableSpec;

    use super::*;

    const SPEC: &str = r#"
version = 1
name = "t"
database = "d"
location = "s3://b/t/"
[[column]]
name = "id"
type = "bigint"
[[partition]]
name = "k"
type = "string"
"#;

    fn router() -> Router {
        let spec = TableSpec::parse(SPEC, "t.toml").expect("a spec");
        let rules = Rules::new(vec![("k".into(), ".k".into())], &spec, ParquetSettings::default());
        Router::compile(&rules, "rules").expect("rules")
    }

    fn batch(records: Vec<Vec<u8>>, from: Position) -> Batch {
        let record = |(data, number): (Vec<u8>, u64)| Record {
            position: Position::from_numbers(number, 0),
            arrived_at: 0,
            data: Bytes::from(data),
        };
        let records: Vec<Record> = records.into_iter().zip(1..).map(record).collect();
        let span = Span::new(from, records.last().expect("one").position.clone());
        Batch { shard: ShardId::new("s:0"), span, records, behind_ms: None, seen_at: None, last: false, permit: None }
    }

    fn plain(record: &Record) -> Unpacked<'_> {
        Unpacked { data: &record.data, origin: None }
    }

    /// What steps do, readable.
    fn told(routed: &Routed) -> Vec<String> {
        let step = |step: &Step| {
            let what = match &step.what {
                What::Archive(line) => format!("archive {} bytes", routed.line(line).len()),
                What::Row { path, data, outline, .. } => {
                    let (data, mut again) = (routed.data(step, data), Vec::new());
                    let text = std::str::from_utf8(data).expect("an event");
                    if writer::tape::outline::append(routed.outline(outline), text.len(), &mut again).is_ok() {
                        let mut nodes = Vec::new();
                        writer::tape::read(text, &mut nodes).expect("an event");
                        assert_eq!(again, nodes);
                    }
                    format!("{} {text}", routed.path(*path))
                }
                What::Reject { reason, .. } => reason.as_str().to_string(),
                What::End => "end".into(),
            };
            format!("{} {what}", routed.position(step))
        };
        routed.steps.iter().map(step).collect()
    }

    #[test]
    fn each_event_of_each_record_has_its_step_and_its_bytes() {
        let mut gzipped = Vec::new();
        let two = &b"{\"k\":\"a\"}\n{\"k\":\"b\"}"[..];
        flate2::read::GzEncoder::new(two, flate2::Compression::fast()).read_to_end(&mut gzipped).expect("compresses");
        let records = vec![
            b"{\"k\":\"c\"}{\"k\":\"d\"}".to_vec(),
            gzipped,
            b"{\"k\":7".to_vec(),
            b"".to_vec(),
            b"{\"k\":5}".to_vec(),
        ];
        let from = Position::from_numbers(1, 0).with_document(1);
        let routed = route(batch(records, from), 0, &mut router(), &plain, false);
        let want = [
            "1.0.2 k=d {\"k\":\"d\"}",
            "1 end",
            "2.0.1 k=a {\"k\":\"a\"}",
            "2.0.2 k=b {\"k\":\"b\"}",
            "2 end",
            "3 not_json",
            "4 not_json",
            "5 k=5 {\"k\":5}",
        ];
        assert_eq!(told(&routed), want);
        assert!(routed.is_all() && routed.events() == 7);
    }

    #[test]
    fn what_comes_of_a_batch_is_bounded_and_the_rest_comes_of_what_is_left() {
        let records: Vec<Vec<u8>> = (0..300_000).map(|n| format!("{{\"k\":{}}}", n % 7).into_bytes()).collect();
        let (mut router, mut steps, mut parts) = (router(), Vec::new(), 0);
        let mut routed = route(batch(records, Position::zero()), 0, &mut router, &plain, false);
        loop {
            assert!(routed.steps.len() * size_of::<Step>() < UNFOLDED_BYTES_MAX + 1024);
            (parts, steps) = (parts + 1, [steps, told(&routed)].concat());
            if routed.is_all() {
                break;
            }
            let (batch, through) = (routed.batch, routed.through);
            routed = route(batch, through, &mut router, &plain, false);
        }
        assert!(parts > 1);
        let want = (0..300_000).map(|n| format!("{} k={} {{\"k\":{}}}", n + 1, n % 7, n % 7));
        assert!(steps.into_iter().eq(want));
    }
}
