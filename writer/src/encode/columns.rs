//! Columns under construction: one growing buffer per leaf, from which a row can be taken back.
//!
//! A row that turns out not to fit has already left values in some columns, perhaps deep inside a list. [`Column::truncate`]
//! puts every buffer back to a number of rows; a column that has not seen the row yet is left as it is.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer, ToByteSlice};
use arrow_schema::{ArrowError, DataType as Arrow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::column::DataType;

use super::cursor::{Kind, Lone, Value, unescape};
use super::misfit::Fault;
use super::nested::{Lists, Maps, Structs};
use super::survey::{Leaf, survey};
use super::{number, time};

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

    /// Adds what the first values are like, for each leaf in file order.
    pub(super) fn survey(&self, leaves: &mut Vec<Leaf>) {
        match &self.values {
            Values::Boolean(column) => leaves.push(Leaf { repeats: false, bytes: Some(column.len() / 8) }),
            Values::TinyInt(column) => leaves.push(column.survey()),
            Values::SmallInt(column) => leaves.push(column.survey()),
            Values::Int(column) => leaves.push(column.survey()),
            Values::BigInt(column) => leaves.push(column.survey()),
            Values::Float(column) => leaves.push(column.survey()),
            Values::Double(column) => leaves.push(column.survey()),
            Values::Decimal(column) => leaves.push(column.survey()),
            Values::Date(column) => leaves.push(column.survey()),
            Values::Timestamp(column) => leaves.push(column.survey()),
            Values::String(column) | Values::Binary(column) => leaves.push(column.survey()),
            Values::Array(column) => column.survey(leaves),
            Values::Map(column) => column.survey(leaves),
            Values::Struct(column) => column.survey(leaves),
        }
    }

    /// The values so far as an array of `arrow` type; the column is empty afterwards.
    pub(super) fn finish(&mut self, arrow: &Arrow) -> Result<ArrayRef, ArrowError> {
        match &mut self.values {
            Values::Boolean(column) => Ok(Arc::new(column.finish())),
            Values::TinyInt(column) => column.finish(arrow),
            Values::SmallInt(column) => column.finish(arrow),
            Values::Int(column) => column.finish(arrow),
            Values::BigInt(column) => column.finish(arrow),
            Values::Float(column) => column.finish(arrow),
            Values::Double(column) => column.finish(arrow),
            Values::Decimal(column) => column.finish(arrow),
            Values::Date(column) => column.finish(arrow),
            Values::Timestamp(column) => column.finish(arrow),
            Values::String(column) => column.finish_strings(),
            Values::Binary(column) => column.finish_binary(),
            Values::Array(column) => column.finish(arrow),
            Values::Map(column) => column.finish(arrow),
            Values::Struct(column) => column.finish(arrow),
        }
    }
}

/// What a string means; none if it is no string, or none that UTF-8 can hold.
fn string(value: Value<'_>) -> Option<Cow<'_, str>> {
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

#[derive(Debug)]
struct Booleans {
    values: BooleanBufferBuilder,
    valid: NullBufferBuilder,
}

impl Booleans {
    fn new(rows: usize) -> Self {
        Booleans { values: BooleanBufferBuilder::new(rows), valid: NullBufferBuilder::new(rows) }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn push(&mut self, value: Option<bool>) -> bool {
        let Some(value) = value else { return false };
        self.values.append(value);
        self.valid.append_non_null();
        true
    }

    fn append_null(&mut self) {
        self.values.append(false);
        self.valid.append_null();
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.values.truncate(len);
            self.valid.truncate(len);
        }
    }

    fn finish(&mut self) -> BooleanArray {
        BooleanArray::new(self.values.finish(), self.valid.finish())
    }
}

#[derive(Debug)]
struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    valid: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    fn new(rows: usize) -> Self {
        Numbers { values: Vec::with_capacity(rows), valid: NullBufferBuilder::new(rows) }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn append(&mut self, value: T::Native) {
        self.values.push(value);
        self.valid.append_non_null();
    }

    fn push(&mut self, value: Option<T::Native>) -> bool {
        let Some(value) = value else { return false };
        self.append(value);
        true
    }

    fn append_null(&mut self) {
        self.values.push(T::Native::default());
        self.valid.append_null();
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.values.truncate(len);
            self.valid.truncate(len);
        }
    }

    fn survey(&self) -> Leaf {
        let bytes = self.values.len() * size_of::<T::Native>();
        survey(self.values.len(), bytes, |i| self.valid.is_valid(i).then(|| self.values[i].to_byte_slice()))
    }

    fn finish(&mut self, arrow: &Arrow) -> Result<ArrayRef, ArrowError> {
        let room = self.values.capacity();
        let values = ScalarBuffer::from(std::mem::replace(&mut self.values, Vec::with_capacity(room)));
        let array = PrimitiveArray::<T>::try_new(values, self.valid.finish())?;
        Ok(Arc::new(array.with_data_type(arrow.clone())))
    }
}

/// Strings and binaries: all bytes in a row, and where each value ends.
#[derive(Debug)]
struct Bytes {
    bytes: Vec<u8>,
    /// Starts with 0.
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Bytes {
    fn new(rows: usize) -> Self {
        Bytes { bytes: Vec::new(), offsets: start_offsets(rows), valid: NullBufferBuilder::new(rows) }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    fn close(&mut self) {
        self.offsets.push(offset(self.bytes.len()));
    }

    fn append_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.close();
        self.valid.append_non_null();
    }

    fn append_null(&mut self) {
        self.close();
        self.valid.append_null();
    }

    /// A string as what it means, anything else as its JSON text.
    fn push_text(&mut self, value: Value<'_>) -> bool {
        if value.kind != Kind::EscapedString {
            self.bytes.extend_from_slice(value.inner_bytes());
        } else if unescape(value.inner(), Lone::Refuse, &mut self.bytes).is_err() {
            return false;
        }
        self.close();
        self.valid.append_non_null();
        true
    }

    fn push_base64(&mut self, value: Value<'_>) -> bool {
        let decoded = string(value).is_some_and(|text| STANDARD.decode_vec(text.as_bytes(), &mut self.bytes).is_ok());
        if decoded {
            self.close();
            self.valid.append_non_null();
        }
        decoded
    }

    /// Also drops bytes of a value that was given up half way.
    fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        self.bytes.truncate(self.offsets[self.offsets.len() - 1] as usize);
        if len < self.valid.len() {
            self.valid.truncate(len);
        }
    }

    fn survey(&self) -> Leaf {
        survey(self.len(), self.bytes.len(), |i| self.valid.is_valid(i).then(|| self.get(i)))
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<arrow_buffer::NullBuffer>) {
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes.reserve(bytes.len());
        (take_offsets(&mut self.offsets), Buffer::from_vec(bytes), self.valid.finish())
    }

    fn finish_strings(&mut self) -> Result<ArrayRef, ArrowError> {
        let (offsets, bytes, valid) = self.take();
        Ok(Arc::new(StringArray::try_new(offsets, bytes, valid)?))
    }

    fn finish_binary(&mut self) -> Result<ArrayRef, ArrowError> {
        let (offsets, bytes, valid) = self.take();
        Ok(Arc::new(BinaryArray::try_new(offsets, bytes, valid)?))
    }
}

pub(super) fn start_offsets(rows: usize) -> Vec<i32> {
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    offsets
}

/// Every byte or item comes from at least one byte of the chunk's text, which is far below 2 GiB.
pub(super) fn offset(position: usize) -> i32 {
    i32::try_from(position).expect("a chunk's text is shorter than 2 GiB")
}

/// The offsets so far; what stays is ready for the next values.
pub(super) fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let fresh = start_offsets(offsets.len());
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, fresh)))
}
