//! Record batches to the bytes of a Parquet file. The only file that touches the `parquet` crate.
//!
//! What is written is chosen so that Athena, Trino, Spark and DuckDB read the same values, and that the bytes are a function of
//! the rows: `created_by` is fixed, nothing is random, the Arrow schema is not embedded (it saves 1.7 KB per file and says
//! nothing that the Parquet types do not).

use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use ::parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{KeyValue, SortingColumn};
use ::parquet::file::properties::{DEFAULT_DATA_PAGE_ROW_COUNT_LIMIT, EnabledStatistics, WriterProperties};
use ::parquet::schema::types::{ColumnPath, SchemaDescriptor};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use schemas::rules::ParquetSettings;
use schemas::table::Compression;

use super::plan::Plans;
use super::survey::Leaf;
use crate::error::WriterError;

/// Goes up when the same rows give other bytes.
const CREATED_BY: &str = "alluvium version 1";
/// Share of absent values a bloom filter lets through.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Columns of fewer bytes are not compressed: a codec saves next to nothing there, and zstd's contexts, which the crate makes
/// for each column of each file, cost 25 microseconds.
const COMPRESSED_MIN: usize = 256;

/// What all files of a table have in common.
#[derive(Debug)]
pub(super) struct Layout {
    arrow: SchemaRef,
    parquet: SchemaDescriptor,
    settings: ParquetSettings,
    codec: Codec,
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
    writer: ArrowWriter<Vec<u8>>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("bytes", &self.writer.bytes_written()).finish_non_exhaustive()
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
            sorting: sorting.collect(),
            bloom: bloom.collect(),
            parquet,
        })
    }

    /// Begins a file; `leaves` is what its first rows are like.
    pub(super) fn open(&self, size: Size, leaves: &[Leaf], metadata: &[(String, String)]) -> Result<File, WriterError> {
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties(size, leaves, metadata))
            .with_parquet_schema(self.parquet.clone())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), self.arrow.clone(), options).map_err(failed)?;
        Ok(File { writer })
    }

    fn properties(&self, size: Size, leaves: &[Leaf], metadata: &[(String, String)]) -> WriterProperties {
        let paged = self.settings.page_index && self.has_several_pages(size);
        let pairs: Vec<KeyValue> = metadata.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
        let mut properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .set_coerce_types(true)
            .set_compression(self.codec)
            .set_max_row_group_row_count(Some(self.settings.row_group_rows))
            .set_data_page_size_limit(self.settings.page_bytes)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(if paged { EnabledStatistics::Page } else { EnabledStatistics::Chunk })
            .set_offset_index_disabled(!paged)
            .set_key_value_metadata(if pairs.is_empty() { None } else { Some(pairs) })
            .set_sorting_columns(if self.sorting.is_empty() { None } else { Some(self.sorting.clone()) });
        for (column, leaf) in self.parquet.columns().iter().zip(leaves) {
            if self.settings.dictionary && leaf.repeats {
                properties = properties.set_column_dictionary_enabled(column.path().clone(), true);
            }
            if leaf.bytes.is_some_and(|bytes| bytes < COMPRESSED_MIN) {
                properties = properties.set_column_compression(column.path().clone(), Codec::UNCOMPRESSED);
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
        self.writer.write(batch).map_err(failed)
    }

    /// Writes the footer.
    pub(super) fn finish(self) -> Result<Bytes, WriterError> {
        Ok(Bytes::from(self.writer.into_inner().map_err(failed)?))
    }
}
