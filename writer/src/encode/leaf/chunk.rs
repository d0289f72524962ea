//! The finished pages of a leaf in one row group, and what the footer says of them.

use std::io::{Chain, Read};

use ::parquet::basic::{BoundaryOrder, Compression as Codec, Encoding, PageType};
use ::parquet::bloom_filter::Sbbf;
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, LevelHistogram, OffsetIndexBuilder, PageEncodingStats,
};
use ::parquet::file::page_index::column_index::ColumnIndexMetaData;
use ::parquet::file::page_index::offset_index::OffsetIndexMetaData;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

use super::bounds::Bounds;
use super::dictionary::Dictionary;
use super::page::Page;
use super::runs::write_varint;
use super::{Physical, Shape};
use crate::encode::codec::Context;

/// In Thrift's compact protocol: "the next field, an i32", "the next field, false".
const NEXT_I32: u8 = 0x15;
const NEXT_FALSE: u8 = 0x12;
/// The header of a data page, two fields on; that of a dictionary page, four fields on.
const DATA_PAGE: u8 = 0x2c;
const DICTIONARY_PAGE: u8 = 0x4c;
const STOP: u8 = 0;

/// Pages and what is known of them.
#[derive(Default)]
pub(super) struct Chunk {
    /// Headers and data, in order.
    dictionary: Vec<u8>,
    pages: Vec<u8>,
    compress: bool,
    /// Bytes of headers and of data before compression.
    plain_bytes: usize,
    entries: usize,
    rows: usize,
    nulls: usize,
    text_bytes: Option<usize>,
    bounds: Bounds,
    definition: Vec<usize>,
    repetition: Vec<usize>,
    encodings: Vec<PageEncodingStats>,
    index: Option<Index>,
}

/// Page by page.
struct Index {
    columns: ColumnIndexBuilder,
    /// Bytes, rows, bytes of text.
    pages: Vec<(usize, usize, Option<usize>)>,
    last: Bounds,
    ascending: bool,
    descending: bool,
}

/// A chunk as the file takes it.
pub(in super::super) struct Sealed<'c> {
    dictionary: &'c [u8],
    pages: &'c [u8],
}

impl Length for Sealed<'_> {
    fn len(&self) -> u64 {
        (self.dictionary.len() + self.pages.len()) as u64
    }
}

impl<'c> ChunkReader for Sealed<'c> {
    type T = Chain<&'c [u8], &'c [u8]>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        if start > 0 {
            return Err(ParquetError::General("a chunk is taken from its beginning".into()));
        }
        Ok(self.dictionary.chain(self.pages))
    }

    fn get_bytes(&self, _: u64, _: usize) -> Result<Bytes, ParquetError> {
        Err(ParquetError::General("a chunk is taken as a whole".into()))
    }
}

impl Chunk {
    /// Without pages again.
    pub(super) fn begin(&mut self, shape: &Shape, paged: bool) {
        let (mut dictionary, mut pages) = (std::mem::take(&mut self.dictionary), std::mem::take(&mut self.pages));
        dictionary.clear();
        pages.clear();
        *self = Chunk {
            dictionary,
            pages,
            index: paged.then(|| Index::new(shape)),
            definition: vec![0; usize::from(shape.definition_max) + 1],
            repetition: vec![0; usize::from(shape.repetition_max) + 1],
            text_bytes: shape.physical.is_bytes().then_some(0),
            ..Chunk::default()
        };
    }

    pub(super) fn has_pages(&self) -> bool {
        !self.pages.is_empty()
    }

    /// Whether pages are compressed, which is one thing for all of them.
    pub(super) fn compress(&mut self, compress: bool) {
        self.compress = compress;
    }

    pub(super) fn add_dictionary(
        &mut self,
        dictionary: &Dictionary,
        context: &mut Context,
    ) -> Result<(), ParquetError> {
        let data = context.compress_if(self.compress, dictionary.page())?;
        let out = &mut self.dictionary;
        begin_header(PageType::DICTIONARY_PAGE, dictionary.page().len(), data.len(), out);
        out.push(DICTIONARY_PAGE);
        write_i32s(&[dictionary.len() as i32, Encoding::PLAIN as i32], out);
        // The values are not sorted.
        out.extend_from_slice(&[NEXT_FALSE, STOP, STOP]);
        self.plain_bytes += out.len() + dictionary.page().len();
        out.extend_from_slice(data);
        let stats = PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 };
        self.encodings.insert(0, stats);
        Ok(())
    }

    /// Adds a page whose data are `body` before compression.
    pub(super) fn add_page(
        &mut self,
        page: &Page,
        shape: &Shape,
        encoding: Encoding,
        body: &[u8],
        context: &mut Context,
    ) -> Result<(), ParquetError> {
        if i32::try_from(body.len()).is_err() {
            return Err(ParquetError::General("a page exceeds 2 GiB".into()));
        }
        let data = context.compress_if(self.compress, body)?;
        let before = self.pages.len();
        let out = &mut self.pages;
        begin_header(PageType::DATA_PAGE, body.len(), data.len(), out);
        out.push(DATA_PAGE);
        let rle = Encoding::RLE as i32;
        write_i32s(&[page.entries() as i32, encoding as i32, rle, rle], out);
        out.extend_from_slice(&[STOP, STOP]);
        self.plain_bytes += out.len() - before + body.len();
        out.extend_from_slice(data);
        let bytes = out.len() - before;
        self.count(page, shape, encoding, bytes);
        Ok(())
    }

    fn count(&mut self, page: &Page, shape: &Shape, encoding: Encoding, bytes: usize) {
        let (definition, repetition) = page.counts(shape);
        let nulls: usize = definition[..usize::from(shape.definition_max)].iter().sum();
        if let Some(index) = &mut self.index {
            index.add(page, shape.physical, nulls, bytes);
            let histogram = |counts: &[usize]| histogram(counts);
            index.columns.append_histograms(&histogram(&repetition), &histogram(&definition));
        }
        add_all(&mut self.definition, &definition);
        add_all(&mut self.repetition, &repetition);
        self.bounds.add(page.bounds());
        self.entries += page.entries();
        self.rows += page.rows();
        self.nulls += nulls;
        self.text_bytes = self.text_bytes.zip(page.text_bytes()).map(|(a, b)| a + b);
        match self
            .encodings
            .last_mut()
            .filter(|last| last.page_type == PageType::DATA_PAGE && last.encoding == encoding)
        {
            Some(last) => last.count += 1,
            None => self.encodings.push(PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count: 1 }),
        }
    }

    /// All of it, and what the footer says. Offsets count from the chunk's beginning.
    pub(super) fn seal(
        &mut self,
        shape: &Shape,
        bloom: Option<Sbbf>,
        codec: Codec,
    ) -> Result<(Sealed<'_>, ColumnCloseResult), ParquetError> {
        let first = self.dictionary.len();
        let metadata = self.metadata(shape, codec, first)?;
        let (column_index, offset_index) = match self.index.take() {
            Some(index) => {
                let (columns, offsets) = index.build(first)?;
                (Some(columns), Some(offsets))
            }
            None => (None, None),
        };
        let close = ColumnCloseResult {
            bytes_written: (first + self.pages.len()) as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: bloom,
            column_index,
            offset_index,
        };
        Ok((Sealed { dictionary: &self.dictionary, pages: &self.pages }, close))
    }

    fn metadata(&mut self, shape: &Shape, codec: Codec, first: usize) -> Result<ColumnChunkMetaData, ParquetError> {
        let mut encodings = vec![Encoding::RLE];
        encodings.extend(self.encodings.iter().map(|stats| stats.encoding));
        ColumnChunkMetaData::builder(shape.column.clone())
            .set_compression(if self.compress { codec } else { Codec::UNCOMPRESSED })
            .set_encodings(encodings)
            .set_page_encoding_stats(std::mem::take(&mut self.encodings))
            .set_total_compressed_size((first + self.pages.len()) as i64)
            .set_total_uncompressed_size(self.plain_bytes as i64)
            .set_num_values(self.entries as i64)
            .set_data_page_offset(first as i64)
            .set_dictionary_page_offset((first > 0).then_some(0))
            .set_statistics(self.bounds.statistics(shape.physical, self.nulls as u64))
            .set_unencoded_byte_array_data_bytes(self.text_bytes.map(|bytes| bytes as i64))
            .set_repetition_level_histogram(histogram(&self.repetition))
            .set_definition_level_histogram(histogram(&self.definition))
            .build()
    }
}

impl Index {
    fn new(shape: &Shape) -> Index {
        Index {
            columns: ColumnIndexBuilder::new(shape.column.physical_type()),
            pages: vec![],
            last: Bounds::None,
            ascending: true,
            descending: true,
        }
    }

    fn add(&mut self, page: &Page, physical: Physical, nulls: usize, bytes: usize) {
        self.pages.push((bytes, page.rows(), page.text_bytes()));
        let Some((least, greatest)) = page.bounds().index(physical) else {
            self.columns.append(true, vec![], vec![], nulls as i64);
            return;
        };
        let (ascending, descending) = page.bounds().order_after(&self.last);
        self.ascending &= ascending;
        self.descending &= descending;
        self.last = page.bounds().clone();
        self.columns.append(false, least, greatest, nulls as i64);
    }

    /// The pages' bounds and their places, behind so many bytes.
    fn build(mut self, mut offset: usize) -> Result<(ColumnIndexMetaData, OffsetIndexMetaData), ParquetError> {
        self.columns.set_boundary_order(match (self.ascending, self.descending) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        });
        let mut offsets = OffsetIndexBuilder::new();
        for (bytes, rows, text_bytes) in self.pages {
            let size = i32::try_from(bytes).map_err(|_| ParquetError::General("a page exceeds 2 GiB".into()))?;
            offsets.append_row_count(rows as i64);
            offsets.append_offset_and_size(offset as i64, size);
            offsets.append_unencoded_byte_array_data_bytes(text_bytes.map(|bytes| bytes as i64));
            offset += bytes;
        }
        Ok((self.columns.build()?, offsets.build()))
    }
}

fn add_all(sums: &mut [usize], counts: &[usize]) {
    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

/// None of a leaf that has just one level.
fn histogram(counts: &[usize]) -> Option<LevelHistogram> {
    let mut histogram = LevelHistogram::try_new(i16::try_from(counts.len() - 1).ok()?)?;
    counts.iter().zip(0..).for_each(|(count, level)| histogram.increment_by(level, *count as i64));
    Some(histogram)
}

/// Type, length before and after compression.
fn begin_header(page_type: PageType, plain: usize, compressed: usize, out: &mut Vec<u8>) {
    write_i32s(&[page_type as i32, plain as i32, compressed as i32], out);
}

/// Fields of a struct, each the next.
fn write_i32s(values: &[i32], out: &mut Vec<u8>) {
    for value in values {
        out.push(NEXT_I32);
        // Zigzag, of numbers that are not negative.
        write_varint(*value as u64 * 2, out);
    }
}
