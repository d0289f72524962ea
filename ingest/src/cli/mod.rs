//! The commands: arguments, exit codes, and one file per command. Data on stdout, everything else on stderr.

mod ask;
pub mod check;
pub mod ddl;
pub mod demo;
mod demo_summary;
mod error;
pub mod explain;
pub mod import;
mod rebuild;
mod reload;
mod replay;
mod replay_dry;
mod replay_progress;
pub mod run;
pub mod shard;
#[cfg(test)]
mod tests;
mod tune;
mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config};
use crate::logs::LogFormat;
use crate::rebuild::places::Version;
use crate::source::loss::AcceptedLoss;
use crate::source::replay::dates::Day;
use crate::source::replay::loss::LostObject;
use crate::source::split::Task;
pub use error::{CliError, Kind};
pub use tune::TuneArgs;

/// JSON events in, partitioned Parquet out, exactly once
#[derive(Debug, Parser)]
#[command(name = "alluvium", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// How log lines on stderr look; ALLUVIUM_LOG filters them (debug, writer=trace, ...)
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 input or configuration is wrong, 2 usage, 3 the environment failed after retries, \
    4 fenced by another writer, 130 stopped by a signal before the end";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Post real events through the Firehose API, write partitioned Parquet, show how to query it
    Demo(DemoArgs),
    /// Consume until stopped
    Run(RunArgs),
    /// Have a running process read its configuration again: buffers, rates, log levels, file settings, additions to the table
    Reload(ReloadArgs),
    /// Read raw objects once: our archive, Firehose's backups and error objects, NDJSON, CloudTrail; goes on where it was stopped
    Replay(ReplayArgs),
    /// Tell whether another table holds the same rows, by shard and position
    Verify(VerifyArgs),
    /// Tell every problem of a configuration: fields, keys, table, projection, stores
    Check(CheckArgs),
    /// Tell for each event where it would go and why, one JSON line each
    Explain(ExplainArgs),
    /// Print the table's definition for a query engine
    Ddl(DdlArgs),
    /// Take over another service's stream: configuration, table spec, and what is the same, better, different or unsupported
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Tell from a sample what other buffers and layouts would come to, and which to take; writes nothing but the page it is asked for
    Tune(Box<TuneArgs>),
    /// Join a shard of the Kinesis Client Library's daemon, which starts this, to the `run` with [source.kcl]
    Shard(ShardArgs),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder of the lake, the journal and the configuration the demo writes
    #[arg(long, value_name = "DIR", default_value = "alluvium-demo")]
    pub dir: PathBuf,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Read this process's part of the shards only: process I of N, counted from 0
    #[arg(long, value_name = "I/N", default_value_t = Task::WHOLE)]
    pub task: Task,
    /// Go on without records that the source no longer has: SHARD if it is gone with all it held unread, SHARD:FROM-TO if
    /// retention took what stood between two positions, SHARD:FROM- for all that is missing behind one; can be repeated
    #[arg(long, value_name = "LOSS")]
    pub accept_loss: Vec<AcceptedLoss>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The configuration file; its source is not used
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// What to read: s3://bucket/prefix/, file:///folder/ or a path, of a folder or of one object
    #[arg(value_name = "URL")]
    pub url: String,
    /// Only objects of this day (UTC) or later: by the first date in their name, else by when they were last modified
    #[arg(long, value_name = "DATE")]
    pub from: Option<Day>,
    /// Only objects of this day or earlier
    #[arg(long, value_name = "DATE")]
    pub to: Option<Day>,
    /// Read this process's part only: process I of N, counted from 0. Left out, the variables of an array job say it:
    /// AWS_BATCH_JOB_ARRAY_INDEX and _SIZE, JOB_COMPLETION_INDEX and JOB_COMPLETIONS
    #[arg(long, value_name = "I/N")]
    pub task: Option<Task>,
    /// Tell what would be read and, from a sample, what would come of it; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go on without an object that is gone, or is another one than when it was planned, before it was read to its end: its URL,
    /// or `all` for every one that is missing now; can be repeated
    #[arg(long, value_name = "OBJECT|all")]
    pub accept_loss: Vec<LostObject>,
    /// Write a complete new table beside the configured one, under the name of its next version; check that it holds all that the
    /// objects have; print what makes readers look there
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub rebuild: bool,
    /// With --rebuild: the version's name, such as v2; left out, the one behind the table's own
    #[arg(long = "as", value_name = "VERSION", requires = "rebuild")]
    pub version: Option<Version>,
    /// With --rebuild: make readers look there, in the Glue catalog
    #[arg(long, requires = "rebuild", conflicts_with_all = ["task", "dry_run"])]
    pub apply: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The configuration file; its table is the one that is compared
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The other table: s3://bucket/prefix/, file:///folder/ or a path
    #[arg(long, value_name = "ROOT")]
    pub against: String,
}

/// Arguments of `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// The configuration file that the process was started with
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Do not try the stores
    #[arg(long)]
    pub offline: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Events, one JSON text a line; stdin if left out or `-`
    #[arg(value_name = "EVENTS")]
    pub file: Option<PathBuf>,
}

/// Arguments of `ddl`.
#[derive(Debug, Args)]
pub struct DdlArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// For which engine
    #[arg(long, value_enum, default_value_t = Dialect::Athena)]
    pub dialect: Dialect,
    /// Compare with this file instead of printing; exit 1 with a diff if it differs
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
}

/// Arguments of `shard`.
#[derive(Debug, Args)]
pub struct ShardArgs {
    /// The socket of [source.kcl]
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// How many seconds `run` may take to listen
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub wait: u64,
}

/// A query engine's way to define a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    Athena,
    Trino,
    Spark,
    Duckdb,
    /// `TableInput` JSON
    Glue,
}

/// Does what was asked.
pub async fn execute(command: Command) -> Result<(), CliError> {
    // Not locked: `shard` writes from a thread of its own.
    let mut out = std::io::BufWriter::new(std::io::stdout());
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Run(args) => Box::pin(run::run(args)).await,
        Command::Reload(args) => reload::run(&args, &mut out).await,
        Command::Replay(args) => Box::pin(replay::run(args, &mut out)).await,
        Command::Verify(args) => verify::run(&args, &mut out).await,
        Command::Check(args) => check::run(&args, &mut out).await,
        Command::Explain(args) => explain::run(&args, &mut out),
        Command::Ddl(args) => ddl::run(&args, &mut out),
        Command::Import(command) => Box::pin(import::run(command, &mut out)).await,
        Command::Tune(args) => Box::pin(tune::run(*args, &mut out)).await,
        Command::Shard(args) => shard::run(args).await,
    }
}

/// Tells an error on stderr, in the way logs look, and gives the process's exit code.
pub fn exit_code(outcome: Result<(), CliError>, format: LogFormat) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if !error.message.is_empty() {
        match format {
            // Nobody is left to tell if stderr is gone.
            LogFormat::Text => writeln!(std::io::stderr(), "{error}").unwrap_or(()),
            LogFormat::Json => tracing::error!(kind = error.kind.as_str(), "{error}"),
        }
    }
    ExitCode::from(error.kind.exit_code())
}

/// Prints to stdout.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)
}

/// The configuration at `path`; every problem on a line of the error.
pub(crate) fn load(path: &Path) -> Result<Config, CliError> {
    Ok(config::load(path, &config::process_env)?)
}
