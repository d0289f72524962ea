//! Logs on stderr, as text for people or as JSON lines for machines.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Levels where `ALLUVIUM_LOG` says nothing: ours from info, what the libraries under us say from warn.
const DEFAULT_FILTER: &str = "warn,alluvium=info,ingest=info,writer=info,schemas=info";

/// Sets logging up for the process; `ALLUVIUM_LOG` filters (`debug`, `writer=trace,info`). A second call changes nothing.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_env("ALLUVIUM_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => builder.with_ansi(colour).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if set.is_err() {
        tracing::debug!("logging was set up before");
    }
}
