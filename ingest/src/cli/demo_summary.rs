//! What the demo has made, told from the writer log, and the commands to look at it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use schemas::log_entry::{File, Object, Output};
use writer::inventory;
use writer::store::Lake;

use super::CliError;

#[derive(Debug, Default)]
struct Totals {
    rows: u64,
    bytes: u64,
    files: usize,
    partitions: BTreeSet<String>,
    flushes: BTreeMap<&'static str, usize>,
    rejects: BTreeMap<String, u64>,
}

/// The text for stdout.
pub(super) async fn summary(lake: &Lake, dir: &Path, config: &Path, events: usize) -> Result<String, CliError> {
    let totals = totals(lake).await?;
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").unwrap_or(());
    line(format!("events       {events} posted"));
    line(format!("rows         {} in {} files, {} KiB", totals.rows, totals.files, totals.bytes / 1024));
    line(format!("partitions   {}", totals.partitions.len()));
    line(format!("cut because  {}", counts(totals.flushes.iter().map(|(k, v)| (*k, *v as u64)))));
    line(format!("rejects      {}", counts(totals.rejects.iter().map(|(k, v)| (k.as_str(), *v)))));
    line(String::new());
    line("look at it:".into());
    let (lake, config) = (dir.join("lake").display().to_string(), config.display());
    line(format!(
        "  duckdb -c \"select attribute_name, count(*) from read_parquet('{lake}/**/*.parquet', hive_partitioning = true) group by all order by all\""
    ));
    line(format!("  alluvium ddl --config {config} --dialect athena     (or trino, spark, duckdb, glue)"));
    line(format!("  echo '{{\"created_at\":\"2030-01-01T00:00:00Z\"}}' | alluvium explain --config {config}"));
    line(String::new());
    line("ask it why:".into());
    line(format!("  alluvium-reader --config {config}"));
    line("  curl http://127.0.0.1:9470/v1/entities/us:AAPL/attributes/name".into());
    Ok(out)
}

fn counts<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let text: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
    if text.is_empty() { "none".into() } else { text.join(", ") }
}

async fn totals(lake: &Lake) -> Result<Totals, CliError> {
    let mut totals = Totals::default();
    for file in inventory::files(&lake.state).await? {
        *totals.flushes.entry(file.reason.as_str()).or_default() += 1;
        if file.target.is_table() {
            totals.partitions.insert(file.target.path().to_string());
        }
        for object in rejected(&file) {
            count_reasons(lake, object, &mut totals.rejects).await?;
        }
        if let (true, Some(object)) = (file.target.is_table(), file.object) {
            totals.rows += object.rows;
            totals.bytes += object.bytes;
            totals.files += 1;
        }
    }
    Ok(totals)
}

/// The objects of a file that hold rejects.
fn rejected(file: &File) -> impl Iterator<Item = &Object> {
    let whole = file.object.as_ref().filter(|_| file.target.output() == Output::Errors);
    whole.into_iter().chain(&file.rejects)
}

async fn count_reasons(lake: &Lake, object: &Object, into: &mut BTreeMap<String, u64>) -> Result<(), CliError> {
    let Some(bytes) = lake.errors.get(&object.path).await? else { return Ok(()) };
    for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let reason = serde_json::from_slice::<serde_json::Value>(line).ok();
        let reason = reason.as_ref().and_then(|line| line["reason"].as_str()).unwrap_or("unreadable");
        *into.entry(reason.to_string()).or_default() += 1;
    }
    Ok(())
}
