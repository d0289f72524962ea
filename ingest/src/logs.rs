//! Logs on stderr, as text for people or as JSON lines for machines.

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Levels where nobody says: ours from info, what the libraries under us say from warn.
pub const DEFAULT_FILTER: &str = "warn,alluvium=info,ingest=info,writer=info,schemas=info";

/// The variable that is stronger than a configuration.
const VARIABLE: &str = "ALLUVIUM_LOG";

/// The filter that holds, to be changed.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Sets logging up for the process; `ALLUVIUM_LOG` filters (`debug`, `writer=trace,info`). A second call changes nothing.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let (filter, handle) = reload::Layer::new(filter);
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => registry.with(lines.with_ansi(colour).with_target(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
    match set {
        Ok(()) => drop(FILTER.set(handle)),
        Err(_) => tracing::debug!("logging was set up before"),
    }
}

/// Whether a text is a filter.
///
/// # Errors
/// What is wrong with it and what to write instead.
pub fn check(filter: &str) -> Result<(), String> {
    let parsed = EnvFilter::builder().parse(filter);
    parsed.map(drop).map_err(|e| format!("`filter` cannot be followed: {e}; write one such as \"info,writer=debug\""))
}

/// Follows a filter of the configuration from here on, unless `ALLUVIUM_LOG` is set.
pub fn follow(filter: &str) {
    let (None, Some(handle)) = (std::env::var_os(VARIABLE), FILTER.get()) else { return };
    if let Ok(filter) = EnvFilter::builder().parse(filter)
        && let Err(error) = handle.reload(filter)
    {
        tracing::warn!(%error, "the log filter stays as it was");
    }
}
