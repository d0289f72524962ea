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

use super::replay_progress::Progress;
use super::{CliError, Kind, ReplayArgs, replay_dry};
use crate::assemble::{self, Ownership, Share};
use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::source::replay::counters::ReplayCounters;
use crate::source::replay::dates::Days;
use crate::source::replay::plan::{Compared, Header, replay_id, shards};
use crate::source::replay::{ReplaySource, pages};
use crate::source::split::Task;

/// Changed objects that are named one by one.
const NAMED_MAX: usize = 20;

/// Reads what was not read yet, or tells what it would read.
pub(super) async fn run(args: ReplayArgs, out: &mut impl Write) -> Result<(), CliError> {
    let mut config = super::load(&args.config)?;
    config.lake.archive = None;
    let task = match args.task {
        Some(task) => task,
        None => Task::from_env(&config::process_env).map_err(CliError::input)?.unwrap_or(Task::WHOLE),
    };
    let objects = Objects::open(&args.url, &config.lake)?;
    let listed = list(&objects, Days { from: args.from, to: args.to }).await?;
    let state = Store::open(&config.lake.state, &config.lake)?;
    let mut plan = pages::load(&state).await?;
    let header = Header::new(&objects.url(), objects.root());
    if args.dry_run {
        let compared = plan.compare(&header, listed);
        return replay_dry::tell(&config, &objects, &plan, &compared, out).await;
    }
    let compared = pages::add(&state, &mut plan, &header, listed).await?;
    let source = Arc::new(ReplaySource::new(objects.clone(), &plan, task));
    tell(&objects, &compared, &source.counters());
    drop(plan);
    read(&config, &objects, source, task, out).await
}

async fn list(objects: &Objects, days: Days) -> Result<Vec<Listed>, CliError> {
    let mut listed = objects.list().await?;
    if listed.is_empty() {
        return Err(CliError::input(format!("{}: there is no object", objects.url())));
    }
    listed.retain(|object| days.has(object));
    Ok(listed)
}

/// What the listing has shown about objects that are known already.
fn tell(objects: &Objects, compared: &Compared, counters: &ReplayCounters) {
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

async fn read(
    config: &Config,
    objects: &Objects,
    source: Arc<ReplaySource>,
    task: Task,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let (metrics, clock, counters) = (Metrics::default(), assemble::wall_clock(), source.counters());
    let stop = CancellationToken::new();
    super::run::stop_on_signals(stop.clone())?;
    let ownership = Ownership::at_start(Share::Replay { shards: shards(&replay_id(&objects.url())), task });
    let opening = assemble::pipeline(config, source, &metrics, &clock, &[], &ownership);
    let Some(opened) = stop.run_until_cancelled(opening).await else { return Err(stopped()) };
    let (pipeline, _) = opened?;
    let progress = Progress::start(counters.clone());
    let ended = pipeline.run(stop.clone()).await;
    progress.end().await;
    ended?;
    summary(&counters, &metrics, out).map_err(CliError::output)?;
    match counters.problems() {
        _ if stop.is_cancelled() => Err(stopped()),
        Some(problems) => Err(CliError::input(problems)),
        None => Ok(()),
    }
}

fn stopped() -> CliError {
    CliError {
        kind: Kind::Stopped,
        message: "stopped before the end: what was read is stored; run it again to go on".into(),
    }
}

fn summary(counters: &ReplayCounters, metrics: &Metrics, out: &mut impl Write) -> std::io::Result<()> {
    let reasons = Reason::ALL.map(|reason| ReasonLabel { reason: reason.as_str() });
    let families = [&metrics.ingest.rejects, &metrics.writer.failed_conversion_records];
    let rejects: u64 = families.iter().flat_map(|f| reasons.iter().map(|r| f.get_or_create(r).get())).sum();
    let files = metrics.writer.delivery_to_s3_object_count.get_or_create(&OutputLabel { output: "table" }).get();
    let line = serde_json::json!({
        "objects": counters.objects.load(Ordering::Relaxed),
        "records": metrics.ingest.incoming_records.get(),
        "rows": metrics.writer.delivery_to_s3_records.get(),
        "rejects": rejects,
        "files": files,
    });
    writeln!(out, "{line}")?;
    out.flush()
}
