//! The binary `alluvium`: arguments in, exit code out. Commands are in `ingest::cli`.

use std::process::ExitCode;

use clap::Parser;
use ingest::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    ingest::logs::init(cli.log_format);
    let format = cli.log_format;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return cli::exit_code(Err(cli::CliError::environment("starting threads", error)), format),
    };
    let outcome = runtime.block_on(cli::execute(cli.command));
    // Reads of standard input that will never end must not hold the process.
    runtime.shutdown_background();
    cli::exit_code(outcome, format)
}
