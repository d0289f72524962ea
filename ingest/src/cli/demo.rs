//! `alluvium demo`: the main job on real events, from post to query, in one folder.
//!
//! The history of the S&P 500's companies is posted through the Firehose API by the AWS SDK into an intake on loopback, goes
//! through journal and pipeline like anything else, and ends as Parquet in a local lake. Nothing in it knows that it is a demo.
//!
//! It can be run again, and killed at any moment: events are posted in order and nobody else posts to this journal, so the number
//! of records the journal has ever accepted is the number of events not to post again.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;
use writer::shared::Shared;
use writer::store::Lake;

use super::demo_summary::summary;
use super::{CliError, DemoArgs};
use crate::assemble::{self, Ownership};
use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::source::intake::IntakeSource;
use crate::source::split::Task;

/// The events, and the table they are written to.
const EVENTS: &[u8] = include_bytes!("../../data/sp500/events.ndjson.gz");
const TABLE: &str = include_str!("../../../schemas/tables/attribute_events.toml");
const CONFIG: &str = include_str!("../../data/sp500/demo.toml");

/// The delivery stream that events are posted to.
const STREAM: &str = "sp500-history";
/// Records of one PutRecordBatch: the API's limit.
const BATCH: usize = 500;
/// How often the progress line looks.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs the demo in its folder, then tells what is there and how to look at it.
pub async fn run(args: DemoArgs) -> Result<(), CliError> {
    let config_file =
        lay_out(&args.dir).map_err(|e| CliError::environment(format!("cannot write {}", args.dir.display()), e))?;
    let config = config::load(&config_file, &config::process_env)?;
    let events = events()?;
    let stop = CancellationToken::new();
    super::run::stop_on_signals(stop.clone())?;
    let posted = post_and_store(&config, &events, stop.clone()).await?;
    if stop.is_cancelled() && posted < events.len() {
        tracing::warn!(posted, of = events.len(), "stopped; run it again to go on");
        return Ok(());
    }
    let text = summary(&Lake::open(&config.lake)?, &args.dir, &config_file, events.len()).await?;
    super::print(&text)
}

/// Writes configuration and table spec, unless they are there: they may have been edited.
fn lay_out(dir: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    let config = dir.join("alluvium.toml");
    for (file, text) in [(&config, CONFIG), (&dir.join("attribute_events.toml"), TABLE)] {
        if !file.exists() {
            std::fs::write(file, text)?;
        }
    }
    Ok(config)
}

fn events() -> Result<Vec<Vec<u8>>, CliError> {
    let mut text = Vec::new();
    let read = flate2::read::GzDecoder::new(EVENTS).read_to_end(&mut text);
    read.map_err(|e| CliError::environment("unpacking the demo's events", e))?;
    Ok(text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Posts what was not posted yet while the pipeline runs; ends when all of it is stored. Gives how many events were ever posted.
async fn post_and_store(config: &Config, events: &[Vec<u8>], stop: CancellationToken) -> Result<usize, CliError> {
    let (metrics, clock) = (Metrics::default(), assemble::wall_clock());
    let opened = assemble::source(&config.source, Task::WHOLE, &clock).await?;
    let intake = opened.intake.ok_or_else(|| CliError::input("the demo's configuration needs [source.intake]"))?;
    let ownership = Ownership::at_start(opened.share);
    let (pipeline, shared) = assemble::pipeline(config, opened.source, &metrics, &clock, &[], &ownership).await?;
    let running = tokio::spawn(pipeline.run(stop.clone()));
    let bar = progress_bar(events.len());
    let work = async {
        post(&intake, events, &bar).await?;
        bar.set_message("storing");
        while !all_read(&intake, &shared).await? {
            tokio::time::sleep(GLANCE).await;
        }
        Ok::<(), CliError>(())
    };
    // A failing pipeline cancels nothing by itself: it ends, and then nobody would store what is posted.
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = stop.cancelled() => Ok(()),
        () = ended(&running) => Ok(()),
    };
    stop.cancel();
    let stored = running.await.map_err(|e| CliError::environment("the pipeline stopped", e))?;
    bar.finish_and_clear();
    stored?;
    outcome?;
    Ok(usize::try_from(intake.accepted()).unwrap_or(usize::MAX))
}

async fn all_read(intake: &IntakeSource, shared: &Shared) -> Result<bool, CliError> {
    match shared.shards.read_through(intake.shard()) {
        Some(through) => Ok(intake.is_last(&through).await?),
        None => Ok(false),
    }
}

async fn ended<T>(task: &tokio::task::JoinHandle<T>) {
    while !task.is_finished() {
        tokio::time::sleep(GLANCE).await;
    }
}

fn progress_bar(events: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} events posted {msg}");
    let bar = ProgressBar::new(events as u64);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn post(intake: &Arc<IntakeSource>, events: &[Vec<u8>], bar: &ProgressBar) -> Result<(), CliError> {
    let mut bound = intake.bound();
    let address = bound
        .wait_for(Option::is_some)
        .await
        .map_err(|e| CliError::environment("the intake stopped", e))?
        .ok_or_else(|| CliError::environment("the intake", "has no address"))?;
    let client = client(address);
    let already = usize::try_from(intake.accepted()).unwrap_or(usize::MAX).min(events.len());
    bar.set_position(already as u64);
    for batch in events[already..].chunks(BATCH) {
        put(&client, batch).await?;
        bar.inc(batch.len() as u64);
    }
    Ok(())
}

/// The AWS SDK with nothing changed but the endpoint. The intake on loopback checks no signature, so any key will do.
fn client(address: SocketAddr) -> Client {
    let config = aws_sdk_firehose::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("demo", "demo", None, None, "demo"))
        .endpoint_url(format!("http://{address}"));
    Client::from_conf(config.build())
}

async fn put(client: &Client, batch: &[Vec<u8>]) -> Result<(), CliError> {
    let failed = |e: &dyn std::fmt::Display| CliError::environment("posting to the intake", e);
    let mut records = Vec::with_capacity(batch.len());
    for event in batch {
        records.push(Record::builder().data(Blob::new(event.clone())).build().map_err(|e| failed(&e))?);
    }
    let answer = client.put_record_batch().delivery_stream_name(STREAM).set_records(Some(records)).send().await;
    let answer = answer.map_err(|e| failed(&aws_sdk_firehose::error::DisplayErrorContext(e)))?;
    match answer.failed_put_count() {
        0 => Ok(()),
        failures => Err(failed(&format!("{failures} of {} records were refused", batch.len()))),
    }
}
