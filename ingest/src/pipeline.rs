//! The way of a batch from its source to the writer, and the loop that keeps it going.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemas::log_entry::{FlushReason, Progress, Start};
use schemas::position::{Position, ShardId};
use schemas::rules::Rules;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use writer::commit::takeover::Taking;
use writer::settings::BufferSettings;
use writer::{Given, Intake, Open, Opened, Taken, Writer};

use crate::error::RunError;
use crate::metrics::IngestMetrics;
use crate::record::{Batch, Record};
use crate::route::Router;
use crate::routing::{FirstTaken, Routed, Routing, Step, What};
use crate::settle::settle;
use crate::source::loss::AcceptedLoss;
use crate::source::{Claimed, Claims, READ_AHEAD_BATCHES, Request, Resume, Source, SourceError};

/// Requests of the source waiting for an answer.
const REQUESTS_MAX: usize = 64;

/// Everything a run is made of.
#[derive(Debug)]
pub struct Pipeline {
    writer: Writer,
    routing: Routing,
    source: Arc<dyn Source>,
    metrics: IngestMetrics,
    /// What may be missing from the source.
    accepted: Vec<AcceptedLoss>,
    /// Where to read on, for the shards that are ours.
    resume: HashMap<ShardId, Resume>,
    /// How far claims that are not forced go.
    gentle: Taking,
    /// Shards to be given up once what was sent of them is taken in.
    giving_up: Vec<GiveUp>,
    /// Watermarks of former owners that the source has not been told of.
    stored: HashMap<ShardId, Position>,
    written: watch::Receiver<BTreeMap<ShardId, Progress>>,
}

/// What is to be done otherwise from here on, in the middle of a run.
#[derive(Debug)]
pub struct Change {
    pub buffer: BufferSettings,
    /// Other rules, compiled, with their document.
    pub rules: Option<(Router, Rules)>,
    /// Told when it holds.
    pub done: oneshot::Sender<()>,
}

/// See [`Claims::give_up`].
#[derive(Debug)]
struct GiveUp {
    shard: ShardId,
    through: Position,
    reply: oneshot::Sender<()>,
}

impl Pipeline {
    /// Finishes what former owners have left. What is named in `accept_loss` may be missing, and shards
    /// named as a whole are given up for good: the source no longer has them.
    pub async fn open(
        opened: Opened,
        mut router: Router,
        source: Arc<dyn Source>,
        metrics: IngestMetrics,
        accept_loss: &[AcceptedLoss],
    ) -> Result<Pipeline, RunError> {
        let Opened { mut writer, carried, written, .. } = opened;
        let mut resume = Box::pin(settle(&mut writer, &carried, &source, &mut router, accept_loss)).await?;
        for shard in accept_loss.iter().filter_map(AcceptedLoss::whole_shard) {
            give_up(&writer, shard, resume.get_mut(shard))?;
        }
        metrics.shards_owned.set(resume.len() as i64);
        let stored = carried.shards.into_iter().map(|(shard, state)| (shard, state.watermark)).collect();
        let gentle = Taking::Gentle { former: Vec::new() };
        let giving_up = Vec::new();
        let accepted = accept_loss.to_vec();
        let routing = Routing::new(router, source.clone(), writer.keeps_archive());
        Ok(Pipeline { writer, routing, source, metrics, accepted, resume, gentle, giving_up, stored, written })
    }

    /// This process's own earlier writers, which claims may end.
    pub fn after(mut self, former: Vec<String>) -> Self {
        self.gentle = Taking::Gentle { former };
        self
    }

    /// As [`Pipeline::run_changing`], without changes.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let (_nobody, mut changes) = mpsc::channel(1);
        self.run_changing(stop, &mut changes).await
    }

    /// Consumes until `stop`, then cuts, stores and gives the shards up. Any failure leaves what a crash would leave. A change that
    /// comes in between holds for everything behind what was read by then.
    pub async fn run_changing(
        mut self,
        stop: CancellationToken,
        changes: &mut mpsc::Receiver<Change>,
    ) -> Result<(), RunError> {
        let (send_batch, mut batches) = mpsc::channel(READ_AHEAD_BATCHES);
        let (send_request, mut requests) = mpsc::channel(REQUESTS_MAX);
        let reading_stop = stop.child_token();
        let known = self.resume.iter().filter(|(_, at)| !at.ended).map(|(shard, at)| (shard.clone(), at.after.clone()));
        let claims_of_source = Claims::new(send_request, known.collect());
        let mut reading = self.read(claims_of_source, send_batch, reading_stop.clone());
        let mut tick = self.tick();
        let shared = self.writer.shared().clone();
        // Has the source returned? One that came to its end leaves batches behind, which are taken in first; a failure does not wait.
        let mut returned = false;
        // Has its last batch come?
        let mut closed = false;
        let ended = loop {
            if closed && self.routing.is_empty() {
                if returned {
                    break Ok(());
                }
                // All senders are gone and the source has not said why yet.
                returned = true;
                break source_ended((&mut reading).await);
            }
            let room = !shared.budget.is_overdrawn();
            let more = room && !closed && self.routing.has_room();
            self.metrics.source_queue_batches.set((batches.len() + self.routing.len()) as i64);
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                ended = &mut reading, if !returned => {
                    returned = true;
                    if let failed @ Err(_) = source_ended(ended) {
                        break failed;
                    }
                }
                error = self.writer.failed() => return Err(error.into()),
                Ok(()) = self.written.changed() => self.release_source().await?,
                Some(request) = requests.recv() => self.answer(request).await?,
                Some(change) = changes.recv() => {
                    self.change(change).await?;
                    tick = self.tick();
                }
                _ = tick.tick() => self.writer.cut_due().await?,
                batch = batches.recv(), if more => match batch {
                    Some(batch) => self.routing.begin(batch),
                    None => closed = true,
                },
                Some(routed) = self.routing.next(), if room => self.take_in(routed).await?,
                () = shared.budget.freed(), if !room => {}
            }
        };
        reading_stop.cancel();
        drop((batches, requests));
        if !returned && let Err(error) = source_ended(reading.await) {
            // Stopping: an intake answers the requests under way first. What was not taken in is read again.
            tracing::debug!(%error, "the source stopped with an error");
        }
        if let Err(error) = &ended {
            tracing::error!(%error, "the source has failed: storing what was read");
        }
        self.finish(ended).await
    }

    fn read(
        &self,
        claims: Claims,
        out: mpsc::Sender<Batch>,
        stop: CancellationToken,
    ) -> JoinHandle<Result<(), SourceError>> {
        let source = self.source.clone();
        tokio::spawn(async move { source.run(claims, out, stop).await })
    }

    /// How often buffers are looked at.
    fn tick(&self) -> Interval {
        let mut tick = tokio::time::interval(writer::buffer::policy::tick(self.writer.settings()));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick
    }

    /// Batches that are under way were routed by the old rules: they are taken in first, then all is cut, then the new ones hold.
    async fn change(&mut self, change: Change) -> Result<(), RunError> {
        if let Some((router, document)) = change.rules {
            while let Some(routed) = self.routing.next().await {
                self.writer.room().await?;
                self.take_in(routed).await?;
            }
            self.writer.follow(router.file_rules().clone(), &document).await?;
            self.routing.set_router(router);
        }
        self.writer.set_settings(change.buffer);
        if change.done.send(()).is_err() {
            tracing::debug!("nobody waits for the change any more");
        }
        Ok(())
    }

    /// Stores what was taken in, also when the source has failed: it was read and need not be read again.
    async fn finish(mut self, ended: Result<(), RunError>) -> Result<(), RunError> {
        self.writer.cut_all(FlushReason::Shutdown).await?;
        self.writer.release().await?;
        self.release_source().await?;
        ended
    }

    async fn answer(&mut self, request: Request) -> Result<(), RunError> {
        let heard = match request {
            Request::Claim { shard, first_start, force, reply } => {
                let claimed = self.claim(shard, first_start, force).await?;
                reply.send(claimed).is_ok()
            }
            Request::GiveUp { shard, through, reply } => {
                self.giving_up.push(GiveUp { shard, through, reply });
                return self.give_up_what_is_in().await;
            }
            Request::Standing { shards, reply } => reply.send(self.writer.standing(&shards).await?).is_ok(),
        };
        if !heard {
            tracing::debug!("the source stopped before it was answered");
        }
        Ok(())
    }

    async fn claim(&mut self, shard: ShardId, start: Start, force: bool) -> Result<Claimed, RunError> {
        if !self.resume.contains_key(&shard) {
            let taking = if force { &Taking::Force } else { &self.gentle };
            match self.writer.take(&shard, start, taking).await? {
                Taken::Theirs { writer } => return Ok(Claimed::Theirs { writer }),
                Taken::Ours(carried) => {
                    let (source, router) = (&self.source, self.routing.router());
                    let settled = Box::pin(settle(&mut self.writer, &carried, source, router, &self.accepted)).await?;
                    self.resume.extend(settled);
                    self.stored.extend(carried.shards.into_iter().map(|(shard, state)| (shard, state.watermark)));
                    self.metrics.shards_owned.set(self.resume.len() as i64);
                }
            }
        }
        // A crash between the entry and the release: the watermark will not move again, so it is said here.
        if let Some(watermark) = self.stored.remove(&shard) {
            self.source.release(&shard, &watermark).await?;
        }
        let resume = self.resume.get(&shard).cloned();
        resume.map(Claimed::Ours).ok_or_else(|| RunError::Environment(format!("shard {shard}: claimed and not there")))
    }

    /// Gives up the shards of which everything sent has been taken in.
    async fn give_up_what_is_in(&mut self) -> Result<(), RunError> {
        let read = |shard: &ShardId| self.writer.shared().shards.read_through(shard);
        let is_in = |up: &mut GiveUp| read(&up.shard).is_none_or(|read| read >= up.through);
        let ready: Vec<GiveUp> = self.giving_up.extract_if(.., is_in).collect();
        for GiveUp { shard, reply, .. } in ready {
            if self.writer.owns(&shard) {
                self.writer.release_shard(&shard).await?;
                self.release_source().await?;
            }
            self.resume.remove(&shard);
            self.metrics.shards_owned.set(self.resume.len() as i64);
            if reply.send(()).is_err() {
                tracing::debug!(%shard, "the source stopped before the shard was given up");
            }
        }
        Ok(())
    }

    /// Tells the source what it may forget.
    async fn release_source(&mut self) -> Result<(), RunError> {
        let stored = self.written.borrow_and_update().clone();
        for (shard, progress) in stored {
            self.source.release(&shard, &progress.watermark).await?;
        }
        Ok(())
    }

    async fn take_in(&mut self, routed: Result<Routed, JoinError>) -> Result<(), RunError> {
        let mut routed = routed.map_err(|panic| RunError::Environment(format!("routing stopped: {panic}")))?;
        let mut intake = self.writer.enter(&routed.batch.shard, &routed.batch.span)?;
        loop {
            let mut opens = vec![Open::default(); routed.paths()];
            for step in &routed.steps {
                self.take(&mut intake, &routed, step, &mut opens);
            }
            self.metrics.documents.inc_by(routed.events() as u64);
            self.metrics.count_late(routed.late());
            self.metrics.jq_processing_duration_seconds.observe(routed.took.as_secs_f64());
            if routed.is_all() {
                break;
            }
            self.writer.relieve().await?;
            routed = self.routing.go_on(routed);
        }
        let batch = routed.batch;
        self.metrics.incoming_records.inc_by(batch.records.len() as u64);
        self.metrics.incoming_bytes.inc_by(batch.records.iter().map(|record| record.data.len() as u64).sum());
        if let Some(at) = batch.seen_at {
            self.writer.shared().shards.seen(&batch.shard, at);
        }
        self.writer.leave(intake, batch.last).await?;
        if self.giving_up.is_empty() { Ok(()) } else { self.give_up_what_is_in().await }
    }

    /// `opens`: for each path of the batch.
    fn take(&mut self, intake: &mut Intake, routed: &Routed, step: &Step, opens: &mut [Open]) {
        let record = routed.record(step);
        let position = routed.position(step);
        match &step.what {
            What::Row { path, outline, data, origin } => {
                let given = given(record, &position, routed.data(step, data), origin.as_deref());
                let given = Given { outline: routed.outline(outline), ..given };
                self.writer.row_to(intake, routed.path(*path), &mut opens[*path as usize], given);
            }
            What::Reject { reason, line, origin } => {
                self.metrics.count_rejects(*reason, 1);
                let given = given(record, &position, routed.line(line), origin.as_deref());
                self.writer.reject(intake, reason.output().folder(), given);
            }
            What::Archive(line) => {
                let folder = schemas::archive::folder(record.arrived_at);
                self.writer.archive(intake, &folder, given(record, &position, routed.line(line), None));
            }
            // Through with its last document is through with the record.
            What::End => self.writer.skip(intake, &record.position),
        }
    }
}

fn given<'a>(record: &Record, position: &'a Position, data: &'a [u8], origin: Option<&'a FirstTaken>) -> Given<'a> {
    let origin = origin.map(|origin| (&*origin.shard, &origin.position));
    Given { position, arrived_at: record.arrived_at, data, outline: &[], origin }
}

/// What the shard held beyond its watermark is lost, by the operator's word.
fn give_up(writer: &Writer, shard: &ShardId, resume: Option<&mut Resume>) -> Result<(), RunError> {
    let Some(resume) = resume else {
        return Err(RunError::Input(format!("--accept-loss {shard}: the state knows no such shard")));
    };
    tracing::warn!(%shard, after = %resume.after, "given up: what it held after this is lost, if it held anything");
    writer.shared().shards.give_up(shard);
    resume.ended = true;
    Ok(())
}

fn source_ended(ended: Result<Result<(), SourceError>, tokio::task::JoinError>) -> Result<(), RunError> {
    match ended {
        Ok(result) => result.map_err(RunError::from),
        Err(panic) => Err(RunError::Environment(format!("source stopped: {panic}"))),
    }
}
