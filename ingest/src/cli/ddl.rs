//! `alluvium ddl`: the table's definition for a query engine, with the lake's URL as its location.

use std::io::Write;
use std::path::Path;

use super::{CliError, DdlArgs, Dialect};

impl From<Dialect> for schemas::ddl::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Athena => schemas::ddl::Dialect::Athena,
            Dialect::Trino => schemas::ddl::Dialect::Trino,
            Dialect::Spark => schemas::ddl::Dialect::Spark,
            Dialect::Duckdb => schemas::ddl::Dialect::Duckdb,
            Dialect::Glue => schemas::ddl::Dialect::Glue,
        }
    }
}

/// Prints the definition, or compares a file with it.
pub(super) fn run(args: &DdlArgs, out: &mut impl Write) -> Result<(), CliError> {
    let config = super::load(&args.config)?;
    let text = schemas::ddl::generate(&config.table, args.dialect.into(), Some(&config.lake.url));
    match &args.check {
        Some(file) => compare(file, &text, out),
        None => out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output),
    }
}

fn compare(file: &Path, generated: &str, out: &mut impl Write) -> Result<(), CliError> {
    let name = file.display().to_string();
    let committed =
        std::fs::read_to_string(file).map_err(|e| CliError::input(format!("{name}: cannot be read: {e}")))?;
    if committed == generated {
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(committed.as_str(), generated);
    let text = diff.unified_diff().header(&name, "generated").to_string();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)?;
    Err(CliError::input(format!("{name}: differs from what the table spec gives; write it anew with `alluvium ddl`")))
}
