//! DuckDB: a view over the files, partition columns from their paths.
//!
//! DuckDB lists all files before it prunes by path, and binds the view to the files there are: with none, creating it fails.

use super::{Dialect, header, quoted, sql_string};
use crate::column::DataType;
use crate::table::TableSpec;

pub(super) fn generate(spec: &TableSpec, location: &str) -> String {
    // Local files go by their path: a URL's glob is not expanded by every version.
    let prefix = location.strip_prefix("file://").unwrap_or(location);
    let types: Vec<String> =
        spec.partitions.iter().map(|p| format!("{}: {}", sql_string(&p.name), type_text(&p.data_type))).collect();
    let mut ddl = header(spec, Dialect::Duckdb);
    ddl.push_str(&format!("CREATE OR REPLACE VIEW {} AS\n", quoted(&spec.name)));
    ddl.push_str(&format!("SELECT * FROM read_parquet(\n  {},\n", sql_string(&format!("{prefix}**/*.parquet"))));
    ddl.push_str("  hive_partitioning = true,\n");
    ddl.push_str(&format!("  hive_types = {{{}}},\n", types.join(", ")));
    ddl.push_str("  union_by_name = true\n);\n");
    if let Some(comment) = &spec.comment {
        ddl.push_str(&format!("COMMENT ON VIEW {} IS {};\n", quoted(&spec.name), sql_string(comment)));
    }
    ddl
}

/// Types a partition column can have.
fn type_text(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int => "INTEGER",
        DataType::BigInt => "BIGINT",
        DataType::Date => "DATE",
        _ => "VARCHAR",
    }
}
