//! `alluvium reload`: a running process reads its configuration again.

use std::io::Write;

use super::ask::{address, ask};
use super::{CliError, ReloadArgs};
use crate::reload::{Difference, Outcome};

/// Asks for it, and tells what came of it.
pub(super) async fn run(args: &ReloadArgs, out: &mut impl Write) -> Result<(), CliError> {
    // Refused here already, a wrong file costs the process nothing.
    let config = super::load(&args.config)?;
    let address = address(&config)?;
    let answer = ask(address, "POST", "/admin/api/reload").await?;
    let outcome: Outcome = serde_json::from_str(&answer.body).map_err(|e| {
        let told = format!("status {}: {e}", answer.status);
        CliError::environment(format!("asking {address} to reload"), told)
    })?;
    tell(&outcome, out)
}

fn tell(outcome: &Outcome, out: &mut impl Write) -> Result<(), CliError> {
    match outcome {
        Outcome::Unchanged => writeln!(out, "nothing has changed").map_err(CliError::output)?,
        Outcome::Changed { changes } => changes.iter().try_for_each(|change| line(change, out))?,
        Outcome::Refused { problems } => {
            return Err(CliError::input(format!("{}\nrefused: the old configuration goes on", problems.join("\n"))));
        }
    }
    out.flush().map_err(CliError::output)
}

fn line(change: &Difference, out: &mut impl Write) -> Result<(), CliError> {
    let Difference { field, from, to, holds } = change;
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
    match from {
        Some(_) => writeln!(out, "{field}: {} -> {} ({holds})", text(from), text(to)),
        None => writeln!(out, "{field}: {} ({holds})", text(to)),
    }
    .map_err(CliError::output)
}
