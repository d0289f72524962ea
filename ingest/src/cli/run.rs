//! `alluvium run`: consume until stopped.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use schemas::position::ShardId;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, RunArgs};
use crate::admin::{self, Admin, Health};
use crate::assemble::{self, Counters};
use crate::config::{Config, SourceConfig};
use crate::metrics::Metrics;
use crate::metrics::sources;
use crate::source::READ_AHEAD_BATCHES;

/// Exit code after a second signal: not everything read is stored, and the next start does it.
const STOPPED_AT_ONCE: i32 = 130;

/// What `/healthz` says while former owners' work is being finished.
const STARTING: &str = "start";

/// Consumes until SIGTERM or SIGINT, then cuts, stores, releases.
pub async fn run(args: RunArgs) -> Result<(), CliError> {
    let config = super::load(&args.config)?;
    let accept_loss: Vec<ShardId> = args.accept_loss.into_iter().map(ShardId::new).collect();
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let served = CancellationToken::new();
    let outcome = consume(&config, &accept_loss, stop, served.child_token()).await;
    served.cancel();
    outcome
}

async fn consume(
    config: &Config,
    accept_loss: &[ShardId],
    stop: CancellationToken,
    served: CancellationToken,
) -> Result<(), CliError> {
    let (metrics, health, clock) = (Metrics::default(), Health::default(), assemble::wall_clock());
    health.failing(STARTING, "taking over what is there");
    let opening = assemble::source(&config.source, &clock);
    let Some(opened) = stop.run_until_cancelled(opening).await else { return Ok(()) };
    let opened = opened?;
    let mut counters = opened.counters;
    if let SourceConfig::Kinesis { settings, forward: Some(to) } = &config.source {
        counters.intake = Some(assemble::forward(settings, to, &clock, served.clone()).await?);
    }
    serve_admin(config, registry(&metrics, counters), &health, served).await?;
    // A stop while starting leaves what a crash would leave: nothing is half done that the next start does not finish.
    let starting = assemble::pipeline(config, opened.source, &metrics, &clock, accept_loss);
    let Some(started) = stop.run_until_cancelled(starting).await else { return Ok(()) };
    let (pipeline, _) = started?;
    health.recovered(STARTING);
    tracing::info!("reading");
    pipeline.run(stop).await?;
    tracing::info!("stopped: everything read is stored");
    Ok(())
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
    stop: CancellationToken,
) -> Result<(), CliError> {
    let Some(address) = config.admin else { return Ok(()) };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| CliError::environment(format!("[admin] listen = \"{address}\""), e))?;
    let admin = Admin { health: health.clone(), registry: Arc::new(registry), config: config.shown().clone() };
    tokio::spawn(async move {
        if let Err(error) = admin::serve(listener, admin, stop).await {
            tracing::error!(%error, "the admin endpoint has stopped");
        }
    });
    Ok(())
}

/// The first signal stops gracefully; the second one ends the process at once, which is as safe as any crash.
pub(super) fn stop_on_signals(stop: CancellationToken) -> Result<(), CliError> {
    let listen = |kind| signal(kind).map_err(|e| CliError::environment("listening for signals", e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut signals = 0;
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => {}
                Some(()) = interrupt.recv() => {}
                Some(()) = hangup.recv() => {
                    tracing::warn!("SIGHUP: this version reads its configuration at the start only; restart to apply a change");
                    continue;
                }
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
