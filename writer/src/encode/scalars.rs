//! Values without parts under construction: one growing buffer for each kind, which can be cut back to a number of values.

use std::ops::Range;

use ::parquet::errors::ParquetError;
use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMillisecondType,
};
use arrow_buffer::{NullBufferBuilder, ToByteSlice};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::columns::{Leaves, string};
use super::cursor::{Kind, Lone, Value, unescape};
use super::leaf::{self, LENGTH, Levels, Page};
use super::survey::repeats;

#[derive(Debug)]
pub(super) struct Booleans {
    pub(super) values: BooleanBufferBuilder,
    valid: NullBufferBuilder,
}

impl Booleans {
    pub(super) fn new(rows: usize) -> Self {
        Booleans { values: BooleanBufferBuilder::new(rows), valid: NullBufferBuilder::new(rows) }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn push(&mut self, value: Option<bool>) -> bool {
        let Some(value) = value else { return false };
        self.values.append(value);
        self.valid.append_non_null();
        true
    }

    pub(super) fn append_null(&mut self) {
        self.values.append(false);
        self.valid.append_null();
    }

    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.values.truncate(len);
            self.valid.truncate(len);
        }
    }

    pub(super) fn write(&self, levels: &Levels, out: &mut Leaves<'_>) -> Result<(), ParquetError> {
        out.next(levels, &self.valid, self)
    }

    pub(super) fn clear(&mut self) {
        self.values.truncate(0);
        self.valid.finish();
    }

    pub(super) fn write_key(&self, row: usize, out: &mut Vec<u8>) {
        let valid = self.valid.is_valid(row);
        out.push(valid.into());
        if valid {
            out.push(self.values.get_bit(row).into());
        }
    }
}

#[derive(Debug)]
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    pub(super) values: Vec<T::Native>,
    valid: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    pub(super) fn new(rows: usize) -> Self {
        Numbers { values: Vec::with_capacity(rows), valid: NullBufferBuilder::new(rows) }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn append(&mut self, value: T::Native) {
        self.values.push(value);
        self.valid.append_non_null();
    }

    pub(super) fn push(&mut self, value: Option<T::Native>) -> bool {
        let Some(value) = value else { return false };
        self.append(value);
        true
    }

    pub(super) fn append_null(&mut self) {
        self.values.push(T::Native::default());
        self.valid.append_null();
    }

    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.values.truncate(len);
            self.valid.truncate(len);
        }
    }

    pub(super) fn repeats(&self) -> bool {
        repeats(self.values.len(), |i| self.valid.is_valid(i).then(|| self.values[i].to_byte_slice()))
    }

    pub(super) fn write(&self, levels: &Levels, out: &mut Leaves<'_>) -> Result<(), ParquetError>
    where
        Self: leaf::Values,
    {
        out.next(levels, &self.valid, self)
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.valid.finish();
    }

    pub(super) fn write_key(&self, row: usize, out: &mut Vec<u8>)
    where
        T::Native: Key,
    {
        let valid = self.valid.is_valid(row);
        out.push(valid.into());
        if valid {
            out.extend_from_slice(self.values[row].key().as_ref());
        }
    }
}

/// A number whose bytes compare as it does.
pub(super) trait Key {
    type Bytes: AsRef<[u8]>;

    fn key(&self) -> Self::Bytes;
}

/// Numbers and what has their bytes in order: the highest first, the sign turned around.
macro_rules! keys {
    ($($number:ty => $ordered:expr),*) => {
        $(impl Key for $number {
            type Bytes = [u8; size_of::<$number>()];

            #[inline]
            fn key(&self) -> Self::Bytes {
                let ordered: fn(&$number) -> _ = $ordered;
                ordered(self).to_be_bytes()
            }
        })*
    };
}

keys!(
    i8 => |n| *n ^ i8::MIN,
    i16 => |n| *n ^ i16::MIN,
    i32 => |n| *n ^ i32::MIN,
    i64 => |n| *n ^ i64::MIN,
    i128 => |n| *n ^ i128::MIN,
    // Of negative numbers all bits are turned around (IEEE 754, totalOrder).
    f32 => |n| { let bits = n.to_bits() as i32; bits ^ (bits >> 31 | i32::MIN) },
    f64 => |n| { let bits = n.to_bits() as i64; bits ^ (bits >> 63 | i64::MIN) }
);

/// Strings and binaries as Parquet has them plainly: each value behind its length. Null is nothing at all.
#[derive(Debug)]
pub(super) struct Bytes {
    bytes: Vec<u8>,
    /// Where each value begins; and where the next one will.
    starts: Vec<u32>,
    valid: NullBufferBuilder,
}

impl Bytes {
    pub(super) fn new(rows: usize) -> Self {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Bytes { bytes: Vec::new(), starts, valid: NullBufferBuilder::new(rows) }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn between(&self, slots: Range<usize>) -> &[u8] {
        &self.bytes[self.starts[slots.start] as usize..self.starts[slots.end] as usize]
    }

    /// A value; that of null is empty.
    pub(super) fn get(&self, index: usize) -> &[u8] {
        self.between(index..index + 1).get(LENGTH..).unwrap_or_default()
    }

    fn close(&mut self) {
        // A chunk's text is far below 1 GiB, and no value takes more than three times the text it comes from.
        self.starts.push(u32::try_from(self.bytes.len()).expect("a chunk's values are shorter than 4 GiB"));
    }

    pub(super) fn append_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.try_append_with(|out| {
            write(out);
            true
        });
    }

    /// Appends what `write` puts behind the bytes, unless it says no: then the value is given up half way.
    fn try_append_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH]);
        if !write(&mut self.bytes) {
            return false;
        }
        let length = (self.bytes.len() - start - LENGTH) as u32;
        self.bytes[start..][..LENGTH].copy_from_slice(&length.to_le_bytes());
        self.close();
        self.valid.append_non_null();
        true
    }

    pub(super) fn append_null(&mut self) {
        self.close();
        self.valid.append_null();
    }

    /// A string as what it means, anything else as its JSON text.
    #[inline]
    pub(super) fn push_text(&mut self, value: Value<'_>) -> bool {
        if value.kind == Kind::EscapedString {
            return self.try_append_with(|out| unescape(value.inner(), Lone::Refuse, out).is_ok());
        }
        let text = value.inner_bytes();
        self.bytes.reserve(LENGTH + text.len());
        self.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(text);
        self.close();
        self.valid.append_non_null();
        true
    }

    pub(super) fn push_base64(&mut self, value: Value<'_>) -> bool {
        let Some(text) = string(value) else { return false };
        self.try_append_with(|out| STANDARD.decode_vec(text.as_bytes(), out).is_ok())
    }

    /// Also drops bytes of a value that was given up half way.
    pub(super) fn truncate(&mut self, len: usize) {
        self.starts.truncate(len + 1);
        self.bytes.truncate(self.starts[self.starts.len() - 1] as usize);
        if len < self.valid.len() {
            self.valid.truncate(len);
        }
    }

    pub(super) fn repeats(&self) -> bool {
        repeats(self.len(), |i| self.valid.is_valid(i).then(|| self.get(i)))
    }

    pub(super) fn write(&self, levels: &Levels, out: &mut Leaves<'_>) -> Result<(), ParquetError> {
        out.next(levels, &self.valid, self)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.truncate(1);
        self.valid.finish();
    }

    /// A zero byte is written as two bytes, so that two zeros end every value below all that go on.
    pub(super) fn write_key(&self, row: usize, out: &mut Vec<u8>) {
        let valid = self.valid.is_valid(row);
        out.push(valid.into());
        if !valid {
            return;
        }
        for (number, part) in self.get(row).split(|byte| *byte == 0).enumerate() {
            if number > 0 {
                out.extend_from_slice(&[0, 1]);
            }
            out.extend_from_slice(part);
        }
        out.extend_from_slice(&[0, 0]);
    }
}

/// The slots of a range that are valid.
fn present(slots: Range<usize>, valid: &NullBufferBuilder) -> impl Iterator<Item = usize> + Clone {
    let all = valid.as_slice().is_none();
    slots.filter(move |slot| all || valid.is_valid(*slot))
}

impl leaf::Values for Booleans {
    fn write(&self, slots: Range<usize>, valid: &NullBufferBuilder, page: &mut Page) {
        page.bits(present(slots, valid).map(|slot| self.values.get_bit(slot)));
    }
}

/// Small whole numbers are stored as larger ones.
macro_rules! numbers {
    ($($arrow:ty => $stored:ty),*) => {
        $(impl leaf::Values for Numbers<$arrow> {
            fn write(&self, slots: Range<usize>, valid: &NullBufferBuilder, page: &mut Page) {
                page.fixed(present(slots, valid).map(|slot| <$stored>::from(self.values[slot])));
            }
        })*
    };
}

numbers!(
    Int8Type => i32, Int16Type => i32, Int32Type => i32, Date32Type => i32,
    Int64Type => i64, TimestampMillisecondType => i64, Float32Type => f32, Float64Type => f64
);

impl leaf::Values for Numbers<Decimal128Type> {
    fn write(&self, slots: Range<usize>, valid: &NullBufferBuilder, page: &mut Page) {
        page.decimals(present(slots, valid).map(|slot| self.values[slot]));
    }
}

impl leaf::Values for Bytes {
    fn write(&self, slots: Range<usize>, _: &NullBufferBuilder, page: &mut Page) {
        page.texts(self.between(slots));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key_of(text: &str) -> Vec<u8> {
        let (mut column, mut key) = (Bytes::new(1), vec![]);
        column.append_with(|out| out.extend_from_slice(text.as_bytes()));
        column.write_key(0, &mut key);
        key
    }

    #[test]
    fn null_comes_first() {
        let (mut column, mut null, mut least) = (Bytes::new(2), vec![], vec![]);
        column.append_null();
        column.append_with(|_| {});
        column.write_key(0, &mut null);
        column.write_key(1, &mut least);
        assert!(null < least);
    }

    proptest! {
        #[test]
        fn texts_compare_as_their_keys_do(a in "[\0\x01a-b]{0,4}", b in "[\0\x01a-b]{0,4}", more in "[\0a]{0,2}") {
            prop_assert_eq!(key_of(&a).cmp(&key_of(&b)), a.cmp(&b));
            // Also where another column follows.
            let (x, y) = ([key_of(&a), key_of(&more)].concat(), [key_of(&b), key_of("")].concat());
            prop_assert_eq!(x.cmp(&y), (&a, more.as_str()).cmp(&(&b, "")));
        }

        #[test]
        fn numbers_compare_as_their_keys_do(a: i64, b: i64, x: f64, y: f64, s: f32, t: f32, c: i128, d: i128) {
            prop_assert_eq!(a.key().cmp(&b.key()), a.cmp(&b));
            prop_assert_eq!((a as i8).key().cmp(&(b as i8).key()), (a as i8).cmp(&(b as i8)));
            prop_assert_eq!(c.key().cmp(&d.key()), c.cmp(&d));
            prop_assert_eq!(x.key().cmp(&y.key()), x.total_cmp(&y));
            prop_assert_eq!(s.key().cmp(&t.key()), s.total_cmp(&t));
        }
    }
}
