//! One wave: its files through DataFusion to events.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use schemas::problem::causes;

use super::bounds::Bounds;
use super::filters::expression;
use super::rows;
use super::table::{LakeTable, schema_of};
use crate::config::Columns;
use crate::engine::rows::Rows;
use crate::engine::too_many_rows;
use crate::engine::walk::Listed;
use crate::error::ReaderError;
use crate::event::Event;
use crate::lake::Lake;
use crate::plan::Layout;
use crate::plan::constraint::Constraint;
use crate::predicate::Predicate;
use crate::question::Statistics;

/// What every wave is read with.
pub(super) struct Scan {
    pub(super) context: SessionContext,
    pub(super) layout: Arc<Layout>,
    pub(super) lake: Lake,
    pub(super) columns: Columns,
    pub(super) bounds: Arc<Bounds>,
    /// Rows of one question at most.
    pub(super) rows_max: u64,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scan({:?})", self.lake.table)
    }
}

impl Scan {
    /// The rows of these files that the filter is true of. `before`: how many the question has already.
    pub(super) async fn events(
        &self,
        mut wave: Vec<Listed>,
        filter: &Predicate,
        before: usize,
        statistics: &mut Statistics,
    ) -> Result<Vec<Event>, ReaderError> {
        let wanted = Constraint::of(filter);
        wave.iter_mut().for_each(|listed| listed.files.retain(|file| self.bounds.may_hold(file, &wanted)));
        wave.retain(|listed| !listed.files.is_empty());
        statistics.files_opened += wave.iter().map(|listed| listed.files.len() as u64).sum::<u64>();
        if wave.is_empty() {
            return Ok(Vec::new());
        }
        let plan = self.physical(wave, filter).await.map_err(|e| self.failed(e))?;
        let read_as = Rows { columns: &self.columns, spec: &self.layout.spec };
        let mut stream = execute_stream(plan.clone(), self.context.task_ctx()).map_err(|e| self.failed(e))?;
        let mut events = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| self.failed(e))?;
            if (before + events.len() + batch.num_rows()) as u64 > self.rows_max {
                return Err(too_many_rows(self.rows_max));
            }
            rows::read(read_as, &batch, &mut events)?;
        }
        statistics.rows += events.len() as u64;
        statistics.bytes_scanned += bytes_scanned(plan.as_ref());
        Ok(events)
    }

    async fn physical(&self, wave: Vec<Listed>, filter: &Predicate) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let table = LakeTable::listed(self.layout.clone(), self.lake.table.clone(), wave, self.bounds.clone());
        let filter = expression(filter, &schema_of(&self.layout.spec));
        self.context.read_table(Arc::new(table))?.filter(filter)?.create_physical_plan().await
    }

    fn failed(&self, error: DataFusionError) -> ReaderError {
        ReaderError::environment(format!("read {}", self.lake.table.url()), causes(&error))
    }
}

/// Bytes that the scans of a plan have read.
fn bytes_scanned(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name("bytes_scanned"));
    let own = own.map_or(0, |value| value.as_usize() as u64);
    own + plan.children().into_iter().map(|child| bytes_scanned(child.as_ref())).sum::<u64>()
}
