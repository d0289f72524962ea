//! Arrow rows to events: the columns that a history is told by, typed, and all columns as JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, RecordBatch};
use arrow_json::WriterBuilder;
use arrow_json::writer::LineDelimited;
use schemas::position::Position;
use schemas::table::TableSpec;
use serde_json::{Map, Value};

use super::table::FILE;
use crate::config::Columns;
use crate::error::ReaderError;
use crate::event::{Event, EventPlace, Operation};

/// How rows are read.
pub(super) struct Rows<'r> {
    pub(super) columns: &'r Columns,
    pub(super) spec: &'r TableSpec,
}

impl Rows<'_> {
    /// Appends a batch's rows. A row without entity, attribute or time tells no history and is passed over.
    pub(super) fn read(&self, batch: &RecordBatch, events: &mut Vec<Event>) -> Result<(), ReaderError> {
        let (at, arrived_at) = (instants(batch, &self.columns.at), instants(batch, "_arrived_at"));
        for (row, columns) in json_rows(batch)?.into_iter().enumerate() {
            let of = |instants: &Option<Vec<Option<i64>>>| instants.as_ref().and_then(|all| all[row]);
            if let Some(event) = self.event(columns, of(&at), of(&arrived_at)) {
                events.push(event);
            }
        }
        Ok(())
    }

    fn event(&self, mut columns: Map<String, Value>, at: Option<i64>, arrived_at: Option<i64>) -> Option<Event> {
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

fn instants(batch: &RecordBatch, name: &str) -> Option<Vec<Option<i64>>> {
    let column = batch.column_by_name(name)?;
    let column = column.as_primitive_opt::<TimestampMillisecondType>()?;
    Some((0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row))).collect())
}

fn json_rows(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>, ReaderError> {
    let corrupt = |why: String| ReaderError::Corrupt { object: "a row of the table".into(), why };
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(|e| corrupt(e.to_string()))?;
    let lines = writer.into_inner();
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|e| corrupt(e.to_string()))).collect()
}
