//! Compresses a file's pages with zstd, with one context for all of them.
//!
//! The parquet crate makes a context to compress and one to decompress for each column of each file: in files of some hundred
//! kilobytes they cost as much as compressing. So to the crate the columns are not compressed. It hands each finished page to
//! the store that it was given for the column, header first; there the page is compressed and its header told of it. When a
//! column is closed, what the crate has noted of sizes and offsets is worked out anew from the pages as they are. The bytes of the
//! file are those the crate would have written by itself, which a test compares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::parquet::arrow::arrow_writer::ArrowColumnChunk;
use ::parquet::basic::Compression as Codec;
use ::parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::errors::ParquetError;
use bytes::Bytes;
use zstd::bulk::Compressor;
use zstd::zstd_safe;

use super::spare::Spare;

/// Memory that stays with a context at most, bytes: enough for pages of the usual size, which one long value may exceed.
const SCRATCH_MAX: usize = 4 << 20;
/// In a page header, as Thrift's compact protocol writes it: "the next field, an i32".
const NEXT_I32: u8 = 0x15;
/// Page type of dictionaries.
const DICTIONARY_PAGE: u64 = 2;

/// Contexts of one level.
#[derive(Debug)]
pub(super) struct Contexts {
    level: i32,
    spare: Spare<Context>,
}

/// What compressing one page after the other needs.
struct Context {
    zstd: Compressor<'static>,
    /// Where a page is compressed to: memory that stays, since the worst case is longer than the page.
    scratch: Vec<u8>,
}

impl Context {
    fn compress(&mut self, plain: &[u8]) -> Result<Bytes, ParquetError> {
        self.scratch.clear();
        self.scratch.reserve(zstd_safe::compress_bound(plain.len()));
        self.zstd.compress_to_buffer(plain, &mut self.scratch)?;
        Ok(Bytes::copy_from_slice(&self.scratch))
    }
}

impl Contexts {
    pub(super) fn new(level: i32) -> Contexts {
        Contexts { level, spare: Spare::default() }
    }

    fn take(&self) -> Result<Context, ParquetError> {
        match self.spare.take() {
            Some(spare) => Ok(spare),
            None => Ok(Context { zstd: Compressor::new(self.level)?, scratch: Vec::new() }),
        }
    }

    fn give_back(&self, mut context: Context) {
        if context.scratch.capacity() > SCRATCH_MAX {
            context.scratch = Vec::new();
        }
        self.spare.give_back(context);
    }
}

/// The finished pages of a file's open row group.
#[derive(Debug, Clone)]
pub(super) struct Pages(Arc<Mutex<State>>);

struct State {
    contexts: Option<Arc<Contexts>>,
    context: Option<Context>,
    columns: Vec<Column>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let (Some(contexts), Some(context)) = (&self.contexts, self.context.take()) {
            contexts.give_back(context);
        }
    }
}

#[derive(Debug, Default)]
struct Column {
    compressed: bool,
    /// Came, and waits for its page.
    header: Option<Bytes>,
    pages: Vec<Page>,
}

#[derive(Debug)]
struct Page {
    is_dictionary: bool,
    /// Bytes of its data before compression.
    plain: usize,
    header: Vec<u8>,
    data: Bytes,
}

impl Page {
    fn length(&self) -> usize {
        self.header.len() + self.data.len()
    }
}

impl Pages {
    /// `compressed` says it of each column; then there are contexts.
    pub(super) fn new(contexts: Option<Arc<Contexts>>, compressed: &[bool]) -> Pages {
        let columns = compressed.iter().map(|compressed| Column { compressed: *compressed, ..Column::default() });
        Pages(Arc::new(Mutex::new(State { contexts, context: None, columns: columns.collect() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A closed column as it goes into the file: all its pages, the dictionary first, and what the footer says of them.
    pub(super) fn seal(
        &self,
        column: usize,
        mut chunk: ArrowColumnChunk,
        codec: Codec,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let (pages, compressed) = {
            let column = &mut self.state().columns[column];
            (std::mem::take(&mut column.pages), column.compressed)
        };
        let bloom_filter = chunk.close_mut().bloom_filter.take();
        let close = ColumnCloseResult { bloom_filter, ..chunk.close().clone() };
        let codec = if compressed { codec } else { close.metadata.compression() };
        let (dictionary, data): (Vec<Page>, Vec<Page>) = pages.into_iter().partition(|page| page.is_dictionary);
        let mut bytes = Vec::with_capacity(dictionary.iter().chain(&data).map(Page::length).sum());
        for page in dictionary.iter().chain(&data) {
            bytes.extend_from_slice(&page.header);
            bytes.extend_from_slice(&page.data);
        }
        let behind_dictionary = dictionary.iter().map(Page::length).sum();
        let plain: usize = dictionary.iter().chain(&data).map(|page| page.header.len() + page.plain).sum();
        let close = described(close, codec, bytes.len(), plain, behind_dictionary, &data)?;
        Ok((bytes.into(), close))
    }
}

/// What is said of a column whose pages turned out as they are. Offsets count from the column's beginning.
fn described(
    mut close: ColumnCloseResult,
    codec: Codec,
    length: usize,
    plain: usize,
    behind_dictionary: usize,
    data: &[Page],
) -> Result<ColumnCloseResult, ParquetError> {
    let metadata = close.metadata.into_builder();
    close.metadata = metadata
        .set_compression(codec)
        .set_total_compressed_size(length as i64)
        .set_total_uncompressed_size(plain as i64)
        .set_dictionary_page_offset((behind_dictionary > 0).then_some(0))
        .set_data_page_offset(behind_dictionary as i64)
        .build()?;
    close.bytes_written = length as u64;
    if let Some(index) = &mut close.offset_index {
        let mut offset = behind_dictionary;
        for (location, page) in index.page_locations.iter_mut().zip(data) {
            location.offset = offset as i64;
            location.compressed_page_size =
                i32::try_from(page.length()).map_err(|_| ParquetError::General("a page exceeds 2 GiB".into()))?;
            offset += page.length();
        }
    }
    Ok(close)
}

impl PageStoreFactory for Pages {
    fn create(&self, args: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>, ParquetError> {
        Ok(Box::new(Store { pages: self.clone(), column: args.column_index() }))
    }
}

/// Where the crate puts the pages of one column.
struct Store {
    pages: Pages,
    column: usize,
}

impl PageStore for Store {
    fn put(&mut self, value: Bytes) -> Result<PageKey, ParquetError> {
        self.pages.state().put(self.column, value)?;
        Ok(PageKey::new(0))
    }

    fn take(&mut self, _key: PageKey) -> Result<Bytes, ParquetError> {
        Err(ParquetError::General("pages are sealed by the column, not taken back one by one".into()))
    }
}

impl State {
    /// A header, or the page that follows it.
    fn put(&mut self, column: usize, value: Bytes) -> Result<(), ParquetError> {
        let column = &mut self.columns[column];
        let Some(header) = column.header.take() else {
            column.header = Some(value);
            return Ok(());
        };
        let header =
            Header::parse(&header).ok_or_else(|| ParquetError::General("a page header of another form".into()))?;
        let data = match &self.contexts {
            Some(contexts) if column.compressed => {
                if self.context.is_none() {
                    self.context = Some(contexts.take()?);
                }
                let context = self.context.as_mut().expect("taken above");
                context.compress(&value)?
            }
            _ => value,
        };
        let is_dictionary = header.page_type == DICTIONARY_PAGE;
        let (plain, header) = (header.plain as usize, header.with_length(data.len()));
        column.pages.push(Page { is_dictionary, plain, header, data });
        Ok(())
    }
}

/// The beginning of a page header: type, length before and after compression; then what does not change.
#[derive(Debug)]
struct Header<'a> {
    page_type: u64,
    plain: u64,
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(mut text: &'a [u8]) -> Option<Header<'a>> {
        let mut number = || {
            let (first, rest) = text.split_first()?;
            let (value, length) = varint(rest)?;
            text = &rest[length..];
            // Zigzag: lengths and types are not negative.
            (*first == NEXT_I32 && value % 2 == 0).then_some(value / 2)
        };
        let (page_type, plain, _) = (number()?, number()?, number()?);
        Some(Header { page_type, plain, rest: text })
    }

    fn with_length(&self, length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.rest.len() + 16);
        for value in [self.page_type, self.plain, length as u64] {
            out.push(NEXT_I32);
            push_varint(value * 2, &mut out);
        }
        out.extend_from_slice(self.rest);
        out
    }
}

/// A number in groups of seven bits, the lowest first, and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let last = bytes.iter().take(5).position(|byte| *byte < 0x80)?;
    let value = bytes[..=last].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((value, last + 1))
}

fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
