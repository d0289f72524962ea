//! Arrow rows to events: all columns as JSON, and the instants that a history is told by.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, RecordBatch};
use arrow_json::WriterBuilder;
use arrow_json::writer::LineDelimited;
use serde_json::{Map, Value};

use crate::engine::rows::{ARRIVED_AT, Rows};
use crate::error::ReaderError;
use crate::event::Event;

/// Appends a batch's rows.
pub(super) fn read(rows: Rows<'_>, batch: &RecordBatch, events: &mut Vec<Event>) -> Result<(), ReaderError> {
    let (at, arrived_at) = (instants(batch, &rows.columns.at), instants(batch, ARRIVED_AT));
    for (row, columns) in json_rows(batch)?.into_iter().enumerate() {
        let of = |instants: &Option<Vec<Option<i64>>>| instants.as_ref().and_then(|all| all[row]);
        events.extend(rows.event(columns, of(&at), of(&arrived_at)));
    }
    Ok(())
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
