//! DuckDB: a view over the files, partition columns from their paths.
//!
//! DuckDB lists all files before it prunes by path, and binds the view to the files there are: with none, creating it fails.

use super::{Dialect, header, quoted, sql_string};
use crate::column::DataType;
use crate::table::{Folders, TableSpec};

pub(super) fn generate(spec: &TableSpec, location: &str) -> String {
    // Local files go by their path: a URL's glob is not expanded by every version.
    let prefix = location.strip_prefix("file://").unwrap_or(location);
    let types: Vec<String> =
        spec.partitions.iter().map(|p| format!("{}: {}", sql_string(&p.name), type_text(&p.data_type))).collect();
    let mut ddl = header(spec, Dialect::Duckdb);
    ddl.push_str(&format!("CREATE OR REPLACE VIEW {} AS\n", quoted(&spec.name)));
    let files = sql_string(&format!("{prefix}**/*.parquet"));
    match &spec.layout {
        None => {
            ddl.push_str(&format!("SELECT * FROM read_parquet(\n  {files},\n"));
            ddl.push_str("  hive_partitioning = true,\n");
            ddl.push_str(&format!("  hive_types = {{{}}},\n", types.join(", ")));
        }
        Some(layout) => {
            ddl.push_str(&format!("SELECT * EXCLUDE (filename),\n{}\n", from_names(spec, layout, prefix).join(",\n")));
            ddl.push_str(&format!(
                "FROM read_parquet(\n  {files},\n  filename = true,\n  hive_partitioning = false,\n"
            ));
        }
    }
    ddl.push_str("  union_by_name = true\n);\n");
    if let Some(comment) = &spec.comment {
        ddl.push_str(&format!("COMMENT ON VIEW {} IS {};\n", quoted(&spec.name), sql_string(comment)));
    }
    ddl
}

/// Partition columns out of the names of files.
fn from_names(spec: &TableSpec, layout: &Folders, prefix: &str) -> Vec<String> {
    let (pattern, groups) = layout.pattern(prefix, spec.partitions.len());
    let pattern = sql_string(&pattern);
    let column = |(partition, group): (&crate::table::PartitionColumn, &usize)| {
        let (name, data_type) = (quoted(&partition.name), type_text(&partition.data_type));
        format!("  CAST(regexp_extract(filename, {pattern}, {group}) AS {data_type}) AS {name}")
    };
    spec.partitions.iter().zip(&groups).map(column).collect()
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
