//! `alluvium run`: consume until stopped.

use std::path::Path;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use writer::shared::Clock;

use super::{CliError, RunArgs};
use crate::admin::{self, Admin, Health};
use crate::assemble::{self, Counters, Ownership};
use crate::config::{Config, SourceConfig};
use crate::error::RunError;
use crate::logs;
use crate::metrics::Metrics;
use crate::metrics::sources;
use crate::pipeline::Change;
use crate::reload::Reloader;
use crate::source::loss::AcceptedLoss;
use crate::source::split::Task;
use crate::source::{READ_AHEAD_BATCHES, Source};

/// Exit code after a second signal: not everything read is stored, and the next start does it.
const STOPPED_AT_ONCE: i32 = 130;

/// What `/healthz` says while former owners' work is being finished.
const STARTING: &str = "start";

/// Consumes until SIGTERM or SIGINT, then cuts, stores, releases.
pub async fn run(args: RunArgs) -> Result<(), CliError> {
    let mut config = super::load(&args.config)?;
    let accept_loss = args.accept_loss;
    match &mut config.source {
        SourceConfig::Kinesis { settings, .. } => settings.accepted_loss.clone_from(&accept_loss),
        SourceConfig::Kcl(settings) => settings.kinesis.accepted_loss.clone_from(&accept_loss),
        SourceConfig::Intake(_) => {}
    }
    logs::follow(&config.log_filter);
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let served = CancellationToken::new();
    let outcome = consume(&args.config, &config, args.task, &accept_loss, stop, served.child_token()).await;
    served.cancel();
    outcome
}

async fn consume(
    file: &Path,
    config: &Config,
    task: Task,
    accept_loss: &[AcceptedLoss],
    stop: CancellationToken,
    served: CancellationToken,
) -> Result<(), CliError> {
    // Listened for from here on: by default it would end the process.
    let hangups = signal(SignalKind::hangup()).map_err(|e| CliError::environment("listening for signals", e))?;
    let (metrics, health, clock) = (Metrics::default(), Health::default(), assemble::wall_clock());
    health.failing(STARTING, "taking over what is there");
    let opening = assemble::source(&config.source, task, &clock);
    let Some(opened) = stop.run_until_cancelled(opening).await else { return Ok(()) };
    let opened = opened?;
    let (mut counters, mut forward) = (opened.counters, None);
    if let SourceConfig::Kinesis { settings, forward: Some(to) } = &config.source {
        let (intake, counted) = assemble::forward(settings, to, &clock, served.clone()).await?;
        (forward, counters.intake) = (Some(intake), Some(counted));
    }
    let (reloader, mut changes) = Reloader::new(file.into(), config.clone(), opened.source.clone(), forward);
    reload_on_hangup(hangups, reloader.clone(), served.clone());
    serve_admin(config, registry(&metrics, counters), &health, reloader.clone(), served).await?;
    let mut ownership = Ownership::at_start(opened.share);
    loop {
        let config = reloader.current();
        let run = Run { config: &config, accept_loss, metrics: &metrics, clock: &clock, health: &health };
        match run.once(opened.source.clone(), &ownership, stop.clone(), &mut changes).await {
            // Another process took some of our shards. What is left of them is read on, by a new writer.
            Err(RunError::Fenced(why)) if matches!(config.source, SourceConfig::Kinesis { .. }) => {
                tracing::warn!(why, "this writer was ended: starting again with what is left");
                health.failing(STARTING, "taking over what is left");
                metrics.ingest.writer_restarts.inc();
                ownership = ownership.after_fence();
            }
            ended => return Ok(ended?),
        }
    }
}

/// One writer's time.
struct Run<'a> {
    config: &'a Config,
    accept_loss: &'a [AcceptedLoss],
    metrics: &'a Metrics,
    clock: &'a Clock,
    health: &'a Health,
}

impl Run<'_> {
    async fn once(
        &self,
        source: Arc<dyn Source>,
        ownership: &Ownership,
        stop: CancellationToken,
        changes: &mut mpsc::Receiver<Change>,
    ) -> Result<(), RunError> {
        // A stop while starting leaves what a crash would leave: nothing is half done that the next start does not finish.
        let starting = assemble::pipeline(self.config, source, self.metrics, self.clock, self.accept_loss, ownership);
        let Some(started) = stop.run_until_cancelled(starting).await else { return Ok(()) };
        let (pipeline, _) = started?;
        self.health.recovered(STARTING);
        tracing::info!("reading");
        pipeline.run_changing(stop, changes).await?;
        tracing::info!("stopped: everything read is stored");
        Ok(())
    }
}

/// Everything there is to count.
fn registry(metrics: &Metrics, counters: Counters) -> Registry {
    metrics.ingest.source_queue_limit_batches.set(READ_AHEAD_BATCHES as i64);
    let mut registry = metrics.registry();
    if let Some(kinesis) = counters.kinesis {
        sources::register_kinesis(&mut registry, kinesis);
    }
    if let Some(intake) = counters.intake {
        sources::register_intake(&mut registry, intake);
    }
    if let Some(kcl) = counters.kcl {
        sources::register_kcl(&mut registry, kcl);
    }
    registry
}

async fn serve_admin(
    config: &Config,
    registry: Registry,
    health: &Health,
    reloader: Arc<Reloader>,
    stop: CancellationToken,
) -> Result<(), CliError> {
    let Some(address) = config.admin else { return Ok(()) };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| CliError::environment(format!("[admin] listen = \"{address}\""), e))?;
    let admin = Admin { health: health.clone(), registry: Arc::new(registry), reloader };
    tokio::spawn(async move {
        if let Err(error) = admin::serve(listener, admin, stop).await {
            tracing::error!(%error, "the admin endpoint has stopped");
        }
    });
    Ok(())
}

/// SIGHUP: reads the configuration again.
fn reload_on_hangup(mut hangups: Signal, reloader: Arc<Reloader>, stop: CancellationToken) {
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        while hangups.recv().await.is_some() {
            reloader.reload().await;
        }
    }));
}

/// The first signal stops gracefully; the second one ends the process at once, which is as safe as any crash.
pub(super) fn stop_on_signals(stop: CancellationToken) -> Result<(), CliError> {
    let listen = |kind| signal(kind).map_err(|e| CliError::environment("listening for signals", e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut signals = 0;
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => {}
                Some(()) = interrupt.recv() => {}
                else => return,
            }
            signals += 1;
            if signals > 1 {
                tracing::warn!("second signal: stopping at once; the next start finishes what is left");
                std::process::exit(STOPPED_AT_ONCE);
            }
            tracing::info!("stopping: cutting and storing what is open");
            stop.cancel();
        }
    });
    Ok(())
}
