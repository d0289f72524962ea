//! What requests and scans cost, and what a question reads. Prices and assumptions stand in docs/cost.json.

use serde::{Deserialize, Serialize};

use super::sample::{Asked, Routed};
use super::simulate::Outcome;

const PRICES: &str = include_str!("../../../docs/cost.json");

/// Milliseconds of a day.
pub const DAY_MS: f64 = 86_400_000.0;

/// A dollar figure with where it is from.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Price {
    pub value: f64,
    pub what: String,
    pub source: String,
}

/// What reading costs.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Reading {
    pub athena_tb: Price,
    pub s3_get: Price,
    pub s3_list: Price,
    /// Bytes that Athena counts of a statement at least.
    pub athena_bytes_min: u64,
    /// GETs of one file: its footer and its columns.
    pub gets_per_file: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Prices {
    pub days_per_month: f64,
    prices: Writing,
    pub reading: Reading,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Writing {
    s3_put: Price,
}

impl Prices {
    /// Those of docs/cost.json, which the program is built with.
    pub fn listed() -> Prices {
        serde_json::from_str(PRICES).expect("docs/cost.json has the prices: a test reads it")
    }

    pub fn put(&self) -> &Price {
        &self.prices.s3_put
    }
}

/// The question that is counted on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    pub asked: Asked,
    /// Days that it asks for.
    pub days: f64,
    pub per_day: f64,
}

/// What one question reads, as an average: a partition's values are asked for as often as it has rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Touched {
    pub files: f64,
    pub bytes: f64,
    /// Partitions that are listed.
    pub lists: f64,
}

/// Dollars a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    /// PUTs of files and log entries.
    pub put: f64,
    /// Athena's scans.
    pub scan: f64,
    /// GETs and LISTs of questions.
    pub read: f64,
    pub total: f64,
}

pub fn touched(outcome: &Outcome, routed: &Routed, question: &Question) -> Touched {
    let days = outcome.measured as f64 / DAY_MS;
    let rows: u64 = outcome.groups.iter().map(|group| group.rows).sum();
    if rows == 0 || days <= 0.0 {
        return Touched::default();
    }
    let expect = |of: &dyn Fn(usize) -> u64| {
        let sum: f64 = (0..outcome.groups.len()).map(|at| outcome.groups[at].rows as f64 * of(at) as f64).sum();
        sum / rows as f64 / days * question.days
    };
    let has_time = !question.asked.time.is_empty();
    Touched {
        files: expect(&|at| outcome.groups[at].files),
        bytes: expect(&|at| outcome.groups[at].bytes),
        lists: if has_time { question.days.max(1.0) } else { 1.0 } * routed.open_values.max(1) as f64,
    }
}

/// `puts` a day.
pub fn cost(puts: f64, touched: &Touched, question: &Question, prices: &Prices) -> Cost {
    let (month, reading) = (prices.days_per_month, &prices.reading);
    let questions = question.per_day * month;
    let put = puts * month * prices.put().value;
    let scanned = touched.bytes.max(reading.athena_bytes_min as f64);
    let scan = questions * scanned / 1e12 * reading.athena_tb.value;
    let gets = touched.files * reading.gets_per_file * reading.s3_get.value;
    let read = questions * (gets + touched.lists * reading.s3_list.value);
    Cost { put, scan, read, total: put + scan + read }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::simulate::Group;

    fn question() -> Question {
        let asked = Asked { named: vec![], time: vec!["day".into()] };
        Question { asked, days: 10.0, per_day: 100.0 }
    }

    #[test]
    fn the_page_of_prices_has_all_of_them() {
        let prices = Prices::listed();
        assert_eq!((prices.put().value, prices.reading.athena_tb.value), (0.000_005, 5.0));
    }

    #[test]
    fn a_question_reads_what_its_groups_have_weighted_by_rows() {
        let groups = vec![Group { rows: 90, files: 10, bytes: 1_000 }, Group { rows: 10, files: 2, bytes: 100 }];
        let outcome = Outcome { measured: 86_400_000, groups, ..Outcome::default() };
        let touched = touched(&outcome, &Routed::default(), &question());
        assert_eq!(touched, Touched { files: 92.0, bytes: 9_100.0, lists: 10.0 });
    }

    #[test]
    fn a_month_costs_what_the_list_prices_say() {
        let touched = Touched { files: 100.0, bytes: 1e9, lists: 10.0 };
        let cost = cost(1_000.0, &touched, &question(), &Prices { days_per_month: 30.0, ..Prices::listed() });
        assert!((cost.put - 0.15).abs() < 1e-9, "{cost:?}");
        assert!((cost.scan - 15.0).abs() < 1e-9, "3,000 questions of a GB: {cost:?}");
        assert!((cost.read - (3_000.0 * (200.0 * 4e-7 + 10.0 * 5e-6))).abs() < 1e-9, "{cost:?}");
        assert!((cost.total - cost.put - cost.scan - cost.read).abs() < 1e-12);
    }
}
