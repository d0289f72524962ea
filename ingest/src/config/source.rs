//! The source's settings, and those of an intake that forwards to a stream.

use std::path::Path;

use super::intake;
use super::typed::Typed;
use super::value::Value;
use crate::source::intake::IntakeSettings;
use crate::source::intake::settings::EndpointSettings;
use crate::source::kinesis::KinesisSettings;

/// Where records come from.
#[derive(Debug, Clone)]
pub enum SourceConfig {
    Kinesis {
        settings: KinesisSettings,
        /// `[intake]`: an endpoint that puts to the stream.
        forward: Option<EndpointSettings>,
    },
    Intake(IntakeSettings),
}

/// `None` only where a problem has been reported.
pub(super) fn build(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    if typed.has("source.kinesis") { kinesis(typed, folder) } else { journal(typed, folder) }
}

fn kinesis(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    let section = "source.kinesis";
    let Some(Value::Start(start)) = typed.value(section, "start") else { return None };
    let settings = KinesisSettings {
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
    Some(SourceConfig::Kinesis { settings, forward })
}

fn journal(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    let section = "source.intake";
    Some(SourceConfig::Intake(IntakeSettings {
        endpoint: intake::endpoint(typed, section, folder)?,
        journal_max_bytes: typed.number(section, "journal_size")?,
        ..IntakeSettings::new(folder.join(typed.text(section, "journal")?))
    }))
}
