//! Spark SQL and Hive: the form of `CREATE EXTERNAL TABLE` that both take. Neither knows partition projection: partitions are
//! registered by `MSCK REPAIR TABLE`.

use super::{Dialect, athena, header, hive_string, template};
use crate::table::TableSpec;

pub(super) fn generate(spec: &TableSpec, location: &str) -> String {
    let mut ddl = header(spec, Dialect::Spark);
    ddl.push_str("-- instants are INT64 milliseconds: Spark's own Parquet reader takes them, Hive's SerDe before Hive 4 does not\n");
    ddl.push_str(&athena::create(spec));
    ddl.push_str(&format!("STORED AS PARQUET\nLOCATION {}", hive_string(location)));
    if !spec.properties.is_empty() {
        let properties: Vec<String> = spec
            .properties
            .iter()
            .map(|(name, value)| format!("  {} = {}", hive_string(name), hive_string(value)))
            .collect();
        ddl.push_str(&format!("\nTBLPROPERTIES (\n{}\n)", properties.join(",\n")));
    }
    match template(spec, location) {
        None => {
            ddl.push_str(";\n\n-- again whenever new partitions have appeared\n");
            ddl.push_str(&format!("MSCK REPAIR TABLE `{}`.`{}`;\n", spec.database, spec.name));
        }
        Some(template) => {
            let values: Vec<String> = spec.partitions.iter().map(|p| format!("`{}` = '...'", p.name)).collect();
            ddl.push_str(";\n\n-- folders are not name=value, so partitions are added one by one:\n");
            ddl.push_str(&format!(
                "-- ALTER TABLE `{}`.`{}` ADD PARTITION ({})\n",
                spec.database,
                spec.name,
                values.join(", ")
            ));
            ddl.push_str(&format!("--   LOCATION {}\n", hive_string(&template)));
        }
    }
    ddl
}
