//! Batches on their way from the source to the writer: what becomes of each event is worked out for several batches at once, and
//! what was worked out is taken in batch by batch, in the order they were read.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use schemas::position::Position;
use schemas::reject::Reason;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Duration, Instant};

use crate::archive::archive_line;
use crate::documents::{Documents, Event};
use crate::place::Place;
use crate::record::{Batch, Origin, Record, Unpacked};
use crate::route::Router;
use crate::source::Source;

/// Batches worked on or waiting to be taken in, at most.
const AT_ONCE_MAX: usize = 10;
/// So many of them beside one for each processor: while a batch is taken in, no other one is begun.
const WAITING: usize = 2;

/// Bytes made of a batch before it is taken in: more than a batch has itself, but compressed records unfold, and each of many small
/// documents may become a reject with a line of its own.
pub const UNFOLDED_BYTES_MAX: usize = 16 << 20;

/// A batch and what becomes of its records.
#[derive(Debug)]
pub struct Routed {
    pub batch: Batch,
    /// In the order of the records.
    pub steps: Vec<Step>,
    /// Partition paths that steps refer to.
    paths: String,
    /// Lines that steps refer to.
    made: Vec<u8>,
    /// What records have unfolded to.
    texts: Vec<Vec<u8>>,
    /// Events in these records.
    pub events: usize,
    /// Records that are done with: all, unless they unfold to more than [`UNFOLDED_BYTES_MAX`].
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
    Row { path: Range<usize>, data: Data, origin: Option<Arc<FirstTaken>> },
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

    pub fn made(&self, range: &Range<usize>) -> &[u8] {
        &self.made[range.clone()]
    }

    pub fn path(&self, range: &Range<usize>) -> &str {
        &self.paths[range.clone()]
    }

    pub fn data(&self, step: &Step, data: &Data) -> &[u8] {
        match data {
            Data::Record(range) => &self.record(step).data[range.clone()],
            Data::Text(text, range) => &self.texts[*text][range.clone()],
        }
    }
}

/// Works out what becomes of a batch, from its record number `from` on. `archives`: whether its records go into the archive.
fn route(batch: Batch, from: usize, router: &mut Router, source: &dyn Source, archives: bool) -> Routed {
    let began = Instant::now();
    let mut making = Making { steps: Vec::with_capacity(batch.records.len() - from), ..Making::default() };
    let mut through = from;
    for record in &batch.records[from..] {
        if making.unfolded > UNFOLDED_BYTES_MAX {
            break;
        }
        making.record = u32::try_from(through).expect("a batch has fewer than 2^32 records");
        making.route_record(&batch, record, router, source, archives);
        through += 1;
    }
    let Making { steps, paths, made, texts, events, .. } = making;
    Routed { batch, steps, paths, made, texts, events, through, took: began.elapsed() }
}

#[derive(Default)]
struct Making {
    steps: Vec<Step>,
    paths: String,
    made: Vec<u8>,
    texts: Vec<Vec<u8>>,
    events: usize,
    /// Bytes of lines and texts.
    unfolded: usize,
    /// The one at hand.
    record: u32,
}

impl Making {
    /// Every event of a record behind the batch's begin, which may lie within the record.
    fn route_record(
        &mut self,
        batch: &Batch,
        record: &Record,
        router: &mut Router,
        source: &dyn Source,
        archives: bool,
    ) {
        let Unpacked { data, origin } = source.unpack(record);
        let documents = router.documents(data);
        if archives {
            let line = self.make(&archive_line(&batch.shard, record, &documents));
            self.step(0, What::Archive(line));
        }
        for event in documents.events(&record.position).filter(|event| !is_behind(event, &batch.span.from)) {
            let data = self.data(record, &documents, event.data);
            let what = self.route_event(batch, record, &event, data, origin.as_ref(), router);
            self.step(event.position.document(), what);
        }
        self.events += documents.count();
        if documents.count() > 1 {
            self.step(0, What::End);
        }
        if let Some(text) = documents.into_unfolded() {
            self.unfolded += text.len();
            self.texts.push(text);
        }
    }

    fn data(&self, record: &Record, documents: &Documents<'_>, event: &[u8]) -> Data {
        let in_text = || within(documents.unfolded()?, event).map(|range| Data::Text(self.texts.len(), range));
        within(&record.data, event)
            .map(Data::Record)
            .or_else(in_text)
            .expect("an event is a part of its record or its text")
    }

    fn route_event(
        &mut self,
        batch: &Batch,
        record: &Record,
        event: &Event<'_>,
        data: Data,
        origin: Option<&Origin<'_>>,
        router: &mut Router,
    ) -> What {
        let first_taken = origin
            .map(|origin| Arc::new(FirstTaken { shard: origin.shard.into(), position: origin.of(&event.position) }));
        match router.route(event, record.arrived_at) {
            Ok(path) => {
                let start = self.paths.len();
                self.paths.push_str(path);
                let path = start..self.paths.len();
                What::Row { path, data, origin: first_taken }
            }
            Err(reject) => {
                let line = Place::of(event, origin).reject_line(&batch.shard, event, record.arrived_at, &reject);
                What::Reject { reason: reject.reason, line: self.make(&line), origin: first_taken }
            }
        }
    }

    fn make(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.made.len();
        self.made.extend_from_slice(bytes);
        self.unfolded += bytes.len();
        start..self.made.len()
    }

    fn step(&mut self, document: u32, what: What) {
        self.steps.push(Step { record: self.record, document, what });
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

    /// Begins to work on the batch read next.
    pub fn begin(&mut self, batch: Batch) {
        let (idle, source, archives) = (self.idle.clone(), self.source.clone(), self.archives);
        let known = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut router = known.unwrap_or_else(|| self.router.another());
        let work = move || {
            let routed = route(batch, 0, &mut router, &*source, archives);
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
        route(batch, through, &mut self.router, &*self.source, self.archives)
    }

    /// The batch that was begun first; none if none was. Given up half way, nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Routed, JoinError>> {
        self.under_way.next().await
    }
}
