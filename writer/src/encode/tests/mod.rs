//! Rows in, file out, file read back. What is here is shared: a spec by hand, encoding lines, values as JSON.

mod events;
mod layout;
mod reference;
mod rollback;
mod types;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType as Arrow;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::column::{Column, ColumnSource, DataType, Field};
use schemas::rules::ParquetSettings;
use schemas::table::{TableSpec, UnknownFields};
use serde_json::{Value as Json, json};

use super::{Encoded, Encoder, Row};

pub(super) fn array(item: DataType) -> DataType {
    DataType::Array(Box::new(item))
}

pub(super) fn map(key: DataType, value: DataType) -> DataType {
    DataType::Map(Box::new(key), Box::new(value))
}

pub(super) fn record(fields: &[(&str, DataType)]) -> DataType {
    let field = |(name, data_type): &(&str, DataType)| Field { name: (*name).into(), data_type: data_type.clone() };
    DataType::Struct(fields.iter().map(field).collect())
}

pub(super) fn decimal(precision: u8, scale: u8) -> DataType {
    DataType::Decimal { precision, scale }
}

/// A column that the event fills, at `path` (members separated by dots).
pub(super) fn at(name: &str, path: &str, data_type: DataType) -> Column {
    let path = path.split('.').map(str::to_string).collect();
    Column { name: name.into(), data_type, path, comment: None, source: ColumnSource::Event }
}

pub(super) fn event(name: &str, data_type: DataType) -> Column {
    at(name, name, data_type)
}

pub(super) fn filled(name: &str, source: ColumnSource) -> Column {
    let data_type = if source == ColumnSource::ArrivedAt { DataType::Timestamp } else { DataType::String };
    Column { name: name.into(), data_type, path: vec![], comment: None, source }
}

pub(super) fn table(columns: Vec<Column>) -> TableSpec {
    TableSpec {
        text: String::new(),
        name: "t".into(),
        database: "d".into(),
        comment: None,
        location: "s3://b/t/".into(),
        columns,
        partitions: vec![],
        layout: None,
        unknown_fields: UnknownFields::Drop,
        metadata: false,
        sort: vec![],
        bloom: vec![],
        required_predicates: vec![],
        properties: Default::default(),
    }
}

pub(super) fn encoder(spec: &TableSpec) -> Encoder {
    Encoder::new(spec, &ParquetSettings::default()).expect("a good spec")
}

pub(super) fn rows<T: AsRef<[u8]>>(lines: &[T]) -> Vec<Row<'_>> {
    let row = |(n, line)| Row {
        shard: "s:0",
        sequence: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][n % 10],
        sub: 0,
        document: 0,
        arrived_at: 1_700_000_000_000,
        data: AsRef::as_ref(line),
        outline: &[],
    };
    lines.iter().enumerate().map(row).collect()
}

pub(super) fn encode<T: AsRef<[u8]>>(spec: &TableSpec, lines: &[T]) -> Encoded {
    encoder(spec).encode(&rows(lines), &[]).expect("encodes")
}

/// The file's rows, each an object of its columns.
pub(super) fn read(encoded: &Encoded) -> Vec<Json> {
    if encoded.bytes.is_empty() {
        return vec![];
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(encoded.bytes.clone()).expect("a parquet file");
    reader.build().expect("readable").flat_map(|batch| batch_rows(&batch.expect("a batch"))).collect()
}

fn batch_rows(batch: &RecordBatch) -> Vec<Json> {
    let schema = batch.schema();
    let row = |i| {
        let members = schema.fields().iter().zip(batch.columns());
        Json::Object(members.map(|(f, column)| (f.name().clone(), value(column, i))).collect())
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Decimals as text, dates as days, timestamps as milliseconds, binaries as base64, maps as lists of pairs.
fn value(array: &ArrayRef, i: usize) -> Json {
    if array.is_null(i) {
        return Json::Null;
    }
    match array.data_type() {
        Arrow::Boolean => json!(array.as_boolean().value(i)),
        Arrow::Int8 => json!(array.as_primitive::<Int8Type>().value(i)),
        Arrow::Int16 => json!(array.as_primitive::<Int16Type>().value(i)),
        Arrow::Int32 => json!(array.as_primitive::<Int32Type>().value(i)),
        Arrow::Int64 => json!(array.as_primitive::<Int64Type>().value(i)),
        Arrow::Float32 => json!(array.as_primitive::<Float32Type>().value(i)),
        Arrow::Float64 => json!(array.as_primitive::<Float64Type>().value(i)),
        Arrow::Decimal128(_, _) => json!(array.as_primitive::<Decimal128Type>().value(i).to_string()),
        Arrow::Date32 => json!(array.as_primitive::<Date32Type>().value(i)),
        Arrow::Timestamp(_, Some(zone)) if zone.as_ref() == "UTC" => {
            json!(array.as_primitive::<TimestampMillisecondType>().value(i))
        }
        Arrow::Utf8 => json!(array.as_string::<i32>().value(i)),
        Arrow::Binary => json!(STANDARD.encode(array.as_binary::<i32>().value(i))),
        Arrow::List(_) => items(&array.as_list::<i32>().value(i)),
        Arrow::Map(_, _) => {
            let entries = array.as_map().value(i);
            let pair = |n| json!([value(entries.column(0), n), value(entries.column(1), n)]);
            Json::Array((0..entries.len()).map(pair).collect())
        }
        Arrow::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            Json::Object(columns.map(|(f, column)| (f.name().clone(), value(column, i))).collect())
        }
        other => panic!("the file has a column of type {other}"),
    }
}

fn items(array: &ArrayRef) -> Json {
    Json::Array((0..array.len()).map(|i| value(array, i)).collect())
}
