//! A lake's own log to a sample: which files were cut when, of how many rows and bytes. No record is read.
//!
//! A file says when it was cut and not when its rows came. They are taken to have come evenly since the partition's last cut before
//! it, and no longer ago than the configured age. Other layouts are known as far as paths tell: a key can be left out, a number of
//! buckets divided.

use std::collections::{BTreeMap, HashMap};

use schemas::log_entry::{File, Output};
use writer::inventory::Logged;

use super::layout::Layout;
use super::sample::{Asked, Item, Routed, Sample};
use super::sizes::Point;

/// Parts that the rows of a file are taken in.
const PARTS_MAX: u64 = 32;
/// What a row takes in memory beside its bytes: its header, and an outline of an eighth.
const ROW_HEADER: u64 = 60;
const OUTLINE_SHARE: u64 = 8;

/// What the log came to.
#[derive(Debug)]
pub struct FromLog {
    pub sample: Sample,
    pub points: Vec<Point>,
    pub archive_ratio: Option<f64>,
    /// Indexes of the layouts that could not be told, which have no items.
    pub unknown: Vec<usize>,
}

/// `cuts` in any order; `age` in milliseconds.
pub fn from_log(mut cuts: Vec<Logged>, layouts: &[Layout], asked: &Asked, age: i64) -> FromLog {
    cuts.sort_by_key(|logged| logged.at);
    let mut sample = Sample { layouts: layouts.iter().map(|_| Routed::default()).collect(), ..Sample::default() };
    let (mut points, mut archive) = (Vec::new(), (0u64, 0u64));
    let mut last: HashMap<String, i64> = HashMap::new();
    let mut unknown: BTreeMap<usize, ()> = BTreeMap::new();
    for Logged { at, files } in &cuts {
        for file in files {
            let Some(object) = &file.object else { continue };
            let key = String::from(file.target.clone());
            let from = last.insert(key, *at).unwrap_or(i64::MIN).max(at - age);
            sample.objects += 1;
            match file.target.output() {
                Output::Table => {
                    let (data_bytes, file_bytes) = (file.data_bytes, object.bytes);
                    points.push(Point { rows: object.rows, data_bytes, file_bytes });
                    sample.events += object.rows;
                    sample.event_bytes += data_bytes;
                }
                Output::Archive => archive = (archive.0 + file.data_bytes, archive.1 + object.bytes),
                Output::Errors => *sample.rejects.entry("in the errors output").or_default() += object.rows,
            }
            spread(&mut sample, file, object.rows, layouts, asked, (from, *at), &mut unknown);
        }
    }
    sample.records = sample.events + sample.rejected();
    sample.finish(true);
    let archive_ratio = (archive.0 > 0).then(|| archive.1 as f64 / archive.0 as f64);
    FromLog { sample, points, archive_ratio, unknown: unknown.into_keys().collect() }
}

/// The rows of a file as items, evenly within `(from, to]`.
fn spread(
    sample: &mut Sample,
    file: &File,
    rows: u64,
    layouts: &[Layout],
    asked: &Asked,
    (from, to): (i64, i64),
    unknown: &mut BTreeMap<usize, ()>,
) {
    let (output, parts) = (file.target.output(), rows.clamp(1, PARTS_MAX));
    let places: Vec<Option<u32>> = layouts
        .iter()
        .zip(&mut sample.layouts)
        .map(|(layout, routed)| {
            let path = if output == Output::Table { layout.of_path(file.target.path()) } else { None };
            let path = if output == Output::Table { path? } else { file.target.path().to_string() };
            Some(routed.place(output, &path, asked))
        })
        .collect();
    for part in 0..parts {
        let of = |amount: u64| amount * (part + 1) / parts - amount * part / parts;
        let (rows, bytes) = (of(rows), of(file.data_bytes));
        let stored = bytes + bytes / OUTLINE_SHARE + rows * ROW_HEADER;
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        sample.times.push(to - (to - from) * (parts - part - 1) as i64 / parts as i64);
        for (at, place) in places.iter().enumerate() {
            if place.is_none() {
                unknown.insert(at, ());
            }
            let place = place.unwrap_or(0);
            let item = Item { place, bytes: small(bytes), stored: small(stored), rows: small(rows) };
            sample.layouts[at].items.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::log_entry::{FlushReason, Object, Target};

    use super::*;
    use crate::tune::layout::tests::attribute_events;

    fn logged(at: i64, path: &str, rows: u64) -> Logged {
        let object = Object { path: format!("{path}/f"), rows, bytes: rows * 20, crc32: 0 };
        let target = Target::Table(path.into());
        let file = File {
            target,
            object: Some(object),
            rejects: None,
            reason: FlushReason::Age,
            data_bytes: rows * 100,
            spans: BTreeMap::new(),
        };
        Logged { at, files: vec![file] }
    }

    #[test]
    fn rows_come_evenly_since_the_cut_before_and_no_longer_than_the_age() {
        let path = "created_date=2024-01-01/attribute_name=a/entity_id_mod=7";
        let layouts = [attribute_events(), attribute_events().with_buckets("entity_id_mod", 4).expect("buckets")];
        let cuts = vec![logged(50_000, path, 2), logged(40_000, path, 100)];
        let from = from_log(cuts, &layouts, &Asked::default(), 30_000);
        let times = &from.sample.times;
        assert_eq!((times.len(), times.first(), times.last()), (34, Some(&10_938), Some(&50_000)));
        let rows: u32 = from.sample.layouts[0].items.iter().map(|item| item.rows).sum();
        assert_eq!((rows, from.sample.events, from.unknown), (102, 102, vec![1]));
        assert_eq!(from.points.len(), 2);
    }
}
