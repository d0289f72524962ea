//! The one task that writes the log: entries in order, objects after the entry that names them, progress after the objects.
//!
//! Crash windows, for a cut `c` whose entry is number `n`:
//! - before `n` exists: nothing of `c` is stored anywhere; its rows are above the watermark and are read again;
//! - after `n`, before all its objects are PUT: the next owner finds `c` unfinished, reads its spans again and PUTs the same names;
//! - after the PUTs, before an entry says `stored > c`: the same, to no effect;
//! - a later entry says `stored > c` and moves the watermark: only then may the source forget.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::FuturesOrdered;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::log_entry::{Body, Progress};
use schemas::position::{Position, ShardId};
use schemas::reject::Reason;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::cut::{Frozen, Made, Naming, cut_of, make};
use super::in_order::InOrder;
use super::log::Log;
use super::takeover;
use crate::error::WriterError;
use crate::lag::{Lags, Waiting};
use crate::metrics::{OutputLabel, ReasonLabel, WriterMetrics};
use crate::shared::Shared;
use crate::store::{Lake, Store};

/// Orders waiting for the committer.
pub const ORDERS_MAX: usize = 8;
/// Cuts being encoded at once: each takes one thread.
pub const ENCODING_MAX: usize = 4;
/// Cuts written down and not stored yet.
pub const STORING_MAX: usize = 16;
/// PUTs under way at once, over all cuts.
pub const UPLOADS_MAX: usize = 32;
/// How often progress is written down when there is no cut to carry it.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Such intervals without an entry of our own after which we look whether we were sealed.
pub const SEAL_CHECK_INTERVALS: u32 = 4;

/// What the pipeline asks of the committer.
#[derive(Debug)]
pub enum Order {
    Cut(Box<Frozen>),
    /// Make a shard this writer's own, in this epoch: `body` is the entry that says what is known of it. Answered with the name
    /// of the writer that was faster, if one was.
    Own {
        shard: ShardId,
        epoch: u64,
        body: Box<Body>,
        reply: oneshot::Sender<Option<String>>,
    },
    /// Inherited cuts are stored.
    Redone {
        reply: oneshot::Sender<()>,
    },
    /// Answer when everything ordered so far is stored and written down.
    Settle {
        reply: oneshot::Sender<()>,
    },
    /// The same, then give this shard up.
    ReleaseShard {
        shard: ShardId,
        reply: oneshot::Sender<()>,
    },
    /// The same, then give all shards up. The last order.
    Release {
        reply: oneshot::Sender<()>,
    },
}

/// See the module's text.
#[derive(Debug)]
pub struct Committer {
    lake: Lake,
    log: Log,
    shared: Arc<Shared>,
    encoding: FuturesOrdered<JoinHandle<Result<Encoded, WriterError>>>,
    storing: JoinSet<Result<u64, WriterError>>,
    uploads: Arc<Semaphore>,
    stored: InOrder,
    /// What each unstored cut holds: watermarks and memory.
    held: BTreeMap<u64, Held>,
    written: watch::Sender<BTreeMap<ShardId, Progress>>,
    /// Intervals since the last entry.
    silent: u32,
}

#[derive(Debug)]
struct Held {
    before: Vec<(ShardId, Position)>,
    memory: u64,
    /// When the first of its buffers was opened.
    opened_at: i64,
    waiting: Waiting,
}

struct Encoded {
    frozen: Frozen,
    files: Vec<Made>,
}

impl Committer {
    /// `log` already has its first entry. Progress that is written down is added to `written`, so that sources may forget.
    pub fn new(lake: Lake, log: Log, shared: Arc<Shared>, written: watch::Sender<BTreeMap<ShardId, Progress>>) -> Self {
        Committer {
            lake,
            log,
            shared,
            encoding: FuturesOrdered::new(),
            storing: JoinSet::new(),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            stored: InOrder::default(),
            held: BTreeMap::new(),
            written,
            silent: 0,
        }
    }

    /// Runs until `Release`, until the orders' sender is dropped (then it leaves everything as a crash would), or until
    /// something fails for good.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<(), WriterError> {
        let mut tick = tokio::time::interval(PROGRESS_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(done) = self.storing.join_next(), if !self.storing.is_empty() => self.stored_one(done)?,
                Some(encoded) = self.encoding.next(), if self.can_commit() => self.commit(encoded).await?,
                order = orders.recv(), if self.encoding.len() < ENCODING_MAX => match order {
                    None => return Ok(()),
                    Some(Order::Release { reply }) => {
                        self.release().await?;
                        return reply.send(()).map_err(|()| pipeline_gone());
                    }
                    Some(order) => self.obey(order).await?,
                },
                _ = tick.tick() => self.tick().await?,
            }
        }
    }

    fn can_commit(&self) -> bool {
        !self.encoding.is_empty() && self.storing.len() < STORING_MAX
    }

    async fn obey(&mut self, order: Order) -> Result<(), WriterError> {
        let reply = match order {
            Order::Cut(frozen) => {
                self.encode(*frozen);
                return Ok(());
            }
            Order::Own { shard, epoch, body, reply } => {
                let faster = self.own(shard, epoch, *body).await?;
                return reply.send(faster).map_err(|_| pipeline_gone());
            }
            Order::ReleaseShard { shard, reply } => {
                self.settle().await?;
                self.append(Body::Release { shards: vec![shard.clone()] }).await?;
                self.shared.shards.disown(&shard);
                reply
            }
            Order::Redone { reply } => {
                self.append(Body::Redone).await?;
                reply
            }
            Order::Settle { reply } | Order::Release { reply } => {
                self.settle().await?;
                reply
            }
        };
        reply.send(()).map_err(|()| pipeline_gone())
    }

    fn encode(&mut self, frozen: Frozen) {
        let writer = self.log.writer().to_string();
        self.held.insert(frozen.cut, held(&frozen, &self.shared.lags));
        self.observe_unstored();
        let shared = self.shared.clone();
        let encoding = move || encode(frozen, &writer, &shared);
        // A runtime of one thread is that of a simulation: other threads would bring their own order into it.
        self.encoding.push_back(match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => tokio::spawn(async move { encoding() }),
            _ => tokio::task::spawn_blocking(encoding),
        });
    }

    fn observe_unstored(&self) {
        self.shared.metrics.cuts_unstored.set(self.held.len() as i64);
        self.shared.set_oldest_unstored(self.held.values().map(|held| held.opened_at).min());
        self.shared.lags.set_unstored(self.held.values().map(|held| &held.waiting));
    }

    /// Writes a cut down, then begins to store it.
    async fn commit(
        &mut self,
        encoded: Result<Result<Encoded, WriterError>, tokio::task::JoinError>,
    ) -> Result<(), WriterError> {
        let Encoded { frozen, files } =
            encoded.map_err(|e| WriterError::Corrupt(format!("encoding stopped: {e}")))??;
        let encoded_bytes: u64 = files.iter().map(|f| (f.object.len() + f.rejects.len()) as u64).sum();
        if let Some(held) = self.held.get_mut(&frozen.cut) {
            let raw = std::mem::replace(&mut held.memory, encoded_bytes);
            self.shared.budget.take(encoded_bytes);
            self.shared.budget.give_back(raw);
        }
        self.append(Body::Cut(cut_of(self.log.writer(), frozen.cut, &frozen.rules, &files))).await?;
        observe_cut(&self.shared.metrics, &files);
        let (lake, uploads, shared, cut) = (self.lake.clone(), self.uploads.clone(), self.shared.clone(), frozen.cut);
        self.storing.spawn(async move {
            store(&lake, &uploads, &shared, files).await?;
            Ok(cut)
        });
        Ok(())
    }

    fn stored_one(
        &mut self,
        done: Result<Result<u64, WriterError>, tokio::task::JoinError>,
    ) -> Result<(), WriterError> {
        let cut = done.map_err(|e| WriterError::Corrupt(format!("storing stopped: {e}")))??;
        for cut in self.stored.add(cut) {
            if let Some(held) = self.held.remove(&cut) {
                self.shared.shards.let_go(held.before.iter().map(|(shard, before)| (shard, before)));
                self.shared.budget.give_back(held.memory);
            }
        }
        self.observe_unstored();
        Ok(())
    }

    /// The entry first: whoever finds this writer named by an epoch finds the shard's state in its log.
    async fn own(&mut self, shard: ShardId, epoch: u64, body: Body) -> Result<Option<String>, WriterError> {
        self.append(body).await?;
        let faster = takeover::try_claim(&self.lake.state, self.log.writer(), shard.clone(), epoch).await?;
        if faster.is_some() {
            self.append(Body::Release { shards: vec![shard] }).await?;
        }
        Ok(faster)
    }

    /// Waits until all cuts are stored, then writes that down.
    async fn settle(&mut self) -> Result<(), WriterError> {
        while !self.encoding.is_empty() || !self.storing.is_empty() {
            tokio::select! {
                biased;
                Some(done) = self.storing.join_next(), if !self.storing.is_empty() => self.stored_one(done)?,
                Some(encoded) = self.encoding.next(), if self.can_commit() => self.commit(encoded).await?,
            }
        }
        self.write_progress().await
    }

    async fn release(&mut self) -> Result<(), WriterError> {
        self.settle().await?;
        let shards = self.shared.shards.names();
        self.append(Body::Release { shards }).await
    }

    /// Who has nothing to write would not find out that it was sealed, and would go on reading for nobody.
    async fn tick(&mut self) -> Result<(), WriterError> {
        self.silent += 1;
        self.write_progress().await?;
        if self.silent >= SEAL_CHECK_INTERVALS {
            self.silent = 0;
            self.log.check_unsealed().await?;
        }
        Ok(())
    }

    async fn write_progress(&mut self) -> Result<(), WriterError> {
        if self.shared.shards.has_moved() { self.append(Body::Stored).await } else { Ok(()) }
    }

    async fn append(&mut self, body: Body) -> Result<(), WriterError> {
        let mut entry = takeover::entry(self.shared.clock.now(), self.stored.below(), body);
        entry.progress = self.shared.shards.moved();
        let moved = entry.progress.clone();
        self.log.append(entry).await?;
        self.silent = 0;
        self.shared.metrics.log_entries.inc();
        if !moved.is_empty() {
            self.written.send_modify(|all| all.extend(moved));
        }
        if self.log.wants_checkpoint() {
            let carried = self.log.fold().carried.clone();
            self.log
                .append(takeover::entry(self.shared.clock.now(), self.stored.below(), Body::Checkpoint(carried)))
                .await?;
        }
        Ok(())
    }
}

fn pipeline_gone() -> WriterError {
    WriterError::Corrupt("the pipeline stopped while the writer was answering it".into())
}

fn held(frozen: &Frozen, lags: &Lags) -> Held {
    let of_table = frozen.buffers.iter().map(|(buffer, _)| buffer).filter(|buffer| buffer.target.is_table());
    let before = frozen.buffers.iter().flat_map(|(buffer, _)| &buffer.before);
    Held {
        before: before.map(|(shard, before)| (frozen.shards[*shard as usize].clone(), before.clone())).collect(),
        memory: frozen.buffers.iter().map(|(buffer, _)| buffer.memory()).sum(),
        opened_at: frozen.buffers.iter().map(|(buffer, _)| buffer.opened_at).min().unwrap_or(i64::MAX),
        waiting: lags.waiting(of_table.map(|buffer| (buffer.target.path(), buffer.opened_at))),
    }
}

fn encode(mut frozen: Frozen, writer: &str, shared: &Shared) -> Result<Encoded, WriterError> {
    let mut files = Vec::with_capacity(frozen.buffers.len());
    for (file, (buffer, reason)) in std::mem::take(&mut frozen.buffers).into_iter().enumerate() {
        let naming = Naming { writer, cut: frozen.cut, file, reason };
        let made = make(&buffer, &frozen.shards, &frozen.rules, naming)?;
        shared.saw_file(made.file.target.output(), made.file.data_bytes, made.object.len() as u64);
        files.push(made);
    }
    Ok(Encoded { frozen, files })
}

/// PUTs all objects of a cut.
async fn store(lake: &Lake, uploads: &Semaphore, shared: &Shared, files: Vec<Made>) -> Result<(), WriterError> {
    let puts: Vec<_> = files.into_iter().map(|made| objects(lake, made)).collect::<Result<_, _>>()?;
    stream::iter(puts.into_iter().flatten().map(Ok::<_, WriterError>))
        .try_for_each_concurrent(UPLOADS_MAX, |(store, path, bytes)| async move {
            let _turn = uploads.acquire().await.map_err(|e| WriterError::Corrupt(e.to_string()))?;
            put(shared, &store, &path, bytes).await
        })
        .await
}

async fn put(shared: &Shared, store: &Store, path: &str, bytes: Bytes) -> Result<(), WriterError> {
    let metrics = &shared.metrics;
    let (size, began) = (bytes.len() as u64, shared.clock.now());
    metrics.delivery_to_s3_attempts.inc();
    store.put(path, bytes).await?;
    metrics.delivery_to_s3_success.inc();
    metrics.delivery_to_s3_duration_seconds.observe((shared.clock.now() - began) as f64 / 1000.0);
    let table = path.ends_with(".parquet");
    let output = match path {
        _ if table => "table",
        _ if path.ends_with(".zst") => "archive",
        _ => "errors",
    };
    metrics.delivery_to_s3_object_count.get_or_create(&OutputLabel { output }).inc();
    if table {
        metrics.delivery_to_s3_bytes.inc_by(size);
        metrics.delivery_to_s3_object_bytes.observe(size as f64);
    }
    Ok(())
}

fn observe_cut(metrics: &WriterMetrics, files: &[Made]) {
    metrics.cuts.inc();
    for made in files {
        metrics.count_flush(made.file.reason);
        if let (true, Some(object)) = (made.file.target.is_table(), &made.file.object) {
            metrics.succeed_conversion_records.inc_by(object.rows);
            metrics.delivery_to_s3_records.inc_by(object.rows);
            metrics.succeed_conversion_bytes.inc_by(made.file.data_bytes);
        }
        if made.rejected > 0 {
            let reason = ReasonLabel { reason: Reason::Column.as_str() };
            metrics.failed_conversion_records.get_or_create(&reason).inc_by(made.rejected);
        }
        for (field, count) in &made.dropped {
            metrics.dropped_fields.count(field, *count);
        }
    }
}

/// Where a file's objects go.
pub(super) fn objects(lake: &Lake, made: Made) -> Result<Vec<(Store, String, Bytes)>, WriterError> {
    let home = lake.output(made.file.target.output())?;
    let mut out = Vec::new();
    if let Some(object) = made.file.object {
        out.push((home.clone(), object.path, made.object));
    }
    if let Some(rejects) = made.file.rejects {
        out.push((lake.errors.clone(), rejects.path, made.rejects));
    }
    Ok(out)
}
