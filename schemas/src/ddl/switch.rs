//! From one root to another: the statements that make Athena read a table that was written anew.
//!
//! Athena derives every partition's folder from `LOCATION` unless the table has a `storage.location.template`, so one
//! `ALTER TABLE ... SET LOCATION` is enough where nothing but the root is new.

use std::collections::BTreeMap;

use super::{Dialect, generate, hive_string, properties};
use crate::table::TableSpec;

/// The property that says where partitions lie where `LOCATION` alone does not.
const TEMPLATE: &str = "storage.location.template";

/// What readers have to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// In this order, each ending in `;`.
    pub statements: Vec<String>,
    /// What is another than in the definition before, beside the root.
    pub changed: Vec<String>,
}

/// From the table as `before` has defined it (nobody knows: as `spec` does) at the root `from`, to `spec` at `to`.
pub fn switch(spec: &TableSpec, before: Option<&TableSpec>, from: &str, to: &str) -> Switch {
    let new = moved(spec, from, to);
    let old = before.unwrap_or(spec);
    let table = format!("`{}`.`{}`", new.database, new.name);
    let redefined = redefined(old, &new);
    if !redefined.is_empty() {
        let create = generate(&new, Dialect::Athena, Some(to));
        let statements = vec![format!("DROP TABLE IF EXISTS {table};"), create.trim_end().to_string()];
        return Switch { statements, changed: redefined };
    }
    let (had, has) = (of(old, &slashed(from)), of(&new, &slashed(to)));
    let set: Vec<(&String, &String)> = has.iter().filter(|(name, value)| had.get(*name) != Some(*value)).collect();
    let mut statements = vec![format!("ALTER TABLE {table} SET LOCATION {};", hive_string(&slashed(to)))];
    if !set.is_empty() {
        let pairs: Vec<String> =
            set.iter().map(|(name, value)| format!("{} = {}", hive_string(name), hive_string(value))).collect();
        statements.push(format!("ALTER TABLE {table} SET TBLPROPERTIES ({});", pairs.join(", ")));
    }
    let told = |(name, value): &(&String, &String)| match had.get(*name) {
        Some(old) => format!("{name}: {old} -> {value}"),
        None => format!("{name}: {value}"),
    };
    Switch { statements, changed: set.iter().filter(|(name, _)| *name != TEMPLATE).map(told).collect() }
}

/// The spec with a location template that lies below the root moved along with it.
pub fn moved(spec: &TableSpec, from: &str, to: &str) -> TableSpec {
    let mut spec = spec.clone();
    let roots = [from.to_string(), spec.location.clone()].map(|root| slashed(&root));
    if let Some(template) = spec.properties.get_mut(TEMPLATE)
        && let Some(below) = roots.iter().find_map(|root| template.strip_prefix(root.as_str()))
    {
        *template = format!("{}{below}", slashed(to));
    }
    spec
}

fn slashed(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}

fn of(spec: &TableSpec, location: &str) -> BTreeMap<String, String> {
    properties(spec, location).into_iter().collect()
}

/// What `ALTER TABLE` cannot change in Athena: columns of a Parquet table, partition columns, properties that go.
fn redefined(old: &TableSpec, new: &TableSpec) -> Vec<String> {
    let columns = |spec: &TableSpec| -> Vec<String> {
        spec.stored_columns().iter().map(|c| format!("{} {}", c.name, c.data_type)).collect()
    };
    let partitions = |spec: &TableSpec| -> Vec<String> {
        spec.partitions.iter().map(|p| format!("{} {}", p.name, p.data_type)).collect()
    };
    let mut changed = Vec::new();
    if (&old.database, &old.name) != (&new.database, &new.name) {
        changed.push(format!("table: {}.{} -> {}.{}", old.database, old.name, new.database, new.name));
    }
    for (what, old, new) in
        [("columns", columns(old), columns(new)), ("partition columns", partitions(old), partitions(new))]
    {
        changed.extend(old.iter().filter(|c| !new.contains(c)).map(|c| format!("{what}: without {c}")));
        changed.extend(new.iter().filter(|c| !old.contains(c)).map(|c| format!("{what}: with {c}")));
        // Parquet columns go by name, partition columns by their place in the path.
        if what == "partition columns" && changed.is_empty() && old != new {
            changed.push(format!("{what}: {} -> {}", old.join(", "), new.join(", ")));
        }
    }
    let (had, has) = (of(old, ""), of(new, ""));
    changed.extend(had.keys().filter(|name| !has.contains_key(*name)).map(|name| format!("without {name}")));
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "s3://lake/t/";
    const NEW: &str = "s3://lake/t_v2/";

    fn spec(buckets: u32, more: &str, properties: &str) -> TableSpec {
        let text = format!(
            r#"
            version = 1
            name = "t"
            database = "d"
            location = "{OLD}"
            metadata = false
            {properties}
            [[column]]
            name = "a"
            type = "string"
            {more}
            [[partition]]
            name = "b"
            type = "int"
            projection = {{ type = "integer", range = "0,{}" }}
            "#,
            buckets - 1
        );
        TableSpec::parse(&text, "t.toml").unwrap_or_else(|e| panic!("{e:?}"))
    }

    const LOCATION: &str = "ALTER TABLE `d`.`t` SET LOCATION 's3://lake/t_v2/';";

    #[test]
    fn another_root_is_one_statement() {
        let ten = spec(10, "", "");
        for before in [None, Some(&ten)] {
            let Switch { statements, changed } = switch(&ten, before, OLD, NEW);
            assert_eq!((statements, changed), (vec![LOCATION.to_string()], vec![]));
        }
    }

    #[test]
    fn another_number_of_buckets_is_another_property() {
        let Switch { statements, changed } = switch(&spec(16, "", ""), Some(&spec(10, "", "")), OLD, NEW);
        let properties = "ALTER TABLE `d`.`t` SET TBLPROPERTIES ('projection.b.range' = '0,15');";
        assert_eq!(statements, [LOCATION, properties]);
        assert_eq!(changed, ["projection.b.range: 0,9 -> 0,15"]);
    }

    #[test]
    fn a_location_template_moves_with_the_root() {
        let templated = spec(4, "", "[properties]\n\"storage.location.template\" = \"s3://lake/t/b=${b}/\"\n");
        let Switch { statements, changed } = switch(&templated, Some(&templated), OLD, NEW);
        let properties =
            "ALTER TABLE `d`.`t` SET TBLPROPERTIES ('storage.location.template' = 's3://lake/t_v2/b=${b}/');";
        assert_eq!((statements, changed), (vec![LOCATION.to_string(), properties.to_string()], vec![]));
        let unknown = switch(&templated, None, OLD, NEW);
        assert_eq!(unknown.statements.len(), 2, "{unknown:?}");
    }

    #[test]
    fn other_columns_are_another_table() {
        let more = spec(10, "[[column]]\nname = \"c\"\ntype = \"bigint\"\n", "");
        let Switch { statements, changed } = switch(&more, Some(&spec(10, "", "")), OLD, NEW);
        assert_eq!(changed, ["columns: with c bigint"]);
        assert_eq!(statements[0], "DROP TABLE IF EXISTS `d`.`t`;");
        assert!(statements[1].contains("LOCATION 's3://lake/t_v2/'") && statements[1].ends_with(");"));
        let gone = spec(10, "", "[properties]\nx = \"y\"\n");
        assert_eq!(switch(&spec(10, "", ""), Some(&gone), OLD, NEW).changed, ["without x"]);
    }
}
