//! A small lake: rows laid out as the table's rules say, and what a filter says of each row when it is looked at by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray, new_null_array};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use schemas::bucket::bucket_str;
use schemas::hive::partition_path;
use schemas::position::Position;
use schemas::table::TableSpec;
use serde_json::Map;

use super::counted::Counted;
use crate::config::{Columns, Limits};
use crate::engine::datafusion::LakeEngine;
use crate::event::{Event, EventPlace, Operation};
use crate::lake::{Lake, Place};
use crate::plan::Layout;
use crate::predicate::{Comparison, Predicate, Scalar};
use crate::time::{day_of, day_text};

/// 2026-01-01, in days since the epoch and as an instant.
pub(super) const FIRST_DAY: i32 = 20_454;
pub(super) const FIRST: i64 = FIRST_DAY as i64 * 86_400_000;

/// 2026-11-22.
pub(super) fn now() -> i64 {
    FIRST + 325 * 86_400_000
}

const TABLE: &str = include_str!("../../../../../schemas/tables/attribute_events.toml");

/// One change: entity `e<n>`, attribute `a<n>`, so long after [`FIRST`], and the value it sets (0: none).
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) entity: u8,
    pub(super) attribute: u8,
    pub(super) at: i64,
    value: u8,
    number: u64,
}

impl Row {
    pub(super) fn new(entity: u16, attribute: u16, at: i64, number: u16) -> Row {
        Row { entity: entity as u8, attribute: attribute as u8, at, value: (number % 3) as u8, number: number.into() }
    }

    fn entity_id(&self) -> String {
        format!("e{}", self.entity)
    }

    fn attribute_name(&self) -> String {
        format!("a{}", self.attribute)
    }

    fn value_text(&self) -> Option<String> {
        (self.value > 0).then(|| format!("v{}", self.value))
    }

    fn day(&self) -> String {
        day_text(day_of(FIRST + self.at))
    }

    fn bucket(&self) -> u32 {
        bucket_str(&self.entity_id(), 10)
    }

    fn folder(&self) -> String {
        let values = [self.day(), self.attribute_name(), self.bucket().to_string()];
        partition_path(&["created_date", "attribute_name", "entity_id_mod"], &values)
    }

    pub(super) fn event(&self) -> Event {
        let place = EventPlace { shard: "s:0".into(), position: Position::from_numbers(1, self.number) };
        Event {
            entity: self.entity_id(),
            attribute: self.attribute_name(),
            operation: Operation::of(Some(if self.value > 0 { "set" } else { "unset" }), self.value > 0),
            value: self.value_text(),
            at: FIRST + self.at,
            arrived_at: Some(FIRST + self.at),
            id: Some(format!("id{}", self.number)),
            place: Some(place),
            file: String::new(),
            columns: Map::new(),
        }
    }

    fn column(&self, name: &str) -> Scalar {
        match name {
            "entity_id" => Scalar::Text(self.entity_id()),
            "attribute_name" => Scalar::Text(self.attribute_name()),
            "created_at" => Scalar::Instant(FIRST + self.at),
            "created_date" => Scalar::Text(self.day()),
            "entity_id_mod" => Scalar::Int(self.bucket().into()),
            other => panic!("no filter of these tests names {other}"),
        }
    }

    pub(super) fn matches(&self, filter: &Predicate) -> bool {
        match filter {
            Predicate::Compare { column, is, value } => {
                let own = self.column(column);
                match is {
                    Comparison::Equal => own == *value,
                    Comparison::Less => own < *value,
                    Comparison::LessOrEqual => own <= *value,
                    Comparison::Greater => own > *value,
                    Comparison::GreaterOrEqual => own >= *value,
                }
            }
            Predicate::In { column, values } => values.contains(&self.column(column)),
            Predicate::And(all) => all.iter().all(|one| self.matches(one)),
            Predicate::Or(all) => all.iter().any(|one| self.matches(one)),
            Predicate::Other => true,
        }
    }
}

pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0u8..6, 0u8..3, 0i64..15 * 24, 0u8..3);
    proptest::collection::vec(row, 0..40).prop_map(|rows| {
        let row = |(number, (entity, attribute, hours, value)): (usize, (u8, u8, i64, u8))| Row {
            entity,
            attribute,
            at: hours * 3_600_000,
            value,
            number: number as u64,
        };
        rows.into_iter().enumerate().map(row).collect()
    })
}

/// See the module's text.
pub(super) struct TestLake {
    store: Arc<Counted>,
    layout: Arc<Layout>,
}

impl TestLake {
    pub(super) fn new(rows: &[Row]) -> TestLake {
        let listed = "\"cik\",\n    \"company\",";
        let spec = TableSpec::parse(&TABLE.replace(listed, "\"a0\", \"a1\", \"a2\","), "t.toml").expect("a table");
        let keys = [("created_date", ".created_at | utc_date"), ("entity_id_mod", ".entity_id | bucket(10)")];
        let keys: Vec<_> = keys.iter().map(|(name, program)| (name.to_string(), program.to_string())).collect();
        let lake = TestLake { store: Arc::new(Counted::default()), layout: Arc::new(Layout::new(spec, &keys)) };
        let mut folders: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            folders.entry(row.folder()).or_default().push(row);
        }
        for (folder, rows) in folders {
            let path = Path::parse(format!("table/{folder}/w-00000001-00000.parquet")).expect("a path");
            let stored = super::block_on(lake.store.put(&path, lake.parquet(&rows).into()));
            stored.expect("a store in memory takes it");
        }
        lake
    }

    fn parquet(&self, rows: &[&Row]) -> Vec<u8> {
        let schema = Arc::new(schemas::arrow::arrow_schema(&self.layout.spec));
        let text = |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| of(row)).collect::<StringArray>())
        };
        let instants = || -> ArrayRef {
            let at = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| FIRST + row.at));
            Arc::new(at.with_timezone("UTC"))
        };
        let column = |field: &Arc<arrow_schema::Field>| match field.name().as_str() {
            "event_id" => text(&|row| Some(format!("id{}", row.number))),
            "entity_id" => text(&|row| Some(row.entity_id())),
            "op" => text(&|row| Some(if row.value > 0 { "set" } else { "unset" }.into())),
            "value" => text(&Row::value_text),
            "_shard" => text(&|_| Some("s:0".into())),
            "_position" => text(&|row| Some(Position::from_numbers(1, row.number).to_string())),
            "created_at" | "_arrived_at" => instants(),
            _ => new_null_array(field.data_type(), rows.len()),
        };
        let columns = schema.fields().iter().map(column).collect();
        let batch = RecordBatch::try_new(schema.clone(), columns).expect("columns of the schema");
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.into_inner().expect("closed")
    }

    pub(super) fn layout(&self) -> Arc<Layout> {
        self.layout.clone()
    }

    pub(super) fn place(&self) -> Place {
        Place::new(self.store.clone(), "table", "memory:///table/")
    }

    pub(super) fn engine(&self) -> LakeEngine {
        self.limited(Limits::default())
    }

    pub(super) fn limited(&self, limits: Limits) -> LakeEngine {
        let named = |name: &str| Some(name.to_string());
        let columns = Columns {
            entity: "entity_id".into(),
            attribute: "attribute_name".into(),
            at: "created_at".into(),
            value: "value".into(),
            operation: named("op"),
            event: named("event_id"),
            rule: named("rule_id"),
            evidence: named("evidence"),
        };
        let lake = Lake { table: self.place(), state: None, archive: None };
        LakeEngine::new(self.layout(), lake, columns, limits).expect("an engine")
    }

    /// How often anything was listed.
    pub(super) fn lists(&self) -> u64 {
        self.store.lists.load(Ordering::Relaxed)
    }
}
