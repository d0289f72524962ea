//! The least and the greatest value of a page or a chunk, and how they are said in the footer.
//!
//! Long ones are cut: a prefix is a lower bound, and a prefix with its last character raised an upper one. Zero is written so that
//! both zeros lie between the bounds (parquet-format, `Statistics` in parquet.thrift).

use ::parquet::data_type::{ByteArray, FixedLenByteArray};
use ::parquet::file::statistics::{Statistics, ValueStatistics};

use super::Physical;

/// Longest bound that is written, in bytes.
const BOUND_MAX: usize = 64;

/// Of values of one type.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) enum Bounds {
    #[default]
    None,
    Boolean(bool, bool),
    Int32(i32, i32),
    Int64(i64, i64),
    Float(f32, f32),
    Double(f64, f64),
    /// Decimals of more than 18 digits.
    Int128(i128, i128),
    Bytes(Text, Text),
}

/// Bytes that are mostly told apart by the first of them.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Text {
    head: u64,
    bytes: Vec<u8>,
}

impl Text {
    fn of(bytes: &[u8]) -> Text {
        Text { head: head(bytes), bytes: bytes.to_vec() }
    }

    #[inline]
    fn is_above(&self, head: u64, bytes: &[u8]) -> bool {
        self.head > head || (self.head == head && *self.bytes > *bytes)
    }

    #[inline]
    fn is_below(&self, head: u64, bytes: &[u8]) -> bool {
        self.head < head || (self.head == head && *self.bytes < *bytes)
    }

    fn set(&mut self, bytes: &[u8]) {
        self.head = head(bytes);
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }
}

/// The first eight bytes as a number that orders as they do.
#[inline]
fn head(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<8>(), bytes.len()) {
        (Some(first), _) => u64::from_be_bytes(*first),
        (None, 0) => 0,
        (None, length) => bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) << (8 * (8 - length)),
    }
}

impl Bounds {
    /// Both of them among `values`.
    #[inline]
    pub(super) fn of<V: Copy + PartialOrd>(
        mut values: impl Iterator<Item = V>,
        make: impl FnOnce(V, V) -> Bounds,
    ) -> Bounds {
        let Some(first) = values.next() else { return Bounds::None };
        let (mut least, mut greatest) = (first, first);
        for value in values {
            if value < least {
                least = value;
            }
            if value > greatest {
                greatest = value;
            }
        }
        make(least, greatest)
    }

    /// Takes in a value of a byte array.
    #[inline]
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        let Bounds::Bytes(least, greatest) = self else {
            *self = Bounds::Bytes(Text::of(bytes), Text::of(bytes));
            return;
        };
        let head = head(bytes);
        if least.is_above(head, bytes) {
            least.set(bytes);
        } else if greatest.is_below(head, bytes) {
            greatest.set(bytes);
        }
    }

    /// Takes in those of more values of the same type.
    pub(super) fn add(&mut self, other: &Bounds) {
        macro_rules! widen {
            ($($kind:ident),*) => {
                match (self, other) {
                    (_, Bounds::None) => {}
                    $((Bounds::$kind(least, greatest), Bounds::$kind(lower, upper)) => {
                        if lower < least { *least = *lower; }
                        if upper > greatest { *greatest = *upper; }
                    })*
                    (this @ Bounds::Bytes(..), Bounds::Bytes(lower, upper)) => {
                        this.add_bytes(&lower.bytes);
                        this.add_bytes(&upper.bytes);
                    }
                    (this, other) => *this = other.clone(),
                }
            };
        }
        widen!(Boolean, Int32, Int64, Float, Double, Int128)
    }

    /// Whether neither bound of this page is below that of the page before; and whether neither is above.
    pub(super) fn order_after(&self, before: &Bounds) -> (bool, bool) {
        macro_rules! compare {
            ($($kind:ident),*) => {
                match (before, self) {
                    $((Bounds::$kind(a, b), Bounds::$kind(c, d)) => (!(a > c || b > d), !(c > a || d > b)),)*
                    (Bounds::Bytes(a, b), Bounds::Bytes(c, d)) => (
                        !(a.bytes > c.bytes || b.bytes > d.bytes),
                        !(c.bytes > a.bytes || d.bytes > b.bytes),
                    ),
                    _ => (true, true),
                }
            };
        }
        compare!(Boolean, Int32, Int64, Float, Double, Int128)
    }

    /// As the index of pages has them; none of no values.
    pub(super) fn index(&self, physical: Physical) -> Option<(Vec<u8>, Vec<u8>)> {
        Some(match self {
            Bounds::None => return None,
            Bounds::Boolean(least, greatest) => (vec![u8::from(*least)], vec![u8::from(*greatest)]),
            Bounds::Int32(least, greatest) => (least.to_le_bytes().into(), greatest.to_le_bytes().into()),
            Bounds::Int64(least, greatest) => (least.to_le_bytes().into(), greatest.to_le_bytes().into()),
            Bounds::Float(least, greatest) => (low(*least).to_le_bytes().into(), high(*greatest).to_le_bytes().into()),
            Bounds::Double(least, greatest) => {
                (lowest(*least).to_le_bytes().into(), highest(*greatest).to_le_bytes().into())
            }
            Bounds::Int128(least, greatest) => (physical.big_endian(*least), physical.big_endian(*greatest)),
            Bounds::Bytes(least, greatest) => (lower(&least.bytes, physical).0, upper(&greatest.bytes, physical).0),
        })
    }

    /// As the footer has them.
    pub(super) fn statistics(&self, physical: Physical, nulls: u64) -> Statistics {
        let nulls = Some(nulls);
        macro_rules! of {
            ($least:expr, $greatest:expr) => {
                ValueStatistics::new(Some($least), Some($greatest), None, nulls, false)
                    .with_backwards_compatible_min_max(true)
                    .into()
            };
        }
        match self {
            Bounds::None => physical.no_statistics(nulls),
            Bounds::Boolean(least, greatest) => {
                ValueStatistics::new(Some(*least), Some(*greatest), None, nulls, false).into()
            }
            Bounds::Int32(least, greatest) => of!(*least, *greatest),
            Bounds::Int64(least, greatest) => of!(*least, *greatest),
            Bounds::Float(least, greatest) => of!(low(*least), high(*greatest)),
            Bounds::Double(least, greatest) => of!(lowest(*least), highest(*greatest)),
            Bounds::Int128(least, greatest) => {
                let fixed = |value: &i128| FixedLenByteArray::from(physical.big_endian(*value));
                of!(fixed(least), fixed(greatest))
            }
            Bounds::Bytes(least, greatest) => {
                let ((least, least_is), (greatest, greatest_is)) =
                    (lower(&least.bytes, physical), upper(&greatest.bytes, physical));
                ValueStatistics::new(Some(ByteArray::from(least)), Some(ByteArray::from(greatest)), None, nulls, false)
                    .with_min_is_exact(least_is)
                    .with_max_is_exact(greatest_is)
                    .into()
            }
        }
    }
}

fn low(value: f32) -> f32 {
    if value == 0.0 { -0.0 } else { value }
}

fn high(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { value }
}

fn lowest(value: f64) -> f64 {
    if value == 0.0 { -0.0 } else { value }
}

fn highest(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}

/// A lower bound of at most [`BOUND_MAX`] bytes, and whether it is the value itself.
fn lower(value: &[u8], physical: Physical) -> (Vec<u8>, bool) {
    if value.len() <= BOUND_MAX {
        return (value.to_vec(), true);
    }
    (value[..cut(value, physical)].to_vec(), false)
}

/// An upper bound of at most [`BOUND_MAX`] bytes, and whether it is the value itself; the value itself where there is no such bound.
fn upper(value: &[u8], physical: Physical) -> (Vec<u8>, bool) {
    if value.len() <= BOUND_MAX {
        return (value.to_vec(), true);
    }
    let prefix = &value[..cut(value, physical)];
    let raised = match std::str::from_utf8(prefix) {
        Ok(text) if physical == Physical::String => raise_text(text),
        _ => raise(prefix),
    };
    raised.map_or_else(|| (value.to_vec(), true), |raised| (raised, false))
}

/// Where a longer value is cut: between characters, if it is text.
fn cut(value: &[u8], physical: Physical) -> usize {
    match std::str::from_utf8(value) {
        Ok(text) if physical == Physical::String => text.floor_char_boundary(BOUND_MAX),
        _ => BOUND_MAX,
    }
}

/// The least text of no more bytes that is above every text with this prefix.
fn raise_text(prefix: &str) -> Option<Vec<u8>> {
    prefix.char_indices().rev().find_map(|(at, last)| {
        let next = char::from_u32(last as u32 + 1).filter(|next| next.len_utf8() == last.len_utf8())?;
        let mut raised = prefix[..at].to_string();
        raised.push(next);
        Some(raised.into_bytes())
    })
}

fn raise(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut raised = prefix.to_vec();
    for byte in raised.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(raised);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_order_as_bytes_do() {
        let texts: [&[u8]; 9] = [
            b"",
            b"\0",
            b"\0\0",
            b"a",
            b"a\0",
            b"abcdefg",
            b"abcdefgh",
            b"abcdefghi",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
        ];
        for pair in texts.windows(2) {
            assert!(head(pair[0]) <= head(pair[1]) && pair[0] < pair[1], "{pair:?}");
            let (a, b) = (Text::of(pair[0]), Text::of(pair[1]));
            assert!(a.is_below(b.head, &b.bytes) && b.is_above(a.head, &a.bytes) && !a.is_above(b.head, &b.bytes));
        }
    }

    #[test]
    fn long_bounds_are_cut_and_still_bound() {
        let long = "ä".repeat(100);
        let (least, exact) = lower(long.as_bytes(), Physical::String);
        assert!(!exact && least.len() == 64 && least.as_slice() < long.as_bytes());
        let (greatest, exact) = upper(long.as_bytes(), Physical::String);
        assert!(!exact && greatest.len() == 64 && greatest.as_slice() > long.as_bytes());
        assert!(std::str::from_utf8(&greatest).is_ok());
        let top = "\u{10ffff}".repeat(40);
        assert_eq!(upper(top.as_bytes(), Physical::String), (top.clone().into_bytes(), true), "nothing is above it");
        assert_eq!(upper(&[0xff; 80], Physical::Binary), (vec![0xff; 80], true));
        let mut raised = vec![7; 64];
        raised[63] = 8;
        assert_eq!(upper(&[7; 80], Physical::Binary), (raised, false));
    }

    #[test]
    fn both_zeros_lie_between_the_bounds() {
        let bounds = Bounds::of([0.0f64, 0.0].into_iter(), Bounds::Double);
        let (least, greatest) = bounds.index(Physical::Double).expect("values");
        assert_eq!((least, greatest), ((-0.0f64).to_le_bytes().to_vec(), 0.0f64.to_le_bytes().to_vec()));
    }
}
