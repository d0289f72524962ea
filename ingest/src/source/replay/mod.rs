//! Raw objects as a source: the archive, Firehose's backups and error objects, NDJSON, CloudTrail.
//!
//! What is read and in which order is written down first ([`plan`]); a shard is a lane of it, a position (object, record). A
//! record of the archive tells where it was first taken, and so do its rows, exactly as those of the live stream: they carry the
//! archived shard, position and arrival time, while spans, marks and watermarks go by the replay's own.

pub mod counters;
pub mod cutter;
pub mod dates;
pub mod format;
pub mod frame;
mod lane;
pub mod loss;
pub mod object;
pub mod pages;
pub mod plan;
pub mod text;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use writer::objects::Objects;

use self::counters::ReplayCounters;
use self::lane::{Lane, Until};
use self::loss::Accepted;
use self::plan::{Plan, Planned};
use super::split::Task;
use super::{Claims, Source, SourceError};
use crate::record::{Batch, Record, Unpacked};

/// Lanes that are read at once: enough to keep decompression busy, few enough that what is read at one time lies together.
const LANES_AT_ONCE: usize = 4;

/// See the module's text.
#[derive(Debug)]
pub struct ReplaySource {
    objects: Objects,
    lanes: BTreeMap<ShardId, Arc<[Planned]>>,
    task: Task,
    counters: Arc<ReplayCounters>,
    accepted: Arc<Accepted>,
    /// Objects of each lane of which everything is stored.
    stored: Mutex<BTreeMap<ShardId, u64>>,
}

impl ReplaySource {
    /// The replay of what `objects` is the URL of; `task` reads its part of the lanes, without objects that may be missing.
    pub fn new(objects: Objects, plan: &Plan, task: Task, accepted: Arc<Accepted>) -> Self {
        let replay = plan::replay_id(&objects.url());
        let lanes = plan.lanes_of(&replay).into_iter();
        let lanes = lanes.map(|(lane, objects)| (plan::shard(&replay, lane), objects.into())).collect();
        let (counters, stored) = (Arc::default(), Mutex::default());
        let source = ReplaySource { objects, lanes, task, counters, accepted, stored };
        let ours = source.ours().flat_map(|(_, objects)| objects.iter());
        let (count, bytes) = ours.fold((0, 0), |(count, bytes), object| (count + 1, bytes + object.size));
        source.counters.objects_in_all.store(count, Ordering::Relaxed);
        source.counters.bytes_in_all.store(bytes, Ordering::Relaxed);
        source
    }

    pub fn counters(&self) -> Arc<ReplayCounters> {
        self.counters.clone()
    }

    fn ours(&self) -> impl Iterator<Item = (&ShardId, &Arc<[Planned]>)> {
        self.lanes.iter().filter(|(shard, _)| self.task.has(shard))
    }

    fn lane(&self, shard: &ShardId, after: &Position) -> Result<Lane, SourceError> {
        let planned = self.lanes.get(shard).cloned().ok_or_else(|| SourceError::Lost {
            shard: shard.clone(),
            after: after.clone(),
            first: None,
            message: "the list of objects in the state folder has no such lane".into(),
        })?;
        let (objects, counters, accepted) = (self.objects.clone(), self.counters.clone(), self.accepted.clone());
        Ok(Lane { shard: shard.clone(), planned, objects, counters, accepted })
    }

    async fn read(&self, shard: &ShardId, claims: &Claims, out: mpsc::Sender<Batch>) -> Result<(), SourceError> {
        let resume = claims.claim_own(shard.clone(), Start::TrimHorizon).await?;
        match self.lane(shard, &resume.after)?.read(resume.after, Until::TheEnd, out).await {
            // What came before it is stored, and the other lanes are read.
            Err(lost @ SourceError::Lost { .. }) => {
                self.counters.stop(lost.to_string());
                Ok(())
            }
            ended => ended,
        }
    }
}

#[async_trait]
impl Source for ReplaySource {
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, stop: CancellationToken) -> Result<(), SourceError> {
        for (shard, after) in claims.known() {
            self.lane(shard, after)?;
        }
        let shards: Vec<ShardId> = self.ours().map(|(shard, _)| shard.clone()).collect();
        let reads: Vec<_> = shards.iter().map(|shard| self.read(shard, &claims, out.clone())).collect();
        drop(out);
        let reading = stream::iter(reads).buffer_unordered(LANES_AT_ONCE).try_collect::<()>();
        stop.run_until_cancelled(reading).await.unwrap_or(Ok(()))
    }

    async fn reread(
        &self,
        shard: &ShardId,
        _start: &Start,
        span: &Span,
        _seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        // What is read again is no progress.
        let lane = Lane { counters: Arc::default(), ..self.lane(shard, &span.from)? };
        lane.read(span.from.clone(), Until::Position(span.to.clone()), out).await
    }

    fn unpack<'a>(&self, record: &'a Record) -> Unpacked<'a> {
        frame::unpack(&record.data)
    }

    /// Nothing is forgotten; how far it is behind reading is shown.
    async fn release(&self, shard: &ShardId, watermark: &Position) -> Result<(), SourceError> {
        let stored = self.lanes.get(shard).map_or(0, |o| o.partition_point(|object| object.end() <= *watermark));
        let mut by_lane = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        by_lane.insert(shard.clone(), stored as u64);
        self.counters.objects_stored.store(by_lane.values().sum(), Ordering::Relaxed);
        Ok(())
    }
}
