//! How long rows of the table wait to be stored, by the values of its partition columns.
//!
//! A series for each partition would be as many as there are partitions, and new ones every day. So partitions are told by one value
//! of one column at a time ("everything of attribute `price`", "everything of bucket 3"), each by its oldest row: whoever waits
//! longest shows in all of its values. Columns of time have new values for ever and are left out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use schemas::hive;

use crate::metrics::{LagLabel, WriterMetrics};

/// Most values of a column that are told apart over the life of the process: values come from the input.
pub const LAG_VALUES_MAX: usize = 100;

/// All others.
const OTHERS: &str = "...";

/// How often open buffers are looked at for it, in milliseconds: that walks all of them.
pub const LAG_EVERY_MS: i64 = 5_000;

/// Since when rows wait, by place; see [`Lags::waiting`].
pub type Waiting = HashMap<usize, i64>;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Lags(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    columns: Vec<Column>,
    /// Every value of every column that there ever was.
    places: Vec<LagLabel>,
    /// Of cuts that are not stored.
    unstored: Waiting,
    looked_at: Option<i64>,
}

#[derive(Debug)]
struct Column {
    name: String,
    told: bool,
    /// Place by value, as it stands in a path.
    values: HashMap<String, usize>,
}

impl Lags {
    /// The columns that are told of from here on, as paths name them.
    pub fn set_columns(&self, names: &[String]) {
        let columns = &mut self.known().columns;
        // One that is left out keeps its values: it may come back, and they stay bounded.
        columns.iter_mut().for_each(|column| column.told = names.contains(&column.name));
        for name in names {
            if !columns.iter().any(|column| column.name == *name) {
                columns.push(Column { name: name.clone(), told: true, values: HashMap::new() });
            }
        }
    }

    /// Since when rows of these partitions wait, the oldest for each value.
    pub fn waiting<'p>(&self, partitions: impl Iterator<Item = (&'p str, i64)>) -> Waiting {
        let (mut known, mut waiting) = (self.known(), Waiting::new());
        for (path, since) in partitions {
            known.each_place(path, |place| sooner(&mut waiting, place, since));
        }
        waiting
    }

    /// What waits in cuts that are written down and not stored.
    pub fn set_unstored<'w>(&self, cuts: impl Iterator<Item = &'w Waiting>) {
        let mut unstored = Waiting::new();
        cuts.flatten().for_each(|(place, since)| sooner(&mut unstored, *place, *since));
        self.known().unstored = unstored;
    }

    /// Whether it is time to look at the open buffers again.
    pub fn is_due(&self, now: i64) -> bool {
        // A clock that was set back is no reason to wait until it has caught up.
        self.known().looked_at.is_none_or(|at| !(at..at + LAG_EVERY_MS).contains(&now))
    }

    /// Tells the metrics, with what waits in open buffers.
    pub fn observe(&self, open: Waiting, now: i64, metrics: &WriterMetrics) {
        let mut known = self.known();
        known.looked_at = Some(now);
        for (place, label) in known.places.iter().enumerate() {
            let since = open.get(&place).into_iter().chain(known.unstored.get(&place)).min();
            let lag = since.map_or(0, |since| (now - since).max(0));
            metrics.partition_lag_seconds.get_or_create(label).set(lag as f64 / 1000.0);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere leaves places that are known, which is all there is to it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn each_place(&mut self, path: &str, mut each: impl FnMut(usize)) {
        for (name, value) in path.split('/').filter_map(|segment| segment.split_once('=')) {
            if let Some(column) = self.columns.iter_mut().find(|column| column.told && column.name == name) {
                each(place(column, value, &mut self.places));
            }
        }
    }
}

fn place(column: &mut Column, value: &str, places: &mut Vec<LagLabel>) -> usize {
    if let Some(place) = column.values.get(value) {
        return *place;
    }
    let known = if column.values.len() < LAG_VALUES_MAX { value } else { OTHERS };
    *column.values.entry_ref(known).or_insert_with(|| {
        places.push(LagLabel { column: column.name.clone(), value: hive::unescape(known) });
        places.len() - 1
    })
}

fn sooner(waiting: &mut Waiting, place: usize, since: i64) {
    let at = waiting.entry(place).or_insert(since);
    *at = since.min(*at);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(metrics: &WriterMetrics, column: &str, value: &str) -> f64 {
        let label = LagLabel { column: column.into(), value: value.into() };
        metrics.partition_lag_seconds.get_or_create(&label).get()
    }

    fn lags() -> Lags {
        let lags = Lags::default();
        lags.set_columns(&["name".into(), "bucket".into()]);
        lags
    }

    #[test]
    fn a_value_waits_as_long_as_its_oldest_partition_and_time_has_no_series() {
        let (lags, metrics) = (lags(), WriterMetrics::default());
        let open = lags.waiting(
            [("day=2026-01-01/name=a%2Fb/bucket=1", 4_000), ("day=2026-01-02/name=c/bucket=1", 1_000)].into_iter(),
        );
        lags.observe(open, 10_000, &metrics);
        assert_eq!((shown(&metrics, "name", "a/b"), shown(&metrics, "name", "c")), (6.0, 9.0));
        assert_eq!(shown(&metrics, "bucket", "1"), 9.0);
        let mut registry = prometheus_client::registry::Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a String takes everything");
        assert_eq!(text.matches("alluvium_partition_lag_seconds{").count(), 3, "{text}");
    }

    #[test]
    fn what_is_cut_waits_until_it_is_stored() {
        let (lags, metrics) = (lags(), WriterMetrics::default());
        let cut = lags.waiting([("name=a/bucket=1", 2_000)].into_iter());
        lags.set_unstored([&cut].into_iter());
        lags.observe(lags.waiting([("name=b/bucket=1", 5_000)].into_iter()), 10_000, &metrics);
        assert_eq!((shown(&metrics, "name", "a"), shown(&metrics, "bucket", "1")), (8.0, 8.0));
        lags.set_unstored([].into_iter());
        lags.observe(Waiting::new(), 20_000, &metrics);
        assert_eq!((shown(&metrics, "name", "a"), shown(&metrics, "bucket", "1")), (0.0, 0.0));
    }

    #[test]
    fn values_are_bounded_over_the_life_of_the_process() {
        let lags = lags();
        let paths: Vec<String> = (0..10 * LAG_VALUES_MAX).map(|n| format!("name=n{n}/bucket=1")).collect();
        let waiting = lags.waiting(paths.iter().zip(1..).map(|(path, since)| (path.as_str(), since)));
        assert_eq!(waiting.len(), LAG_VALUES_MAX + 1 + 1);
        // Rules that change and change back begin no new ones.
        lags.set_columns(&["bucket".into()]);
        lags.set_columns(&["bucket".into(), "name".into()]);
        let again = lags.waiting([("name=n0/bucket=1", 0)].into_iter());
        assert!(again.len() == 2 && again.keys().all(|place| waiting.contains_key(place)), "{again:?}");
    }

    #[test]
    fn buffers_are_looked_at_once_in_a_while_whatever_the_clock_does() {
        let (lags, metrics) = (lags(), WriterMetrics::default());
        assert!(lags.is_due(0));
        lags.observe(Waiting::new(), 1_000, &metrics);
        assert!(!lags.is_due(1_000 + LAG_EVERY_MS - 1));
        assert!(lags.is_due(1_000 + LAG_EVERY_MS) && lags.is_due(0));
    }
}
