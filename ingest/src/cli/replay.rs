//! `alluvium replay`: raw objects through the same pipeline, into the same lake, once.
//!
//! It has a writer log and shards of its own, so it may run beside a live process. What it reads is not archived again.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use schemas::reject::Reason;
use tokio_util::sync::CancellationToken;
use writer::metrics::{OutputLabel, ReasonLabel};
use writer::objects::{Listed, Objects};
use writer::store::Store;

use super::rebuild::Rebuild;
use super::replay_progress::Progress;
use super::{CliError, Kind, ReplayArgs, replay_dry};
use crate::assemble::{self, Ownership, Share};
use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::source::loss::AcceptedLoss;
use crate::source::replay::counters::ReplayCounters;
use crate::source::replay::dates::Days;
use crate::source::replay::loss::{Accepted, LostObject};
use crate::source::replay::plan::{Compared, Header, Plan, Planned, replay_id, shards};
use crate::source::replay::{ReplaySource, pages};
use crate::source::split::Task;

/// Changed objects that are named one by one.
const NAMED_MAX: usize = 20;

/// Reads what was not read yet, or tells what it would read.
pub(super) async fn run(args: ReplayArgs, out: &mut impl Write) -> Result<(), CliError> {
    let mut config = super::load(&args.config)?;
    let task = match args.task {
        Some(task) => task,
        None => Task::from_env(&config::process_env).map_err(CliError::input)?.unwrap_or(Task::WHOLE),
    };
    let objects = Objects::open(&args.url, &config.lake)?;
    let rebuild = match args.rebuild {
        true => Some(Rebuild::aside(&args, &mut config, &objects.url())?),
        false => None,
    };
    config.lake.archive = None;
    let listed = objects.list().await?;
    let state = Store::open(&config.lake.state, &config.lake)?;
    let mut plan = pages::load(&state).await?;
    let header = Header::new(&objects.url(), objects.root());
    if listed.is_empty() && plan.lanes_of(&header.replay).is_empty() {
        return Err(CliError::input(format!("{}: there is no object", objects.url())));
    }
    let wanted = wanted(&listed, Days { from: args.from, to: args.to });
    if args.dry_run {
        let compared = plan.compare(&header, wanted);
        return replay_dry::tell(&config, &objects, &plan, &compared, out).await;
    }
    if let Some(rebuild) = &rebuild {
        rebuild.begin(&config, &objects.url()).await?;
    }
    let compared = pages::add(&state, &mut plan, &header, wanted).await?;
    let plans = Plans::new(objects, &plan, task, &args.accept_loss, &listed)?;
    tell(&plans, &compared);
    drop(plan);
    match rebuild {
        Some(rebuild) => Box::pin(rebuild.run(&config, plans, args.apply, out)).await,
        None => {
            let Done { summary, outcome } = read(&config, plans).await?;
            writeln!(out, "{summary}").and_then(|()| out.flush()).map_err(CliError::output)?;
            outcome
        }
    }
}

fn wanted(listed: &[Listed], days: Days) -> Vec<Listed> {
    listed.iter().filter(|object| days.has(object)).cloned().collect()
}

/// What is going to be read.
#[derive(Debug)]
pub(super) struct Plans {
    pub(super) objects: Objects,
    /// All that was ever planned, in the order of their numbers.
    pub(super) planned: Vec<Planned>,
    pub(super) task: Task,
    /// What may be missing of it.
    pub(super) accepted: Arc<Accepted>,
    losses: Vec<AcceptedLoss>,
    source: Arc<ReplaySource>,
}

impl Plans {
    fn new(
        objects: Objects,
        plan: &Plan,
        task: Task,
        lost: &[LostObject],
        listed: &[Listed],
    ) -> Result<Plans, CliError> {
        let replay = replay_id(&objects.url());
        let mut planned: Vec<Planned> = plan.lanes_of(&replay).into_values().flatten().collect();
        planned.sort_by_key(|object| object.number);
        let names = |path: &str| [objects.url_of(path), objects.below_url(path).to_string()];
        let accepted = Accepted::of(lost, &planned, listed, &names).map_err(CliError::input)?;
        let losses = accepted.losses(&replay, &planned);
        let accepted = Arc::new(accepted);
        let source = Arc::new(ReplaySource::new(objects.clone(), plan, task, accepted.clone()));
        Ok(Plans { objects, planned, task, accepted, losses, source })
    }
}

/// What the listing has shown about objects that are known already.
fn tell(plans: &Plans, compared: &Compared) {
    let (objects, counters) = (&plans.objects, plans.source.counters());
    for object in compared.changed.iter().take(NAMED_MAX) {
        counters.problem(format!(
            "{} is another object than when it was planned (now {} bytes): it is not read again; copy it to a name of its own to \
             have it read",
            objects.url_of(&object.path),
            object.size
        ));
    }
    if compared.changed.len() > NAMED_MAX {
        counters.problem(format!("and {} more objects have changed", compared.changed.len() - NAMED_MAX));
    }
    if compared.elsewhere > 0 {
        tracing::warn!(objects = compared.elsewhere, "left to the replay of another url that they were planned for");
    }
    tracing::info!(url = objects.url(), new = compared.fresh.len(), "the objects are written down");
}

/// A reading that has come to its end, or as near as it gets.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) summary: serde_json::Value,
    /// Whether that was all there is to read.
    pub(super) outcome: Result<(), CliError>,
}

/// Reads to the end.
pub(super) async fn read(config: &Config, plans: Plans) -> Result<Done, CliError> {
    let Plans { objects, task, losses, source, .. } = plans;
    let (metrics, clock, counters) = (Metrics::default(), assemble::wall_clock(), source.counters());
    let stop = CancellationToken::new();
    super::run::stop_on_signals(stop.clone())?;
    let ownership = Ownership::at_start(Share::Replay { shards: shards(&replay_id(&objects.url())), task });
    let opening = assemble::pipeline(config, source, &metrics, &clock, &losses, &ownership);
    let Some(opened) = stop.run_until_cancelled(opening).await else { return Err(stopped()) };
    let (pipeline, _) = opened?;
    let progress = Progress::start(counters.clone(), true);
    let ended = pipeline.run(stop.clone()).await;
    progress.end().await;
    ended?;
    let outcome = match (counters.stops(), counters.problems()) {
        _ if stop.is_cancelled() => Err(stopped()),
        (Some(stops), problems) => {
            let message = [Some(stops), problems].into_iter().flatten().collect::<Vec<_>>().join("\n");
            Err(CliError { kind: Kind::Environment, message })
        }
        (None, Some(problems)) => Err(CliError::input(problems)),
        (None, None) => Ok(()),
    };
    Ok(Done { summary: summary(&counters, &metrics), outcome })
}

fn stopped() -> CliError {
    CliError {
        kind: Kind::Stopped,
        message: "stopped before the end: what was read is stored; run it again to go on".into(),
    }
}

fn summary(counters: &ReplayCounters, metrics: &Metrics) -> serde_json::Value {
    let reasons = Reason::ALL.map(|reason| ReasonLabel { reason: reason.as_str() });
    let families = [&metrics.ingest.rejects, &metrics.writer.failed_conversion_records];
    let rejects: u64 = families.iter().flat_map(|f| reasons.iter().map(|r| f.get_or_create(r).get())).sum();
    let files = metrics.writer.delivery_to_s3_object_count.get_or_create(&OutputLabel { output: "table" }).get();
    serde_json::json!({
        "objects": counters.objects.load(Ordering::Relaxed),
        "objects_lost": counters.objects_lost.load(Ordering::Relaxed),
        "records": metrics.ingest.incoming_records.get(),
        "rows": metrics.writer.delivery_to_s3_records.get(),
        "rejects": rejects,
        "files": files,
    })
}
