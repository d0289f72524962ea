//! A row's columns, by name and as JSON, to the event it is: the same whichever engine read it.

use schemas::position::Position;
use schemas::table::TableSpec;
use serde_json::{Map, Value};

use crate::config::Columns;
use crate::event::{Event, EventPlace, Operation};

/// A column behind the table's own: the object a row lies in, below the table's place.
pub(super) const FILE: &str = "_file";

/// When the source took a record.
pub(super) const ARRIVED_AT: &str = "_arrived_at";

/// How rows are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'r> {
    pub(super) columns: &'r Columns,
    pub(super) spec: &'r TableSpec,
}

impl Rows<'_> {
    /// A row without entity, attribute or time tells no history and is none.
    pub(super) fn event(
        &self,
        mut columns: Map<String, Value>,
        at: Option<i64>,
        arrived_at: Option<i64>,
    ) -> Option<Event> {
        let file = columns.remove(FILE).and_then(|file| file.as_str().map(str::to_string)).unwrap_or_default();
        let names = self.columns;
        let of = |name: &str| columns.get(name).and_then(text);
        let named = |name: &Option<String>| name.as_ref().and_then(|name| of(name));
        let value = of(&names.value);
        let position = of("_position").and_then(|text| text.parse::<Position>().ok());
        let place = of("_shard").zip(position).map(|(shard, position)| EventPlace { shard, position });
        Some(Event {
            entity: of(&names.entity)?,
            attribute: of(&names.attribute)?,
            operation: Operation::of(named(&names.operation).as_deref(), value.is_some()),
            value,
            at: at?,
            arrived_at,
            id: named(&names.event),
            place: place.filter(|_| self.spec.metadata),
            file,
            columns,
        })
    }
}

/// A plain value as text; nothing for null.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
