//! Ways to partition the table: as it is configured, with other numbers of buckets, without one of its keys.

use schemas::column::{Column, ColumnSource, DataType};
use schemas::hive;
use schemas::projection::Rule;
use schemas::rules::{DecodeSettings, JqCompat, ParquetSettings};
use schemas::table::TableSpec;

use crate::config::Config;
use crate::error::RunError;
use crate::route::Router;

/// What differs from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Change {
    Nothing,
    Buckets { key: String, from: u32, to: u32 },
    Without { key: String },
}

impl Change {
    /// In a few words.
    pub fn text(&self) -> String {
        match self {
            Change::Nothing => "as configured".into(),
            Change::Buckets { key, to, .. } => format!("{key}: bucket({to})"),
            Change::Without { key } => format!("without {key}"),
        }
    }
}

/// A way to partition the table.
#[derive(Debug, Clone)]
pub struct Layout {
    pub change: Change,
    pub keys: Vec<(String, String)>,
    pub compat: JqCompat,
    pub spec: TableSpec,
}

impl Layout {
    /// What the configuration says.
    pub fn configured(config: &Config) -> Layout {
        Layout {
            change: Change::Nothing,
            keys: config.keys.clone(),
            compat: config.jq_compat,
            spec: config.table.clone(),
        }
    }

    /// The same with another number of buckets; `None` if the key has no buckets, or has that many.
    pub fn with_buckets(&self, key: &str, to: u32) -> Option<Layout> {
        let mut layout = self.clone();
        let (_, program) = layout.keys.iter_mut().find(|(name, _)| name == key)?;
        let (from, place) = buckets(program)?;
        if to == 0 || to == from {
            return None;
        }
        program.replace_range(place, &to.to_string());
        let partition = layout.spec.partitions.iter_mut().find(|p| p.name == key)?;
        if let Some(Rule::Integer { to: last, .. }) = &mut partition.projection {
            *last += i64::from(to) - i64::from(from);
        }
        layout.change = Change::Buckets { key: key.into(), from, to };
        Some(layout)
    }

    /// The same without one of its keys; `None` if there is no such key, or no other one. What the path held of the event is a
    /// column of the file then.
    pub fn without(&self, key: &str) -> Option<Layout> {
        let at = self.spec.partitions.iter().position(|p| p.name == key)?;
        // A table with folders of its own names each key in them.
        if self.spec.partitions.len() < 2 || self.spec.layout.is_some() {
            return None;
        }
        let mut layout = self.clone();
        layout.keys.retain(|(name, _)| name != key);
        let partition = layout.spec.partitions.remove(at);
        if let Some(path) = partition.path {
            let data_type = DataType::String;
            layout.spec.columns.push(Column {
                name: partition.name,
                data_type,
                path,
                comment: None,
                source: ColumnSource::Event,
            });
        }
        layout.change = Change::Without { key: key.into() };
        Some(layout)
    }

    /// The number of buckets of each key that has them.
    pub fn buckets(&self) -> Vec<(String, u32)> {
        self.keys.iter().filter_map(|(name, program)| Some((name.clone(), buckets(program)?.0))).collect()
    }

    pub fn router(&self, parquet: &ParquetSettings, decode: &DecodeSettings, file: &str) -> Result<Router, RunError> {
        let router = Router::of(&self.keys, self.compat, &self.spec, (parquet, decode), file);
        router.map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            RunError::Input(format!("{}: {}", self.change.text(), lines.join("; ")))
        })
    }

    /// The keys that follow time: days, hours, parts of dates. A question asks for a range of them.
    pub fn time_keys(&self) -> Vec<String> {
        let is_time = |(name, program): &&(String, String)| {
            let partition = self.spec.partitions.iter().find(|p| p.name == *name);
            let by_rule = |p: &schemas::table::PartitionColumn| {
                p.data_type == DataType::Date || matches!(p.projection, Some(Rule::Date(_)))
            };
            let by_program =
                ["utc_date", "strftime", "strptime", "todate", "gmtime"].iter().any(|f| program.contains(f));
            partition.is_some_and(by_rule) || by_program
        };
        self.keys.iter().filter(is_time).map(|(name, _)| name.clone()).collect()
    }

    /// Where a path of the configured layout would have been in this one, as far as the path alone can tell: a key can be left
    /// out, and a number of buckets divided.
    pub fn of_path(&self, path: &str) -> Option<String> {
        let mut values = hive::parse_partition_path(path)?;
        match &self.change {
            Change::Nothing => return Some(path.into()),
            Change::Without { key } => values.retain(|(name, _)| name != key),
            Change::Buckets { to, from, .. } if from % to != 0 => return None,
            Change::Buckets { key, to, .. } => {
                let (_, value) = values.iter_mut().find(|(name, _)| name == key)?;
                *value = (value.parse::<u32>().ok()? % to).to_string();
            }
        }
        let (names, values): (Vec<String>, Vec<String>) = values.into_iter().unzip();
        Some(hive::partition_path(&names, &values))
    }
}

/// `.. | bucket(10)`: how many, and where the number stands. None if there is no such call, or several.
fn buckets(program: &str) -> Option<(u32, std::ops::Range<usize>)> {
    let begin = program.find("bucket(")? + "bucket(".len();
    let length = program[begin..].find(')')?;
    let count = program[begin..begin + length].trim().parse().ok()?;
    let is_only_one = !program[begin..].contains("bucket(");
    is_only_one.then_some((count, begin..begin + length))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn attribute_events() -> Layout {
        let text = include_str!("../../../schemas/tables/attribute_events.toml");
        let spec = TableSpec::parse(text, "t.toml").unwrap_or_else(|p| panic!("{p:?}"));
        let key = |name: &str, program: &str| (name.to_string(), program.to_string());
        let keys = vec![
            key("created_date", ".created_at | utc_date"),
            key("attribute_name", ".attribute_name"),
            key("entity_id_mod", ".entity_id | bucket(10)"),
        ];
        Layout { change: Change::Nothing, keys, compat: JqCompat::Off, spec }
    }

    #[test]
    fn buckets_change_program_and_projection() {
        let layout = attribute_events().with_buckets("entity_id_mod", 4).expect("it has buckets");
        assert_eq!(layout.keys[2].1, ".entity_id | bucket(4)");
        let rule = layout.spec.partitions[2].projection.clone();
        assert_eq!(rule, Some(Rule::Integer { from: 0, to: 3, interval: 1, digits: None }));
        assert!(attribute_events().with_buckets("entity_id_mod", 10).is_none());
        assert!(attribute_events().with_buckets("attribute_name", 4).is_none());
        assert_eq!(attribute_events().buckets(), [("entity_id_mod".to_string(), 10)]);
        assert_eq!(buckets(".a | bucket(2) + bucket(3)"), None);
    }

    #[test]
    fn a_key_that_is_left_out_is_a_column_if_the_path_was_all_that_held_it() {
        let layout = attribute_events().without("attribute_name").expect("there is one");
        assert_eq!(layout.keys.len(), 2);
        let column = layout.spec.columns.last().expect("columns");
        assert_eq!(
            (column.name.as_str(), column.path.as_slice()),
            ("attribute_name", &["attribute_name".to_string()][..])
        );
        let columns = |layout: &Layout| layout.spec.columns.len();
        let without = attribute_events().without("entity_id_mod").expect("there is one");
        assert_eq!(columns(&without), columns(&attribute_events()));
        assert!(attribute_events().without("nothing").is_none());
    }

    #[test]
    fn paths_of_the_log_are_told_apart_as_far_as_they_can_be() {
        let (path, base) = ("created_date=2024-01-01/attribute_name=a%2Fb/entity_id_mod=7", attribute_events());
        let of = |layout: Option<Layout>| layout.and_then(|l| l.of_path(path));
        assert_eq!(of(base.without("created_date")).as_deref(), Some("attribute_name=a%2Fb/entity_id_mod=7"));
        let fifth = "created_date=2024-01-01/attribute_name=a%2Fb/entity_id_mod=2";
        assert_eq!(of(base.with_buckets("entity_id_mod", 5)).as_deref(), Some(fifth));
        assert_eq!(of(base.with_buckets("entity_id_mod", 4)), None, "10 is no multiple of 4");
        assert_eq!(of(Some(base)).as_deref(), Some(path));
    }

    #[test]
    fn keys_of_time_are_known_by_rule_or_program() {
        assert_eq!(attribute_events().time_keys(), ["created_date"]);
    }
}
