//! The way of a batch from its source to the writer, and the loop that keeps it going.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::log_entry::{FlushReason, Progress};
use schemas::position::{Position, ShardId};
use schemas::reject::{Reject, error_line};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use writer::{Opened, Writer};

use crate::error::RunError;
use crate::metrics::IngestMetrics;
use crate::record::{Batch, Record};
use crate::route::Router;
use crate::settle::settle;
use crate::source::loss::AcceptedLoss;
use crate::source::{ClaimRequest, Claims, READ_AHEAD_BATCHES, Resume, Source, SourceError};

/// Claims waiting for an answer.
const CLAIMS_MAX: usize = 64;

/// Everything a run is made of.
#[derive(Debug)]
pub struct Pipeline {
    writer: Writer,
    router: Router,
    source: Arc<dyn Source>,
    metrics: IngestMetrics,
    /// Where to read on, for shards of former owners.
    resume: HashMap<ShardId, Resume>,
    /// Watermarks of former owners that the source has not been told of.
    stored: HashMap<ShardId, Position>,
    written: watch::Receiver<BTreeMap<ShardId, Progress>>,
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
        let Opened { mut writer, carried, written } = opened;
        let mut resume = settle(&mut writer, &carried, &source, &mut router, accept_loss).await?;
        for shard in accept_loss.iter().filter_map(AcceptedLoss::whole_shard) {
            give_up(&writer, shard, resume.get_mut(shard))?;
        }
        metrics.shards_owned.set(resume.len() as i64);
        let stored = carried.shards.into_iter().map(|(shard, state)| (shard, state.watermark)).collect();
        Ok(Pipeline { writer, router, source, metrics, resume, stored, written })
    }

    /// Consumes until `stop`, then cuts, stores and gives the shards up. Any failure leaves what a crash would leave.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), RunError> {
        let (send_batch, mut batches) = mpsc::channel(READ_AHEAD_BATCHES);
        let (send_claim, mut claims) = mpsc::channel(CLAIMS_MAX);
        let reading_stop = stop.child_token();
        let known = self.resume.iter().filter(|(_, at)| !at.ended).map(|(shard, at)| (shard.clone(), at.after.clone()));
        let claims_of_source = Claims::new(send_claim, known.collect());
        let mut reading = self.read(claims_of_source, send_batch, reading_stop.clone());
        let mut tick = tokio::time::interval(writer::buffer::policy::tick(self.writer.settings()));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let shared = self.writer.shared().clone();
        // Has the source returned? One that came to its end leaves batches behind, which are taken in first; a failure does not wait.
        let mut returned = false;
        let ended = loop {
            let room = !shared.budget.is_overdrawn();
            self.metrics.source_queue_batches.set(batches.len() as i64);
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
                Some(request) = claims.recv() => self.claim(request).await?,
                _ = tick.tick() => self.writer.cut_due().await?,
                batch = batches.recv(), if room => match batch {
                    Some(batch) => self.take_in(batch).await?,
                    None if returned => break Ok(()),
                    // All senders are gone and the source has not said why yet.
                    None => {
                        returned = true;
                        break source_ended((&mut reading).await);
                    }
                },
                () = shared.budget.freed(), if !room => {}
            }
        };
        reading_stop.cancel();
        drop((batches, claims));
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

    /// Stores what was taken in, also when the source has failed: it was read and need not be read again.
    async fn finish(mut self, ended: Result<(), RunError>) -> Result<(), RunError> {
        self.writer.cut_all(FlushReason::Shutdown).await?;
        self.writer.release().await?;
        self.release_source().await?;
        ended
    }

    async fn claim(&mut self, request: ClaimRequest) -> Result<(), RunError> {
        // A crash between the entry and the release: the watermark will not move again, so it is said here.
        if let Some(watermark) = self.stored.remove(&request.shard) {
            self.source.release(&request.shard, &watermark).await?;
        }
        let resume = match self.resume.get(&request.shard) {
            Some(resume) => resume.clone(),
            None => {
                let start = request.first_start;
                self.writer.claim(&request.shard, start.clone()).await?;
                let resume = Resume { after: Position::zero(), start, ended: false, seen_at: None };
                self.resume.insert(request.shard.clone(), resume.clone());
                self.metrics.shards_owned.set(self.resume.len() as i64);
                resume
            }
        };
        if request.reply.send(resume).is_err() {
            tracing::debug!(shard = %request.shard, "source stopped before its claim was answered");
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

    async fn take_in(&mut self, batch: Batch) -> Result<(), RunError> {
        let mut intake = self.writer.enter(&batch.shard, &batch.span)?;
        let (began, mut bytes) = (Instant::now(), 0);
        for record in &batch.records {
            bytes += record.data.len() as u64;
            match self.router.route(&record.data, record.arrived_at) {
                Ok(path) => self.writer.row(&mut intake, path, &record.position, record.arrived_at, &record.data),
                Err(reject) => {
                    let line = reject_line(&batch.shard, record, &reject);
                    let folder = reject.reason.output().folder();
                    self.metrics.count_rejects(reject.reason, 1);
                    self.writer.reject(&mut intake, folder, &record.position, record.arrived_at, &line);
                }
            }
        }
        self.metrics.incoming_records.inc_by(batch.records.len() as u64);
        self.metrics.incoming_bytes.inc_by(bytes);
        self.metrics.jq_processing_duration_seconds.observe(began.elapsed().as_secs_f64());
        self.writer.leave(intake, batch.last).await?;
        Ok(())
    }
}

/// The line a rejected record leaves in the errors output.
pub fn reject_line(shard: &ShardId, record: &Record, reject: &Reject) -> Vec<u8> {
    error_line(reject, shard.as_str(), &record.position, record.arrived_at, &STANDARD.encode(&record.data))
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
