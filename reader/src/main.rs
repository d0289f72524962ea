//! The binary `alluvium-reader`: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use reader::cli::{self, Cli};
use reader::error::ReaderError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli::log(cli.log_format);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return cli::exit_code(Err(ReaderError::environment("start threads", error))),
    };
    let outcome = runtime.block_on(cli::execute(&cli));
    runtime.shutdown_background();
    cli::exit_code(outcome)
}
