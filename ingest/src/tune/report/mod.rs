//! What `tune` has found, as data; as a table for a terminal ([`table`]) and as a page with plots ([`html`]).

pub mod html;
pub mod plot;
pub mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use super::cost::{Prices, Question};
use super::recommend::{Promise, Recommended, broken, size};
use super::sample::TimeSource;
use super::simulate::Outcome;
use super::sizes::{Point, SizeModel};
use super::trial::{Bench, Setting, Spread, Trial};

/// Points of the curve of sizes that are shown.
const POINTS_SHOWN_MAX: usize = 400;

/// What the sample was.
#[derive(Debug, Clone, Serialize)]
pub struct SampleTold {
    pub url: String,
    /// `raw objects` or `the lake's log`.
    pub kind: &'static str,
    pub objects: u64,
    pub records: u64,
    pub events: u64,
    pub event_bytes: u64,
    pub rejects: BTreeMap<&'static str, u64>,
    /// Rows that did not fit a column, of a thousand that were encoded.
    pub misfits_per_1000: f64,
    pub partitions: usize,
    /// Seconds that it stands for, and how fast records come in them.
    pub seconds: f64,
    pub records_per_second: f64,
    pub bytes_per_second: f64,
    /// Where times are from; nothing if a rate was given.
    pub times: Option<TimeSource>,
}

/// What `run` would leave of exactly this sample, from its first record to a stop.
#[derive(Debug, Clone, Serialize)]
pub struct Once {
    pub files: u64,
    pub rows: u64,
    pub file_bytes: Spread,
    pub total_file_bytes: u64,
    pub by_reason: BTreeMap<&'static str, u64>,
}

impl Once {
    pub fn of(outcome: &Outcome) -> Once {
        Once {
            files: outcome.files.count(),
            rows: outcome.rows,
            file_bytes: Spread::of(&outcome.files),
            total_file_bytes: u64::try_from(outcome.files.sum()).unwrap_or(u64::MAX),
            by_reason: outcome.by_reason.iter().map(|(reason, count)| (reason.as_str(), *count)).collect(),
        }
    }
}

/// How a file's bytes follow from its events'.
#[derive(Debug, Clone, Serialize)]
pub struct SizesTold {
    pub encoded: usize,
    pub largest_data_bytes: u64,
    /// Bytes of events, bytes of the file.
    pub curve: SizeModel,
    pub points: Vec<Point>,
}

impl SizesTold {
    pub fn of(curve: &SizeModel, points: &[Point]) -> SizesTold {
        let step = points.len().div_ceil(POINTS_SHOWN_MAX).max(1);
        SizesTold {
            encoded: points.len(),
            largest_data_bytes: points.iter().map(|point| point.data_bytes).max().unwrap_or(0),
            curve: curve.clone(),
            points: points.iter().step_by(step).copied().collect(),
        }
    }
}

/// A trial with its name and what it breaks.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub name: String,
    #[serde(flatten)]
    pub trial: Trial,
    pub breaks: Option<String>,
    /// Settings that come to the same, which have no row of their own.
    pub same: Vec<String>,
}

/// See the module's text.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub version: &'static str,
    pub config: String,
    pub sample: SampleTold,
    pub question: Question,
    pub promise: Promise,
    pub once: Once,
    pub sizes: SizesTold,
    /// The configured setting first.
    pub trials: Vec<Row>,
    pub recommended: Recommended,
    pub recommended_name: String,
    /// What a reader of the figures should know about this sample.
    pub notes: Vec<String>,
    pub prices: Prices,
}

/// The trials with their names. One that comes to the same as one before it is named there: what it changes has no effect here.
pub fn rows(bench: &Bench, trials: &[Trial], promise: &Promise) -> Vec<Row> {
    let begin = Setting::of(&bench.buffer);
    let mut rows: Vec<Row> = Vec::new();
    for trial in trials {
        let name = name(&begin, trial);
        let known = rows.iter_mut().find(|row| row.trial.told().is_some() && row.trial.told() == trial.told());
        match known {
            Some(row) => row.same.push(name),
            None => {
                let breaks = trial.told().and_then(|figures| broken(bench, &trial.setting, figures, promise));
                rows.push(Row { name, breaks, trial: trial.clone(), same: Vec::new() });
            }
        }
    }
    rows
}

/// What differs from the configured setting.
pub fn name(begin: &Setting, trial: &Trial) -> String {
    let Setting { size: bytes, age, idle, layout } = trial.setting;
    let mut parts = Vec::new();
    if bytes != begin.size {
        parts.push(format!("size {}", size(bytes)));
    }
    let time = |time: std::time::Duration| match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    };
    if age != begin.age {
        parts.push(format!("age {}", time(age)));
    }
    if idle != begin.idle {
        parts.push(if idle == age { "idle off".into() } else { format!("idle {}", time(idle)) });
    }
    if layout != begin.layout {
        parts.push(trial.change.text());
    }
    if parts.is_empty() { "as configured".into() } else { parts.join(", ") }
}

impl Report {
    pub fn configured(&self) -> Option<&Row> {
        self.trials.first()
    }

    pub fn chosen(&self) -> Option<&Row> {
        self.trials.iter().find(|row| row.trial.setting == self.recommended.setting)
    }

    pub fn is_change(&self) -> bool {
        self.configured().is_some_and(|row| row.trial.setting != self.recommended.setting)
    }
}
