//! Hive partition paths: `name=value/name=value`, values escaped as Hive's `FileUtils.escapePathName` does.

/// Stands for null and the empty string in a path.
pub const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";
