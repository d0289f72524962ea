//! Records that come late: after the period of the partition they go to is over, as `created_date=2026-01-01` is at midnight.
//!
//! They are rows like any other. But each of them opens, long after that day's files were cut, another small file, and whoever has
//! added that day up has missed it.

use schemas::instant::DAY_MS;

const HOUR_MS: i64 = 3_600_000;

/// How late at most, in milliseconds, and the label in metrics. The first class is what a clock or a buffer at midnight makes.
const CLASSES: [(i64, &str); 5] =
    [(HOUR_MS, "1h"), (DAY_MS, "1d"), (7 * DAY_MS, "7d"), (30 * DAY_MS, "30d"), (i64::MAX, "longer")];

/// Labels in metrics.
pub const LABELS: [&str; CLASSES.len()] = [CLASSES[0].1, CLASSES[1].1, CLASSES[2].1, CLASSES[3].1, CLASSES[4].1];

/// Late records by how late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Late([u64; CLASSES.len()]);

impl Late {
    /// A record that arrived then, for a period that ended then (if the table has a column of time).
    pub fn count(&mut self, arrived_at: i64, ended_at: Option<i64>) {
        let Some(late) = ended_at.map(|end| arrived_at.saturating_sub(end)).filter(|late| *late >= 0) else { return };
        let class = CLASSES.iter().position(|(most, _)| late <= *most).unwrap_or(CLASSES.len() - 1);
        self.0[class] += 1;
    }

    pub fn by_label(&self) -> impl Iterator<Item = (&'static str, u64)> {
        LABELS.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_late_from_the_end_of_its_period_on() {
        let (mut late, end) = (Late::default(), 100 * DAY_MS);
        for arrived_at in [end - 1, end, end + HOUR_MS, end + HOUR_MS + 1, end + 8 * DAY_MS, i64::MAX] {
            late.count(arrived_at, Some(end));
        }
        late.count(end, None);
        let counted: Vec<_> = late.by_label().collect();
        assert_eq!(counted, [("1h", 2), ("1d", 1), ("7d", 0), ("30d", 1), ("longer", 1)]);
    }
}
