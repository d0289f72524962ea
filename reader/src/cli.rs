//! The one command: read the configuration, open the lake, serve until stopped.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, ValueEnum};
use schemas::env::Lookup;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::connections::serve;
use crate::api::{App, router};
use crate::clock::now_ms;
use crate::config;
use crate::error::ReaderError;
use crate::lambda;

/// Ask the lake: what an attribute is, since when, why, and on what record
#[derive(Debug, Parser)]
#[command(name = "alluvium-reader", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The configuration file, the one that `alluvium run` takes; [reader] says where to listen and what one question may take.
    /// Left out, ALLUVIUM_CONFIG names it; in AWS Lambda it is alluvium.toml beside the program
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How log lines on stderr look; ALLUVIUM_LOG filters them (debug, reader=trace, ...)
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

const EXIT_CODES: &str =
    "Exit codes: 0 stopped by a signal, 1 the configuration is wrong, 2 usage, 3 the environment failed";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Serves until SIGTERM or SIGINT; in Lambda until the process is ended.
pub async fn execute(cli: &Cli) -> Result<(), ReaderError> {
    let path = config_path(cli, &config::process_env);
    let config = config::load(&path, &config::process_env)?;
    let listen = config.reader.listen;
    let table = config.layout.spec.name.clone();
    if lambda::is_here(config::process_env) {
        lambda::check(&config.reader.access, &path)?;
        return Box::pin(lambda::serve(router(Arc::new(App::new(config, now_ms)?)))).await;
    }
    let app = Arc::new(App::new(config, now_ms)?);
    say_if_empty(&app).await;
    let failed = |e: &dyn std::fmt::Display| ReaderError::environment(format!("listen on {listen}"), e);
    let listener = TcpListener::bind(listen).await.map_err(|e| failed(&e))?;
    let address = listener.local_addr().map_err(|e| failed(&e))?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    tracing::info!(%address, %table, lake = app.lake.table.url(), "open http://{address}/ or ask http://{address}/v1/table");
    serve(listener, router(app), stop).await;
    Ok(())
}

/// A reader may be there before the first file is; a wrong address looks the same.
async fn say_if_empty(app: &App) {
    if app.lake.table.is_empty().await.unwrap_or(false) {
        tracing::warn!(
            lake = app.lake.table.url(),
            "nothing is stored here yet, or [lake] url is the address of another place"
        );
    }
}

/// Lambda starts a program without arguments, in a folder of its own.
fn config_path(cli: &Cli, lookup: Lookup<'_>) -> PathBuf {
    let named = cli.config.clone().or_else(|| lookup("ALLUVIUM_CONFIG").map(PathBuf::from));
    let packaged = || lookup("LAMBDA_TASK_ROOT").map(|folder| PathBuf::from(folder).join("alluvium.toml"));
    named.or_else(packaged).unwrap_or_else(|| {
        let message = "say which configuration file: --config alluvium.toml";
        Cli::command().error(clap::error::ErrorKind::MissingRequiredArgument, message).exit()
    })
}

fn stop_on_signals(stop: CancellationToken) -> Result<(), ReaderError> {
    let listen = |kind| signal(kind).map_err(|e| ReaderError::environment("listen for signals", e));
    let (mut term, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

/// Starts logging to stderr.
pub fn log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("ALLUVIUM_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// Says what went wrong, and the code to end with.
pub fn exit_code(outcome: Result<(), ReaderError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}
