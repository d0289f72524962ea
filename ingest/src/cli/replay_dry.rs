//! `alluvium replay --dry-run`: what would be read, and from a sample, what would come of it. Writes nothing.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use schemas::position::Position;
use writer::buffer::policy::{Ratio, file_bytes};
use writer::objects::{Listed, Objects};

use super::CliError;
use crate::config::Config;
use crate::route::Router;
use crate::source::replay::counters::ReplayCounters;
use crate::source::replay::format::Raw;
use crate::source::replay::object::{Broken, Records, fetch};
use crate::source::replay::plan::{Compared, Plan, Planned, replay_id};

/// Objects of the sample, spread over all; and how much text is looked at of each, in portions.
const OBJECTS: usize = 8;
const PORTIONS: usize = 4;

/// What the sample came to.
#[derive(Debug, Default)]
struct Sample {
    /// Of objects as they lie in the store, as far as they were looked at.
    bytes: u64,
    text_bytes: u64,
    records: u64,
    formats: BTreeMap<&'static str, u64>,
    /// Bytes of events by partition.
    partitions: HashMap<String, u64>,
    rejects: BTreeMap<&'static str, u64>,
}

pub(super) async fn tell(
    config: &Config,
    objects: &Objects,
    plan: &Plan,
    compared: &Compared,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let bytes: u64 = compared.fresh.iter().map(|object| object.size).sum();
    let begun: usize = plan.lanes_of(&replay_id(&objects.url())).values().map(Vec::len).sum();
    let mut line = |text: String| writeln!(out, "{text}").map_err(CliError::output);
    line(format!("objects     {} new, {bytes} bytes", compared.fresh.len()))?;
    line(format!("known       {begun} objects were planned before: read, or read on with"))?;
    for object in &compared.changed {
        line(format!("changed     {}: would not be read", objects.url_of(&object.path)))?;
    }
    if compared.elsewhere > 0 {
        line(format!("elsewhere   {} objects belong to the replay of another url", compared.elsewhere))?;
    }
    if compared.fresh.is_empty() {
        return Ok(());
    }
    let sample = sample(config, objects, &compared.fresh).await?;
    for text in estimate(&sample, bytes, config.buffer.size) {
        line(text)?;
    }
    out.flush().map_err(CliError::output)
}

async fn sample(config: &Config, objects: &Objects, fresh: &[Listed]) -> Result<Sample, CliError> {
    let mut router = Router::compile(&config.rules(), &config.file)?;
    let mut sample = Sample::default();
    let step = fresh.len().div_ceil(OBJECTS).max(1);
    for object in fresh.iter().step_by(step) {
        let Listed { path, etag, size, modified } = object.clone();
        let planned = Planned { number: 1, lane: 0, path, etag, size, modified };
        let counters = Arc::new(ReplayCounters::default());
        let raws = fetch(objects, &planned, &counters);
        let reading = tokio::task::spawn_blocking(move || {
            let ended = look_at(&planned, raws, &mut router, &mut sample);
            (ended, router, sample)
        });
        let (ended, router_back, sample_back) =
            reading.await.map_err(|e| CliError::environment("reading a sample", e))?;
        (router, sample) = (router_back, sample_back);
        sample.bytes += counters.bytes.load(std::sync::atomic::Ordering::Relaxed);
        if let Err(broken) = ended {
            tracing::warn!("{}: {broken:?}", objects.url_of(&object.path));
        }
    }
    Ok(sample)
}

fn look_at(
    planned: &Planned,
    raws: crate::source::replay::object::Raws,
    router: &mut Router,
    sample: &mut Sample,
) -> Result<(), Broken> {
    let mut records = Records::open(raws)?;
    for _ in 0..PORTIONS {
        let more =
            records.portion(&mut |number, raw, _| count(&planned.position(number), &raw, planned, router, sample))?;
        if !more {
            break;
        }
    }
    if let Some(format) = records.format() {
        *sample.formats.entry(format.as_str()).or_default() += 1;
    }
    Ok(())
}

fn count(position: &Position, raw: &Raw<'_>, planned: &Planned, router: &mut Router, sample: &mut Sample) {
    sample.records += 1;
    sample.text_bytes += raw.data.len() as u64;
    let arrived_at = raw.arrived_at.unwrap_or(planned.modified);
    router.each_event(&raw.data, position, arrived_at, &mut |event, path| match path {
        Ok(path) => match sample.partitions.get_mut(path) {
            Some(bytes) => *bytes += event.data.len() as u64,
            None => _ = sample.partitions.insert(path.to_string(), event.data.len() as u64),
        },
        Err(reject) => *sample.rejects.entry(reject.reason.as_str()).or_default() += 1,
    });
}

/// As much again as the sample is of all.
fn estimate(sample: &Sample, bytes: u64, file_size: u64) -> Vec<String> {
    let times = bytes as f64 / sample.bytes.max(1) as f64;
    let files_of = |data: &u64| {
        let whole = file_bytes((*data as f64 * times) as u64, Ratio::default().get());
        whole.div_ceil(file_size.max(1)).max(1)
    };
    let files: u64 = sample.partitions.values().map(files_of).sum();
    let counts = |counts: &BTreeMap<&'static str, u64>| {
        let texts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if texts.is_empty() { "none".into() } else { texts.join(", ") }
    };
    vec![
        format!(
            "sample      {} bytes of them, {} records; objects: {}",
            sample.bytes,
            sample.records,
            counts(&sample.formats)
        ),
        format!("records     about {}", (sample.records as f64 * times) as u64),
        format!("rejects     {} in the sample", counts(&sample.rejects)),
        format!("partitions  {} in the sample", sample.partitions.len()),
        format!("files       at least {files}, if no buffer is cut early by age or memory"),
    ]
}
