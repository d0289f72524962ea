//! Columns under construction: one growing buffer per leaf, from which a row can be taken back.
//!
//! A row that turns out not to fit has already left values in some columns, perhaps deep inside a list. [`Column::truncate`]
//! puts every buffer back to a number of rows; a column that has not seen the row yet is left as it is.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::slice::IterMut;

use ::parquet::errors::ParquetError;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMillisecondType,
};
use arrow_buffer::NullBufferBuilder;
use schemas::column::DataType;

use super::codec::Context;
use super::cursor::{Kind, Lone, Value, unescape};
use super::leaf::{self, Leaf, Levels};
use super::misfit::Fault;
use super::nested::{Lists, Maps, Structs};
use super::scalars::{Booleans, Bytes, Numbers};
use super::{number, time};

/// The leaves of a file that are still to be written, in file order.
#[derive(Debug)]
pub(super) struct Leaves<'f> {
    pub(super) rest: IterMut<'f, Leaf>,
    pub(super) context: &'f mut Context,
}

impl Leaves<'_> {
    /// Writes the next.
    pub(super) fn next(
        &mut self,
        levels: &Levels,
        valid: &NullBufferBuilder,
        values: &impl leaf::Values,
    ) -> Result<(), ParquetError> {
        let leaf = self.rest.next().expect("the file has a leaf for each of the columns'");
        leaf.append(levels, valid, values, self.context)
    }
}

/// One column, or one level inside a nested one.
#[derive(Debug)]
pub(super) struct Column {
    data_type: DataType,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Boolean(Booleans),
    TinyInt(Numbers<Int8Type>),
    SmallInt(Numbers<Int16Type>),
    Int(Numbers<Int32Type>),
    BigInt(Numbers<Int64Type>),
    Float(Numbers<Float32Type>),
    Double(Numbers<Float64Type>),
    Decimal(Numbers<Decimal128Type>),
    Date(Numbers<Date32Type>),
    Timestamp(Numbers<TimestampMillisecondType>),
    String(Bytes),
    Binary(Bytes),
    Array(Box<Lists>),
    Map(Box<Maps>),
    Struct(Box<Structs>),
}

/// Calls the same method of whatever the column holds.
macro_rules! each {
    ($values:expr, $column:ident => $call:expr) => {
        match $values {
            Values::Boolean($column) => $call,
            Values::TinyInt($column) => $call,
            Values::SmallInt($column) => $call,
            Values::Int($column) => $call,
            Values::BigInt($column) => $call,
            Values::Float($column) => $call,
            Values::Double($column) => $call,
            Values::Decimal($column) => $call,
            Values::Date($column) => $call,
            Values::Timestamp($column) => $call,
            Values::String($column) => $call,
            Values::Binary($column) => $call,
            Values::Array($column) => $call,
            Values::Map($column) => $call,
            Values::Struct($column) => $call,
        }
    };
}

impl Column {
    /// `rows` is how many values to make room for.
    pub(super) fn new(data_type: &DataType, rows: usize) -> Column {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(Booleans::new(rows)),
            DataType::TinyInt => Values::TinyInt(Numbers::new(rows)),
            DataType::SmallInt => Values::SmallInt(Numbers::new(rows)),
            DataType::Int => Values::Int(Numbers::new(rows)),
            DataType::BigInt => Values::BigInt(Numbers::new(rows)),
            DataType::Float => Values::Float(Numbers::new(rows)),
            DataType::Double => Values::Double(Numbers::new(rows)),
            DataType::Decimal { .. } => Values::Decimal(Numbers::new(rows)),
            DataType::Date => Values::Date(Numbers::new(rows)),
            DataType::Timestamp => Values::Timestamp(Numbers::new(rows)),
            DataType::String => Values::String(Bytes::new(rows)),
            DataType::Binary => Values::Binary(Bytes::new(rows)),
            DataType::Array(item) => Values::Array(Box::new(Lists::new(item, rows))),
            DataType::Map(key, value) => Values::Map(Box::new(Maps::new(key, value, rows))),
            DataType::Struct(fields) => Values::Struct(Box::new(Structs::new(fields, rows))),
        };
        Column { data_type: data_type.clone(), values }
    }

    pub(super) fn len(&self) -> usize {
        each!(&self.values, column => column.len())
    }

    /// Back to `len` values; nothing happens if there are no more than that.
    pub(super) fn truncate(&mut self, len: usize) {
        each!(&mut self.values, column => column.truncate(len));
    }

    pub(super) fn append_null(&mut self) {
        each!(&mut self.values, column => column.append_null());
    }

    /// Appends one value; on a fault the column may hold part of it, until truncated.
    pub(super) fn append(&mut self, value: Value<'_>) -> Result<(), Fault> {
        if value.is_null() {
            self.append_null();
            return Ok(());
        }
        if self.push(value)? { Ok(()) } else { Err(Fault::misfit(&self.data_type, value)) }
    }

    /// False if the value is not of the column's type.
    fn push(&mut self, value: Value<'_>) -> Result<bool, Fault> {
        Ok(match &mut self.values {
            Values::Boolean(column) => column.push(boolean(value)),
            Values::TinyInt(column) => column.push(integer(value).and_then(|v| v.try_into().ok())),
            Values::SmallInt(column) => column.push(integer(value).and_then(|v| v.try_into().ok())),
            Values::Int(column) => column.push(integer(value).and_then(|v| v.try_into().ok())),
            Values::BigInt(column) => column.push(integer(value)),
            Values::Float(column) => column.push(numeric(value).and_then(|text| number::float(&text))),
            Values::Double(column) => column.push(numeric(value).and_then(|text| number::double(&text))),
            Values::Decimal(column) => column.push(decimal(&self.data_type, value)),
            Values::Date(column) => column.push(string(value).and_then(|text| time::date_text(&text))),
            Values::Timestamp(column) => column.push(timestamp(value)),
            Values::String(column) => column.push_text(value),
            Values::Binary(column) => column.push_base64(value),
            Values::Array(column) => return column.push(value),
            Values::Map(column) => return column.push(value),
            Values::Struct(column) => return column.push(value),
        })
    }

    /// Appends to a string column what `write` puts behind its bytes.
    pub(super) fn append_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        match &mut self.values {
            Values::String(column) => column.append_with(write),
            _ => unreachable!("the encoder has checked that the column is a string"),
        }
    }

    /// Appends to a timestamp column.
    pub(super) fn append_millis(&mut self, millis: i64) {
        match &mut self.values {
            Values::Timestamp(column) => column.append(millis),
            _ => unreachable!("the encoder has checked that the column is a timestamp"),
        }
    }

    /// Order of two values of a map's key column.
    pub(super) fn compare(&self, a: usize, b: usize) -> Ordering {
        match &self.values {
            Values::Boolean(column) => column.values.get_bit(a).cmp(&column.values.get_bit(b)),
            Values::TinyInt(column) => column.values[a].cmp(&column.values[b]),
            Values::SmallInt(column) => column.values[a].cmp(&column.values[b]),
            Values::Int(column) => column.values[a].cmp(&column.values[b]),
            Values::BigInt(column) => column.values[a].cmp(&column.values[b]),
            Values::Float(column) => column.values[a].total_cmp(&column.values[b]),
            Values::Double(column) => column.values[a].total_cmp(&column.values[b]),
            Values::Decimal(column) => column.values[a].cmp(&column.values[b]),
            Values::Date(column) => column.values[a].cmp(&column.values[b]),
            Values::Timestamp(column) => column.values[a].cmp(&column.values[b]),
            Values::String(column) | Values::Binary(column) => column.get(a).cmp(column.get(b)),
            Values::Array(_) | Values::Map(_) | Values::Struct(_) => {
                unreachable!("the encoder has checked that map keys are primitive")
            }
        }
    }

    /// Adds whether the first values repeat, for each leaf in file order.
    pub(super) fn survey(&self, repeats: &mut Vec<bool>) {
        match &self.values {
            Values::Boolean(_) => repeats.push(false),
            Values::TinyInt(column) => repeats.push(column.repeats()),
            Values::SmallInt(column) => repeats.push(column.repeats()),
            Values::Int(column) => repeats.push(column.repeats()),
            Values::BigInt(column) => repeats.push(column.repeats()),
            Values::Float(column) => repeats.push(column.repeats()),
            Values::Double(column) => repeats.push(column.repeats()),
            Values::Decimal(column) => repeats.push(column.repeats()),
            Values::Date(column) => repeats.push(column.repeats()),
            Values::Timestamp(column) => repeats.push(column.repeats()),
            Values::String(column) | Values::Binary(column) => repeats.push(column.repeats()),
            Values::Array(column) => column.survey(repeats),
            Values::Map(column) => column.survey(repeats),
            Values::Struct(column) => column.survey(repeats),
        }
    }

    /// Writes the values so far to their leaves; `levels` are those of what the column stands in.
    pub(super) fn write(&self, levels: &Levels, leaves: &mut Leaves<'_>) -> Result<(), ParquetError> {
        each!(&self.values, column => column.write(levels, leaves))
    }

    /// Forgets the values; their memory stays.
    pub(super) fn clear(&mut self) {
        each!(&mut self.values, column => column.clear());
    }

    /// Appends a value of a column without parts so that values compare as their bytes do: null first.
    pub(super) fn write_key(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::Boolean(column) => column.write_key(row, out),
            Values::TinyInt(column) => column.write_key(row, out),
            Values::SmallInt(column) => column.write_key(row, out),
            Values::Int(column) => column.write_key(row, out),
            Values::BigInt(column) => column.write_key(row, out),
            Values::Float(column) => column.write_key(row, out),
            Values::Double(column) => column.write_key(row, out),
            Values::Decimal(column) => column.write_key(row, out),
            Values::Date(column) => column.write_key(row, out),
            Values::Timestamp(column) => column.write_key(row, out),
            Values::String(column) | Values::Binary(column) => column.write_key(row, out),
            Values::Array(_) | Values::Map(_) | Values::Struct(_) => {
                unreachable!("the encoder has checked that rows are sorted by columns without parts")
            }
        }
    }
}

/// What a string means; none if it is no string, or none that UTF-8 can hold.
pub(super) fn string(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value.kind {
        Kind::String => Some(Cow::Borrowed(value.inner())),
        Kind::EscapedString => {
            let mut text = Vec::with_capacity(value.text().len());
            unescape(value.inner(), Lone::Refuse, &mut text).ok()?;
            String::from_utf8(text).ok().map(Cow::Owned)
        }
        _ => None,
    }
}

/// The text of a number, or of a string that may be one.
fn numeric(value: Value<'_>) -> Option<Cow<'_, str>> {
    if value.kind == Kind::Number { Some(Cow::Borrowed(value.text())) } else { string(value) }
}

fn integer(value: Value<'_>) -> Option<i64> {
    number::integer(&numeric(value)?)
}

fn decimal(data_type: &DataType, value: Value<'_>) -> Option<i128> {
    let DataType::Decimal { precision, scale } = data_type else { return None };
    number::decimal(&numeric(value)?, *precision, *scale)
}

fn timestamp(value: Value<'_>) -> Option<i64> {
    if value.kind == Kind::Number {
        time::timestamp_number(value.text())
    } else {
        time::timestamp_text(&string(value)?)
    }
}

/// `true` and `false`, also as strings in any case, as Firehose's OpenX deserializer takes them.
fn boolean(value: Value<'_>) -> Option<bool> {
    match value.kind {
        Kind::True => Some(true),
        Kind::False => Some(false),
        _ => match string(value)? {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        },
    }
}
