//! The source of a rebuild read once more: how many events it has for each partition, counted without storing any.
//!
//! It takes records apart and finds their partitions as the first reading does, with the same code; from there on it has nothing in
//! common with it: no positions, buffers, files, log or recovery. So it shows what those lose or repeat, and an object of which the
//! first reading has seen a part alone. What is wrong with the rules themselves is wrong in both.
//!
//! Objects are counted in the order of their numbers, group by group, and each group's counts are kept in the state: a rebuild that
//! goes on with what has come in the meantime counts that and no more.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use schemas::layout;
use schemas::rules::Rules;
use serde::{Deserialize, Serialize};
use writer::error::WriterError;
use writer::objects::Objects;
use writer::store::{Created, Store};

use super::compare::Counts;
use crate::error::RunError;
use crate::route::Router;
use crate::source::replay::counters::ReplayCounters;
use crate::source::replay::loss::Accepted;
use crate::source::replay::object::{Broken, Missing, Raws, Records, fetch};
use crate::source::replay::plan::Planned;

/// Objects that are read at once.
const AT_ONCE: usize = 4;
/// A group ends with the object that makes it as large: what a kill costs.
const GROUP_BYTES: u64 = 4 << 30;
const GROUP_OBJECTS: usize = 10_000;
/// Version of what is kept.
const FORMAT: u32 = 1;
/// Largest group of counts once it is decompressed.
const KEPT_BYTES_MAX: usize = 1 << 30;
const LEVEL: i32 = 3;

/// What is kept of a group.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    format: u32,
    /// Number of its last object.
    through: u64,
    counts: Counts,
}

/// What a recount needs.
#[derive(Debug)]
pub struct Recount<'a> {
    pub state: &'a Store,
    pub objects: &'a Objects,
    pub rules: &'a Rules,
    /// What may be missing.
    pub accepted: Arc<Accepted>,
    pub counters: Arc<ReplayCounters>,
}

impl Recount<'_> {
    /// Counts all objects, those excepted that were counted before. `planned` ascends by number.
    pub async fn run(&self, planned: Vec<Planned>) -> Result<Counts, RunError> {
        let mut sum = Counts::default();
        let (bytes, count) = (planned.iter().map(|o| o.size).sum(), planned.len() as u64);
        self.counters.bytes_in_all.store(bytes, Ordering::Relaxed);
        self.counters.objects_in_all.store(count, Ordering::Relaxed);
        let mut left = VecDeque::from(planned);
        let mut after = 0;
        while !left.is_empty() {
            let kept = match self.kept(after).await? {
                Some(kept) => {
                    self.pass_over(&mut left, kept.through);
                    kept
                }
                None => self.keep(after, self.group(&mut left).await?).await?,
            };
            after = kept.through;
            sum.add(kept.counts);
        }
        Ok(sum)
    }

    fn pass_over(&self, left: &mut VecDeque<Planned>, through: u64) {
        while let Some(object) = left.pop_front_if(|object| object.number <= through) {
            self.counters.object_done(object.size);
        }
    }

    async fn kept(&self, after: u64) -> Result<Option<Kept>, RunError> {
        let name = layout::recounted(after);
        let bytes = self.state.get(&name).await?;
        Ok(bytes.map(|bytes| parse(&name, &bytes)).transpose()?)
    }

    /// Two that count at once keep what the first one has counted.
    async fn keep(&self, after: u64, kept: Kept) -> Result<Kept, RunError> {
        let name = layout::recounted(after);
        let json = serde_json::to_vec(&kept).expect("text and numbers serialise");
        let bytes = zstd::bulk::compress(&json, LEVEL)
            .map_err(|e| WriterError::environment("compressing what was counted", e))?;
        match self.state.create(&name, Bytes::from(bytes)).await? {
            Created::Ours => Ok(kept),
            Created::Theirs(theirs) => Ok(parse(&name, &theirs)?),
        }
    }

    /// Counts the next group.
    async fn group(&self, left: &mut VecDeque<Planned>) -> Result<Kept, RunError> {
        let mut group = VecDeque::new();
        let (mut bytes, mut through) = (0, 0);
        while bytes < GROUP_BYTES
            && group.len() < GROUP_OBJECTS
            && let Some(object) = left.pop_front()
        {
            (bytes, through) = (bytes + object.size, object.number);
            group.push_back(object);
        }
        let queue = Arc::new(Mutex::new(group));
        let router = Router::compile(self.rules, "the configuration")?;
        let workers: Vec<_> = (0..AT_ONCE).map(|_| self.worker(queue.clone(), router.another())).collect();
        let (mut counts, mut broken) = (Counts::default(), Vec::new());
        for (counted, problems) in futures::future::try_join_all(workers).await? {
            counts.add(counted);
            broken.extend(problems);
        }
        if broken.is_empty() {
            return Ok(Kept { format: FORMAT, through, counts });
        }
        broken.sort();
        Err(RunError::Input(broken.join("\n")))
    }

    /// Counts objects until there are no more.
    async fn worker(
        &self,
        queue: Arc<Mutex<VecDeque<Planned>>>,
        mut router: Router,
    ) -> Result<(Counts, Vec<String>), RunError> {
        let (mut counts, mut problems) = (Counts::default(), Vec::new());
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(object) = next else { return Ok((counts, problems)) };
            let raws = fetch(self.objects, &object, &self.counters);
            let (url, number) = (self.objects.url_of(&object.path), object.number);
            let reading = tokio::task::spawn_blocking(move || {
                let ended = count(&object, raws, &mut router, &mut counts);
                (ended, router, counts)
            });
            let ended;
            (ended, router, counts) =
                reading.await.map_err(|e| RunError::Environment(format!("counting {url} again: {e}")))?;
            match ended {
                Ok(()) => counts.objects += 1,
                Err(Broken::Missing(Missing::Failed(error))) => return Err(error.into()),
                Err(Broken::Missing(_)) if self.accepted.has(number) => {}
                Err(broken) => problems.push(format!("{url} cannot be counted again: {}", why(&broken))),
            }
            self.counters.object_done(0);
        }
    }
}

fn parse(name: &str, bytes: &[u8]) -> Result<Kept, WriterError> {
    let corrupt = |e: String| WriterError::Corrupt(format!("{name} in the state: {e}"));
    let json = zstd::bulk::decompress(bytes, KEPT_BYTES_MAX).map_err(|e| corrupt(e.to_string()))?;
    let kept: Kept = serde_json::from_slice(&json).map_err(|e| corrupt(e.to_string()))?;
    match kept.format {
        FORMAT => Ok(kept),
        format => Err(corrupt(format!("it has format {format}; this version reads {FORMAT}"))),
    }
}

fn why(broken: &Broken) -> String {
    match broken {
        Broken::Missing(Missing::Gone) => "it is gone".into(),
        Broken::Missing(Missing::Changed) => "it is another object than when it was planned".into(),
        Broken::Missing(Missing::Failed(error)) => error.to_string(),
        Broken::Text(error) => format!("it is broken: {}", error.to_string().to_ascii_lowercase()),
    }
}

fn count(object: &Planned, raws: Raws, router: &mut Router, counts: &mut Counts) -> Result<(), Broken> {
    let mut records = Records::open(raws)?;
    let mut each = |number, raw: crate::source::replay::format::Raw<'_>, _: &bytes::Bytes| {
        let arrived_at = raw.arrived_at.unwrap_or(object.modified);
        router.each_event(&raw.data, &object.position(number), arrived_at, &mut |_, path| match path {
            Ok(path) => add_one(&mut counts.rows, path),
            Err(reject) => add_one(&mut counts.rejects, reject.reason.output().folder()),
        });
    };
    while records.portion(&mut each)? {}
    Ok(())
}

fn add_one(counts: &mut std::collections::BTreeMap<String, u64>, place: &str) {
    match counts.get_mut(place) {
        Some(count) => *count += 1,
        None => _ = counts.insert(place.to_string(), 1),
    }
}
