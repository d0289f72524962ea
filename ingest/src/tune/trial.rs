//! One setting tried: simulated until it is steady, and told in figures of a day.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use serde::{Serialize, Serializer};
use writer::buffer::policy;
use writer::commit::committer::PROGRESS_EVERY;
use writer::settings::BufferSettings;

use super::cost::{self, Cost, DAY_MS, Prices, Question, Touched};
use super::histogram::Histogram;
use super::layout::{Change, Layout};
use super::sample::{Routed, Sample, Timeline};
use super::simulate::{Input, Outcome, Span, simulate};
use super::sizes::SizeModel;

/// Items that one setting is simulated with at most: some seconds.
pub const ITEMS_MAX: u128 = 100_000_000;
/// Ages that are measured, behind one to warm up.
const AGES_MEASURED: i64 = 2;
/// Entries of the log between two checkpoints, each of which writes a hint too.
const ENTRIES_PER_CHECKPOINT: f64 = 64.0;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Setting {
    /// Bytes.
    pub size: u64,
    #[serde(serialize_with = "seconds")]
    pub age: Duration,
    #[serde(serialize_with = "seconds")]
    pub idle: Duration,
    /// Index into the layouts; 0 is the configured one.
    pub layout: usize,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Setting {
    pub fn of(buffer: &BufferSettings) -> Setting {
        // A longer one has no effect.
        Setting { size: buffer.size, age: buffer.age, idle: buffer.idle.min(buffer.age), layout: 0 }
    }

    pub fn buffer(&self, configured: &BufferSettings) -> BufferSettings {
        BufferSettings { size: self.size, age: self.age, idle: self.idle, ..configured.clone() }
    }
}

/// Where values lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    pub p5: u64,
    pub p25: u64,
    pub p50: u64,
    pub p75: u64,
    pub p95: u64,
    pub p99: u64,
    pub max: u64,
    pub mean: f64,
}

impl Spread {
    pub fn of(histogram: &Histogram) -> Spread {
        let at = |percent| histogram.percentile(percent);
        let (max, mean) = (histogram.max(), histogram.mean());
        Spread { p5: at(5), p25: at(25), p50: at(50), p75: at(75), p95: at(95), p99: at(99), max, mean }
    }
}

/// Files of one size class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SizeClass {
    /// Bytes; up to twice as many.
    pub from: u64,
    pub files_per_day: f64,
}

/// What a setting comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub files_per_day: f64,
    pub rows_per_day: f64,
    pub file_bytes_per_day: f64,
    pub file_bytes: Spread,
    pub size_classes: Vec<SizeClass>,
    /// Files a day.
    pub by_reason: BTreeMap<&'static str, f64>,
    /// From a row's arrival to the cut that holds it.
    pub freshness_ms: Spread,
    /// Open buffers, over time.
    pub memory_bytes: Spread,
    pub open_partitions: Spread,
    pub puts_per_day: f64,
    pub question: Touched,
    pub dollars_per_month: Cost,
}

/// A setting with what it comes to, or why that was not found out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    #[serde(flatten)]
    pub setting: Setting,
    pub change: Change,
    pub figures: Option<Figures>,
    pub not_simulated: Option<String>,
}

// `Change` is compared by what it says.
impl Trial {
    pub fn told(&self) -> Option<&Figures> {
        self.figures.as_ref()
    }
}

/// All that trials have in common.
#[derive(Debug)]
pub struct Bench {
    pub sample: Sample,
    pub layouts: Vec<Layout>,
    pub timeline: Timeline,
    /// One for each layout.
    pub sizes: Vec<SizeModel>,
    pub archive_ratio: f64,
    pub buffer: BufferSettings,
    pub question: Question,
    pub prices: Prices,
}

impl Bench {
    /// Tries all of them, on as many threads as there are processors. `step` hears of items that came.
    pub fn run(&self, settings: &[Setting], step: &(dyn Fn(u64) + Sync)) -> Vec<Trial> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(settings.len().max(1));
        let next = Mutex::new(settings.iter().enumerate());
        let done: Mutex<BTreeMap<usize, Trial>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some((index, setting)) = taken else { return };
                        let trial = self.one(setting, step);
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, trial);
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    fn one(&self, setting: &Setting, step: &(dyn Fn(u64) + Sync)) -> Trial {
        let change = self.layouts[setting.layout].change.clone();
        match self.span(setting) {
            Ok(span) => {
                let outcome = self.simulate(setting, span, step);
                let figures = Some(self.figures(setting, &outcome));
                Trial { setting: *setting, change, figures, not_simulated: None }
            }
            Err(why) => Trial { setting: *setting, change, figures: None, not_simulated: Some(why) },
        }
    }

    /// The sample once, from empty buffers to a stop.
    pub fn once(&self, setting: &Setting) -> Outcome {
        self.simulate(setting, Span::Once, &|_| {})
    }

    fn simulate(&self, setting: &Setting, span: Span, step: &(dyn Fn(u64) + Sync)) -> Outcome {
        let settings = setting.buffer(&self.buffer);
        let input = Input {
            routed: self.routed(setting),
            timeline: &self.timeline,
            settings: &settings,
            sizes: &self.sizes[setting.layout],
            archive_ratio: self.archive_ratio,
        };
        simulate(input, span, &step)
    }

    fn routed(&self, setting: &Setting) -> &Routed {
        &self.sample.layouts[setting.layout]
    }

    /// An age to warm up, then whole rounds of the sample for two ages at the least: each event counts as often as any other.
    pub fn span(&self, setting: &Setting) -> Result<Span, String> {
        let age = i64::try_from(setting.age.as_millis()).unwrap_or(i64::MAX);
        let (period, items) = (self.timeline.period, self.timeline.at.len() as u128);
        let rounds = (AGES_MEASURED * age).div_euclid(period) + 1;
        let cost = |measured: i64| (age + measured) as u128 * items / period as u128;
        let whole = rounds.saturating_mul(period);
        if cost(whole) <= ITEMS_MAX {
            return Ok(Span::Steady { warm_up: age, measured: whole });
        }
        if period <= age && cost(age) <= ITEMS_MAX {
            return Ok(Span::Steady { warm_up: age, measured: age });
        }
        Err(format!(
            "an age of {} s at this rate is {} events, more than {ITEMS_MAX}: give the rate of one of several processes",
            setting.age.as_secs(),
            cost(age)
        ))
    }

    fn figures(&self, setting: &Setting, outcome: &Outcome) -> Figures {
        let days = (outcome.measured as f64 / DAY_MS).max(f64::MIN_POSITIVE);
        let per_day = |count: u64| count as f64 / days;
        let cuts = per_day(outcome.cuts);
        let entries = cuts + cuts.min(DAY_MS / PROGRESS_EVERY.as_millis() as f64);
        let log = entries * (1.0 + 2.0 / ENTRIES_PER_CHECKPOINT);
        let puts_per_day = per_day(outcome.files.count() + outcome.other_files) + log;
        let question = cost::touched(outcome, self.routed(setting), &self.question);
        let class = |(from, count): (u64, u64)| SizeClass { from, files_per_day: per_day(count) };
        Figures {
            files_per_day: per_day(outcome.files.count()),
            rows_per_day: per_day(outcome.rows),
            file_bytes_per_day: outcome.files.sum() as f64 / days,
            file_bytes: Spread::of(&outcome.files),
            size_classes: outcome.files.octaves().into_iter().map(class).collect(),
            by_reason: outcome.by_reason.iter().map(|(reason, count)| (reason.as_str(), per_day(*count))).collect(),
            freshness_ms: Spread::of(&outcome.delays),
            memory_bytes: Spread::of(&outcome.memory),
            open_partitions: Spread::of(&outcome.open),
            puts_per_day,
            question,
            dollars_per_month: cost::cost(puts_per_day, &question, &self.question, &self.prices),
        }
    }

    /// Milliseconds by which a cut may be later than its limit says.
    pub fn tick(&self, setting: &Setting) -> u64 {
        policy::tick(&setting.buffer(&self.buffer)).as_millis() as u64
    }

    /// Bytes of open buffers beyond which the largest are cut early.
    pub fn memory_mark(&self) -> u64 {
        self.buffer.memory / 100 * policy::MEMORY_HIGH_PERCENT
    }
}
