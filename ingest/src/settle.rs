//! Finishing what the former owners of our shards have left, before anything new is read.
//!
//! A shard taken over has a low watermark and, above it, a mark for each target whose rows are already cut. From the watermark
//! up to the highest mark the shard is read again, under the rules the marks were made by:
//! - a row at or below its target's mark is in a file that was cut. If that file may not be stored, the row goes into it again;
//!   otherwise the row is done with;
//! - a row above its target's mark was read but never cut: it joins an open buffer like any other.
//!
//! Above the highest mark nothing was ever cut, so there the normal reading begins, without marks. If the rules have changed
//! since, what is open is cut under the old ones first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemas::log_entry::{Carried, FlushReason, ShardState, Target};
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use writer::commit::redo::Redo;
use writer::{Writer, is_cut};

use crate::error::RunError;
use crate::pipeline::reject_line;
use crate::record::Batch;
use crate::route::Router;
use crate::source::{Resume, Source};

/// Batches of a span read again that wait to be taken in.
const REREAD_AHEAD: usize = 4;

/// Finishes everything, and says where each shard is to be read on.
pub async fn settle(
    writer: &mut Writer,
    carried: &Carried,
    source: &Arc<dyn Source>,
    current: &mut Router,
) -> Result<HashMap<ShardId, Resume>, RunError> {
    let current_rules = current.file_rules().clone();
    let mut fingerprints = pending_rules(carried);
    // The current rules come last: what stays open then stays open.
    let has_current = fingerprints.remove(&*current_rules.fingerprint);
    for (shard, state) in &carried.shards {
        writer.hold(shard, &state.watermark);
    }
    for fingerprint in &fingerprints {
        let document = writer.load_rules(fingerprint).await?;
        let mut router = Router::compile(&document, &format!("rules {fingerprint}"))?;
        writer.set_rules(router.file_rules().clone());
        read_again(writer, carried, fingerprint, source, &mut router).await?;
        writer.cut_all(FlushReason::Rules).await?;
        writer.settle().await?;
    }
    if !fingerprints.is_empty() {
        writer.set_rules(current_rules.clone());
    }
    if has_current {
        read_again(writer, carried, &current_rules.fingerprint, source, current).await?;
    }
    if !carried.unfinished.is_empty() {
        writer.redone().await?;
    }
    for (shard, state) in &carried.shards {
        writer.let_go(shard, &state.watermark);
    }
    Ok(carried.shards.iter().map(|(shard, state)| (shard.clone(), resume(state))).collect())
}

/// Rules under which something is left to do.
fn pending_rules(carried: &Carried) -> BTreeSet<String> {
    let marked = carried.shards.values().filter(|state| *state.highest_mark() > state.watermark);
    marked.map(|state| state.rules.clone()).chain(carried.unfinished.iter().map(|cut| cut.rules.clone())).collect()
}

fn resume(state: &ShardState) -> Resume {
    Resume { after: state.highest_mark().clone(), start: state.start.clone(), ended: state.ended }
}

async fn read_again(
    writer: &mut Writer,
    carried: &Carried,
    fingerprint: &str,
    source: &Arc<dyn Source>,
    router: &mut Router,
) -> Result<(), RunError> {
    let mut redo = writer.redo(carried, fingerprint);
    let spans: BTreeMap<&ShardId, Span> = carried
        .shards
        .iter()
        .filter(|(_, state)| state.rules == fingerprint && *state.highest_mark() > state.watermark)
        .map(|(shard, state)| (shard, Span::new(state.watermark.clone(), state.highest_mark().clone())))
        .collect();
    for (shard, span) in &spans {
        tracing::info!(shard = %shard, from = %span.from, to = %span.to, "reading again what was cut before");
        read_shard_again(writer, &carried.shards[*shard], shard, span, source, router, &mut redo).await?;
    }
    let files = writer.store_redo(redo).await?;
    if files > 0 {
        tracing::info!(files, "stored what was cut before");
    }
    Ok(())
}

async fn read_shard_again(
    writer: &mut Writer,
    state: &ShardState,
    shard: &ShardId,
    span: &Span,
    source: &Arc<dyn Source>,
    router: &mut Router,
    redo: &mut Redo,
) -> Result<(), RunError> {
    let (send, mut batches) = mpsc::channel::<Batch>(REREAD_AHEAD);
    let (reader, name, start, wanted) = (source.clone(), shard.clone(), state.start.clone(), span.clone());
    let reading = tokio::spawn(async move { reader.reread(&name, &start, &wanted, send).await });
    while let Some(batch) = batches.recv().await {
        take_in_again(writer, &state.marks, &batch, router, redo).await?;
    }
    reading.await.map_err(|e| RunError::Environment(format!("reading shard {shard} again stopped: {e}")))??;
    Ok(())
}

async fn take_in_again(
    writer: &mut Writer,
    marks: &BTreeMap<Target, Position>,
    batch: &Batch,
    router: &mut Router,
    redo: &mut Redo,
) -> Result<(), RunError> {
    let mut intake = writer.enter(&batch.shard, &batch.span)?;
    for record in &batch.records {
        let (target, line) = match router.route(&record.data, record.arrived_at) {
            Ok(path) => (Target::Table(path.into()), None),
            Err(reject) => (
                Target::Errors(reject.reason.output().folder().into()),
                Some(reject_line(&batch.shard, record, &reject)),
            ),
        };
        let data = line.as_deref().unwrap_or(&record.data);
        if is_cut(marks, &target, &record.position) {
            let row = writer.row_in(&intake, &record.position, record.arrived_at, data);
            redo.offer(&target, &batch.shard, row);
            writer.skip(&mut intake, &record.position);
        } else if target.is_table() {
            writer.row(&mut intake, target.path(), &record.position, record.arrived_at, data);
        } else {
            writer.reject(&mut intake, target.path(), &record.position, record.arrived_at, data);
        }
    }
    writer.leave(intake, false).await?;
    Ok(())
}
