//! The Kinesis source: reads every shard of one stream, by polling `GetRecords` or by enhanced fan-out.
//!
//! - `supervise` lists the shards, claims each before its first read and sets a reader on it, in the order that `tree` (pure)
//!   allows: parents to their end, then children.
//! - `shard` reads one shard within the service's limits (`pace`, pure), through throttling, expired iterators and network
//!   failures, and chains the spans.
//! - `fanout` reads one shard as the service pushes it to `consumer`, whom it registers.
//! - `tail` makes records of what either of them gets: checked, taken apart (`kpl`), what is known already left out.
//! - `retention` tells a loss from a shard that was idle for long.
//! - `reread` reads one span again for recovery, always by polling.
//! - `service` says what all of them need of Kinesis; `api` speaks it over the SDK, and makes every client there is.

mod api;
mod consumer;
mod counters;
mod fanout;
#[doc(hidden)]
pub mod kpl;
mod pace;
mod reread;
mod retention;
mod service;
mod shard;
mod supervise;
mod tail;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use writer::shared::Clock;

pub use self::api::Wire;
pub(in crate::source) use self::api::client;
use self::consumer::Consumer;
pub use self::counters::KinesisCounters;
use self::fanout::FanOutReader;
use self::kpl::HashRange;
use self::pace::Retry;
use self::retention::Retention;
use self::service::Service;
pub(in crate::source) use self::shard::IDLE_WORD;
use self::shard::ShardReader;
use self::supervise::{Supervisor, Tasks};
use self::tree::ListedShard;
use super::loss::AcceptedLoss;
use super::split::Task;
use super::{Claims, READ_AHEAD_BATCHES, Rate, Resume, Source, SourceError};
use crate::record::Batch;

/// Where to begin with a stream that was never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartSetting {
    /// What arrives from now on. "Now" is when the source first runs; it is kept with each shard.
    Latest,
    /// The oldest record there is.
    TrimHorizon,
    /// What arrived at or after this instant, milliseconds since the epoch. In the future: reading begins then.
    At(i64),
}

impl StartSetting {
    fn resolve(self, now: i64) -> Start {
        match self {
            StartSetting::Latest => Start::At(now),
            StartSetting::TrimHorizon => Start::TrimHorizon,
            StartSetting::At(millis) => Start::At(millis),
        }
    }
}

/// How records come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderSetting {
    /// `GetRecords`, within the limits that all who poll the stream share.
    Polling,
    /// `SubscribeToShard` for the registered consumer of this name, which has 2 MiB a second of each shard for itself.
    FanOut { consumer: String },
}

/// Who asks the service.
#[derive(Clone, PartialEq, Eq)]
pub enum Access {
    /// Whom the AWS SDK's own chain finds: variables, profile, web identity, container, instance.
    Chain,
    /// This key, for a stand-in server in tests.
    Key { id: String, secret: String },
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Chain => "Chain",
            Access::Key { .. } => "Key",
        })
    }
}

/// How a stream is read.
#[derive(Debug, Clone)]
pub struct KinesisSettings {
    pub stream: String,
    pub start: StartSetting,
    /// Default: polling.
    pub reader: ReaderSetting,
    /// What may be missing from the stream. Default: nothing.
    pub accepted_loss: Vec<AcceptedLoss>,
    /// Default: what the AWS SDK's variables and profile say, else the region's own endpoint.
    pub endpoint_url: Option<String>,
    /// Default: what the AWS SDK's variables and profile say; `us-east-1` where only an endpoint is given.
    pub region: Option<String>,
    /// Default: the chain.
    pub access: Access,
    /// Default: the network.
    pub wire: Wire,
    /// Which shards this process reads. Default: all.
    pub task: Task,
    /// Between two lists of the shards; they are also listed when a shard ends. Default 60 s.
    pub discover_every: Duration,
    /// A call that fails for so long without one success stops the source. Default 5 min.
    pub give_up: Duration,
    /// At most so many records in one read; the service takes up to 10,000, the default.
    pub records_per_read: i32,
    /// Reads of one shard per second. Default and the service's limit, over all who read the stream: 5.
    pub reads_per_second: u32,
    /// Bytes of one shard per second. Default and the service's limit: 2 MiB. More only for a stand-in server.
    pub bytes_per_second: u64,
    /// Between two reads of a shard that holds no more; leaves the limit above to others. Default 1 s.
    pub idle_poll: Duration,
    /// The wait after the first failure of a call; doubles with each. Default 200 ms.
    pub backoff_base: Duration,
    /// The longest wait between two attempts. Default 10 s.
    pub backoff_cap: Duration,
}

impl KinesisSettings {
    /// How fast each shard is read.
    pub fn rate(&self) -> Rate {
        Rate { calls_per_second: self.reads_per_second.into(), bytes_per_second: self.bytes_per_second }
    }

    /// The defaults.
    pub fn new(stream: impl Into<String>, start: StartSetting) -> Self {
        KinesisSettings {
            stream: stream.into(),
            start,
            reader: ReaderSetting::Polling,
            accepted_loss: Vec::new(),
            endpoint_url: None,
            region: None,
            access: Access::Chain,
            wire: Wire::Network,
            task: Task::WHOLE,
            discover_every: Duration::from_secs(60),
            give_up: Duration::from_secs(300),
            records_per_read: 10_000,
            reads_per_second: 5,
            bytes_per_second: 2 << 20,
            idle_poll: Duration::from_secs(1),
            backoff_base: Duration::from_millis(200),
            backoff_cap: Duration::from_secs(10),
        }
    }
}

/// What all readers of the stream share.
#[derive(Debug)]
struct Shared {
    service: Arc<dyn Service>,
    settings: KinesisSettings,
    limits: Arc<pace::Limits>,
    counters: Arc<KinesisCounters>,
    permits: Arc<Semaphore>,
    /// With fan-out: whom the shards are pushed to.
    consumer: Option<Consumer>,
    retention: Retention,
    /// Hash keys of the shards of the last list.
    hash_ranges: Mutex<HashMap<String, HashRange>>,
    /// Shards that were split or merged.
    parents: Mutex<HashSet<String>>,
    clock: Clock,
}

impl Shared {
    fn new(service: Arc<dyn Service>, settings: KinesisSettings, clock: Clock) -> Self {
        let consumer = match &settings.reader {
            ReaderSetting::Polling => None,
            ReaderSetting::FanOut { consumer } => Some(Consumer::new(consumer)),
        };
        let limits = Arc::new(pace::Limits::new(settings.rate()));
        Shared {
            service,
            settings,
            limits,
            counters: Arc::default(),
            permits: Arc::new(Semaphore::new(READ_AHEAD_BATCHES)),
            consumer,
            retention: Retention::default(),
            hash_ranges: Mutex::default(),
            parents: Mutex::default(),
            clock,
        }
    }

    fn learn(&self, listing: &[ListedShard]) {
        let ranges = listing.iter().filter_map(|shard| Some((shard.id.clone(), shard.range?))).collect();
        let parents = listing.iter().flat_map(|shard| shard.parents.iter().cloned()).collect();
        // Maps and sets are whole after any panic.
        *self.hash_ranges.lock().unwrap_or_else(PoisonError::into_inner) = ranges;
        *self.parents.lock().unwrap_or_else(PoisonError::into_inner) = parents;
    }

    /// Whether the shard is known to take no more records.
    fn is_closed(&self, id: &str) -> bool {
        self.parents.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn hash_range(&self, id: &str) -> Option<HashRange> {
        self.hash_ranges.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    fn shard_id(&self, id: &str) -> ShardId {
        ShardId::new(format!("{}:{id}", self.settings.stream))
    }

    /// The name in the service of one of this stream's shards.
    fn service_name<'a>(&self, shard: &'a ShardId) -> Result<&'a str, SourceError> {
        let stream = &self.settings.stream;
        let name = shard.as_str().strip_prefix(stream.as_str()).and_then(|rest| rest.strip_prefix(':'));
        name.ok_or_else(|| {
            SourceError::Config(format!(
                "the state holds shard {shard}, which is not of stream `{stream}`: another stream wants another state url"
            ))
        })
    }

    fn retry(&self) -> Retry {
        Retry::new(self.settings.backoff_base, self.settings.backoff_cap, self.settings.give_up)
    }
}

/// Reads one shard, as the settings say, from where it was left to its end.
async fn read_to_end(
    shared: Arc<Shared>,
    id: &str,
    resume: Resume,
    out: mpsc::Sender<Batch>,
) -> Result<(), SourceError> {
    match &shared.consumer {
        None => ShardReader::resumed(Arc::clone(&shared), id, resume).drain(out).await,
        Some(consumer) => FanOutReader::resumed(Arc::clone(&shared), id, resume).drain(consumer, out).await,
    }
}

/// One Kinesis stream.
#[derive(Debug)]
pub struct KinesisSource(Arc<Shared>);

impl KinesisSource {
    /// Finds endpoint, region and credentials, without a call to Kinesis yet.
    ///
    /// # Errors
    /// [`SourceError::Config`] for an endpoint that is no URL, no region, no credentials.
    pub async fn connect(settings: KinesisSettings, clock: Clock) -> Result<Self, SourceError> {
        let api = api::KinesisApi::connect(&settings).await?;
        Ok(KinesisSource::over(Arc::new(api), settings, clock))
    }

    fn over(service: Arc<dyn Service>, settings: KinesisSettings, clock: Clock) -> Self {
        KinesisSource(Arc::new(Shared::new(service, settings, clock)))
    }

    pub fn counters(&self) -> Arc<KinesisCounters> {
        Arc::clone(&self.0.counters)
    }

    /// Lists the shards once, and with fan-out registers the consumer: a wrong stream, endpoint or permission is told before
    /// anything is done for it.
    ///
    /// # Errors
    /// [`SourceError::Config`] for no such stream or no right to list it or to register; [`SourceError::Environment`] for an
    /// endpoint that does not answer, at once, or one that refuses for its rate for [`KinesisSettings::give_up`].
    pub async fn check(&self) -> Result<(), SourceError> {
        supervise::check(&self.0).await?;
        match &self.0.consumer {
            Some(consumer) => consumer.arn(&self.0).await.map(drop),
            None => Ok(()),
        }
    }

    /// Reads one shard, closed already, from `resume` to its end, whoever else reads the stream; the last batch has `last`.
    pub(in crate::source) async fn drain(
        &self,
        shard: &ShardId,
        resume: Resume,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        ShardReader::resumed(Arc::clone(&self.0), self.0.service_name(shard)?, resume).drain(out).await
    }

    /// Whether a reader that is so far behind has to fear that records are trimmed before it reads them.
    pub(in crate::source) async fn is_close_to_retention(&self, behind_ms: Option<u64>) -> Result<bool, SourceError> {
        self.0.is_close_to_retention(behind_ms).await
    }
}

#[async_trait]
impl Source for KinesisSource {
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, stop: CancellationToken) -> Result<(), SourceError> {
        let start = self.0.settings.start.resolve(self.0.clock.now());
        let mut tasks = Tasks::new();
        let supervisor = Supervisor::new(Arc::clone(&self.0), start, &mut tasks, claims, out);
        // Dropping the supervisor at any await is safe: see `shard`.
        let outcome = stop.run_until_cancelled(supervisor.run()).await;
        tasks.shutdown().await;
        outcome.unwrap_or(Ok(()))
    }

    async fn reread(
        &self,
        shard: &ShardId,
        start: &Start,
        span: &Span,
        seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        reread::reread(Arc::clone(&self.0), self.0.service_name(shard)?, start, span, seen_at, out).await
    }

    fn set_rate(&self, rate: Rate) {
        self.0.limits.set(rate);
    }

    /// Kinesis forgets by retention alone.
    async fn release(&self, _shard: &ShardId, _watermark: &Position) -> Result<(), SourceError> {
        Ok(())
    }
}
