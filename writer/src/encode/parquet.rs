//! Columns to the bytes of a Parquet file. This file, [`super::leaf`] and [`super::codec`] are the only ones that write with the
//! `parquet` crate.
//!
//! What is written is chosen so that Athena, Trino, Spark and DuckDB read the same values, and that the bytes are a function of
//! the rows: `created_by` is fixed, nothing is random, the Arrow schema is not embedded (it saves 1.7 KB per file and says
//! nothing that the Parquet types do not).

use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{KeyValue, SortingColumn};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::SchemaDescriptor;
use bytes::Bytes;
use schemas::rules::ParquetSettings;

use super::SPARE_TEXT_MAX;
use super::codec::{Codecs, Context};
use super::columns::{Column, Leaves};
use super::leaf::{Leaf, Levels, PAGE_ROWS, Plan, Shape};
use super::plan::Plans;
use super::spare::Spare;
use crate::error::WriterError;

/// Goes up when the same rows give other bytes.
const CREATED_BY: &str = "alluvium version 3";
/// Share of absent values a bloom filter lets through.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Bytes of JSON that one byte of a file stands for, at the least: room is made for the file before it is known.
const TEXT_PER_BYTE: usize = 4;
/// Room made for a file at most; what exceeds it grows.
const OUT_FIRST_MAX: usize = 16 << 20;

/// What all files of a table have in common.
#[derive(Debug)]
pub(super) struct Layout {
    parquet: SchemaDescriptor,
    settings: ParquetSettings,
    codecs: Codecs,
    sorting: Vec<SortingColumn>,
    shapes: Vec<Shape>,
    /// Of each leaf, whether it has a bloom filter.
    bloom: Vec<bool>,
    /// Leaves that no file uses at the moment.
    leaves: Spare<Vec<Leaf>>,
}

/// How much is about to be written at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    /// Of the events' JSON.
    pub(super) text_bytes: usize,
}

/// A file being written, in memory.
pub(super) struct File<'l> {
    layout: &'l Layout,
    writer: SerializedFileWriter<Vec<u8>>,
    /// Of the open row group.
    leaves: Vec<Leaf>,
    plans: Vec<Plan>,
    /// Given back when the file is done.
    context: Option<Context>,
    /// In the open row group.
    rows: usize,
    /// Of all rows to come.
    text_bytes: usize,
}

impl std::fmt::Debug for File<'_> {
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
        let mut bloom = vec![false; parquet.num_columns()];
        plans.bloom.iter().for_each(|column| bloom[leaf_of(&parquet, *column)] = true);
        Ok(Layout {
            settings: settings.clone(),
            codecs: Codecs::new(settings.compression)?,
            sorting: sorting.collect(),
            shapes: parquet.columns().iter().cloned().map(Shape::new).collect(),
            bloom,
            leaves: Spare::default(),
            parquet,
        })
    }

    /// Begins a file; `repeats` says of each leaf whether its first values repeat.
    pub(super) fn open(
        &self,
        size: Size,
        repeats: &[bool],
        metadata: &[(String, String)],
    ) -> Result<File<'_>, WriterError> {
        let root = self.parquet.root_schema_ptr();
        let out = Vec::with_capacity((size.text_bytes / TEXT_PER_BYTE).min(OUT_FIRST_MAX));
        let writer = SerializedFileWriter::new(out, root, self.properties(metadata).into()).map_err(failed)?;
        let mut file = File {
            writer,
            leaves: self.leaves.take().unwrap_or_else(|| self.shapes.iter().cloned().map(Leaf::new).collect()),
            plans: self.plans(size, repeats),
            context: Some(self.codecs.take().map_err(failed)?),
            layout: self,
            rows: 0,
            text_bytes: size.text_bytes,
        };
        file.begin_row_group().map_err(failed)?;
        Ok(file)
    }

    pub(super) fn row_group_rows(&self) -> usize {
        self.settings.row_group_rows
    }

    fn properties(&self, metadata: &[(String, String)]) -> WriterProperties {
        let pairs: Vec<KeyValue> = metadata.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
        WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .set_key_value_metadata(if pairs.is_empty() { None } else { Some(pairs) })
            .set_sorting_columns(if self.sorting.is_empty() { None } else { Some(self.sorting.clone()) })
            .build()
    }

    fn plans(&self, size: Size, repeats: &[bool]) -> Vec<Plan> {
        let paged = self.settings.page_index && self.has_several_pages(size);
        let distinct = size.rows.min(self.settings.row_group_rows).max(1) as u64;
        let plan = |(repeats, bloom): (&bool, &bool)| Plan {
            dictionary: self.settings.dictionary && *repeats,
            paged,
            page_bytes: self.settings.page_bytes,
            bloom: bloom.then_some((distinct, BLOOM_FALSE_POSITIVES)),
        };
        repeats.iter().zip(&self.bloom).map(plan).collect()
    }

    /// The statistics of a column's only page are those of its chunk: an index would say them twice, at 2.7 KB per file.
    fn has_several_pages(&self, size: Size) -> bool {
        size.rows > PAGE_ROWS || size.text_bytes > self.settings.page_bytes
    }
}

/// The leaf of a primitive top-level column.
fn leaf_of(parquet: &SchemaDescriptor, column: usize) -> usize {
    (0..parquet.num_columns())
        .find(|leaf| parquet.get_column_root_idx(*leaf) == column)
        .expect("every column of the schema has a leaf")
}

impl File<'_> {
    /// Rows that the open row group still takes.
    pub(super) fn room(&self) -> usize {
        self.layout.settings.row_group_rows - self.rows
    }

    /// Takes over so many rows of the columns, no more than there is room for.
    pub(super) fn write(&mut self, columns: &[Column], rows: usize) -> Result<(), WriterError> {
        self.write_columns(columns, rows).map_err(failed)?;
        self.rows += rows;
        if self.room() == 0 {
            self.end_row_group().and_then(|()| self.begin_row_group()).map_err(failed)?;
        }
        Ok(())
    }

    fn write_columns(&mut self, columns: &[Column], rows: usize) -> Result<(), ParquetError> {
        let context = self.context.as_mut().expect("the file is open");
        let mut leaves = Leaves { rest: self.leaves.iter_mut(), context };
        columns.iter().try_for_each(|column| column.write(&Levels::rows(rows), &mut leaves))
    }

    fn begin_row_group(&mut self) -> Result<(), ParquetError> {
        self.rows = 0;
        self.leaves.iter_mut().zip(&self.plans).try_for_each(|(leaf, plan)| leaf.begin(*plan))
    }

    fn end_row_group(&mut self) -> Result<(), ParquetError> {
        let context = self.context.as_mut().expect("the file is open");
        let mut group = self.writer.next_row_group()?;
        for leaf in &mut self.leaves {
            let (chunk, close) = leaf.seal(context)?;
            group.append_column(&chunk, close)?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes the footer.
    pub(super) fn finish(mut self) -> Result<Bytes, WriterError> {
        if self.rows > 0 {
            self.end_row_group().map_err(failed)?;
        }
        if let Some(context) = self.context.take() {
            self.layout.codecs.give_back(context);
        }
        if self.text_bytes <= SPARE_TEXT_MAX {
            self.layout.leaves.give_back(self.leaves);
        }
        Ok(Bytes::from(self.writer.into_inner().map_err(failed)?))
    }
}

#[cfg(test)]
mod tests;
