//! `alluvium run`: consume until stopped.

use super::{CliError, RunArgs};

/// Consumes until stopped.
pub async fn run(args: RunArgs) -> Result<(), CliError> {
    let config = super::load(&args.config)?;
    Err(CliError::input(format!("{}: `run` is not in this version", config.file)))
}
