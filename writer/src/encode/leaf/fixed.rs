//! Values of one length, as pages and bounds have them.

use super::bounds::Bounds;

/// A number as Parquet stores it.
pub(in super::super) trait Fixed: Copy + PartialOrd {
    /// Its bytes.
    type Stored: AsRef<[u8]>;

    fn stored(self) -> Self::Stored;

    fn bounds(least: Self, greatest: Self) -> Bounds;
}

/// Little-endian numbers.
macro_rules! fixed {
    ($($number:ty => $bounds:ident),*) => {
        $(impl Fixed for $number {
            type Stored = [u8; size_of::<$number>()];

            #[inline]
            fn stored(self) -> Self::Stored {
                self.to_le_bytes()
            }

            fn bounds(least: Self, greatest: Self) -> Bounds {
                Bounds::$bounds(least, greatest)
            }
        })*
    };
}

fixed!(i32 => Int32, i64 => Int64, f32 => Float, f64 => Double);

/// A decimal of so many bytes, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Long {
    pub(super) value: i128,
    pub(super) length: usize,
}

/// The last bytes of a number.
#[derive(Debug)]
pub(super) struct LastBytes {
    bytes: [u8; size_of::<i128>()],
    length: usize,
}

impl AsRef<[u8]> for LastBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.length..]
    }
}

impl Fixed for Long {
    type Stored = LastBytes;

    fn stored(self) -> LastBytes {
        LastBytes { bytes: self.value.to_be_bytes(), length: self.length }
    }

    fn bounds(least: Self, greatest: Self) -> Bounds {
        Bounds::Int128(least.value, greatest.value)
    }
}
