//! A sample as the simulation needs it: for each layout where each event goes and how large it is, and when it comes. Records
//! themselves are not kept.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use schemas::hive;
use schemas::log_entry::Output;
use schemas::reject::Reason;

/// Bytes of all partition paths of a layout at most: a key with a value for each event would otherwise grow without a bound.
pub const PATH_BYTES_MAX: usize = 64 << 20;

/// One thing that joins a buffer: a row, a reject's line, a record's line in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Index into the layout's places.
    pub place: u32,
    /// Of the event or line.
    pub bytes: u32,
    /// Of memory in a chunk.
    pub stored: u32,
    /// Rows that it stands for: more than one only where files are what is known.
    pub rows: u32,
}

/// A partition of the table, or a folder of another output.
#[derive(Debug, Clone)]
pub struct Place {
    pub output: Output,
    pub path: Arc<str>,
    /// What a question that names this partition's values reads: index into the groups.
    pub group: u32,
}

/// The sample under one layout.
#[derive(Debug, Default)]
pub struct Routed {
    /// In the order of [`Sample::times`].
    pub items: Vec<Item>,
    pub places: Vec<Place>,
    /// Groups of partitions that differ in nothing that a question names.
    pub groups: usize,
    /// Combinations of values that a question leaves open, those of time aside.
    pub open_values: usize,
    /// Combinations of values of time.
    pub time_values: usize,
    by_path: [HashMap<Arc<str>, u32>; Output::ALL.len()],
    by_group: HashMap<String, u32>,
    by_open: HashSet<String>,
    by_time: HashSet<String>,
    path_bytes: usize,
}

/// What a question names and what it leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Asked {
    /// Keys of which a question names one value each.
    pub named: Vec<String>,
    /// Keys of time, of which it asks for a range.
    pub time: Vec<String>,
}

impl Routed {
    /// The place of a path, new or known.
    pub fn place(&mut self, output: Output, path: &str, asked: &Asked) -> u32 {
        if let Some(place) = self.by_path[output as usize].get(path) {
            return *place;
        }
        let group = if output == Output::Table { self.group(path, asked) } else { u32::MAX };
        let (path, number): (Arc<str>, u32) = (path.into(), self.places.len() as u32);
        self.path_bytes += path.len();
        self.by_path[output as usize].insert(path.clone(), number);
        self.places.push(Place { output, path, group });
        number
    }

    pub fn is_full(&self) -> bool {
        self.path_bytes > PATH_BYTES_MAX
    }

    fn group(&mut self, path: &str, asked: &Asked) -> u32 {
        let (mut named, mut open, mut time) = (String::new(), String::new(), String::new());
        for (name, value) in hive::parse_partition_path(path).unwrap_or_default() {
            let into = if asked.named.contains(&name) {
                &mut named
            } else if asked.time.contains(&name) {
                &mut time
            } else {
                &mut open
            };
            into.push_str(&value);
            into.push('\0');
        }
        self.by_open.insert(open);
        self.by_time.insert(time);
        (self.open_values, self.time_values) = (self.by_open.len(), self.by_time.len());
        let next = self.groups as u32;
        let group = *self.by_group.entry(named).or_insert(next);
        self.groups = self.groups.max(group as usize + 1);
        group
    }

    pub fn partitions(&self) -> usize {
        self.places.iter().filter(|place| place.output == Output::Table).count()
    }

    /// Puts the items in this order, and drops what only reading needs.
    fn finish(&mut self, order: Option<&[u32]>) {
        if let Some(order) = order {
            self.items = order.iter().map(|index| self.items[*index as usize]).collect();
        }
        self.by_path = Default::default();
        (self.by_group, self.by_open, self.by_time) = Default::default();
    }
}

/// Where the sample's times are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The archive's and error objects' arrival times.
    Arrival,
    /// The events' own.
    Event,
    /// Some of one, some of the other.
    Both,
    /// The writer log's entries.
    Log,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Sample {
    /// Of each item, milliseconds since the epoch.
    pub times: Vec<i64>,
    /// One for each layout, in their order.
    pub layouts: Vec<Routed>,
    pub objects: u64,
    pub records: u64,
    pub events: u64,
    /// Of events.
    pub event_bytes: u64,
    /// Under the configured layout.
    pub rejects: BTreeMap<&'static str, u64>,
    /// The first reject's words.
    pub first_reject: Option<String>,
    /// Events whose time could not be told: they have that of the event before.
    pub untimed: u64,
    pub arrivals: u64,
    /// Why not all of it was read.
    pub ended_early: Option<String>,
    /// Objects that could not be read, with the reason; the first ones.
    pub broken: Vec<String>,
}

impl Sample {
    pub fn rejected(&self) -> u64 {
        self.rejects.values().sum()
    }

    pub fn count_reject(&mut self, reason: Reason, message: &str) {
        *self.rejects.entry(reason.as_str()).or_default() += 1;
        if self.first_reject.is_none() {
            self.first_reject = Some(message.to_string());
        }
    }

    /// Everything was added. `sorted`: in the order of their times, stably, since buffers see events as they come.
    pub fn finish(&mut self, sorted: bool) {
        let is_needed = sorted && !self.times.is_sorted();
        let order = is_needed.then(|| {
            let mut order: Vec<u32> = (0..self.times.len() as u32).collect();
            order.sort_by_key(|index| self.times[*index as usize]);
            self.times = order.iter().map(|index| self.times[*index as usize]).collect();
            order
        });
        self.layouts.iter_mut().for_each(|routed| routed.finish(order.as_deref()));
    }
}

/// When items come: milliseconds from the beginning, and after how many the sample begins again.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    pub at: Vec<i64>,
    pub period: i64,
}

/// How fast records come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    Records(f64),
    Bytes(f64),
}

impl Timeline {
    /// As the sample's own times say; `None` if it has no duration.
    pub fn own(sample: &Sample) -> Option<Timeline> {
        let (first, last) = (*sample.times.first()?, *sample.times.last()?);
        let span = last - first;
        // The gap to where it begins again is as long as the others.
        let gap = (span / (sample.times.len() as i64).max(1)).max(1);
        (span > 0).then(|| Timeline { at: sample.times.iter().map(|at| at - first).collect(), period: span + gap })
    }

    /// Evenly, at a rate. Lines of the archive come with their records and are none themselves.
    pub fn at_rate(routed: &Routed, rate: Rate) -> Timeline {
        let (mut rows, mut bytes) = (0u64, 0u64);
        let mut at = Vec::with_capacity(routed.items.len());
        let time = |rows: u64, bytes: u64| match rate {
            Rate::Records(rate) => rows as f64 * 1000.0 / rate,
            Rate::Bytes(rate) => bytes as f64 * 1000.0 / rate,
        };
        for item in &routed.items {
            at.push(time(rows, bytes) as i64);
            if routed.places[item.place as usize].output != Output::Archive {
                rows += u64::from(item.rows);
                bytes += u64::from(item.bytes);
            }
        }
        Timeline { at, period: (time(rows, bytes) as i64).max(1) }
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let want = "write records or bytes a second, such as 500/s or \"20 MB/s\"";
        let amount = text.trim().strip_suffix("/s").map(str::trim_end).ok_or(want)?;
        let count = amount.strip_suffix("records").unwrap_or(amount).trim_end();
        let rate = match count.parse::<f64>() {
            Ok(records) => Rate::Records(records),
            Err(_) => Rate::Bytes(schemas::quantity::size(amount).map_err(|_| want)? as f64),
        };
        let (Rate::Records(number) | Rate::Bytes(number)) = rate;
        if (1e-6..=1e12).contains(&number) { Ok(rate) } else { Err(format!("is no rate that can be; {want}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked { named: vec!["kind".into()], time: vec!["day".into()] }
    }

    #[test]
    fn rates_are_of_records_or_of_bytes() {
        assert_eq!("500/s".parse(), Ok(Rate::Records(500.0)));
        assert_eq!("0.5 records/s".parse(), Ok(Rate::Records(0.5)));
        assert_eq!("20 MB/s".parse(), Ok(Rate::Bytes(20e6)));
        for wrong in ["500", "MB/s", "0/s", "-1/s", "inf/s", "NaN/s", "20 mb/s", "1e300/s"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn partitions_that_a_question_cannot_tell_apart_are_one_group() {
        let mut routed = Routed::default();
        let places: Vec<u32> = ["day=1/kind=a/mod=1", "day=2/kind=a/mod=2", "day=1/kind=b/mod=1", "day=1/kind=a/mod=1"]
            .iter()
            .map(|path| routed.place(Output::Table, path, &asked()))
            .collect();
        assert_eq!(places, [0, 1, 2, 0]);
        let groups: Vec<u32> = routed.places.iter().map(|place| place.group).collect();
        assert_eq!((groups, routed.groups, routed.open_values, routed.partitions()), (vec![0, 0, 1], 2, 2, 3));
        let folder = routed.place(Output::Errors, "day=1/kind=a/mod=1", &asked());
        assert_eq!((folder, routed.partitions()), (3, 3));
    }

    #[test]
    fn own_times_are_sorted_and_begin_again_after_a_gap() {
        let item = |place| Item { place, bytes: 10, stored: 12, rows: 1 };
        let routed = Routed { items: vec![item(0), item(1), item(2)], ..Routed::default() };
        let mut sample = Sample { times: vec![5_000, 3_000, 9_000], layouts: vec![routed], ..Sample::default() };
        sample.finish(true);
        assert_eq!(Timeline::own(&sample), Some(Timeline { at: vec![0, 2_000, 6_000], period: 8_000 }));
        let places: Vec<u32> = sample.layouts[0].items.iter().map(|item| item.place).collect();
        assert_eq!(places, [1, 0, 2]);
        let still = Sample { times: vec![7; 5], ..Sample::default() };
        assert_eq!(Timeline::own(&still), None);
    }

    #[test]
    fn at_a_rate_records_are_even_and_archive_lines_cost_no_time() {
        let mut routed = Routed::default();
        let (row, line) =
            (routed.place(Output::Table, "a=1", &asked()), routed.place(Output::Archive, "date=x", &asked()));
        let item = |place| Item { place, bytes: 100, stored: 120, rows: 1 };
        routed.items = vec![item(line), item(row), item(line), item(row)];
        let timeline = Timeline::at_rate(&routed, Rate::Records(10.0));
        assert_eq!(timeline, Timeline { at: vec![0, 0, 100, 100], period: 200 });
        assert_eq!(Timeline::at_rate(&routed, Rate::Bytes(1000.0)), timeline);
    }
}
