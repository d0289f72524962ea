//! What is remembered of files: the smallest and the largest value of the columns that questions name. A file that cannot hold an
//! answer is then not opened again: most files of such a lake hold a few rows, and a question is for one entity's.
//!
//! Data files never change under their names, so what was read once stays true. DataFusion's own cache keeps whole footers, a
//! hundred times as large, and plans and opens a file before it looks at one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::{DataType, Schema, TimeUnit};
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::statistics::Statistics;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::{BoxFuture, FutureExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::config::Columns;
use crate::engine::rows::ARRIVED_AT;
use crate::plan::constraint::Constraint;
use crate::predicate::Scalar;

/// Files that are remembered: the newest half of them at least, some 300 bytes each.
const FILES_MAX: usize = 200_000;

/// Least and greatest value of each column, where the file tells.
type FileBounds = Box<[Option<(Scalar, Scalar)>]>;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Bounds {
    columns: Vec<String>,
    known: Mutex<Generations>,
}

/// Two halves: what is asked for moves to the young one, and when that is full, what is left in the old one is forgotten.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<(Path, u64), Arc<FileBounds>>,
    old: HashMap<(Path, u64), Arc<FileBounds>>,
}

impl Generations {
    fn get(&mut self, file: &(Path, u64)) -> Option<Arc<FileBounds>> {
        if let Some(found) = self.young.get(file) {
            return Some(found.clone());
        }
        let (file, found) = self.old.remove_entry(file)?;
        self.put(file, found.clone());
        Some(found)
    }

    fn put(&mut self, file: (Path, u64), bounds: Arc<FileBounds>) {
        if self.young.len() >= FILES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(file, bounds);
    }
}

impl Bounds {
    /// Of the columns that questions over rows like these are about.
    pub(super) fn new(columns: &Columns) -> Bounds {
        let names = [columns.entity.as_str(), columns.at.as_str(), ARRIVED_AT];
        Bounds { columns: names.map(str::to_string).to_vec(), known: Mutex::default() }
    }

    /// Whether a file may hold a row within these domains, as far as is known.
    pub(super) fn may_hold(&self, file: &ObjectMeta, wanted: &Constraint) -> bool {
        let key = (file.location.clone(), file.size);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
        let Some(known) = known else { return true };
        self.columns.iter().zip(known.iter()).all(|(column, bounds)| match (wanted.of_column(column), bounds) {
            (Some(domain), Some((low, high))) => domain.meets(low, high),
            _ => true,
        })
    }

    fn remember(&self, file: &ObjectMeta, footer: &ParquetMetaData) {
        let schema = footer.file_metadata().schema_descr();
        let Ok(schema) = parquet_to_arrow_schema(schema, None) else { return };
        let bounds = self.columns.iter().map(|column| of_file(footer, &schema, column)).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put((file.location.clone(), file.size), Arc::new(bounds));
    }
}

/// Over all row groups; nothing if one does not tell.
fn of_file(footer: &ParquetMetaData, schema: &Schema, column: &str) -> Option<(Scalar, Scalar)> {
    let data_type = schema.field_with_name(column).ok()?.data_type();
    let leaves = footer.file_metadata().schema_descr().columns();
    let number = leaves.iter().position(|leaf| leaf.path().parts() == [column])?;
    let of_group = |group: &RowGroupMetaData| {
        let told = group.column(number).statistics().filter(|told| !told.is_min_max_deprecated())?;
        ends(told, data_type)
    };
    let mut groups = footer.row_groups().iter().map(of_group);
    let first = groups.next()??;
    groups.try_fold(first, |(low, high), next| {
        let (least, greatest) = next?;
        Some((low.min(least), high.max(greatest)))
    })
}

/// Texts may be cut short, the greatest one then rounded up: bounds they are still.
fn ends(told: &Statistics, data_type: &DataType) -> Option<(Scalar, Scalar)> {
    match (told, data_type) {
        (Statistics::ByteArray(told), DataType::Utf8) => {
            let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(|text| Scalar::Text(text.to_string()));
            Some((text(told.min_opt()?.data())?, text(told.max_opt()?.data())?))
        }
        (Statistics::Int64(told), DataType::Int64) => {
            Some((Scalar::Int(*told.min_opt()?), Scalar::Int(*told.max_opt()?)))
        }
        (Statistics::Int32(told), DataType::Int32) => {
            Some((Scalar::Int((*told.min_opt()?).into()), Scalar::Int((*told.max_opt()?).into())))
        }
        (Statistics::Int64(told), DataType::Timestamp(TimeUnit::Millisecond, _)) => {
            Some((Scalar::Instant(*told.min_opt()?), Scalar::Instant(*told.max_opt()?)))
        }
        _ => None,
    }
}

/// Reads files as DataFusion does, and remembers their bounds when it reads their footers.
#[derive(Debug)]
pub(super) struct Remembering {
    pub(super) inner: CachedParquetFileReaderFactory,
    pub(super) bounds: Arc<Bounds>,
}

impl ParquetFileReaderFactory for Remembering {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_size: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let (meta, bounds) = (file.object_meta.clone(), self.bounds.clone());
        let inner = self.inner.create_reader(partition, file, footer_size, metrics)?;
        Ok(Box::new(Reader { inner, meta, bounds }))
    }
}

struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
    meta: ObjectMeta,
    bounds: Arc<Bounds>,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let footer = self.inner.get_metadata(options).await?;
            self.bounds.remember(&self.meta, &footer);
            Ok(footer)
        }
        .boxed()
    }
}
