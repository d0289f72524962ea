//! The lake's table for DataFusion: a provider that never lists the table, only the folders that the filters come to.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType as Arrow, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{DataFusionError, Result, ScalarValue, project_schema};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use schemas::column::DataType;
use schemas::table::TableSpec;

use super::bounds::{Bounds, Remembering};
use super::filters::{is_of_partitions, predicate};
use crate::engine::rows::FILE;
use crate::engine::walk::{Listed, Walk};
use crate::lake::Place;
use crate::plan::Layout;
use crate::plan::columns::scalar;
use crate::predicate::{Predicate, Scalar};
use crate::question::Statistics;

/// What DataFusion calls the lake's store.
pub(super) static STORE: LazyLock<ObjectStoreUrl> =
    LazyLock::new(|| ObjectStoreUrl::parse("lake://table").expect("a URL of scheme and host"));

/// See the module's text.
#[derive(Debug, Clone)]
pub struct LakeTable {
    layout: Arc<Layout>,
    place: Place,
    schema: TableSchema,
    folders: Folders,
}

/// Which folders a scan reads.
#[derive(Debug, Clone)]
enum Folders {
    /// Those its filters come to at `now`.
    Projected { now: i64, limit: u64 },
    /// These, which were listed already, and where to remember what their files hold.
    Listed(Arc<Vec<Listed>>, Arc<Bounds>),
}

impl LakeTable {
    /// The whole table: each scan works out its folders, at most `limit`.
    pub fn projected(layout: Arc<Layout>, place: Place, now: i64, limit: u64) -> LakeTable {
        let schema = table_schema(&layout.spec);
        LakeTable { layout, place, schema, folders: Folders::Projected { now, limit } }
    }

    /// The part of the table that lies in these folders.
    pub(super) fn listed(layout: Arc<Layout>, place: Place, wave: Vec<Listed>, bounds: Arc<Bounds>) -> LakeTable {
        let schema = table_schema(&layout.spec);
        LakeTable { layout, place, schema, folders: Folders::Listed(Arc::new(wave), bounds) }
    }

    async fn list(&self, filters: &[Expr]) -> Result<Arc<Vec<Listed>>> {
        let (now, limit) = match &self.folders {
            Folders::Listed(listed, _) => return Ok(listed.clone()),
            Folders::Projected { now, limit } => (*now, *limit),
        };
        let external = |e: crate::error::ReaderError| DataFusionError::External(Box::new(e));
        let filter = Predicate::And(filters.iter().map(|filter| predicate(filter, &self.schema())).collect());
        let plan = self.layout.plan(&filter, now).map_err(|refused| external(refused.into()))?;
        let mut walk = Walk::new(&self.place, plan, limit, true);
        let (mut listed, mut statistics) = (Vec::new(), Statistics::default());
        while let Some(wave) = walk.next(&mut statistics).await.map_err(external)? {
            listed.extend(wave);
        }
        Ok(Arc::new(listed))
    }

    fn files(&self, listed: &[Listed]) -> Vec<PartitionedFile> {
        let of = |listed: &Listed| {
            let columns = self.layout.spec.partitions.iter().zip(&listed.folder.values);
            let values: Vec<_> = columns.map(|(column, text)| partition_value(text, &column.data_type)).collect();
            let file = |meta: &object_store::ObjectMeta| {
                let name = self.place.relative(&meta.location).to_string();
                let values = values.iter().cloned().chain([ScalarValue::Utf8(Some(name))]);
                PartitionedFile::from(meta.clone()).with_partition_values(values.collect())
            };
            listed.files.iter().map(file).collect::<Vec<_>>()
        };
        listed.iter().flat_map(of).collect()
    }
}

/// Stored columns, partition columns, and the file.
fn table_schema(spec: &TableSpec) -> TableSchema {
    let stored = Arc::new(schemas::arrow::arrow_schema(spec));
    let partition = |p: &schemas::table::PartitionColumn| Field::new(&p.name, partition_type(&p.data_type), false);
    let mut partitions: Vec<FieldRef> = spec.partitions.iter().map(partition).map(Arc::new).collect();
    partitions.push(Arc::new(Field::new(FILE, Arrow::Utf8, false)));
    TableSchema::builder(stored).with_table_partition_cols(partitions).build()
}

/// Everything [`LakeTable`] has, as one schema.
pub(super) fn schema_of(spec: &TableSpec) -> SchemaRef {
    table_schema(spec).table_schema().clone()
}

fn partition_type(data_type: &DataType) -> Arrow {
    match data_type {
        DataType::Int => Arrow::Int32,
        DataType::BigInt => Arrow::Int64,
        DataType::Date => Arrow::Date32,
        _ => Arrow::Utf8,
    }
}

fn partition_value(text: &str, data_type: &DataType) -> ScalarValue {
    match (scalar(text, data_type), data_type) {
        (Some(Scalar::Int(value)), DataType::Int) => ScalarValue::Int32(i32::try_from(value).ok()),
        (Some(Scalar::Int(value)), _) => ScalarValue::Int64(Some(value)),
        (Some(Scalar::Day(day)), _) => ScalarValue::Date32(Some(day)),
        _ => ScalarValue::Utf8(Some(text.to_string())),
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Folders of one partition column's predicate hold no row it is not true of. All else is looked at again, row by row.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let schema = self.schema();
        let exact = |filter: &&Expr| match &self.folders {
            Folders::Projected { .. } if is_of_partitions(&predicate(filter, &schema), &self.layout.spec) => {
                TableProviderFilterPushDown::Exact
            }
            _ => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(exact).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files(&self.list(filters).await?);
        if files.is_empty() {
            let schema: Arc<Schema> = project_schema(&self.schema(), projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let cached = CachedParquetFileReaderFactory::new(self.place.store(), footers);
        let reader: Arc<dyn ParquetFileReaderFactory> = match &self.folders {
            Folders::Projected { .. } => Arc::new(cached),
            Folders::Listed(_, bounds) => Arc::new(Remembering { inner: cached, bounds: bounds.clone() }),
        };
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(reader);
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(STORE.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
