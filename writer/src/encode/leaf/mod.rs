//! One leaf of a row group: values with their levels to the pages of a column chunk.
//!
//! The parquet crate writes a column by way of Arrow arrays and a writer made anew for each column of each file. Here the buffers
//! that rows were decoded into are written to pages as they are, and what a file needs is used again by the next. What is written
//! is what the crate would write, which a test compares byte for byte: v1 pages, PLAIN values or numbers of a dictionary's.
//!
//! [`levels`] says where values stand, [`runs`] packs levels and numbers, [`dictionary`] knows the values that came before,
//! [`bounds`] the least and the greatest; [`page`] holds the open page, [`chunk`] the finished ones.

mod bounds;
mod chunk;
mod dictionary;
mod fixed;
mod levels;
mod page;
mod runs;

use ::parquet::basic::{LogicalType, Type};
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::data_type::{ByteArray, FixedLenByteArray};
use ::parquet::errors::ParquetError;
use ::parquet::file::statistics::{Statistics, ValueStatistics};
use ::parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};
use arrow_buffer::NullBufferBuilder;

use self::chunk::Chunk;
pub(super) use self::chunk::Sealed;
pub(super) use self::levels::Levels;
pub(super) use self::page::{LENGTH, Page, Values};
use super::codec::Context;

/// Entries after which it is looked whether the page is full.
const PIECE: usize = 64;
/// Rows of a page at most, give or take a piece.
pub(super) const PAGE_ROWS: usize = 20_000;
/// Chunks of one page with fewer bytes are not compressed: a codec saves next to nothing there, and readers have to set one up
/// for each.
const COMPRESSED_MIN: usize = 256;
/// Bytes of a dictionary after which values are written plainly.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;

/// How the values of a leaf are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    Int32,
    Int64,
    Float,
    Double,
    String,
    Binary,
    /// A decimal of so many bytes.
    Fixed(usize),
}

/// What is the same for a leaf in all files of a table.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    column: ColumnDescPtr,
    physical: Physical,
    definition_max: u8,
    repetition_max: u8,
}

/// What differs from file to file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    /// Values are numbers of a dictionary, while it is small.
    pub(super) dictionary: bool,
    /// Pages have an index.
    pub(super) paged: bool,
    pub(super) page_bytes: usize,
    /// Distinct values a bloom filter is made for, and the share of absent values that it lets through.
    pub(super) bloom: Option<(u64, f64)>,
}

/// A leaf of the open row group.
pub(super) struct Leaf {
    shape: Shape,
    plan: Plan,
    page: Page,
    chunk: Chunk,
    /// A page on its way to the chunk, not yet compressed.
    body: Vec<u8>,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Physical {
    fn of(column: &ColumnDescriptor) -> Physical {
        match column.physical_type() {
            Type::BOOLEAN => Physical::Boolean,
            Type::INT32 => Physical::Int32,
            Type::INT64 | Type::INT96 => Physical::Int64,
            Type::FLOAT => Physical::Float,
            Type::DOUBLE => Physical::Double,
            Type::BYTE_ARRAY if column.logical_type_ref() == Some(&LogicalType::String) => Physical::String,
            Type::BYTE_ARRAY => Physical::Binary,
            Type::FIXED_LEN_BYTE_ARRAY => Physical::Fixed(usize::try_from(column.type_length()).unwrap_or(0)),
        }
    }

    fn is_bytes(self) -> bool {
        matches!(self, Physical::String | Physical::Binary)
    }

    /// The last bytes of a decimal, which are all that say something.
    fn big_endian(self, value: i128) -> Vec<u8> {
        let length = if let Physical::Fixed(length) = self { length } else { size_of::<i128>() };
        value.to_be_bytes()[size_of::<i128>() - length..].to_vec()
    }

    fn no_statistics(self, nulls: Option<u64>) -> Statistics {
        macro_rules! of {
            ($type:ty) => {
                ValueStatistics::<$type>::new(None, None, None, nulls, false).into()
            };
        }
        match self {
            Physical::Boolean => of!(bool),
            Physical::Int32 => of!(i32),
            Physical::Int64 => of!(i64),
            Physical::Float => of!(f32),
            Physical::Double => of!(f64),
            Physical::String | Physical::Binary => of!(ByteArray),
            Physical::Fixed(_) => of!(FixedLenByteArray),
        }
    }
}

impl Shape {
    pub(super) fn new(column: ColumnDescPtr) -> Shape {
        let level = |level: i16| u8::try_from(level).expect("a type has at most 128 levels");
        Shape {
            physical: Physical::of(&column),
            definition_max: level(column.max_def_level()),
            repetition_max: level(column.max_rep_level()),
            column,
        }
    }
}

impl Leaf {
    pub(super) fn new(shape: Shape) -> Leaf {
        let page = Page::new(shape.physical);
        Leaf { chunk: Chunk::default(), shape, plan: Plan::default(), page, body: vec![] }
    }

    /// A row group begins. What is left of another, which was given up, is forgotten.
    pub(super) fn begin(&mut self, plan: Plan) -> Result<(), ParquetError> {
        self.plan = plan;
        self.page.begin(plan)?;
        self.chunk.begin(&self.shape, plan.paged);
        Ok(())
    }

    /// Adds a column's entries: `levels` are of what it stands in; `valid` says which values are not null, if any may be.
    pub(super) fn append(
        &mut self,
        levels: &Levels,
        valid: &NullBufferBuilder,
        values: &impl Values,
        context: &mut Context,
    ) -> Result<(), ParquetError> {
        let optional = (self.shape.definition_max > levels.full()).then_some(valid);
        let (mut entry, mut slot) = (0, 0);
        while entry < levels.len() {
            let piece = levels.piece(entry, PIECE);
            let slots = slot..slot + levels.slots(&piece);
            self.page.add_levels(levels, &piece, slot, optional);
            (entry, slot) = (piece.end, slots.end);
            values.write(slots, valid, &mut self.page);
            if self.page.rows() >= PAGE_ROWS || self.page.bytes() >= self.plan.page_bytes {
                self.end_page(context)?;
            }
            if self.page.dictionary_bytes() >= DICTIONARY_BYTES_MAX {
                self.end_dictionary(context)?;
            }
        }
        Ok(())
    }

    /// From here on values are written plainly.
    fn end_dictionary(&mut self, context: &mut Context) -> Result<(), ParquetError> {
        self.end_page(context)?;
        self.write_dictionary(context)?;
        self.page.forget_dictionary();
        Ok(())
    }

    fn write_dictionary(&mut self, context: &mut Context) -> Result<(), ParquetError> {
        match self.page.dictionary() {
            Some(dictionary) => self.chunk.add_dictionary(dictionary, context),
            None => Ok(()),
        }
    }

    /// Finishes the open page, if there is something in it; others may follow.
    fn end_page(&mut self, context: &mut Context) -> Result<(), ParquetError> {
        self.write_page(0, context)
    }

    /// `compressed_min` is the least size of a first page with its dictionary for the chunk to be compressed.
    fn write_page(&mut self, compressed_min: usize, context: &mut Context) -> Result<(), ParquetError> {
        let Leaf { shape, page, chunk, body, .. } = self;
        if page.rows() == 0 {
            return Ok(());
        }
        body.clear();
        let encoding = page.write(shape, body);
        if !chunk.has_pages() {
            chunk.compress(body.len() + page.dictionary_bytes() >= compressed_min);
        }
        chunk.add_page(page, shape, encoding, body, context)?;
        page.clear();
        Ok(())
    }

    /// The chunk with all its pages, and what the footer says of it.
    pub(super) fn seal(&mut self, context: &mut Context) -> Result<(Sealed<'_>, ColumnCloseResult), ParquetError> {
        self.write_page(COMPRESSED_MIN, context)?;
        self.write_dictionary(context)?;
        let bloom = self.page.take_bloom(self.plan.bloom);
        self.chunk.seal(&self.shape, bloom, context.codec())
    }
}
