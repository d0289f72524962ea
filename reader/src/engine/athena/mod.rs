//! The engine that asks Athena: one statement for a question, over the table of the Glue catalog.
//!
//! Every row that matches is read, however few are wanted: Athena bills what a statement scans, and a statement for each wave of
//! folders would cost more than it spares. So [`crate::question::Question::stop`] ends nothing early here.

mod client;
mod literal;
mod sql;
mod values;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::rows::{ARRIVED_AT, FILE, Rows};
use super::walk::{dry_run, narrow, price};
use super::{Engine, milliseconds};
use crate::config::{Columns, Limits};
use crate::error::ReaderError;
use crate::event::Event;
use crate::lake::Lake;
use crate::plan::{Layout, Plan};
use crate::question::{ATHENA_BYTES_MIN, ATHENA_USD_PER_TB, DryRun, Found, Question, Statistics};
use crate::timeline::ordered;
pub use client::Athena;
use client::{Bounds, Took};
pub use literal::{Literal, TEXT_BYTES_MAX, identifier};
pub use sql::statement;

/// The part of a question's time that its statement may take, in tenths: what is left is for stopping it.
const TENTHS: u32 = 9;

/// See the module's text.
#[derive(Debug)]
pub struct AthenaEngine {
    layout: Arc<Layout>,
    lake: Lake,
    columns: Columns,
    limits: Limits,
    database: String,
    athena: Athena,
}

impl AthenaEngine {
    pub fn new(
        layout: Arc<Layout>,
        lake: Lake,
        (columns, limits): (Columns, Limits),
        (database, athena): (String, Athena),
    ) -> AthenaEngine {
        AthenaEngine { layout, lake, columns, limits, database, athena }
    }

    async fn planned(&self, question: &Question) -> Result<(Plan, Statistics), ReaderError> {
        let began = Instant::now();
        let mut plan = self.layout.plan(&question.filter, question.now)?;
        let mut statistics = Statistics {
            engine: self.name(),
            planning_ms: milliseconds(began),
            folders_projected: plan.projected(),
            ..Statistics::default()
        };
        let began = Instant::now();
        narrow(&self.lake.table, &mut plan, self.limits.folders, &mut statistics).await?;
        statistics.listing_ms = milliseconds(began);
        Ok((plan, statistics))
    }

    fn events_of(&self, rows: Vec<Vec<Option<String>>>) -> Result<Vec<Event>, ReaderError> {
        let read_as = Rows { columns: &self.columns, spec: &self.layout.spec };
        let columns: Vec<_> = sql::columns(&self.layout.spec).collect();
        let mut events = Vec::new();
        for row in rows {
            if row.len() != columns.len() + 1 {
                return Err(corrupt(format!("it has {} cells, {} were asked for", row.len(), columns.len() + 1)));
            }
            let mut cells = Map::new();
            let mut instants = [None, None];
            for ((name, data_type), cell) in columns.iter().zip(&row) {
                let of = |text: &String| {
                    values::json(text, data_type).ok_or_else(|| corrupt(format!("`{text}` in `{name}`, a {data_type}")))
                };
                cells.insert(name.clone(), cell.as_ref().map_or(Ok(Value::Null), of)?);
                let known = [self.columns.at.as_str(), ARRIVED_AT].iter().position(|of| *of == name.as_str());
                if let Some(known) = known {
                    instants[known] = cell.as_deref().and_then(values::instant);
                }
            }
            let object = row.last().cloned().flatten().unwrap_or_default();
            cells.insert(FILE.into(), Value::String(self.below_table(&object).to_string()));
            events.extend(read_as.event(cells, instants[0], instants[1]));
        }
        Ok(events)
    }

    /// An object's URL as it is below the table's place.
    fn below_table<'o>(&self, object: &'o str) -> &'o str {
        let place = self.lake.table.url().trim_end_matches('/');
        object.strip_prefix(place).map_or(object, |rest| rest.trim_start_matches('/'))
    }
}

fn corrupt(why: String) -> ReaderError {
    ReaderError::Corrupt { object: "a row that Athena answered".into(), why }
}

fn add(took: Took, statistics: &mut Statistics) {
    statistics.queue_ms += took.queue_ms;
    statistics.planning_ms += took.planning_ms;
    statistics.scan_ms += took.scan_ms;
    statistics.bytes_scanned += took.bytes;
    if !took.reused {
        statistics.cost_usd += took.bytes.max(ATHENA_BYTES_MIN) as f64 / 1e12 * ATHENA_USD_PER_TB;
    }
}

#[async_trait]
impl Engine for AthenaEngine {
    fn name(&self) -> &'static str {
        "athena"
    }

    async fn events(&self, question: &Question) -> Result<Found, ReaderError> {
        let deadline = Instant::now() + self.limits.timeout * TENTHS / 10;
        let (plan, mut statistics) = self.planned(question).await?;
        statistics.files_opened = statistics.files;
        price(&self.lake.table, &mut statistics);
        let mut events = Vec::new();
        if let Some(sql) = statement(&self.layout.spec, &self.database, &question.filter, &plan)? {
            let seconds = self.limits.timeout.as_secs();
            let bounds = Bounds { bytes: self.limits.bytes, rows: self.limits.rows, deadline, seconds };
            let answered = self.athena.run(&sql, question.now, bounds).await?;
            add(answered.took, &mut statistics);
            events = self.events_of(answered.rows)?;
            statistics.rows = events.len() as u64;
        }
        events.retain(|event| question.wants(event));
        Ok(Found { events: ordered(events), complete: true, statistics })
    }

    async fn plan(&self, question: &Question) -> Result<DryRun, ReaderError> {
        dry_run(self.name(), &self.layout, &self.lake.table, self.limits.folders, question).await
    }
}
