//! The source's settings, and those of an intake that forwards to a stream.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::intake;
use super::typed::Typed;
use super::value::Value;
use crate::source::intake::IntakeSettings;
use crate::source::intake::settings::EndpointSettings;
use crate::source::kcl::KclSettings;
use crate::source::kinesis::{KinesisSettings, ReaderSetting, StartSetting};

/// Where records come from.
#[derive(Debug, Clone)]
pub enum SourceConfig {
    Kinesis {
        settings: Box<KinesisSettings>,
        /// `[intake]`: an endpoint that puts to the stream.
        forward: Option<Box<EndpointSettings>>,
    },
    Intake(IntakeSettings),
    Kcl(KclSettings),
}

/// `None` only where a problem has been reported.
pub(super) fn build(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    if typed.has("source.kinesis") {
        kinesis(typed, folder)
    } else if typed.has("source.kcl") {
        kcl(typed, folder)
    } else {
        journal(typed, folder)
    }
}

fn kinesis(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    let section = "source.kinesis";
    let Some(Value::Start(start)) = typed.value(section, "start") else { return None };
    let settings = KinesisSettings {
        reader: reader(typed)?,
        region: typed.text(section, "region"),
        endpoint_url: typed.text(section, "endpoint_url"),
        discover_every: typed.time(section, "discover_every")?,
        give_up: typed.time(section, "give_up")?,
        records_per_read: i32::try_from(typed.number(section, "records_per_read")?).ok()?,
        reads_per_second: u32::try_from(typed.number(section, "reads_per_second")?).ok()?,
        bytes_per_second: typed.number(section, "bytes_per_second")?,
        idle_poll: typed.time(section, "idle_poll")?,
        ..KinesisSettings::new(typed.text(section, "stream")?, start)
    };
    let forward = match typed.has("intake") {
        true => Some(intake::endpoint(typed, "intake", folder)?),
        false => None,
    };
    Some(SourceConfig::Kinesis { settings: Box::new(settings), forward: forward.map(Box::new) })
}

fn kcl(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    let section = "source.kcl";
    // Where a shard begins is the daemon's setting.
    let kinesis = KinesisSettings {
        region: typed.text(section, "region"),
        endpoint_url: typed.text(section, "endpoint_url"),
        give_up: typed.time(section, "give_up")?,
        ..KinesisSettings::new(typed.text(section, "stream")?, StartSetting::TrimHorizon)
    };
    let socket = folder.join(typed.text(section, "socket")?);
    Some(SourceConfig::Kcl(KclSettings { socket, handover: typed.time(section, "handover")?, kinesis }))
}

fn reader(typed: &Typed) -> Option<ReaderSetting> {
    if typed.text("source.kinesis", "reader")? == "polling" {
        return Some(ReaderSetting::Polling);
    }
    let named = typed.text("source.kinesis", "consumer");
    let consumer = named.or_else(|| typed.text("lake", "state").map(|state| consumer_of(&state)))?;
    Some(ReaderSetting::FanOut { consumer })
}

/// Processes of one lake share a consumer, as they share its shards; two lakes on one stream must not.
fn consumer_of(state: &str) -> String {
    let digest = Sha256::digest(state);
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("alluvium-{hex}")
}

/// Longest name the service takes.
const CONSUMER_BYTES_MAX: usize = 128;

/// What is wrong with the name of a consumer, by the service's rule.
pub(super) fn check_consumer(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !name.is_empty() && name.len() <= CONSUMER_BYTES_MAX && name.chars().all(good) {
        return Ok(());
    }
    Err(format!(
        "`consumer`: `{name}` is no consumer's name; write 1 to {CONSUMER_BYTES_MAX} letters, digits, _ . and -"
    ))
}

fn journal(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    let section = "source.intake";
    Some(SourceConfig::Intake(IntakeSettings {
        endpoint: intake::endpoint(typed, section, folder)?,
        journal_max_bytes: typed.number(section, "journal_size")?,
        ..IntakeSettings::new(folder.join(typed.text(section, "journal")?))
    }))
}
