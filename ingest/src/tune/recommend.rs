//! Which setting to take, and why: from the configured one step by step to the cheapest that keeps what was promised.
//!
//! Cheapest is dollars a month for requests and scans. Promised are a freshness (99 of 100 rows are cut within it) and a memory
//! whose mark is not reached. A step changes one thing, and is taken if it saves enough for what it asks of people: buffers change
//! with a restart, another layout is a new table.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::layout::Change;
use super::trial::{Bench, Figures, Setting, Trial};

/// Share of the cost that a change of buffers must save, and one of the layout.
pub const BUFFER_GAIN: f64 = 0.05;
pub const LAYOUT_GAIN: f64 = 0.20;
/// Dollars a month below which nothing is worth a change.
pub const DOLLARS_MIN: f64 = 0.01;
/// Steps at most.
const STEPS_MAX: usize = 6;
/// Share of the files that memory may cut.
const MEMORY_CUTS_MAX: f64 = 0.01;

/// Values that are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    pub sizes: Vec<u64>,
    pub ages: Vec<Duration>,
    pub idles: Vec<Duration>,
    /// Indexes of the layouts that are known.
    pub layouts: Vec<usize>,
}

impl Grid {
    /// Every setting that differs from this one in one thing.
    pub fn around(&self, of: &Setting) -> Vec<Setting> {
        let sizes = self.sizes.iter().map(|size| Setting { size: *size, ..*of });
        // Who raises the age of buffers that are never idle means that they stay so.
        let idle = |age: Duration| if of.idle == of.age { age } else { of.idle.min(age) };
        let ages = self.ages.iter().map(|age| Setting { age: *age, idle: idle(*age), ..*of });
        let idles = self.idles.iter().map(|idle| Setting { idle: (*idle).min(of.age), ..*of });
        let never = std::iter::once(Setting { idle: of.age, ..*of });
        let layouts = self.layouts.iter().map(|layout| Setting { layout: *layout, ..*of });
        let all = sizes.chain(ages).chain(idles).chain(never).chain(layouts);
        let mut kept = Vec::new();
        all.filter(|setting| setting != of).for_each(|setting| {
            if !kept.contains(&setting) {
                kept.push(setting);
            }
        });
        kept
    }
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// Milliseconds within which 99 of 100 rows are cut.
    pub freshness_ms: u64,
    /// Bytes of open buffers in 99 of 100 moments.
    pub memory_bytes: u64,
}

/// What came of the search.
#[derive(Debug, Clone, Serialize)]
pub struct Recommended {
    pub setting: Setting,
    pub change: Change,
    /// A sentence each.
    pub reasons: Vec<String>,
    /// `[buffer]` as it would stand in the configuration; nothing if it stays.
    pub toml: Option<String>,
}

/// All trials: the configured setting first, then those around it, then what the search went on to.
#[derive(Debug)]
pub struct Search {
    pub trials: Vec<Trial>,
    pub recommended: Recommended,
}

/// `step` hears of items that came.
pub fn search(bench: &Bench, grid: &Grid, promise: &Promise, step: &(dyn Fn(u64) + Sync)) -> Search {
    let begin = Setting::of(&bench.buffer);
    let mut tried = Tried { bench, step, trials: Vec::new(), index: BTreeMap::new() };
    let mut at = begin;
    tried.run(&[begin]);
    for _ in 0..STEPS_MAX {
        let around = grid.around(&at);
        tried.run(&around);
        match better(&tried, &at, &around, promise) {
            Some(next) => at = next,
            None => break,
        }
    }
    let recommended = told(bench, tried.get(&begin), tried.get(&at), promise);
    Search { trials: tried.trials, recommended }
}

struct Tried<'a> {
    bench: &'a Bench,
    step: &'a (dyn Fn(u64) + Sync),
    trials: Vec<Trial>,
    index: BTreeMap<Setting, usize>,
}

impl Tried<'_> {
    fn run(&mut self, settings: &[Setting]) {
        let new: Vec<Setting> = settings.iter().filter(|s| !self.index.contains_key(s)).copied().collect();
        for trial in self.bench.run(&new, self.step) {
            self.index.insert(trial.setting, self.trials.len());
            self.trials.push(trial);
        }
    }

    fn get(&self, setting: &Setting) -> &Trial {
        &self.trials[self.index[setting]]
    }
}

/// The cheapest of those that save enough. Where the present one breaks a promise, any that keeps it is better.
fn better(tried: &Tried<'_>, at: &Setting, around: &[Setting], promise: &Promise) -> Option<Setting> {
    let now = tried.get(at).told();
    let broken = now.is_none_or(|figures| !keeps(tried.bench, at, figures, promise));
    let cost = |figures: &Figures| figures.dollars_per_month.total;
    let is_better = |setting: &&Setting| {
        let Some(figures) = tried.get(setting).told().filter(|f| keeps(tried.bench, setting, f, promise)) else {
            return false;
        };
        let Some(now) = now.filter(|_| !broken) else { return true };
        let gain = if setting.layout == at.layout { BUFFER_GAIN } else { LAYOUT_GAIN };
        let saved = cost(now) - cost(figures);
        saved >= DOLLARS_MIN && saved >= gain * cost(now)
    };
    let of = |setting: &Setting| tried.get(setting).told().map_or(f64::INFINITY, cost);
    around.iter().filter(is_better).min_by(|a, b| of(a).total_cmp(&of(b))).copied()
}

/// Whether a setting keeps what was promised.
pub fn keeps(bench: &Bench, setting: &Setting, figures: &Figures, promise: &Promise) -> bool {
    broken(bench, setting, figures, promise).is_none()
}

/// What it does not keep.
pub fn broken(bench: &Bench, setting: &Setting, figures: &Figures, promise: &Promise) -> Option<String> {
    let memory_cuts = figures.by_reason.get("memory").copied().unwrap_or_default();
    // The histogram's values are known within a hundredth.
    let slack = promise.freshness_ms / 100 + bench.tick(setting);
    if figures.freshness_ms.p99 > promise.freshness_ms + slack {
        let (is, want) = (seconds(figures.freshness_ms.p99), seconds(promise.freshness_ms));
        return Some(format!("freshness p99 is {is}, more than {want}"));
    }
    if figures.memory_bytes.p99 > promise.memory_bytes {
        let (is, mark) = (size(figures.memory_bytes.p99), size(promise.memory_bytes));
        return Some(format!("open buffers take {is} at p99, more than the mark of {mark}"));
    }
    let share = memory_cuts / figures.files_per_day.max(f64::MIN_POSITIVE);
    (share > MEMORY_CUTS_MAX).then(|| format!("{:.0} % of the files are cut because memory is short", share * 100.0))
}

fn told(bench: &Bench, begin: &Trial, end: &Trial, promise: &Promise) -> Recommended {
    let (setting, change) = (end.setting, end.change.clone());
    let mut reasons = Vec::new();
    match (begin.told(), end.told()) {
        (_, None) => reasons.push(format!(
            "nothing is recommended: the configured setting was not simulated ({})",
            end.not_simulated.as_deref().unwrap_or("no reason")
        )),
        (_, Some(figures)) if begin.setting == end.setting => {
            reasons.push(match broken(bench, &setting, figures, promise) {
                Some(what) => format!("nothing that was tried keeps the promises: as configured, {what}"),
                None => format!(
                    "stay: nothing that was tried saves {:.0} % (a new layout: {:.0} %) of {} a month and keeps freshness p99 \
                     within {} and open buffers within {}",
                    BUFFER_GAIN * 100.0,
                    LAYOUT_GAIN * 100.0,
                    dollars(figures.dollars_per_month.total),
                    seconds(promise.freshness_ms),
                    size(promise.memory_bytes)
                ),
            });
        }
        (Some(before), Some(after)) => reasons.extend(compared(bench, (begin, before), (end, after), promise)),
        (None, Some(_)) => {
            reasons.push("the configured setting is more than can be simulated at this rate; this one is not".into());
        }
    }
    let is_buffer = Setting { layout: 0, ..setting } != Setting { layout: 0, ..begin.setting };
    Recommended { setting, change, reasons, toml: is_buffer.then(|| toml(&begin.setting, &setting)) }
}

/// What changes, what it saves, what it costs.
fn compared(
    bench: &Bench,
    (begin, before): (&Trial, &Figures),
    (end, after): (&Trial, &Figures),
    promise: &Promise,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(what) = broken(bench, &begin.setting, before, promise) {
        reasons.push(format!("as configured, {what}; this setting keeps that promise"));
    }
    let (from, to) = (before.dollars_per_month, after.dollars_per_month);
    reasons.push(format!(
        "{} files a day instead of {}, median {} instead of {}",
        count(after.files_per_day),
        count(before.files_per_day),
        size(after.file_bytes.p50),
        size(before.file_bytes.p50)
    ));
    reasons.push(format!(
        "{} a month instead of {} (PUTs {} instead of {}, scans {} instead of {}, GETs and LISTs {} instead of {})",
        dollars(to.total),
        dollars(from.total),
        dollars(to.put),
        dollars(from.put),
        dollars(to.scan),
        dollars(from.scan),
        dollars(to.read),
        dollars(from.read)
    ));
    reasons.push(format!(
        "the price: freshness p50 {} instead of {}, p99 {} instead of {} ({} are allowed); open buffers {} at p99 instead of {} \
         ({} are allowed)",
        seconds(after.freshness_ms.p50),
        seconds(before.freshness_ms.p50),
        seconds(after.freshness_ms.p99),
        seconds(before.freshness_ms.p99),
        seconds(promise.freshness_ms),
        size(after.memory_bytes.p99),
        size(before.memory_bytes.p99),
        size(promise.memory_bytes)
    ));
    if begin.setting.layout != end.setting.layout {
        reasons.push(format!(
            "{}: another layout is another table; `alluvium replay --rebuild` makes it from raw objects",
            end.change.text()
        ));
    }
    reasons
}

fn toml(from: &Setting, to: &Setting) -> String {
    let mut lines = vec!["[buffer]".to_string()];
    let time = |time: &Duration| match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    };
    if from.size != to.size {
        let mebibyte = 1 << 20;
        let text = if to.size.is_multiple_of(mebibyte) {
            format!("{} MiB", to.size / mebibyte)
        } else {
            format!("{} B", to.size)
        };
        lines.push(format!("size = \"{text}\""));
    }
    if from.age != to.age {
        lines.push(format!("age = \"{}\"", time(&to.age)));
    }
    if from.idle != to.idle {
        lines.push(format!("idle = \"{}\"", time(&to.idle)));
    }
    lines.join("\n")
}

/// Bytes, for people.
pub fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (bytes.max(1).ilog2() / 10) as usize;
    let amount = bytes as f64 / (1u64 << (10 * unit)) as f64;
    match unit {
        0 => format!("{bytes} B"),
        _ if amount < 10.0 => format!("{amount:.1} {}", units[unit]),
        _ => format!("{amount:.0} {}", units[unit]),
    }
}

/// Milliseconds, for people.
pub fn seconds(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{:.1} s", millis as f64 / 1_000.0),
        10_000..600_000 => format!("{:.0} s", millis as f64 / 1_000.0),
        600_000..36_000_000 => format!("{:.0} min", millis as f64 / 60_000.0),
        _ => format!("{:.0} h", millis as f64 / 3_600_000.0),
    }
}

pub fn dollars(amount: f64) -> String {
    match amount {
        a if a < 0.005 => "$0".into(),
        a if a < 100.0 => format!("${a:.2}"),
        a => format!("${}", count(a)),
    }
}

/// A number with its thousands apart; one decimal below 10.
pub fn count(number: f64) -> String {
    if number < 10.0 {
        return if (number - number.round()).abs() < 0.05 { format!("{number:.0}") } else { format!("{number:.1}") };
    }
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
#[path = "tests/recommend.rs"]
mod tests;
