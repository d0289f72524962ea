//! The source's settings, and those of an intake that forwards to a stream.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::typed::Typed;
use super::value::{StartAt, Value};

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceConfig {
    Kinesis(KinesisConfig),
    Intake(IntakeConfig),
}

/// `[source.kinesis]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KinesisConfig {
    pub stream: String,
    pub start: StartAt,
    pub region: Option<String>,
    pub endpoint_url: Option<String>,
    /// `[intake]`: an endpoint that puts to the stream.
    pub forward: Option<Forward>,
}

/// `[source.intake]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeConfig {
    pub listen: SocketAddr,
    /// Absolute.
    pub journal: PathBuf,
    /// Bytes on disk at most.
    pub journal_bytes_max: u64,
    pub delivery_streams: Vec<String>,
}

/// `[intake]` with `forward = "kinesis"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    pub listen: SocketAddr,
    pub delivery_streams: Vec<String>,
}

/// `None` only where a problem has been reported.
pub(super) fn build(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    if typed.has("source.kinesis") { kinesis(typed).map(SourceConfig::Kinesis) } else { intake(typed, folder) }
}

fn kinesis(typed: &Typed) -> Option<KinesisConfig> {
    let section = "source.kinesis";
    let Some(Value::Start(start)) = typed.value(section, "start") else { return None };
    let forward = if typed.has("intake") {
        let listen = typed.address("intake", "listen")?;
        Some(Forward { listen, delivery_streams: typed.names("intake", "delivery_streams") })
    } else {
        None
    };
    Some(KinesisConfig {
        stream: typed.text(section, "stream")?,
        start,
        region: typed.text(section, "region"),
        endpoint_url: typed.text(section, "endpoint_url"),
        forward,
    })
}

fn intake(typed: &Typed, folder: &Path) -> Option<SourceConfig> {
    let section = "source.intake";
    Some(SourceConfig::Intake(IntakeConfig {
        listen: typed.address(section, "listen")?,
        journal: folder.join(typed.text(section, "journal")?),
        journal_bytes_max: typed.number(section, "journal_size")?,
        delivery_streams: typed.names(section, "delivery_streams"),
    }))
}
