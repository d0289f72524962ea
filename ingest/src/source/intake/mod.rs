//! Events over HTTP: an endpoint that speaks Amazon Data Firehose's API and takes NDJSON, a durable local journal behind it,
//! and the source that reads the journal.
//!
//! The journal is one shard, `intake:<journal id>`. A record's position is (segment, offset of its end). A client is answered
//! when its records are on the disk; segments are deleted when the pipeline has stored them.

pub mod access;
mod body;
pub mod connection;
pub mod counters;
mod events;
mod firehose;
pub mod forward;
pub mod journal;
mod places;
pub mod rate;
mod seldom;
pub mod server;
pub mod settings;
pub mod sink;
#[cfg(test)]
mod tests;
mod timed;
pub mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use writer::shared::Clock;

use super::{Claims, READ_AHEAD_BATCHES, Rate, Source, SourceError};
use crate::record::Batch;
use counters::IntakeCounters;
use journal::{At, Chunk, Journal, JournalError, JournalSettings, Tip};
use server::Intake;
use settings::EndpointSettings;
use sink::{JournalSink, Sink};

/// Where the endpoint listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4573);
/// The delivery stream served unless told otherwise.
pub const DEFAULT_DELIVERY_STREAM: &str = "alluvium";
pub const DEFAULT_JOURNAL_MAX_BYTES: u64 = 4 << 30;
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;
/// How the names of all journals' shards begin.
const SHARD_PREFIX: &str = "intake:";

/// Settings of the intake as a source.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    pub endpoint: EndpointSettings,
    /// Directory of the journal; created if missing.
    pub journal: PathBuf,
    /// Bytes of the journal before requests are answered 503, [`DEFAULT_JOURNAL_MAX_BYTES`]; at least 16 MiB. One request may
    /// have as many less a segment, or it is answered 413.
    pub journal_max_bytes: u64,
    /// Bytes of one segment, [`DEFAULT_SEGMENT_BYTES`]; the smaller, the sooner disk is given back.
    pub segment_bytes: u64,
}

impl IntakeSettings {
    /// The defaults, with the journal in `journal`.
    pub fn new(journal: impl Into<PathBuf>) -> IntakeSettings {
        IntakeSettings {
            endpoint: EndpointSettings::default(),
            journal: journal.into(),
            journal_max_bytes: DEFAULT_JOURNAL_MAX_BYTES,
            segment_bytes: DEFAULT_SEGMENT_BYTES,
        }
    }

    /// What is wrong with the settings, without looking at disk or network.
    pub fn check(&self) -> Result<(), String> {
        self.endpoint.check()?;
        if self.journal_max_bytes < journal::MAX_BYTES_LEAST {
            let (is, least) = (self.journal_max_bytes, journal::MAX_BYTES_LEAST);
            return Err(format!("journal_max_bytes is {is}: write {least} (16 MiB) or more"));
        }
        Ok(())
    }
}

/// The endpoint and its journal, as a source of one shard.
#[derive(Debug)]
pub struct IntakeSource {
    settings: IntakeSettings,
    journal: Arc<Journal>,
    shard: ShardId,
    intake: Arc<Intake>,
    counters: Arc<IntakeCounters>,
    clock: Clock,
    read_ahead: Arc<Semaphore>,
    bound: watch::Sender<Option<SocketAddr>>,
}

impl IntakeSource {
    /// Opens the journal, or begins one that is named by `randomness`. Blocks while it reads the last segment.
    ///
    /// Errors: settings that cannot work, a journal that is in use or damaged, a disk that fails.
    pub fn open(
        settings: IntakeSettings,
        randomness: [u8; 16],
        clock: Clock,
        counters: Arc<IntakeCounters>,
    ) -> Result<IntakeSource, SourceError> {
        settings.check().map_err(SourceError::Config)?;
        let journal_settings = JournalSettings {
            directory: settings.journal.clone(),
            max_bytes: settings.journal_max_bytes,
            segment_bytes: settings.segment_bytes,
        };
        let journal = Journal::open(&journal_settings, randomness, counters.clone()).map_err(opening)?;
        let journal = Arc::new(journal);
        let sink: Arc<dyn Sink> = Arc::new(JournalSink::new(journal.clone()));
        let intake = Intake::new(sink, &settings.endpoint, counters.clone(), clock.clone(), randomness)?;
        Ok(IntakeSource {
            shard: ShardId::new(format!("{SHARD_PREFIX}{}", journal.id())),
            settings,
            journal,
            intake,
            counters,
            clock,
            read_ahead: Arc::new(Semaphore::new(READ_AHEAD_BATCHES)),
            bound: watch::channel(None).0,
        })
    }

    /// The address the endpoint listens on, once it does: the port where `listen` says 0.
    pub fn bound(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.bound.subscribe()
    }

    pub fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// Records ever accepted, over all runs.
    pub fn accepted(&self) -> u64 {
        self.journal.accepted()
    }

    /// Is `through` at or after the last record accepted?
    pub async fn is_last(&self, through: &Position) -> Result<bool, SourceError> {
        let Some(after) = At::of(through).filter(|_| through.document() == 0) else { return Ok(false) };
        let durable = self.journal.tip().borrow().durable;
        // Only a read tells: the tip may stand behind the header of a segment that has no record yet.
        let next = self.journal.read(after, durable).await;
        next.map(|chunk| chunk.is_none()).map_err(|error| SourceError::Environment {
            doing: "reading the journal".into(),
            message: error.to_string(),
        })
    }

    pub fn counters(&self) -> &Arc<IntakeCounters> {
        &self.counters
    }

    async fn serve(&self, stop: CancellationToken) -> Result<(), SourceError> {
        let listener = server::bind(self.settings.endpoint.listen).await?;
        let address = listener.local_addr().map_err(|error| SourceError::Environment {
            doing: format!("listening on {}", self.settings.endpoint.listen),
            message: error.to_string(),
        })?;
        tracing::info!(%address, journal = %self.settings.journal.display(), "intake listens");
        self.bound.send_replace(Some(address));
        connection::serve(listener, self.intake.clone(), stop).await;
        self.bound.send_replace(None);
        Ok(())
    }

    /// Where to read on. Nothing may be appended until this has returned: a journal that ends before what was stored (the disk
    /// lost synced writes, or an older copy was put back) would grow past that position, and its new records would be taken for
    /// the old ones.
    async fn begin(&self, claims: &Claims) -> Result<Cursor, SourceError> {
        claims.known().iter().try_for_each(|(shard, _)| self.own(shard))?;
        let resume = claims.claim_own(self.shard.clone(), Start::TrimHorizon).await?;
        self.cursor(&resume.after, &resume.start).await
    }

    /// Reads on as the journal grows.
    async fn tail(
        &self,
        mut cursor: Cursor,
        out: mpsc::Sender<Batch>,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let mut tips = self.journal.tip();
        loop {
            let tip = *tips.borrow_and_update();
            let step = async {
                self.send_up_to(&mut cursor, tip.durable, &out).await?;
                tips.changed().await.map_err(|_| reading(&self.shard, &cursor, JournalError::Closed))
            };
            match stop.run_until_cancelled(step).await {
                Some(outcome) => outcome?,
                None => return Ok(()),
            }
        }
    }

    /// Where to read on. The journal must still have, and ever have had, what follows `after`; the record it lies in, if it lies
    /// in one.
    async fn cursor(&self, after: &Position, start: &Start) -> Result<Cursor, SourceError> {
        let Tip { durable, released, .. } = *self.journal.tip().borrow();
        if after.is_zero() {
            let skip_before = match start {
                Start::TrimHorizon => None,
                Start::At(instant) => Some(*instant),
            };
            return Ok(Cursor { from: Position::zero(), after: released, skip_before });
        }
        let lost =
            |message| SourceError::Lost { shard: self.shard.clone(), after: after.clone(), first: None, message };
        let at = At::of(after).ok_or_else(|| lost("this is no position of a journal".to_string()))?;
        let in_part = after.document() > 0;
        if at < released || (in_part && at == released) {
            return Err(lost(format!("the journal begins after {released}")));
        }
        if at > durable {
            return Err(lost(format!(
                "the journal ends at {durable}: it was replaced, or the disk lost synced writes"
            )));
        }
        let mut cursor = Cursor { from: after.clone(), after: at, skip_before: None };
        if in_part {
            let begin = self.journal.begin_of(at).await;
            cursor.after = begin.map_err(|error| reading(&self.shard, &cursor, error))?;
        }
        Ok(cursor)
    }

    async fn send_up_to(&self, cursor: &mut Cursor, limit: At, out: &mpsc::Sender<Batch>) -> Result<(), SourceError> {
        loop {
            let permit = self.read_ahead.clone().acquire_owned().await.map_err(|_| SourceError::Closed)?;
            let chunk = self.journal.read(cursor.after, limit).await;
            let Some(chunk) = chunk.map_err(|error| reading(&self.shard, cursor, error))? else { return Ok(()) };
            let batch = Batch { permit: Some(permit), ..self.batch(cursor, chunk, limit) };
            out.send(batch).await.map_err(|_| SourceError::Closed)?;
        }
    }

    fn batch(&self, cursor: &mut Cursor, chunk: Chunk, limit: At) -> Batch {
        let to = Position::from(chunk.to);
        let span = Span::new(std::mem::replace(&mut cursor.from, to.clone()), to);
        cursor.after = chunk.to;
        let newest = chunk.records.last().map_or(0, |record| record.arrived_at);
        let lag = if chunk.to == limit { 0 } else { self.clock.now().saturating_sub(newest) };
        let records = cursor.skip(chunk.records);
        let behind_ms = Some(u64::try_from(lag).unwrap_or(0));
        Batch { shard: self.shard.clone(), span, records, behind_ms, seen_at: None, last: false, permit: None }
    }

    fn own(&self, shard: &ShardId) -> Result<(), SourceError> {
        if *shard == self.shard {
            return Ok(());
        }
        if !shard.as_str().starts_with(SHARD_PREFIX) {
            return Err(SourceError::Config(format!(
                "the state holds shard {shard}, which is of another source: another source wants another state url"
            )));
        }
        let path = self.settings.journal.display();
        Err(SourceError::Config(format!(
            "shard {shard} is not in journal {path}, which is {}: point `journal` at the directory it was written to, or start \
             with --accept-loss {shard} if that journal is gone for good",
            self.shard
        )))
    }
}

/// How far one reader is.
#[derive(Debug)]
struct Cursor {
    /// Where the next batch's span begins.
    from: Position,
    after: At,
    /// Records before the first one that arrived at this instant or later are passed over.
    skip_before: Option<i64>,
}

impl Cursor {
    fn skip(&mut self, records: Vec<crate::record::Record>) -> Vec<crate::record::Record> {
        let Some(instant) = self.skip_before else { return records };
        let wanted: Vec<_> = records.into_iter().skip_while(|record| record.arrived_at < instant).collect();
        if !wanted.is_empty() {
            self.skip_before = None;
        }
        wanted
    }
}

#[async_trait]
impl Source for IntakeSource {
    fn set_rate(&self, rate: Rate) {
        self.intake.set_rates(rate);
    }

    /// Serves and reads. On stop the endpoint stops accepting first; what it has accepted is read in the next run.
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, stop: CancellationToken) -> Result<(), SourceError> {
        let Some(cursor) = stop.run_until_cancelled(self.begin(&claims)).await else { return Ok(()) };
        let cursor = cursor?;
        tokio::try_join!(self.serve(stop.clone()), self.tail(cursor, out, stop)).map(|_| ())
    }

    async fn reread(
        &self,
        shard: &ShardId,
        start: &Start,
        span: &Span,
        _seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        self.own(shard)?;
        let mut cursor = self.cursor(&span.from, start).await?;
        let to = self.cursor(&span.to.record(), &Start::TrimHorizon).await?.after;
        self.send_up_to(&mut cursor, to, &out).await
    }

    async fn release(&self, shard: &ShardId, watermark: &Position) -> Result<(), SourceError> {
        self.own(shard)?;
        let Some(at) = At::released_by(watermark) else { return Ok(()) };
        self.journal.release(at).await.map_err(|error| SourceError::Environment {
            doing: format!("releasing shard {shard} up to {watermark}"),
            message: error.to_string(),
        })
    }
}

fn opening(error: JournalError) -> SourceError {
    match error {
        JournalError::Settings(_) | JournalError::InUse(_) => SourceError::Config(error.to_string()),
        _ => SourceError::Environment { doing: "opening the journal".to_string(), message: error.to_string() },
    }
}

fn reading(shard: &ShardId, cursor: &Cursor, error: JournalError) -> SourceError {
    match error {
        JournalError::Io { kind: std::io::ErrorKind::NotFound, .. } => SourceError::Lost {
            shard: shard.clone(),
            after: cursor.from.clone(),
            first: None,
            message: error.to_string(),
        },
        _ => SourceError::Environment {
            doing: format!("reading shard {shard} after {}", cursor.from),
            message: error.to_string(),
        },
    }
}
