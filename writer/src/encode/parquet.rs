//! Record batches to the bytes of a Parquet file. This file and [`super::pages`] are the only ones that touch the `parquet` crate.
//!
//! What is written is chosen so that Athena, Trino, Spark and DuckDB read the same values, and that the bytes are a function of
//! the rows: `created_by` is fixed, nothing is random, the Arrow schema is not embedded (it saves 1.7 KB per file and says
//! nothing that the Parquet types do not).

use std::sync::Arc;

use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use ::parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{KeyValue, SortingColumn};
use ::parquet::file::properties::{DEFAULT_DATA_PAGE_ROW_COUNT_LIMIT, EnabledStatistics, WriterProperties};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::{ColumnPath, SchemaDescriptor};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use schemas::rules::ParquetSettings;
use schemas::table::Compression;

use super::pages::{Contexts, Pages};
use super::plan::Plans;
use super::survey::Leaf;
use crate::error::WriterError;

/// Goes up when the same rows give other bytes.
const CREATED_BY: &str = "alluvium version 2";
/// Share of absent values a bloom filter lets through.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Columns of fewer bytes are not compressed: a codec saves next to nothing there, and readers have to set one up for each.
const COMPRESSED_MIN: usize = 256;

/// Bytes of JSON that one byte of a file stands for, at the least: room is made for the file before it is known.
const TEXT_PER_BYTE: usize = 4;
/// Room made for a file at most; what exceeds it grows.
const OUT_FIRST_MAX: usize = 16 << 20;

/// What all files of a table have in common.
#[derive(Debug)]
pub(super) struct Layout {
    arrow: SchemaRef,
    parquet: SchemaDescriptor,
    settings: ParquetSettings,
    codec: Codec,
    /// Of zstd: its pages are compressed by [`super::pages`], those of the other codecs by the crate.
    contexts: Option<Arc<Contexts>>,
    sorting: Vec<SortingColumn>,
    bloom: Vec<ColumnPath>,
}

/// How much is about to be written at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    /// Of the events' JSON.
    pub(super) text_bytes: usize,
}

/// A file being written, in memory.
pub(super) struct File {
    writer: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    arrow: SchemaRef,
    codec: Codec,
    pages: Pages,
    /// Columns of the open row group; none if no row of it has come.
    columns: Vec<ArrowColumnWriter>,
    /// In the open row group, and at most in one.
    rows: usize,
    rows_max: usize,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn failed(error: ParquetError) -> WriterError {
    WriterError::Config(format!("parquet cannot encode the table: {error}"))
}

impl Layout {
    pub(super) fn new(plans: &Plans, settings: &ParquetSettings) -> Result<Layout, WriterError> {
        if settings.row_group_rows == 0 || settings.page_bytes == 0 {
            return Err(WriterError::Config(
                "parquet: row groups and pages must hold something; want 1 or more".into(),
            ));
        }
        let parquet = ArrowSchemaConverter::new()
            .with_coerce_types(true)
            .schema_root("schema")
            .convert(&plans.file.schema)
            .map_err(failed)?;
        let sorting = plans.sort.iter().map(|column| SortingColumn {
            column_idx: i32::try_from(leaf_of(&parquet, *column)).expect("a file has fewer than 2^31 leaves"),
            descending: false,
            nulls_first: true,
        });
        let bloom = plans.bloom.iter().map(|column| parquet.column(leaf_of(&parquet, *column)).path().clone());
        Ok(Layout {
            arrow: plans.file.schema.clone(),
            settings: settings.clone(),
            codec: codec(settings.compression)?,
            contexts: match settings.compression {
                Compression::Zstd(level) => Some(Arc::new(Contexts::new(level))),
                _ => None,
            },
            sorting: sorting.collect(),
            bloom: bloom.collect(),
            parquet,
        })
    }

    /// Begins a file; `leaves` is what its first rows are like.
    pub(super) fn open(&self, size: Size, leaves: &[Leaf], metadata: &[(String, String)]) -> Result<File, WriterError> {
        let codecs: Vec<Codec> = leaves.iter().map(|leaf| self.codec_of(leaf)).collect();
        let properties = Arc::new(self.properties(size, leaves, &codecs, metadata));
        let root = self.parquet.root_schema_ptr();
        let out = Vec::with_capacity((size.text_bytes / TEXT_PER_BYTE).min(OUT_FIRST_MAX));
        let writer = SerializedFileWriter::new(out, root, properties).map_err(failed)?;
        let compressed: Vec<bool> = codecs.iter().map(|codec| *codec != Codec::UNCOMPRESSED).collect();
        let pages = Pages::new(self.contexts.clone(), &compressed);
        let factory = ArrowRowGroupWriterFactory::new(&writer, self.arrow.clone());
        Ok(File {
            factory: factory.with_page_store_factory(Arc::new(pages.clone())),
            writer,
            arrow: self.arrow.clone(),
            codec: self.codec,
            pages,
            columns: vec![],
            rows: 0,
            rows_max: self.settings.row_group_rows,
        })
    }

    fn codec_of(&self, leaf: &Leaf) -> Codec {
        if leaf.bytes.is_some_and(|bytes| bytes < COMPRESSED_MIN) { Codec::UNCOMPRESSED } else { self.codec }
    }

    /// As the crate is to see them.
    fn properties(
        &self,
        size: Size,
        leaves: &[Leaf],
        codecs: &[Codec],
        metadata: &[(String, String)],
    ) -> WriterProperties {
        let seen = |codec: Codec| if self.contexts.is_some() { Codec::UNCOMPRESSED } else { codec };
        let paged = self.settings.page_index && self.has_several_pages(size);
        let pairs: Vec<KeyValue> = metadata.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
        let mut properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .set_coerce_types(true)
            .set_compression(seen(self.codec))
            .set_max_row_group_row_count(Some(self.settings.row_group_rows))
            .set_data_page_size_limit(self.settings.page_bytes)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(if paged { EnabledStatistics::Page } else { EnabledStatistics::Chunk })
            .set_offset_index_disabled(!paged)
            .set_key_value_metadata(if pairs.is_empty() { None } else { Some(pairs) })
            .set_sorting_columns(if self.sorting.is_empty() { None } else { Some(self.sorting.clone()) });
        for (column, (leaf, codec)) in self.parquet.columns().iter().zip(leaves.iter().zip(codecs)) {
            if self.settings.dictionary && leaf.repeats {
                properties = properties.set_column_dictionary_enabled(column.path().clone(), true);
            }
            if seen(*codec) != seen(self.codec) {
                properties = properties.set_column_compression(column.path().clone(), seen(*codec));
            }
        }
        let distinct = size.rows.min(self.settings.row_group_rows).max(1) as u64;
        for path in &self.bloom {
            properties = properties
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(path.clone(), distinct);
        }
        properties.build()
    }

    /// The statistics of a column's only page are those of its chunk: an index would say them twice, at 2.7 KB per file.
    fn has_several_pages(&self, size: Size) -> bool {
        size.rows > DEFAULT_DATA_PAGE_ROW_COUNT_LIMIT || size.text_bytes > self.settings.page_bytes
    }
}

/// The leaf of a primitive top-level column.
fn leaf_of(parquet: &SchemaDescriptor, column: usize) -> usize {
    (0..parquet.num_columns())
        .find(|leaf| parquet.get_column_root_idx(*leaf) == column)
        .expect("every column of the schema has a leaf")
}

fn codec(compression: Compression) -> Result<Codec, WriterError> {
    let level = |what: &str, range: &str| WriterError::Config(format!("parquet: {what} has levels {range}"));
    Ok(match compression {
        Compression::Zstd(n) => Codec::ZSTD(ZstdLevel::try_new(n).map_err(|_| level("zstd", "1 to 22"))?),
        Compression::Gzip(n) => Codec::GZIP(GzipLevel::try_new(n).map_err(|_| level("gzip", "0 to 9"))?),
        Compression::Snappy => Codec::SNAPPY,
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::None => Codec::UNCOMPRESSED,
    })
}

impl File {
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), WriterError> {
        let mut from = 0;
        while from < batch.num_rows() {
            let count = (batch.num_rows() - from).min(self.rows_max - self.rows);
            self.write_columns(&batch.slice(from, count)).map_err(failed)?;
            from += count;
            if self.rows == self.rows_max {
                self.end_row_group().map_err(failed)?;
            }
        }
        Ok(())
    }

    fn write_columns(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        if self.columns.is_empty() {
            self.columns = self.factory.create_column_writers(self.writer.flushed_row_groups().len())?;
        }
        let mut writers = self.columns.iter_mut();
        for (field, column) in self.arrow.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column)? {
                writers.next().expect("each leaf has a writer").write(&leaf)?;
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    fn end_row_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (number, column) in self.columns.drain(..).enumerate() {
            let (bytes, close) = self.pages.seal(number, column.close()?, self.codec)?;
            group.append_column(&bytes, close)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    /// Writes the footer.
    pub(super) fn finish(mut self) -> Result<Bytes, WriterError> {
        if self.rows > 0 {
            self.end_row_group().map_err(failed)?;
        }
        Ok(Bytes::from(self.writer.into_inner().map_err(failed)?))
    }
}

#[cfg(test)]
mod tests;
