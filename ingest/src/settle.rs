//! Finishing what the former owners of our shards have left, before anything new is read.
//!
//! A shard taken over has a low watermark and, above it, a mark for each target whose rows are already cut. Up to the end of the
//! record with the highest mark the shard is read again, under the rules the marks were made by, in two passes:
//! 1. files of cuts that may not be stored get their rows again and are stored at the same names, in groups that fit in memory;
//! 2. a row above its target's mark was read but never cut: it joins an open buffer like any other.
//!
//! Above that nothing was ever cut, so there the normal reading begins, without marks. If the rules have changed
//! since, what is open is cut under the old ones first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use schemas::log_entry::{Carried, FlushReason, ShardState, Start, Target};
use schemas::position::{ShardId, Span};
use tokio::sync::mpsc;
use writer::commit::redo::Redo;
use writer::{Intake, Writer, is_cut};

use crate::archive::{archive, archive_given, archive_line, archive_target};
use crate::documents::Event;
use crate::error::RunError;
use crate::place::Place;
use crate::record::{Batch, Record, Unpacked};
use crate::route::Router;
use crate::routing::{UNFOLDED_BYTES_MAX, is_behind};
use crate::source::loss::AcceptedLoss;
use crate::source::{Resume, Source, SourceError};

/// Batches of a span read again that wait to be taken in.
const REREAD_AHEAD: usize = 4;

/// Finishes what `carried` holds, and says where each of its shards is to be read on. At the start nothing is open; shards taken
/// later join a writer that has open buffers, which are cut first if there are other rules to follow.
pub async fn settle(
    writer: &mut Writer,
    carried: &Carried,
    source: &Arc<dyn Source>,
    current: &mut Router,
    accepted: &[AcceptedLoss],
) -> Result<HashMap<ShardId, Resume>, RunError> {
    let current_rules = current.file_rules().clone();
    let mut fingerprints = pending_rules(carried);
    // The current rules come last: what stays open then stays open.
    let has_current = fingerprints.remove(&*current_rules.fingerprint);
    let held: Vec<_> = carried.shards.iter().filter(|(_, state)| !state.ended).collect();
    held.iter().for_each(|(shard, state)| writer.hold(shard, &state.watermark));
    if !fingerprints.is_empty() {
        writer.cut_all(FlushReason::Rules).await?;
    }
    for fingerprint in &fingerprints {
        let document = writer.load_rules(fingerprint).await?;
        let mut router = Router::of_former(&document, fingerprint)?;
        writer.set_rules(router.file_rules().clone());
        Again { carried, fingerprint, source, accepted }.finish(writer, &mut router).await?;
        writer.cut_all(FlushReason::Rules).await?;
        writer.settle().await?;
    }
    if !fingerprints.is_empty() {
        writer.set_rules(current_rules.clone());
    }
    if has_current {
        Again { carried, fingerprint: &current_rules.fingerprint, source, accepted }.finish(writer, current).await?;
    }
    if !carried.unfinished.is_empty() {
        writer.redone().await?;
    }
    held.iter().for_each(|(shard, state)| writer.let_go(shard, &state.watermark));
    Ok(carried.shards.iter().map(|(shard, state)| (shard.clone(), resume(state))).collect())
}

/// Rules under which something is left to do.
fn pending_rules(carried: &Carried) -> BTreeSet<String> {
    let marked = carried.shards.values().filter(|state| !state.begun().is_empty());
    marked.map(|state| state.rules.clone()).chain(carried.unfinished.iter().map(|cut| cut.rules.clone())).collect()
}

fn resume(state: &ShardState) -> Resume {
    let ShardState { start, ended, seen_at, .. } = state.clone();
    Resume { after: state.begun().to, start, ended, seen_at }
}

/// What is left under one set of rules.
struct Again<'a> {
    carried: &'a Carried,
    fingerprint: &'a str,
    source: &'a Arc<dyn Source>,
    /// What may be missing.
    accepted: &'a [AcceptedLoss],
}

impl Again<'_> {
    async fn finish(&self, writer: &mut Writer, router: &mut Router) -> Result<(), RunError> {
        let groups = writer.redo(self.carried, self.fingerprint).await?;
        let of = groups.len();
        for (n, group) in groups.into_iter().enumerate() {
            let files = self.redo(writer, router, group).await?;
            tracing::info!(files, group = n + 1, of, "stored what was cut before");
        }
        let marked =
            |(_, state): &(&ShardId, &ShardState)| state.rules == self.fingerprint && !state.begun().is_empty();
        for (shard, state) in self.carried.shards.iter().filter(marked) {
            self.take_in_uncut(writer, router, shard, state).await?;
        }
        Ok(())
    }

    /// Fills the files of one group, shard by shard, and stores them.
    async fn redo(&self, writer: &mut Writer, router: &mut Router, mut group: Redo) -> Result<usize, RunError> {
        for (shard, span) in group.spans() {
            let own = self.carried.shards.get(&shard).map(|state| &state.start);
            let start = own.or_else(|| self.carried.foreign.get(&shard)).cloned().unwrap_or(Start::TrimHorizon);
            let mut reading = self.read(&shard, &start, &Span::new(span.from, span.to.record()));
            while let Some(batch) = reading.batches.recv().await {
                for record in &batch.records {
                    self.offer(writer, router, &mut group, &shard, record)?;
                }
            }
            reading.ended().await?;
        }
        let may_miss = |shard: &ShardId, span: &Span| self.accepted.iter().any(|loss| loss.touches(shard, span));
        Ok(writer.store_redo(group, &may_miss).await?)
    }

    /// Offers a record and its events to the files that miss some.
    fn offer(
        &self,
        writer: &mut Writer,
        router: &mut Router,
        group: &mut Redo,
        shard: &ShardId,
        record: &Record,
    ) -> Result<(), RunError> {
        let Unpacked { data, origin } = self.source.unpack(record);
        let documents = router.documents(data);
        let target_of_all = archive_target(record);
        if group.wants(&target_of_all) {
            let line = archive_line(shard, record, &documents);
            group.offer(&target_of_all, shard, writer.row_in(shard, archive_given(record, &line))?);
        }
        for event in documents.events(&record.position) {
            let place = Place::of(&event, origin.as_ref());
            let (target, line) = target(router, shard, &place, &event, record.arrived_at);
            let (data, outline) = line.as_deref().map_or((event.data, event.outline()), |line| (line, &[]));
            let given = place.given(&event, record.arrived_at, data, outline);
            group.offer(&target, shard, writer.row_in(shard, given)?);
        }
        Ok(())
    }

    /// Takes in the rows up to the highest mark that no cut has.
    async fn take_in_uncut(
        &self,
        writer: &mut Writer,
        router: &mut Router,
        shard: &ShardId,
        state: &ShardState,
    ) -> Result<(), RunError> {
        let span = state.begun();
        tracing::info!(%shard, from = %span.from, to = %span.to, "reading again what was read and not cut");
        let mut reading = self.read(shard, &state.start, &span);
        while let Some(batch) = reading.batches.recv().await {
            writer.room().await?;
            let mut intake = writer.enter(shard, &batch.span)?;
            let mut unfolded = 0;
            for record in &batch.records {
                unfolded += self.take_in_record(writer, router, &mut intake, state, record);
                if unfolded > UNFOLDED_BYTES_MAX as u64 {
                    writer.relieve().await?;
                    unfolded = 0;
                }
            }
            writer.leave(intake, false).await?;
        }
        reading.ended().await
    }

    /// A record and every event of it that no cut has. Returns the bytes that went into buffers.
    fn take_in_record(
        &self,
        writer: &mut Writer,
        router: &mut Router,
        intake: &mut Intake,
        state: &ShardState,
        record: &Record,
    ) -> u64 {
        let Unpacked { data, origin } = self.source.unpack(record);
        let documents = router.documents(data);
        let mut bytes = match is_cut(&state.marks, &archive_target(record), &record.position) {
            true => 0,
            false => archive(writer, intake, record, &documents),
        };
        let arrived_at = record.arrived_at;
        for event in documents.events(&record.position).filter(|event| !is_behind(event, &state.watermark)) {
            let place = Place::of(&event, origin.as_ref());
            let (target, line) = target(router, &intake.shard, &place, &event, arrived_at);
            let (data, outline) = line.as_deref().map_or((event.data, event.outline()), |line| (line, &[]));
            let given = place.given(&event, arrived_at, data, outline);
            bytes += data.len() as u64;
            if is_cut(&state.marks, &target, &event.position) {
                writer.skip(intake, &event.position);
            } else if target.is_table() {
                writer.row(intake, target.path(), given);
            } else {
                writer.reject(intake, target.path(), given);
            }
        }
        writer.skip(intake, &record.position);
        bytes
    }

    fn read(&self, shard: &ShardId, start: &Start, span: &Span) -> Reading {
        let (send, batches) = mpsc::channel::<Batch>(REREAD_AHEAD);
        let (source, shard, start, span) = (self.source.clone(), shard.clone(), start.clone(), span.clone());
        let (name, seen_at) = (shard.clone(), self.carried.shards.get(&shard).and_then(|state| state.seen_at));
        let task = tokio::spawn(async move { source.reread(&shard, &start, &span, seen_at, send).await });
        Reading { shard: name, batches, task }
    }
}

/// A span being read again.
struct Reading {
    shard: ShardId,
    batches: mpsc::Receiver<Batch>,
    task: tokio::task::JoinHandle<Result<(), SourceError>>,
}

impl Reading {
    async fn ended(self) -> Result<(), RunError> {
        let shard = self.shard;
        let ended = self.task.await;
        ended.map_err(|e| RunError::Environment(format!("reading shard {shard} again stopped: {e}")))??;
        Ok(())
    }
}

/// Where an event belongs, and for a reject the line it leaves there.
fn target(
    router: &mut Router,
    shard: &ShardId,
    place: &Place<'_>,
    event: &Event<'_>,
    arrived_at: i64,
) -> (Target, Option<Vec<u8>>) {
    match router.route(event, arrived_at) {
        Ok(path) => (Target::Table(path.into()), None),
        Err(reject) => {
            let line = place.reject_line(shard, event, arrived_at, &reject);
            (Target::Errors(reject.reason.output().folder().into()), Some(line))
        }
    }
}
