//! Trino: a table of the hive connector. Projection is written if Trino can do all of it; it needs
//! `hive.partition-projection-enabled=true`.
//!
//! Trino's date rules know no unit above DAYS, its integer rules end at 32 bits, its enums need varchar (plugin/trino-hive,
//! io.trino.plugin.hive.projection).

use super::{Dialect, header, quoted, sql_string, template};
use crate::column::DataType;
use crate::projection::Rule;
use crate::table::{PartitionColumn, TableSpec};

pub(super) fn generate(spec: &TableSpec, location: &str) -> String {
    let obstacles: Vec<String> = spec.partitions.iter().filter_map(obstacle).collect();
    let projected = obstacles.is_empty();
    let mut lines: Vec<String> = spec
        .stored_columns()
        .iter()
        .map(|column| line(&column.name, &column.data_type, column.comment.as_deref(), ""))
        .collect();
    lines.extend(spec.partitions.iter().map(|partition| {
        let rule = partition.projection.as_ref().filter(|_| projected).map(column_properties).unwrap_or_default();
        line(&partition.name, &partition.data_type, partition.comment.as_deref(), &rule)
    }));
    let table = format!("{}.{}", quoted(&spec.database), quoted(&spec.name));
    let comment = spec.comment.as_ref().map(|text| format!("COMMENT {}\n", sql_string(text))).unwrap_or_default();
    let mut ddl = header(spec, Dialect::Trino);
    for obstacle in &obstacles {
        ddl.push_str(&format!("-- without partition projection: {obstacle}\n"));
    }
    ddl.push_str(&format!("CREATE TABLE IF NOT EXISTS {table} (\n{}\n)\n{comment}", lines.join(",\n")));
    ddl.push_str(&format!("WITH (\n{}\n);\n", table_properties(spec, location, projected).join(",\n")));
    if !projected && spec.layout.is_some() {
        ddl.push_str("\n-- folders are not name=value: add each with system.register_partition\n");
    } else if !projected {
        let (schema, name) = (sql_string(&spec.database), sql_string(&spec.name));
        ddl.push_str("\n-- again whenever new partitions have appeared\n");
        ddl.push_str(&format!("CALL system.sync_partition_metadata({schema}, {name}, 'ADD');\n"));
    }
    ddl
}

fn line(name: &str, data_type: &DataType, comment: Option<&str>, properties: &str) -> String {
    let comment = comment.map(|text| format!(" COMMENT {}", sql_string(text))).unwrap_or_default();
    format!("  {} {}{comment}{properties}", quoted(name), type_text(data_type))
}

fn table_properties(spec: &TableSpec, location: &str, projected: bool) -> Vec<String> {
    let partitions: Vec<String> = spec.partitions.iter().map(|p| sql_string(&p.name)).collect();
    let mut properties = vec![
        "  format = 'PARQUET'".to_string(),
        format!("  external_location = {}", sql_string(location)),
        format!("  partitioned_by = ARRAY[{}]", partitions.join(", ")),
    ];
    if projected {
        properties.push("  partition_projection_enabled = true".into());
        let template = template(spec, location);
        properties
            .extend(template.map(|text| format!("  partition_projection_location_template = {}", sql_string(&text))));
    }
    properties
}

/// Why Trino cannot do this column's projection.
fn obstacle(partition: &PartitionColumn) -> Option<String> {
    let name = &partition.name;
    let text = partition.data_type == DataType::String;
    match partition.projection.as_ref() {
        None => Some(format!("`{name}` has no rule")),
        Some(Rule::Enum { .. }) if !text => Some(format!("`{name}` is an enum and no varchar")),
        Some(Rule::Integer { from, to, .. }) if i32::try_from(*from).is_err() || i32::try_from(*to).is_err() => {
            Some(format!("`{name}` reaches beyond 32 bits"))
        }
        Some(Rule::Date(rule)) => {
            let unit = rule.units().into_iter().find(|unit| !unit.is_portable())?;
            Some(format!("`{name}` uses {}, and trino nothing above DAYS", unit.as_str()))
        }
        Some(_) => None,
    }
}

fn column_properties(rule: &Rule) -> String {
    let list = |values: &[String]| {
        let values: Vec<String> = values.iter().map(|value| sql_string(value)).collect();
        format!("ARRAY[{}]", values.join(", "))
    };
    let mut properties = vec![("type", sql_string(&rule.type_name().to_ascii_uppercase()))];
    match rule {
        Rule::Enum { values } => properties.push(("values", list(values))),
        Rule::Integer { from, to, interval, digits } => {
            properties.push(("range", list(&[from.to_string(), to.to_string()])));
            properties.push(("interval", interval.to_string()));
            properties.extend(digits.map(|digits| ("digits", digits.to_string())));
        }
        Rule::Date(rule) => {
            properties.push(("format", sql_string(&rule.format)));
            properties.push(("range", list(&[rule.from.to_string(), rule.to.to_string()])));
            properties.push(("interval", rule.interval.to_string()));
            properties.push(("interval_unit", sql_string(rule.unit.as_str())));
        }
        Rule::Injected => {}
    }
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("    partition_projection_{name} = {value}")).collect();
    format!(" WITH (\n{}\n  )", properties.join(",\n"))
}

fn type_text(data_type: &DataType) -> String {
    match data_type {
        DataType::Int => "integer".into(),
        DataType::Float => "real".into(),
        DataType::String => "varchar".into(),
        DataType::Binary => "varbinary".into(),
        DataType::Timestamp => "timestamp(3)".into(),
        DataType::Array(item) => format!("array({})", type_text(item)),
        DataType::Map(key, value) => format!("map({}, {})", type_text(key), type_text(value)),
        DataType::Struct(members) => {
            let members: Vec<String> =
                members.iter().map(|m| format!("{} {}", quoted(&m.name), type_text(&m.data_type))).collect();
            format!("row({})", members.join(", "))
        }
        same => same.to_string(),
    }
}
