//! The engine that reads the lake itself: DataFusion over the computed folders, on a local disk or in S3.
//!
//! Nothing else in the house links DataFusion, and nothing outside this folder names it.

mod bounds;
mod filters;
mod rows;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use schemas::problem::causes;
use tokio::time::Instant;

use super::walk::{Walk, dry_run};
use super::{Engine, milliseconds, too_many_bytes};
use crate::config::{Columns, Limits};
use crate::error::ReaderError;
use crate::lake::Lake;
use crate::plan::{Layout, Plan};
use crate::question::{DryRun, Found, Question, Statistics, Stop};
use crate::timeline::ordered;
use bounds::Bounds;
use scan::Scan;
pub use table::LakeTable;

/// Footers of files that are kept in memory, in bytes: data files never change under their names.
pub const FOOTERS_BYTES: usize = 128 << 20;

/// See the module's text.
#[derive(Debug)]
pub struct LakeEngine {
    layout: Arc<Layout>,
    lake: Lake,
    limits: Limits,
    scan: Scan,
}

impl LakeEngine {
    pub fn new(layout: Arc<Layout>, lake: Lake, columns: Columns, limits: Limits) -> Result<LakeEngine, ReaderError> {
        let mut builder = RuntimeEnvBuilder::new();
        builder.cache_manager = builder.cache_manager.with_metadata_cache_limit(FOOTERS_BYTES);
        let runtime = builder.build_arc().map_err(|e| ReaderError::environment("start the engine", causes(&e)))?;
        runtime.register_object_store(table::STORE.as_ref(), lake.table.store());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let config = SessionConfig::new().with_target_partitions(threads).with_collect_statistics(false);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let bounds = Arc::new(Bounds::new(&columns));
        let scan = Scan { context, layout: layout.clone(), lake: lake.clone(), columns, bounds, rows_max: limits.rows };
        Ok(LakeEngine { layout, lake, limits, scan })
    }

    fn statistics(&self, planned: Instant, plan: &Plan) -> Statistics {
        Statistics {
            engine: self.name(),
            planning_ms: milliseconds(planned),
            folders_projected: plan.projected(),
            ..Statistics::default()
        }
    }

    /// Refuses files that come to more than one question may read.
    fn check_bytes(&self, bytes: u64) -> Result<(), ReaderError> {
        if bytes <= self.limits.bytes { Ok(()) } else { Err(too_many_bytes(self.limits.bytes)) }
    }

    /// Reading may end early only if no older folder can hold a newer row.
    fn may_stop(&self) -> bool {
        let at = &self.scan.columns.at;
        let day = self.layout.day_of(at);
        let times = self
            .layout
            .spec
            .partitions
            .iter()
            .filter(|p| matches!(p.projection, Some(schemas::projection::Rule::Date(_))));
        let times: Vec<&str> = times.map(|p| p.name.as_str()).collect();
        day.is_some_and(|day| times == [day])
    }

    fn walk(&self, plan: Plan, eager: bool) -> Walk<'_> {
        Walk::new(&self.lake.table, plan, self.limits.folders, eager)
    }
}

#[async_trait]
impl Engine for LakeEngine {
    fn name(&self) -> &'static str {
        "datafusion"
    }

    async fn events(&self, question: &Question) -> Result<Found, ReaderError> {
        let began = Instant::now();
        let plan = self.layout.plan(&question.filter, question.now)?;
        let mut statistics = self.statistics(began, &plan);
        let stop = if self.may_stop() { question.stop.clone() } else { Stop::Never };
        let mut walk = self.walk(plan, stop == Stop::Never);
        let (mut events, mut complete) = (Vec::new(), true);
        while let Some(wave) = walk.next(&mut statistics).await? {
            self.check_bytes(statistics.bytes_in_files)?;
            if wave.iter().all(|listed| listed.files.is_empty()) {
                continue;
            }
            let began = Instant::now();
            events.extend(self.scan.events(wave, &question.filter, events.len(), &mut statistics).await?);
            events.retain(|event| question.wants(event));
            events = ordered(events);
            statistics.scan_ms += milliseconds(began);
            if stop.is_reached(&events) && !walk.is_over() {
                complete = false;
                break;
            }
        }
        walk.price(&mut statistics);
        Ok(Found { events, complete, statistics })
    }

    async fn plan(&self, question: &Question) -> Result<DryRun, ReaderError> {
        dry_run(self.name(), &self.layout, &self.lake.table, self.limits.folders, question).await
    }
}
