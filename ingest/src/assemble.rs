//! The parts of a run, put together from its configuration.

use std::sync::Arc;

use schemas::position::ShardId;
use tokio_util::sync::CancellationToken;
use writer::Writer;
use writer::commit::cut::FileRules;
use writer::shared::{Clock, Shared};
use writer::store::Lake;

use crate::clock;
use crate::config::{Config, Forward, SourceConfig};
use crate::error::RunError;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::route::Router;
use crate::source::intake::counters::IntakeCounters;
use crate::source::intake::forward::KinesisSink;
use crate::source::intake::server::{self, Intake};
use crate::source::intake::{IntakeSettings, IntakeSource};
use crate::source::kcl::{KclCounters, KclSource};
use crate::source::kinesis::{KinesisCounters, KinesisSettings, KinesisSource};
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
}

/// Opens the configured source. One that cannot be read fails here, before a former owner's writer is sealed for it.
pub async fn source(config: &SourceConfig, clock: &Clock) -> Result<Opened, SourceError> {
    match config {
        SourceConfig::Kinesis { settings, .. } => {
            let source = Arc::new(KinesisSource::connect(settings.clone(), clock.clone()).await?);
            source.check().await?;
            let counters = Counters { kinesis: Some(source.counters()), ..Counters::default() };
            Ok(Opened { source, counters, intake: None })
        }
        SourceConfig::Intake(settings) => open_intake(settings.clone(), clock).await,
        SourceConfig::Kcl(settings) => {
            let source = Arc::new(KclSource::open(settings.clone(), clock.clone()).await?);
            source.check().await?;
            let (kinesis, kcl) = (Some(source.kinesis_counters()), Some(source.counters()));
            Ok(Opened { source, counters: Counters { kinesis, kcl, intake: None }, intake: None })
        }
    }
}

async fn open_intake(settings: IntakeSettings, clock: &Clock) -> Result<Opened, SourceError> {
    let counters = Arc::new(IntakeCounters::default());
    let (clock, counted) = (clock.clone(), counters.clone());
    // Reads the last segment to its end: not for a thread that others wait on.
    let opening = tokio::task::spawn_blocking(move || IntakeSource::open(settings, randomness(), clock, counted));
    let source = opening
        .await
        .map_err(|e| SourceError::Environment { doing: "opening the journal".into(), message: e.to_string() })??;
    let source = Arc::new(source);
    let counters = Counters { intake: Some(counters), ..Counters::default() };
    Ok(Opened { source: source.clone(), counters, intake: Some(source) })
}

fn randomness() -> [u8; 16] {
    let (a, b) = (clock::random_seed(), clock::random_seed());
    (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
}

/// The endpoint that puts to the stream we read: serves until `stop`.
pub async fn forward(
    config: &KinesisSettings,
    to: &Forward,
    clock: &Clock,
    stop: CancellationToken,
) -> Result<Arc<IntakeCounters>, SourceError> {
    let sink = KinesisSink::connect(config).await?;
    let counters = Arc::new(IntakeCounters::default());
    let intake = Intake::new(Arc::new(sink), &to.delivery_streams, counters.clone(), clock.clone(), randomness());
    let listener = server::bind(to.listen).await?;
    tracing::info!(address = %to.listen, stream = config.stream, "intake listens and forwards to the stream");
    tokio::spawn(server::serve(listener, intake, stop));
    Ok(counters)
}

/// Opens the lake, takes over what is there, finishes what was begun.
pub async fn pipeline(
    config: &Config,
    source: Arc<dyn Source>,
    metrics: &Metrics,
    clock: &Clock,
    accept_loss: &[ShardId],
) -> Result<(Pipeline, Arc<Shared>), RunError> {
    let rules = config.rules();
    let router = Router::compile(&rules, &config.file)?;
    let file_rules: FileRules = router.file_rules().clone();
    let lake = Lake::open(&config.lake)?;
    let shared = Arc::new(Shared::new(config.buffer.memory, clock.clone(), Arc::new(metrics.writer.clone())));
    let name = clock::new_writer_name();
    tracing::info!(writer = name, lake = config.lake.url, rules = &*file_rules.fingerprint, "writer starts");
    let opened = Writer::open(&name, lake, config.buffer.clone(), file_rules, &rules, shared.clone()).await?;
    let pipeline = Pipeline::open(opened, router, source, metrics.ingest.clone(), accept_loss).await?;
    Ok((pipeline, shared))
}
