//! Whether a table holds what its source has: events counted in the source against rows and lines counted in the lake. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use writer::stored::Stored;

/// What objects of the source come to under the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub objects: u64,
    /// Events with a partition, by it.
    pub rows: BTreeMap<String, u64>,
    /// Events without one, by the folder of the errors output that they belong to.
    pub rejects: BTreeMap<String, u64>,
}

impl Counts {
    pub fn add(&mut self, more: Counts) {
        self.objects += more.objects;
        for (sum, more) in [(&mut self.rows, more.rows), (&mut self.rejects, more.rejects)] {
            more.into_iter().for_each(|(place, count)| *sum.entry(place).or_default() += count);
        }
    }

    pub fn events(&self) -> u64 {
        self.rows.values().chain(self.rejects.values()).sum()
    }
}

/// A place where the two are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A partition, or a folder of the errors output.
    pub place: String,
    pub events: u64,
    pub rows: u64,
    /// For a partition: of its rows those that did not fit a column.
    pub rejects: u64,
}

/// Where events are missing in the lake or too many: none, if rows and rejects are all events of the source.
pub fn differences(source: &Counts, stored: &Stored) -> Vec<Difference> {
    let of = |counts: &BTreeMap<String, u64>, place: &String| counts.get(place).copied().unwrap_or(0);
    let partitions: BTreeSet<&String> =
        source.rows.keys().chain(stored.rows.keys()).chain(stored.unfit.keys()).collect();
    let folders: BTreeSet<&String> = source.rejects.keys().chain(stored.rejects.keys()).collect();
    let rows = partitions.into_iter().map(|place| Difference {
        place: place.clone(),
        events: of(&source.rows, place),
        rows: of(&stored.rows, place),
        rejects: of(&stored.unfit, place),
    });
    let rejects = folders.into_iter().map(|place| Difference {
        place: place.clone(),
        events: of(&source.rejects, place),
        rows: 0,
        rejects: of(&stored.rejects, place),
    });
    rows.chain(rejects).filter(|d| d.events != d.rows + d.rejects).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        counts.iter().map(|(place, count)| (place.to_string(), *count)).collect()
    }

    #[test]
    fn every_event_is_a_row_or_a_reject_of_its_place() {
        let mut source = Counts { objects: 1, rows: map(&[("day=1", 5), ("day=2", 3)]), rejects: map(&[("bad", 2)]) };
        source.add(Counts { objects: 1, rows: map(&[("day=2", 1)]), rejects: map(&[]) });
        assert_eq!((source.objects, source.events()), (2, 11));
        let stored = Stored {
            files: 2,
            rows: map(&[("day=1", 5), ("day=2", 1)]),
            unfit: map(&[("day=2", 3)]),
            rejects: map(&[("bad", 2)]),
            foreign: vec![],
        };
        assert_eq!(differences(&source, &stored), []);
        // Sums that are the same do not make up for places that are not.
        let moved = Stored { rows: map(&[("day=1", 4), ("day=2", 1), ("day=3", 1)]), rejects: map(&[]), ..stored };
        let differ = differences(&source, &moved);
        let told: Vec<_> = differ.iter().map(|d| (d.place.as_str(), d.events, d.rows, d.rejects)).collect();
        assert_eq!(told, [("day=1", 5, 4, 0), ("day=3", 0, 1, 0), ("bad", 2, 0, 0)]);
    }
}
