//! `alluvium verify`: whether another table holds the same rows as the configured one.

use std::io::Write;

use writer::objects::Objects;
use writer::verify::{Difference, differences, sums};

use super::{CliError, VerifyArgs};

/// Compares; a summary and the first differences go to `out`, as JSON lines.
pub(super) async fn run(args: &VerifyArgs, out: &mut impl Write) -> Result<(), CliError> {
    let config = super::load(&args.config)?;
    let (ours, theirs) = (Objects::open(&config.lake.url, &config.lake)?, Objects::open(&args.against, &config.lake)?);
    let (a, b) = (sums(&ours).await?, sums(&theirs).await?);
    if (a.files, b.files) == (0, 0) {
        return Err(CliError::input(format!("neither {} nor {} holds a file", ours.url(), theirs.url())));
    }
    let differ = differences((&ours, &a), (&theirs, &b)).await?;
    let summary = serde_json::json!({
        "rows": a.rows, "files": a.files, "rows_against": b.rows, "files_against": b.files, "equal": differ.is_empty(),
    });
    let lines = std::iter::once(summary).chain(differ.iter().map(told));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)?;
    if differ.is_empty() {
        return Ok(());
    }
    let message = format!("{} and {} do not hold the same rows: {} and {}", ours.url(), theirs.url(), a.rows, b.rows);
    Err(CliError::input(message))
}

fn told(difference: &Difference) -> serde_json::Value {
    let Difference { shard, position, rows } = difference;
    serde_json::json!({ "shard": shard, "position": position, "rows": rows.0, "rows_against": rows.1 })
}
