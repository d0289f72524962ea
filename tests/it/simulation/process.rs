//! One process: what `alluvium run` puts together, over a service and a store of this world.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest::error::RunError;
use ingest::metrics::Metrics;
use ingest::pipeline::Pipeline;
use ingest::route::Router;
use ingest::source::kinesis::{Access, KinesisSettings, KinesisSource, StartSetting, Wire};
use ingest::source::split::Task;
use schemas::position::{Position, ShardId};
use schemas::rules::{ParquetSettings, Rules};
use schemas::table::TableSpec;
use tests::faulty_store;
use tests::gate::Gate;
use tests::kinesis_fake::connector;
use tests::pipeline::TABLE;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use writer::commit::takeover::Taking;
use writer::settings::{ArchiveSettings, BufferSettings};
use writer::shared::{Clock, Shared};
use writer::store::{Lake, Store};
use writer::{Scope, Writer};

use super::notes::Notes;
use super::world::{STREAM, World};

/// A process's clock is off by as much.
const CLOCK_OFF_MS: std::ops::Range<i64> = -2_000..2_000;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    gate: Gate,
    stop: CancellationToken,
    /// Of its last writer, once it has one.
    shared: Arc<Mutex<Option<Arc<Shared>>>>,
    task: JoinHandle<Result<(), RunError>>,
}

/// Everything a process is told at its start.
struct Told {
    name: String,
    settings: KinesisSettings,
    clock: Clock,
    lake: Lake,
    buffers: BufferSettings,
    shared: Arc<Mutex<Option<Arc<Shared>>>>,
    stop: CancellationToken,
    notes: Notes,
}

impl Process {
    /// The `number`-th one, which reads the shards of `task`.
    pub(super) fn start(world: &World, number: u64, task: Task) -> Process {
        let (name, gate, stop) = (format!("w{number:02}"), Gate::default(), CancellationToken::new());
        let plan = &world.plan;
        let store = faulty_store::shared(&world.bucket, &gate);
        let place = |prefix: &str| Store::new(store.clone(), prefix, &format!("memory:///{prefix}/"));
        let settings = KinesisSettings {
            endpoint_url: Some("http://kinesis.test".into()),
            region: Some("us-east-1".into()),
            access: Access::Key { id: "test".into(), secret: "test".into() },
            wire: Wire::Given(connector::client(world.kinesis.clone(), gate.clone())),
            task,
            records_per_read: plan.records_per_read,
            discover_every: Duration::from_secs(20),
            idle_poll: Duration::from_millis(2_500),
            ..KinesisSettings::new(STREAM, StartSetting::TrimHorizon)
        };
        let shared = Arc::default();
        let told = Told {
            name: name.clone(),
            settings,
            clock: world.clock(world.draw(number, CLOCK_OFF_MS)),
            lake: Lake {
                table: place("table"),
                errors: place("errors"),
                state: place("state"),
                archive: plan.archive.map(|_| place("archive")),
            },
            buffers: BufferSettings {
                size: 1 << 20,
                age: plan.age,
                idle: plan.idle,
                rows: plan.rows,
                memory: plan.memory,
                archive: plan
                    .archive
                    .map_or_else(ArchiveSettings::default, |age| ArchiveSettings { size: 1 << 20, age }),
            },
            shared: Arc::clone(&shared),
            stop: stop.clone(),
            notes: world.notes.clone(),
        };
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
            let shared = self.shared.lock().expect("nothing panics holding it");
            shared.as_ref().and_then(|shared| shared.shards.read_through(shard)).is_some_and(|through| through >= *end)
        };
        while !self.task.is_finished() && !ends.iter().all(read) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

pub(super) fn rules() -> Rules {
    let spec = TableSpec::parse(TABLE, "t.toml").expect("the spec is right");
    Rules::new(vec![("k".into(), ".k".into())], &spec, ParquetSettings::default())
}

/// As the command does it: a writer that another one has ended is followed by one that takes what is left, by no force.
async fn run(told: Told) -> Result<(), RunError> {
    let source = Arc::new(KinesisSource::connect(told.settings.clone(), told.clock.clone()).await?);
    source.check().await?;
    let (mut taking, mut writer) = (Taking::Force, told.name.clone());
    for n in 1.. {
        match once(&told, &writer, source.clone(), taking.clone()).await {
            Err(RunError::Fenced(why)) => {
                told.notes.note(format!("{writer} fenced: {why}"));
                told.notes.count("fenced");
                let mut former = match taking {
                    Taking::Force => Vec::new(),
                    Taking::Gentle { former } => former,
                };
                former.push(std::mem::replace(&mut writer, format!("{}-{n}", told.name)));
                taking = Taking::Gentle { former };
            }
            ended => return ended,
        }
    }
    Ok(())
}

/// One writer's time.
async fn once(told: &Told, writer: &str, source: Arc<KinesisSource>, taking: Taking) -> Result<(), RunError> {
    let start = async {
        let (rules, metrics) = (rules(), Metrics::default());
        let router = Router::compile(&rules, "rules")?;
        let (files, task) = (router.file_rules().clone(), told.settings.task);
        let shared = Arc::new(Shared::new(told.buffers.memory, told.clock.clone(), Arc::new(metrics.writer.clone())));
        let wants = |shard: &ShardId| task.has(shard);
        let scope = Scope { wants: &wants, taking: taking.clone() };
        let (lake, buffers) = (told.lake.clone(), told.buffers.clone());
        let opened = Writer::open(writer, lake, buffers, files, &rules, shared.clone(), &scope).await?;
        let former = match &taking {
            Taking::Force => Vec::new(),
            Taking::Gentle { former } if opened.carried.shards.is_empty() && !opened.theirs.is_empty() => {
                return Err(RunError::NothingLeft(format!("nothing is left to do after {former:?}")));
            }
            Taking::Gentle { former } => former.clone(),
        };
        let pipeline = Pipeline::open(opened, router, source, metrics.ingest.clone(), &[]).await?;
        // Not before: a process that is stopped while it takes over leaves what it has read there to the next one.
        *told.shared.lock().expect("nothing panics holding it") = Some(shared);
        Ok(pipeline.after(former))
    };
    let Some(pipeline) = told.stop.run_until_cancelled(start).await else { return Ok(()) };
    pipeline?.run(told.stop.clone()).await
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
            Ended::With(RunError::NothingLeft(_)) => "nothing left",
            Ended::With(_) | Ended::Panicked(_) => "failed",
        }
    }

    /// Losing all shards to others is everyday life; a start gives up early where an endpoint does not answer, and a process that was paused for
    /// longer than its patience gives up when it wakes. Nothing else ends a process.
    pub(super) fn is_allowed(&self) -> Result<(), String> {
        match self {
            Ended::Gracefully | Ended::With(RunError::NothingLeft(_)) => Ok(()),
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
