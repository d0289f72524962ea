//! The Kinesis Client Library as source: its MultiLangDaemon assigns the shards and reads them, we own what we are given.
//!
//! The daemon starts one child for each shard, `alluvium shard`, which is a pipe: it joins its standard input and output to
//! our socket. So all shards of the machine are read into the buffers of one process.
//!
//! - `socket` listens and gives each connection a task. `shard` is one connection: initialise, records, end.
//! - `protocol` (pure) reads and writes the daemon's messages, `lines` bounds them, `tip` (pure) dates them.
//!
//! The lease table decides who should read a shard. It does not decide who may write its rows (a worker that was paused still
//! believes in its lease) nor where to read on: both are in our state. Each assignment is a claim there, and what the daemon
//! gives is compared with what the state holds: passed over where it is stored already, fetched from the stream where the
//! daemon begins too late. It begins behind a position that retention has trimmed without a word, so the place where it joins
//! what is stored is read from the stream as well, unless it gives the last stored record once more.

mod counters;
mod lines;
mod protocol;
mod shard;
mod socket;
#[cfg(test)]
mod tests;
mod tip;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use writer::shared::Clock;

pub use self::counters::KclCounters;
use super::kinesis::{KinesisCounters, KinesisSettings, KinesisSource};
use super::{Claims, READ_AHEAD_BATCHES, Resume, Source, SourceError};
use crate::record::Batch;

/// How the daemon is listened to.
#[derive(Debug, Clone)]
pub struct KclSettings {
    /// Where the daemon's children connect.
    pub socket: PathBuf,
    /// How long a shard's owner may take to give it up after the lease was assigned to us, before it is taken by force.
    pub handover: Duration,
    /// The stream, for spans that have to be read again and for what the daemon does not give.
    pub kinesis: KinesisSettings,
}

/// What is read past the daemon, from the stream itself.
#[async_trait]
trait Stream: Send + Sync + std::fmt::Debug {
    /// See [`Source::reread`].
    async fn span(
        &self,
        shard: &ShardId,
        start: &Start,
        span: &Span,
        seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError>;

    /// Whether a reader that is so far behind has to fear that records are trimmed before it reads them.
    async fn is_close_to_retention(&self, behind_ms: Option<u64>) -> Result<bool, SourceError>;

    /// Everything after `resume` to the end of a closed shard; the last batch has `last`.
    async fn rest(&self, shard: &ShardId, resume: Resume, out: mpsc::Sender<Batch>) -> Result<(), SourceError>;
}

#[async_trait]
impl Stream for KinesisSource {
    async fn span(
        &self,
        shard: &ShardId,
        start: &Start,
        span: &Span,
        seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        self.reread(shard, start, span, seen_at, out).await
    }

    async fn is_close_to_retention(&self, behind_ms: Option<u64>) -> Result<bool, SourceError> {
        KinesisSource::is_close_to_retention(self, behind_ms).await
    }

    async fn rest(&self, shard: &ShardId, resume: Resume, out: mpsc::Sender<Batch>) -> Result<(), SourceError> {
        self.drain(shard, resume, out).await
    }
}

/// How long a connection waits for what.
#[derive(Debug, Clone, Copy)]
struct Waits {
    /// [`KclSettings::handover`]
    handover: Duration,
    /// Between two looks whether a shard's owner has given it up.
    look: Duration,
    /// Between two checkpoints of one shard: each is a write to the lease table, which is paid for.
    checkpoint: Duration,
    /// Between two attempts to checkpoint a shard's end.
    end: Duration,
}

impl Waits {
    fn new(handover: Duration) -> Self {
        let look = Duration::from_millis(500);
        Waits { handover, look, checkpoint: Duration::from_secs(5), end: Duration::from_secs(1) }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    stream_name: String,
    waits: Waits,
    stream: Arc<dyn Stream>,
    counters: Arc<KclCounters>,
    lags: Arc<KinesisCounters>,
    /// Held by whoever has a batch in memory.
    permits: Arc<Semaphore>,
    clock: Clock,
    /// Shards that a connection speaks for. Two for one shard would hand its records over twice.
    served: Mutex<BTreeSet<ShardId>>,
    /// What [`Source::release`] said: at most one position for each shard this process has owned.
    stored: Mutex<BTreeMap<ShardId, Position>>,
}

impl Shared {
    /// The name the Kinesis source has for it: the state is the same, whoever assigns the shards.
    fn shard_id(&self, name: &str) -> ShardId {
        ShardId::new(format!("{}:{name}", self.stream_name))
    }

    fn served(&self) -> MutexGuard<'_, BTreeSet<ShardId>> {
        // Sets and maps of names are whole after any panic.
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_stored(&self, shard: &ShardId, watermark: &Position) {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.insert(shard.clone(), watermark.clone());
    }

    fn stored(&self, shard: &ShardId) -> Option<Position> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).get(shard).cloned()
    }
}

/// A socket for the children of one machine's daemon.
#[derive(Debug)]
pub struct KclSource {
    shared: Arc<Shared>,
    kinesis: Arc<KinesisSource>,
    listener: Mutex<Option<UnixListener>>,
}

impl KclSource {
    /// Listens already: children that come before [`Source::run`] wait for their answer.
    ///
    /// # Errors
    /// [`SourceError::Config`] for a socket that cannot be made or that another process listens on, and for all that
    /// [`KinesisSource::connect`] refuses.
    pub async fn open(settings: KclSettings, clock: Clock) -> Result<Self, SourceError> {
        let kinesis = Arc::new(KinesisSource::connect(settings.kinesis.clone(), clock.clone()).await?);
        let listener = socket::bind(&settings.socket).await?;
        let shared = Shared {
            stream_name: settings.kinesis.stream,
            waits: Waits::new(settings.handover),
            stream: kinesis.clone(),
            counters: Arc::default(),
            lags: kinesis.counters(),
            permits: Arc::new(Semaphore::new(READ_AHEAD_BATCHES)),
            clock,
            served: Mutex::default(),
            stored: Mutex::default(),
        };
        Ok(KclSource { shared: Arc::new(shared), kinesis, listener: Mutex::new(Some(listener)) })
    }

    pub fn counters(&self) -> Arc<KclCounters> {
        Arc::clone(&self.shared.counters)
    }

    /// Of what is read past the daemon, and how far it is behind.
    pub fn kinesis_counters(&self) -> Arc<KinesisCounters> {
        self.kinesis.counters()
    }

    /// See [`KinesisSource::check`].
    ///
    /// # Errors
    /// The same.
    pub async fn check(&self) -> Result<(), SourceError> {
        self.kinesis.check().await
    }
}

#[async_trait]
impl Source for KclSource {
    /// Reads the shards it is given, not all of them. Order of parents and children, and which shards there are, is the
    /// library's to know.
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, stop: CancellationToken) -> Result<(), SourceError> {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        let listener = listener.ok_or_else(|| SourceError::Config("the socket is read once".into()))?;
        socket::serve(listener, Arc::clone(&self.shared), claims, out, stop).await
    }

    async fn reread(
        &self,
        shard: &ShardId,
        start: &Start,
        span: &Span,
        seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        self.kinesis.reread(shard, start, span, seen_at, out).await
    }

    /// Checkpointed when the daemon next gives the chance to.
    async fn release(&self, shard: &ShardId, watermark: &Position) -> Result<(), SourceError> {
        self.shared.note_stored(shard, watermark);
        Ok(())
    }
}
