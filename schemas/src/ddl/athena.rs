//! Athena: an external table with partition projection. Amazon Athena user guide, "CREATE TABLE", "Setting up partition
//! projection".

use super::{Dialect, header, hive_string, properties};
use crate::column::{Column, DataType};
use crate::table::{PartitionColumn, TableSpec};

pub(super) const SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
pub(super) const INPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";
pub(super) const OUTPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat";

/// Words that name a struct's member only in backticks: Amazon Athena user guide, "Reserved keywords in DDL statements", and Hive's.
const RESERVED: &str = "
all alter and array as authorization between bigint binary boolean both by cache case cashe cast char column
commit conf constraint create cross cube current current_date current_timestamp cursor database date dayofweek
decimal delete describe distinct div double drop else end exchange exists extended external extract false
fetch float floor following for foreign from full function grant group grouping having if import in inner
insert int integer intersect interval into is join lateral left less like local macro map more none not null
numeric of on only or order out outer over partialscan partition percent preceding precision preserve primary
procedure range reads reduce references regexp revoke right rlike rollback rollup row rows select set smallint
start struct table tablesample then time timestamp to transform trigger true truncate unbounded union
uniquejoin update user using utc_timestamp values varchar views when where window with
";

pub(super) fn generate(spec: &TableSpec, location: &str) -> String {
    let mut ddl = header(spec, Dialect::Athena);
    ddl.push_str(&create(spec));
    ddl.push_str(&format!("ROW FORMAT SERDE '{SERDE}'\n"));
    ddl.push_str(&format!("STORED AS INPUTFORMAT '{INPUT_FORMAT}'\nOUTPUTFORMAT '{OUTPUT_FORMAT}'\n"));
    ddl.push_str(&format!("LOCATION {}\n", hive_string(location)));
    let properties: Vec<String> = properties(spec, location)
        .iter()
        .map(|(name, value)| format!("  {} = {}", hive_string(name), hive_string(value)))
        .collect();
    ddl.push_str(&format!("TBLPROPERTIES (\n{}\n);\n", properties.join(",\n")));
    ddl
}

/// `CREATE EXTERNAL TABLE` up to and with `PARTITIONED BY`, as Athena, Hive and Spark SQL all take it.
pub(super) fn create(spec: &TableSpec) -> String {
    let columns: Vec<String> = spec.stored_columns().iter().map(column).collect();
    let partitions: Vec<String> = spec.partitions.iter().map(partition).collect();
    let comment = spec.comment.as_ref().map(|text| format!("COMMENT {}\n", hive_string(text))).unwrap_or_default();
    format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS `{}`.`{}` (\n{}\n)\n{comment}PARTITIONED BY (\n{}\n)\n",
        spec.database,
        spec.name,
        columns.join(",\n"),
        partitions.join(",\n")
    )
}

fn column(column: &Column) -> String {
    line(&column.name, &column.data_type, column.comment.as_deref())
}

fn partition(partition: &PartitionColumn) -> String {
    line(&partition.name, &partition.data_type, partition.comment.as_deref())
}

fn line(name: &str, data_type: &DataType, comment: Option<&str>) -> String {
    let comment = comment.map(|text| format!(" COMMENT {}", hive_string(text))).unwrap_or_default();
    format!("  `{name}` {}{comment}", type_text(data_type))
}

/// As [`DataType`] displays, with backticks around struct members that need them. Around those alone: not every checker of Athena's
/// grammar knows backticks there.
fn type_text(data_type: &DataType) -> String {
    match data_type {
        DataType::Array(item) => format!("array<{}>", type_text(item)),
        DataType::Map(key, value) => format!("map<{},{}>", type_text(key), type_text(value)),
        DataType::Struct(members) => {
            let members: Vec<String> =
                members.iter().map(|m| format!("{}:{}", member(&m.name), type_text(&m.data_type))).collect();
            format!("struct<{}>", members.join(","))
        }
        primitive => primitive.to_string(),
    }
}

fn member(name: &str) -> String {
    let quoted = name.starts_with('_') || RESERVED.split_whitespace().any(|word| word == name);
    if quoted { format!("`{name}`") } else { name.to_string() }
}
