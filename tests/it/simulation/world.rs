//! One history: a stream, a bucket, a clock, and the processes that come and go.

use std::sync::Arc;
use std::time::Duration;

use ingest::source::split::Task;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::faulty_store::bucket::Bucket;
use tests::kinesis_fake::faults::Faults;
use tests::kinesis_fake::{KinesisFake, Now};
use tokio::time::Instant;

use super::notes::Notes;
use super::plan::{Act, Plan};
use super::process::Process;
use super::producer;
use super::verdict::{self, End};

/// The stream's name.
pub(super) const STREAM: &str = "events";

/// When every history begins, milliseconds since the epoch.
const BEGIN: i64 = 1_700_000_000_000;

/// What 200 histories have to hold for something to be proved.
pub(super) const MUST_HAPPEN: &[&str] =
    &["killed", "paused", "stopped", "fenced", "taken over", "resharded", "kinesis AnswerLost", "store Stalled"];

/// How long the last process may take to drain what is left, simulated.
const DRAIN: Duration = Duration::from_secs(1_800);

/// Longer than any request can be under way, and than a process takes to notice that it was sealed.
const SILENCE: Duration = Duration::from_secs(200);

#[derive(Debug)]
pub(super) struct World {
    pub(super) kinesis: KinesisFake,
    pub(super) bucket: Bucket,
    pub(super) plan: Plan,
    pub(super) notes: Notes,
    began: Instant,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let plan = Plan::new(&mut StdRng::seed_from_u64(seed));
        let began = Instant::now();
        let now: Now = Arc::new(move || now_of(began));
        World {
            kinesis: KinesisFake::new(now, Duration::from_millis(700)),
            bucket: Bucket::new(seed ^ 0x5107e, plan.store_permille, plan.way_ms),
            plan,
            notes: Notes::new(began),
            began,
        }
    }

    /// The simulated clock, some milliseconds off.
    pub(super) fn clock(&self, off: i64) -> writer::shared::Clock {
        let began = self.began;
        writer::shared::Clock::new(move || now_of(began) + off)
    }

    pub(super) fn note(&self, text: impl AsRef<str>) {
        self.notes.note(text);
    }

    pub(super) fn count(&self, what: &str) {
        self.notes.count(what);
    }

    /// Plays the history to its end and judges it.
    pub(super) async fn play(&self) -> Result<End, String> {
        let body = serde_json::json!({ "StreamName": STREAM, "ShardCount": self.plan.shards }).to_string();
        assert_eq!(self.kinesis.call("CreateStream", body.as_bytes()).status, 200);
        self.kinesis.set_faults(Faults::seeded(self.plan.seed, self.plan.kinesis_percent, self.plan.way_ms));
        let mut processes = Vec::new();
        let (acted, (), ()) = tokio::join!(self.act(&mut processes), producer::produce(self), producer::reshard(self));
        acted?;
        let mut asleep = self.wind_down(&mut processes).await?;
        self.wake(&mut asleep).await?;
        let injected = self.bucket.injected().into_iter().map(|(fault, n)| (format!("store {fault:?}"), n));
        let kinesis = self.kinesis.injected().into_iter().map(|(fault, n)| (format!("kinesis {fault:?}"), n));
        verdict::judge(self, injected.chain(kinesis).chain(self.notes.counts()).collect()).await
    }

    /// What happens to processes while records come.
    async fn act(&self, processes: &mut Vec<Process>) -> Result<(), String> {
        for (pause, act) in &self.plan.acts {
            tokio::time::sleep(*pause).await;
            self.reap(processes).await?;
            let of = |n: usize| n % processes.len().max(1);
            match *act {
                Act::Start(n) => self.start(processes, self.plan.tasks[n % self.plan.tasks.len()]),
                Act::Kill(n) => self.one(processes, of(n), "killed", Process::kill),
                Act::Stop(n) => self.one(processes, of(n), "stopped", Process::stop),
                Act::Pause(n) => self.one(processes, of(n), "paused", Process::pause),
                Act::Resume => processes.iter().filter(|process| process.is_paused()).for_each(|process| {
                    self.note(format!("{} resumed", process.name));
                    process.resume();
                }),
            }
            processes.retain(|process| !process.is_dead());
            if !processes.iter().any(|process| !process.is_paused()) {
                self.start(processes, Task::WHOLE);
            }
        }
        Ok(())
    }

    fn one(&self, processes: &[Process], n: usize, what: &str, act: impl Fn(&Process)) {
        let Some(process) = processes.get(n) else { return };
        self.note(format!("{} {what}", process.name));
        self.count(what);
        act(process);
    }

    fn start(&self, processes: &mut Vec<Process>, task: Task) {
        let process = Process::start(self, self.notes.counted("started"), task);
        self.note(format!("{} started as {task}", process.name));
        self.count("started");
        if !processes.is_empty() {
            self.count("taken over");
        }
        processes.push(process);
    }

    /// Takes those away that have ended, if they may have.
    async fn reap(&self, processes: &mut Vec<Process>) -> Result<(), String> {
        let mut left = Vec::new();
        for mut process in processes.drain(..) {
            match process.ended().await {
                Some(end) => {
                    self.note(format!("{} ended: {end}", process.name));
                    self.count(end.word());
                    end.is_allowed().map_err(|wrong| format!("{}: {wrong}", process.name))?;
                }
                None => left.push(process),
            }
        }
        *processes = left;
        Ok(())
    }

    /// Heals everything, stops who is there and lets one process drain the stream. Some stay asleep meanwhile.
    async fn wind_down(&self, processes: &mut Vec<Process>) -> Result<Vec<Process>, String> {
        self.note("everything heals");
        let (asleep, awake): (Vec<_>, Vec<_>) = processes.drain(..).partition(|p| p.is_paused() && self.plan.sleepers);
        *processes = awake;
        self.bucket.heal();
        self.kinesis.heal();
        processes.iter().for_each(Process::resume);
        self.stop_all(processes).await?;
        self.start(processes, Task::WHOLE);
        let last = processes.last().expect("it was just started");
        let drained = tokio::time::timeout(DRAIN, last.drained(self)).await;
        if drained.is_err() {
            return Err(format!("{} has not drained the stream after {DRAIN:?}", last.name));
        }
        self.note("drained");
        self.stop_all(processes).await?;
        Ok(asleep)
    }

    async fn stop_all(&self, processes: &mut Vec<Process>) -> Result<(), String> {
        processes.iter().for_each(Process::stop);
        tokio::time::sleep(SILENCE).await;
        self.reap(processes).await?;
        let left: Vec<&str> = processes.iter().map(|process| process.name.as_str()).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?} have not ended {SILENCE:?} after they were stopped"))
        }
    }

    /// Wakes the sleepers when all is done; what they still send must change nothing.
    async fn wake(&self, asleep: &mut Vec<Process>) -> Result<(), String> {
        for process in asleep.iter() {
            self.note(format!("{} wakes when all is done", process.name));
            self.count("woke at last");
            process.resume();
        }
        tokio::time::sleep(SILENCE).await;
        self.reap(asleep).await?;
        self.stop_all(asleep).await?;
        match self.bucket.in_flight() {
            0 => Ok(()),
            left => Err(format!("{left} requests are still under way")),
        }
    }

    /// A number for a process, drawn in the order of starts.
    pub(super) fn draw(&self, number: u64, range: std::ops::Range<i64>) -> i64 {
        StdRng::seed_from_u64(self.plan.seed.wrapping_mul(31).wrapping_add(number)).random_range(range)
    }
}

fn now_of(began: Instant) -> i64 {
    BEGIN + i64::try_from(began.elapsed().as_millis()).expect("a history is short")
}
