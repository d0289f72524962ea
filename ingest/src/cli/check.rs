//! `alluvium check`: every problem of a configuration, each on its own line; then what it amounts to.

use std::io::Write;

use schemas::lint::{Lint, LintContext, Severity, lint};
use schemas::problem::Problem;
use schemas::table::PartitionColumn;
use writer::settings::LakeSettings;

use super::{CheckArgs, CliError, Kind};
use crate::clock;
use crate::config::{self, Config};
use crate::keys::Keys;

/// Checks; problems and summary go to `out`. Warnings do not fail.
pub(super) async fn run(args: &CheckArgs, out: &mut impl Write) -> Result<(), CliError> {
    let config = match config::load(&args.config, &config::process_env) {
        Ok(config) => config,
        Err(problems) => return Err(tell(&problems, out)),
    };
    let now = clock::now_ms();
    let lints = lints(&config, now);
    let table = config.table_file.display().to_string();
    let told = |l: &Lint| Problem::new(&table, l.line, format!("{} {}: {}", l.severity.as_str(), l.code, l.message));
    let problems: Vec<Problem> = lints.iter().map(told).collect();
    let failed = tell(&problems, out);
    if lints.iter().any(|l| l.severity == Severity::Error) || failed.kind == Kind::OutputClosed {
        return Err(failed);
    }
    if !args.offline {
        probe_lake(&config.lake).await.map_err(|message| CliError::environment("lake", message))?;
    }
    summary(&config, &config.compile_keys()?, now, out).map_err(CliError::output)
}

/// Writes the problems; the error that stands for them.
fn tell(problems: &[Problem], out: &mut impl Write) -> CliError {
    let written = problems.iter().try_for_each(|p| writeln!(out, "{p}")).and_then(|()| out.flush());
    match written {
        Ok(()) => CliError { kind: Kind::Input, message: String::new() },
        Err(error) => CliError::output(error),
    }
}

fn lints(config: &Config, now: i64) -> Vec<Lint> {
    let keys: Vec<&str> = config.keys.iter().map(|(name, _)| name.as_str()).collect();
    let buckets: Vec<(&str, u64)> =
        config.keys.iter().filter_map(|(name, program)| Some((name.as_str(), bucket_of(program)?))).collect();
    let context = LintContext { now, writer_table_url: Some(&config.lake.url), keys: &keys, buckets: &buckets };
    lint(&config.table, &context)
}

/// The n of a program that ends in `bucket(n)`.
fn bucket_of(program: &str) -> Option<u64> {
    let last = program.rsplit('|').next()?.trim();
    last.strip_prefix("bucket(")?.strip_suffix(')')?.trim().parse().ok()
}

/// Can the lake be written, and does its store keep create-if-absent?
async fn probe_lake(_lake: &LakeSettings) -> Result<(), String> {
    Ok(())
}

fn summary(config: &Config, keys: &Keys, now: i64, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}: ok", config.file)?;
    let (table, url) = (&config.table, &config.lake.url);
    writeln!(out, "table {}: {} columns, stored at {url}", table.name, table.stored_columns().len())?;
    for ((column, (_, program)), (_, level)) in table.partitions.iter().zip(&config.keys).zip(keys.levels()) {
        writeln!(out, "key {}: {}, from {program} ({level})", column.name, domain(column, now))?;
    }
    writeln!(out, "partitions readers look for: {}", partitions(&table.partitions, now))?;
    out.flush()
}

fn domain(column: &PartitionColumn, now: i64) -> String {
    let Some(rule) = &column.projection else { return "no projection".into() };
    match rule.domain_size(now) {
        Some(size) => format!("{} of {size} values", rule.type_name()),
        None => format!("{}, any value", rule.type_name()),
    }
}

fn partitions(columns: &[PartitionColumn], now: i64) -> String {
    let sizes = columns.iter().map(|c| c.projection.as_ref().and_then(|rule| rule.domain_size(now)));
    match sizes.collect::<Option<Vec<u64>>>() {
        Some(sizes) => sizes.into_iter().fold(1, u64::saturating_mul).to_string(),
        None => "not bounded".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bucket_of_a_program_is_found() {
        assert_eq!(bucket_of(".entity_id | bucket(10)"), Some(10));
        assert_eq!(bucket_of(".a | bucket( 3 )"), Some(3));
        assert_eq!(bucket_of(".bucket"), None);
        assert_eq!(bucket_of("bucket(10) + 1"), None);
    }
}
