//! The parts of a run, put together from its configuration.

use std::sync::Arc;

use schemas::position::ShardId;
use tokio_util::sync::CancellationToken;
use writer::commit::cut::FileRules;
use writer::commit::takeover::Taking;
use writer::shared::{Clock, Shared};
use writer::store::Lake;
use writer::{Scope, Writer};

use crate::clock;
use crate::config::{Config, SourceConfig};
use crate::error::RunError;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::route::Router;
use crate::source::intake::connection;
use crate::source::intake::counters::IntakeCounters;
use crate::source::intake::forward::KinesisSink;
use crate::source::intake::server::{self, Intake};
use crate::source::intake::settings::EndpointSettings;
use crate::source::intake::{IntakeSettings, IntakeSource};
use crate::source::kcl::{KclCounters, KclSource};
use crate::source::kinesis::{KinesisCounters, KinesisSettings, KinesisSource};
use crate::source::loss::AcceptedLoss;
use crate::source::replay::plan;
use crate::source::split::Task;
use crate::source::{Source, SourceError};

/// The wall clock.
pub fn wall_clock() -> Clock {
    Clock::new(clock::now_ms)
}

/// Counters of the sources that run.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    pub kinesis: Option<Arc<KinesisCounters>>,
    pub intake: Option<Arc<IntakeCounters>>,
    pub kcl: Option<Arc<KclCounters>>,
}

/// A source, and what is known of it beside its records.
#[derive(Debug)]
pub struct Opened {
    pub source: Arc<dyn Source>,
    pub counters: Counters,
    /// The intake, where the source is one.
    pub intake: Option<Arc<IntakeSource>>,
    /// Which of the state's shards a writer takes over at its start.
    pub share: Share,
}

/// Which shards are this process's to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// Its part of a static split of what live sources have read.
    Task(Task),
    /// Its part of the shards of one replay, whose names begin with this.
    Replay { shards: String, task: Task },
    /// This one: beside it there are other processes with other journals.
    Only(ShardId),
    /// None at the start: each is claimed when it is assigned.
    Assigned,
}

impl Share {
    fn has(&self, shard: &ShardId) -> bool {
        match self {
            // A replay runs beside it, and its shards are for whoever goes on with that.
            Share::Task(task) => !plan::is_replays(shard) && task.has(shard),
            Share::Replay { shards, task } => shard.as_str().starts_with(shards) && task.has(shard),
            Share::Only(own) => own == shard,
            Share::Assigned => false,
        }
    }
}

/// Opens the configured source, of whose shards `task` is ours. One that cannot be read fails here, before a former owner's writer is sealed for it.
pub async fn source(config: &SourceConfig, task: Task, clock: &Clock) -> Result<Opened, SourceError> {
    match config {
        SourceConfig::Kinesis { settings, .. } => {
            let settings = KinesisSettings { task, ..KinesisSettings::clone(settings) };
            let source = Arc::new(KinesisSource::connect(settings, clock.clone()).await?);
            source.check().await?;
            let counters = Counters { kinesis: Some(source.counters()), ..Counters::default() };
            Ok(Opened { source, counters, intake: None, share: Share::Task(task) })
        }
        SourceConfig::Intake(settings) => open_intake(settings.clone(), task, clock).await,
        SourceConfig::Kcl(_) if task != Task::WHOLE => Err(SourceError::Config(
            "--task splits the shards of [source.kinesis]; with [source.kcl] the library does".into(),
        )),
        SourceConfig::Kcl(settings) => {
            let source = Arc::new(KclSource::open(settings.clone(), clock.clone()).await?);
            source.check().await?;
            let (kinesis, kcl) = (Some(source.kinesis_counters()), Some(source.counters()));
            Ok(Opened {
                source,
                counters: Counters { kinesis, kcl, intake: None },
                intake: None,
                share: Share::Assigned,
            })
        }
    }
}

async fn open_intake(settings: IntakeSettings, task: Task, clock: &Clock) -> Result<Opened, SourceError> {
    let counters = Arc::new(IntakeCounters::default());
    let (clock, counted) = (clock.clone(), counters.clone());
    // Reads the last segment to its end: not for a thread that others wait on.
    let opening = tokio::task::spawn_blocking(move || IntakeSource::open(settings, randomness(), clock, counted));
    let source = opening
        .await
        .map_err(|e| SourceError::Environment { doing: "opening the journal".into(), message: e.to_string() })??;
    let source = Arc::new(source);
    let counters = Counters { intake: Some(counters), ..Counters::default() };
    // Each process of a split has a journal of its own; a process alone has to answer for every journal there was.
    let share = if task == Task::WHOLE { Share::Task(task) } else { Share::Only(source.shard().clone()) };
    Ok(Opened { source: source.clone(), counters, intake: Some(source), share })
}

fn randomness() -> [u8; 16] {
    let (a, b) = (clock::random_seed(), clock::random_seed());
    (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
}

/// The endpoint that puts to the stream we read: serves until `stop`.
pub async fn forward(
    config: &KinesisSettings,
    to: &EndpointSettings,
    clock: &Clock,
    stop: CancellationToken,
) -> Result<(Arc<Intake>, Arc<IntakeCounters>), SourceError> {
    let sink = KinesisSink::connect(config).await?;
    let counters = Arc::new(IntakeCounters::default());
    let intake = Intake::new(Arc::new(sink), to, counters.clone(), clock.clone(), randomness())?;
    let listener = server::bind(to.listen).await?;
    tracing::info!(address = %to.listen, stream = config.stream, "intake listens and forwards to the stream");
    tokio::spawn(connection::serve(listener, intake.clone(), stop));
    Ok((intake, counters))
}

/// Who a process's writer is, and how far it goes to own its shards.
#[derive(Debug, Clone)]
pub struct Ownership {
    pub writer: String,
    pub share: Share,
    pub taking: Taking,
}

impl Ownership {
    /// Of a process that has just been started.
    pub fn at_start(share: Share) -> Self {
        Ownership { writer: clock::new_writer_name(), share, taking: Taking::Force }
    }

    /// Of the same process after its writer was ended by another one: what is left, and nothing by force.
    pub fn after_fence(self) -> Self {
        let mut former = match self.taking {
            Taking::Force => Vec::new(),
            Taking::Gentle { former } => former,
        };
        former.push(self.writer);
        Ownership { writer: clock::new_writer_name(), share: self.share, taking: Taking::Gentle { former } }
    }
}

/// Opens the lake, takes over what is there, finishes what was begun.
///
/// # Errors
/// [`RunError::NothingLeft`] where a process that was fenced finds that every shard of its share is another one's.
pub async fn pipeline(
    config: &Config,
    source: Arc<dyn Source>,
    metrics: &Metrics,
    clock: &Clock,
    accept_loss: &[AcceptedLoss],
    ownership: &Ownership,
) -> Result<(Pipeline, Arc<Shared>), RunError> {
    let rules = config.rules();
    let router = Router::compile(&rules, &config.file)?;
    let file_rules: FileRules = router.file_rules().clone();
    let lake = Lake::open(&config.lake)?;
    let shared = Arc::new(Shared::new(config.buffer.memory, clock.clone(), Arc::new(metrics.writer.clone())));
    let Ownership { writer: name, share, taking } = ownership;
    tracing::info!(writer = name, lake = config.lake.url, rules = &*file_rules.fingerprint, "writer starts");
    let scope = Scope { wants: &|shard: &ShardId| share.has(shard), taking: taking.clone() };
    let opened = Writer::open(name, lake, config.buffer.clone(), file_rules, &rules, shared.clone(), &scope).await?;
    if let (Taking::Gentle { .. }, true, Some((shard, by))) =
        (taking, opened.carried.shards.is_empty(), opened.theirs.first_key_value())
    {
        return Err(RunError::NothingLeft(format!(
            "nothing is left to do: shard {shard} and the others belong to {by}"
        )));
    }
    let pipeline = Pipeline::open(opened, router, source, metrics.ingest.clone(), accept_loss).await?;
    let former = match taking {
        Taking::Force => Vec::new(),
        Taking::Gentle { former } => former.clone(),
    };
    Ok((pipeline.after(former), shared))
}
