//! What a history will hold, drawn from its seed before it begins.

use std::time::Duration;

use ingest::source::split::Task;
use rand::Rng;
use rand::rngs::StdRng;

/// What happens to processes. A number picks one of those there are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// Another one, for one of the plan's tasks: it takes over what is that task's.
    Start(usize),
    /// kill -9.
    Kill(usize),
    /// SIGTERM.
    Stop(usize),
    /// SIGSTOP.
    Pause(usize),
    /// SIGCONT, to all.
    Resume,
}

/// What happens to shards.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Split(usize),
    Merge(usize),
    Scale(usize),
}

const TASKS: [&[&str]; 3] = [&["0/1"], &["0/2", "1/2"], &["0/2", "1/2", "0/1", "2/3"]];

#[derive(Debug)]
pub(super) struct Plan {
    /// How processes share the stream: the whole to each, or a static split, or a mess of both.
    pub(super) tasks: Vec<Task>,
    /// For whoever draws later.
    pub(super) seed: u64,
    pub(super) shards: usize,
    /// Of a hundred calls.
    pub(super) kinesis_percent: u32,
    /// Of a thousand requests.
    pub(super) store_permille: u32,
    pub(super) way_ms: u64,
    /// Pauses before each, and what comes then.
    pub(super) acts: Vec<(Duration, Act)>,
    pub(super) changes: Vec<(Duration, Change)>,
    /// Pauses before each call of the producer, and its records.
    pub(super) puts: Vec<(Duration, usize)>,
    /// Whoever is paused in the end sleeps until all is done.
    pub(super) sleepers: bool,
    pub(super) rows: u64,
    pub(super) age: Duration,
    pub(super) idle: Duration,
    pub(super) memory: u64,
    pub(super) records_per_read: i32,
    /// How old a file of the archive gets; none is kept without.
    pub(super) archive: Option<Duration>,
}

impl Plan {
    pub(super) fn new(random: &mut StdRng) -> Self {
        let acts = (0..random.random_range(3..9)).map(|n| (seconds(random, 2, 25), act(random, n))).collect();
        let changes = (0..random.random_range(0..4)).map(|_| (seconds(random, 4, 40), change(random))).collect();
        let calls = random.random_range(12..30);
        let puts = (0..calls).map(|_| (seconds(random, 0, 6), random.random_range(1..7))).collect();
        let of = *pick(random, &TASKS);
        Plan {
            tasks: of.iter().map(|task| task.parse().expect("a task")).collect(),
            seed: random.random(),
            shards: random.random_range(1..4),
            kinesis_percent: *pick(random, &[0, 3, 10, 25]),
            store_permille: *pick(random, &[0, 10, 30, 60]),
            way_ms: *pick(random, &[1, 20, 150]),
            acts,
            changes,
            puts,
            sleepers: random.random(),
            rows: random.random_range(2..9),
            age: Duration::from_secs(random.random_range(3..25)),
            idle: Duration::from_secs(random.random_range(1..12)),
            memory: *pick(random, &[64 << 20, 64 << 20, 24 << 10]),
            records_per_read: random.random_range(1..30),
            archive: random.random_bool(0.7).then(|| Duration::from_secs(random.random_range(2..40))),
        }
    }
}

fn seconds(random: &mut StdRng, from: u64, to: u64) -> Duration {
    Duration::from_millis(random.random_range(from * 1_000..to * 1_000))
}

fn pick<'a, T>(random: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[random.random_range(0..from.len())]
}

fn act(random: &mut StdRng, n: u32) -> Act {
    let one = random.random_range(0..8);
    match random.random_range(0..10) {
        _ if n == 0 => Act::Start(one),
        0..2 => Act::Kill(one),
        2 => Act::Stop(one),
        3..6 => Act::Pause(one),
        6..8 => Act::Resume,
        _ => Act::Start(one),
    }
}

fn change(random: &mut StdRng) -> Change {
    let one = random.random_range(0..8);
    match random.random_range(0..5) {
        0..2 => Change::Split(one),
        2..4 => Change::Merge(one),
        _ => Change::Scale(random.random_range(1..5)),
    }
}
