//! One process: what `alluvium run` puts together, over a service and a store of this world.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ingest::error::RunError;
use ingest::metrics::Metrics;
use ingest::pipeline::Pipeline;
use ingest::route::Router;
use ingest::source::kinesis::{Access, KinesisSettings, KinesisSource, StartSetting, Wire};
use schemas::position::{Position, ShardId};
use schemas::rules::{ParquetSettings, Rules};
use schemas::table::TableSpec;
use tests::faulty_store;
use tests::gate::Gate;
use tests::kinesis_fake::connector;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use writer::Writer;
use writer::settings::BufferSettings;
use writer::shared::{Clock, Shared};
use writer::store::{Lake, Store};

use super::world::{STREAM, World};

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
projection = { type = "enum", values = ["a", "b", "c"] }
"#;

/// A process's clock is off by as much.
const CLOCK_OFF_MS: std::ops::Range<i64> = -2_000..2_000;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    gate: Gate,
    stop: CancellationToken,
    shared: Arc<Shared>,
    task: JoinHandle<Result<(), RunError>>,
}

/// Everything a process is told at its start.
struct Told {
    name: String,
    settings: KinesisSettings,
    clock: Clock,
    lake: Lake,
    buffers: BufferSettings,
    shared: Arc<Shared>,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Process {
    pub(super) fn start(world: &World, number: u64) -> Process {
        let (name, gate, stop) = (format!("w{number:02}"), Gate::default(), CancellationToken::new());
        let plan = &world.plan;
        let store = faulty_store::shared(&world.bucket, &gate);
        let place = |prefix: &str| Store::new(store.clone(), prefix, &format!("memory:///{prefix}/"));
        let lake = Lake { table: place("table"), errors: place("errors"), state: place("state") };
        let buffers =
            BufferSettings { size: 1 << 20, age: plan.age, idle: plan.idle, rows: plan.rows, memory: plan.memory };
        let (clock, metrics) = (world.clock(world.draw(number, CLOCK_OFF_MS)), Metrics::default());
        let shared = Arc::new(Shared::new(plan.memory, clock.clone(), Arc::new(metrics.writer.clone())));
        let settings = KinesisSettings {
            endpoint_url: Some("http://kinesis.test".into()),
            access: Access::Key { id: "test".into(), secret: "test".into() },
            wire: Wire::Given(connector::client(world.kinesis.clone(), gate.clone())),
            records_per_read: plan.records_per_read,
            discover_every: Duration::from_secs(30),
            idle_poll: Duration::from_millis(2_500),
            ..KinesisSettings::new(STREAM, StartSetting::TrimHorizon)
        };
        let told = Told { name: name.clone(), settings, clock, lake, buffers, shared, metrics, stop: stop.clone() };
        let shared = told.shared.clone();
        Process { name, gate, stop, shared, task: tokio::spawn(run(told)) }
    }

    /// Nothing of it comes through any more, in either direction; what it has sent is on its way.
    pub(super) fn kill(&self) {
        self.gate.kill();
        self.task.abort();
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn pause(&self) {
        self.gate.pause();
    }

    pub(super) fn resume(&self) {
        self.gate.resume();
    }

    pub(super) fn is_paused(&self) -> bool {
        self.gate.is_paused()
    }

    pub(super) fn is_dead(&self) -> bool {
        self.gate.is_dead()
    }

    /// How it ended, if it has.
    pub(super) async fn ended(&mut self) -> Option<Ended> {
        if !self.task.is_finished() {
            return None;
        }
        Some(match (&mut self.task).await {
            Ok(Ok(())) => Ended::Gracefully,
            Ok(Err(error)) => Ended::With(error),
            Err(panic) => Ended::Panicked(panic.to_string()),
        })
    }

    /// Resolves when it has read all that was accepted, or has ended.
    pub(super) async fn drained(&self, world: &World) {
        let ends: Vec<(ShardId, Position)> = world
            .kinesis
            .accepted(STREAM)
            .into_iter()
            .filter_map(|(shard, records)| Some((shard, records.last()?.sequence.clone())))
            .map(|(shard, last)| (ShardId::new(format!("{STREAM}:{shard}")), Position::new(last, 0).expect("a number")))
            .collect();
        let read = |(shard, end): &(ShardId, Position)| {
            self.shared.shards.read_through(shard).is_some_and(|through| through >= *end)
        };
        while !self.task.is_finished() && !ends.iter().all(read) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

pub(super) fn rules() -> Rules {
    let spec = TableSpec::parse(SPEC, "t.toml").expect("the spec is right");
    Rules::new(vec![("k".into(), ".k".into())], &spec, ParquetSettings::default())
}

async fn run(told: Told) -> Result<(), RunError> {
    let Told { name, settings, clock, lake, buffers, shared, metrics, stop } = told;
    let start = async {
        let source = Arc::new(KinesisSource::connect(settings, clock).await?);
        source.check().await?;
        let rules = rules();
        let router = Router::compile(&rules, "rules")?;
        let files = router.file_rules().clone();
        let opened = Writer::open(&name, lake, buffers, files, &rules, shared).await?;
        Pipeline::open(opened, router, source, metrics.ingest.clone(), &[]).await
    };
    let Some(pipeline) = stop.run_until_cancelled(start).await else { return Ok(()) };
    pipeline?.run(stop).await
}

/// How a process came to its end.
#[derive(Debug)]
pub(super) enum Ended {
    Gracefully,
    With(RunError),
    Panicked(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Gracefully => f.write_str("gracefully"),
            Ended::With(error) => write!(f, "{error}"),
            Ended::Panicked(text) => f.write_str(text),
        }
    }
}

impl Ended {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Ended::Gracefully => "ended gracefully",
            Ended::With(RunError::Fenced(_)) => "fenced",
            Ended::With(_) | Ended::Panicked(_) => "failed",
        }
    }

    /// Being fenced is everyday life; a start gives up early where an endpoint does not answer, and a process that was paused for
    /// longer than its patience gives up when it wakes. Nothing else ends a process.
    pub(super) fn is_allowed(&self) -> Result<(), String> {
        match self {
            Ended::Gracefully | Ended::With(RunError::Fenced(_)) => Ok(()),
            Ended::With(RunError::Environment(text)) if IMPATIENT.iter().any(|known| text.contains(known)) => Ok(()),
            Ended::With(error) => Err(error.to_string()),
            Ended::Panicked(text) => Err(text.clone()),
        }
    }
}

/// What a process says whose patience has ended: with a store that is slow at the start, with a stream that does not answer, with
/// requests that took as long as it was paused.
const IMPATIENT: &[&str] =
    &["no answer within 20 s", "list the shards of stream", "the server kept failing", "read shard shardId-"];
