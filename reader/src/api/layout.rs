//! What lies in the lake, day by day and attribute by attribute: for whoever runs it.
//!
//! The one question that lists what is there instead of computing what is wanted: one request for the days, and one for each
//! thousand files of a day. It also finds what no query would see.

use std::collections::BTreeMap;

use object_store::ObjectMeta;
use schemas::hive::parse_partition_path;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::App;
use super::parameters::{Asked, DayEnd};
use super::reply::Answer;
use crate::error::ReaderError;
use crate::question::{LIST_USD_PER_1000, Statistics};
use crate::time::{day_of, day_text};

/// Values of the path's first column (days, mostly) of one answer unless the question says so, and at most.
pub(super) const DAYS: usize = 60;
pub(super) const DAYS_MAX: usize = 366;

/// What a file should come to: below it, more files of one folder than needed cost requests and time.
pub(super) const TARGET_BYTES: u64 = 128 << 20;

/// Days that are listed at a time, so that too many files are refused before all are listed.
const DAYS_AT_ONCE: usize = 16;

/// Objects that one LIST request names.
const LISTED_AT_ONCE: u64 = 1000;

/// Files and bytes of a part of the lake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Size {
    folders: u64,
    files: u64,
    bytes: u64,
    /// Files that would do, with as many bytes in as many folders.
    files_needed: u64,
}

impl Size {
    fn folder(files: u64, bytes: u64) -> Size {
        Size { folders: 1, files, bytes, files_needed: bytes.div_ceil(TARGET_BYTES).max(1) }
    }

    fn add(&mut self, more: Size) {
        self.folders += more.folders;
        self.files += more.files;
        self.bytes += more.bytes;
        self.files_needed += more.files_needed;
    }

    /// The share of its files that merging would save: 0 is as good as can be.
    fn small_file_score(&self) -> f64 {
        if self.files == 0 { 0.0 } else { self.files.saturating_sub(self.files_needed) as f64 / self.files as f64 }
    }

    fn json(&self) -> Value {
        let mut size = json!(self);
        size["small_file_score"] = json!(self.small_file_score());
        size
    }
}

/// One day by attribute.
#[derive(Debug, Default)]
struct Day {
    by_attribute: BTreeMap<String, Size>,
    /// Files that no query sees: their folder is none of the table's, or lies outside its rules.
    unseen: u64,
}

pub(super) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let limit = asked.count("limit", DAYS, DAYS_MAX)?;
    let began = Instant::now();
    let (first, by_day) = first_column(app)?;
    let (mut days, all) = days(app, asked, first, by_day).await?;
    let next = days.get(limit).filter(|_| by_day).map(|(value, _)| value.clone());
    days.truncate(limit);
    let (mut shown, mut statistics) = (Vec::with_capacity(days.len()), Statistics::default());
    for chunk in days.chunks(DAYS_AT_ONCE) {
        let folders: Vec<String> = chunk.iter().map(|(_, folder)| folder.clone()).collect();
        for ((value, _), files) in chunk.iter().zip(app.lake.table.list_all(folders).await?) {
            count(&mut statistics, &files);
            shown.push((value.clone(), day(app, &files, asked.now)));
        }
        check_files(app, statistics.files)?;
    }
    statistics.engine = "listing";
    statistics.lists += 1 + all as u64 / LISTED_AT_ONCE;
    statistics.folders_nonempty = shown.iter().map(|(_, day)| day.size().folders).sum();
    statistics.folders_listed = days.len() as u64;
    statistics.folders_projected = projected(app, asked.now);
    statistics.listing_ms = began.elapsed().as_micros() as f64 / 1000.0;
    if app.lake.table.url().starts_with("s3:") {
        statistics.cost_usd = statistics.lists as f64 * LIST_USD_PER_1000 / 1000.0;
    }
    Ok(Answer::json(body(app, first, &shown, next)).took(statistics))
}

/// Folders that the table's rules come to altogether.
fn projected(app: &App, now: i64) -> u64 {
    let rules = app.history.layout.spec.partitions.iter().map(|column| column.projection.as_ref());
    rules.map(|rule| rule.and_then(|rule| rule.domain_size(now)).unwrap_or(1)).fold(1, u64::saturating_mul)
}

/// The path's first column, and whether it is the day by which histories are ordered.
fn first_column(app: &App) -> Result<(&str, bool), ReaderError> {
    let column = app.history.layout.spec.partitions.first();
    let column = column.ok_or_else(|| ReaderError::Unknown("the table has no partitions".into()))?;
    let day = app.history.layout.day_of(&app.history.columns.at);
    Ok((&column.name, day == Some(column.name.as_str())))
}

/// The values of the first column that there are folders of, newest first, each with its folder; and how many there are in all.
async fn days(
    app: &App,
    asked: &Asked,
    first: &str,
    by_day: bool,
) -> Result<(Vec<(String, String)>, usize), ReaderError> {
    let (from, to) = (asked.instant("from", DayEnd::First)?, asked.instant("to", DayEnd::Last)?);
    if !by_day && (from.is_some() || to.is_some()) {
        let message = "cannot be told: the table's folders do not begin with the day";
        return Err(ReaderError::question(if from.is_some() { "from" } else { "to" }, message));
    }
    let (from, to) = (from.map(|at| day_text(day_of(at))), to.map(|at| day_text(day_of(at))));
    let folders = app.lake.table.folders().await?;
    let all = folders.len();
    let of = |folder: String| {
        let (name, value) = parse_partition_path(&folder)?.pop()?;
        let wanted = from.as_ref().is_none_or(|from| value >= *from) && to.as_ref().is_none_or(|to| value <= *to);
        (name == first && wanted).then_some((value, folder))
    };
    let mut days: Vec<(String, String)> = folders.into_iter().filter_map(of).collect();
    days.sort_unstable_by(|a, b| b.cmp(a));
    Ok((days, all))
}

fn check_files(app: &App, files: u64) -> Result<(), ReaderError> {
    let limit = app.history.limits.rows;
    if files <= limit {
        return Ok(());
    }
    Err(ReaderError::TooMuch { what: "files of these days", limit, instead: "ask for fewer days with `limit`" })
}

fn count(statistics: &mut Statistics, files: &[ObjectMeta]) {
    statistics.lists += 1 + files.len() as u64 / LISTED_AT_ONCE;
    statistics.files += files.len() as u64;
    statistics.bytes_in_files += files.iter().map(|file| file.size).sum::<u64>();
}

/// The files of one day, each folder counted to its attribute.
fn day(app: &App, files: &[ObjectMeta], now: i64) -> Day {
    let mut folders: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for file in files {
        let path = app.lake.table.relative(&file.location);
        let folder = folders.entry(path.rsplit_once('/').map_or("", |(folder, _)| folder)).or_default();
        folder.0 += 1;
        folder.1 += file.size;
    }
    let mut day = Day::default();
    for (folder, (files, bytes)) in folders {
        match attribute_of(app, folder, now) {
            Some(attribute) => day.by_attribute.entry(attribute).or_default().add(Size::folder(files, bytes)),
            None => day.unseen += files,
        }
    }
    day
}

/// The attribute a folder is of (`""` where folders do not tell); nothing if no query looks into it.
fn attribute_of(app: &App, folder: &str, now: i64) -> Option<String> {
    let values = parse_partition_path(folder)?;
    let partitions = &app.history.layout.spec.partitions;
    let same = values.len() == partitions.len() && values.iter().zip(partitions).all(|((name, _), p)| *name == p.name);
    let admitted = |value: &str, column: &schemas::table::PartitionColumn| {
        column.projection.as_ref().is_none_or(|rule| rule.admits(value, now).is_ok())
    };
    if !same || !values.iter().zip(partitions).all(|((_, value), column)| admitted(value, column)) {
        return None;
    }
    let named = values.into_iter().find(|(name, _)| *name == app.history.columns.attribute);
    Some(named.map_or_else(String::new, |(_, value)| value))
}

impl Day {
    fn size(&self) -> Size {
        let mut all = Size::default();
        self.by_attribute.values().for_each(|size| all.add(*size));
        all
    }

    fn json(&self, value: &str) -> Value {
        let cell = |(name, size): (&String, &Size)| {
            let mut cell = size.json();
            cell["attribute"] = json!(name);
            cell
        };
        let mut day = self.size().json();
        day["day"] = json!(value);
        day["unseen"] = json!(self.unseen);
        day["attributes"] = self.by_attribute.iter().map(cell).collect();
        day
    }
}

fn body(app: &App, first: &str, days: &[(String, Day)], next: Option<String>) -> Value {
    let mut all = Size::default();
    days.iter().for_each(|(_, day)| all.add(day.size()));
    json!({
        "column": first,
        "attribute_column": app.history.columns.attribute,
        "target_bytes": TARGET_BYTES,
        "total": all.json(),
        "unseen": days.iter().map(|(_, day)| day.unseen).sum::<u64>(),
        "days": days.iter().map(|(value, day)| day.json(value)).collect::<Vec<_>>(),
        "next": next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_share_of_files_that_merging_would_save() {
        assert_eq!(Size::default().small_file_score(), 0.0);
        assert_eq!(Size::folder(1, 10).small_file_score(), 0.0);
        assert_eq!(Size::folder(4, 10).small_file_score(), 0.75);
        assert_eq!(Size::folder(3, 3 * TARGET_BYTES).small_file_score(), 0.0);
        let mut both = Size::folder(4, 10);
        both.add(Size::folder(4, 2 * TARGET_BYTES));
        assert_eq!(both, Size { folders: 2, files: 8, bytes: 10 + 2 * TARGET_BYTES, files_needed: 3 });
    }
}
