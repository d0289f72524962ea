//! What is asked of an engine, and what comes back with the rows.

use std::collections::HashMap;

use serde::Serialize;

use crate::event::Event;
use crate::predicate::Predicate;
use crate::reference::Reference;

/// Rows that are wanted, and when enough of them are there.
#[derive(Debug, Clone)]
pub struct Question {
    pub filter: Predicate,
    /// Only events that come before this one.
    pub behind: Option<Reference>,
    pub stop: Stop,
    /// Milliseconds since the epoch: what `NOW` means in the table's rules.
    pub now: i64,
}

/// When reading, newest first, may end before the oldest folder.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// Every row that matches is wanted.
    Never,
    /// Each of these has so many changes, or an event before an instant: what it was then is known.
    Changes { of: Vec<Attribute>, each: usize, before: Option<i64> },
    /// There are so many rows, or one before an instant.
    Rows { wanted: usize, before: Option<i64> },
}

/// An attribute of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attribute {
    pub entity: String,
    pub name: String,
}

/// The rows that match.
#[derive(Debug, Clone)]
pub struct Found {
    /// In order, oldest first, each once.
    pub events: Vec<Event>,
    /// Whether every folder was read: there is nothing older.
    pub complete: bool,
    pub statistics: Statistics,
}

/// Price of a thousand LIST requests and of a thousand GET requests, in dollars: S3 standard, us-east-1.
pub const LIST_USD_PER_1000: f64 = 0.005;
pub const GET_USD_PER_1000: f64 = 0.0004;
/// What Athena asks for a TB scanned, in dollars, and the bytes it counts at least.
pub const ATHENA_USD_PER_TB: f64 = 5.0;
pub const ATHENA_BYTES_MIN: u64 = 10_000_000;

/// What an answer took.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    pub engine: &'static str,
    /// Waiting for the engine to begin; 0 where it is in this process.
    pub queue_ms: f64,
    /// From the filter to the folders.
    pub planning_ms: f64,
    /// Listing them.
    pub listing_ms: f64,
    /// Reading their files.
    pub scan_ms: f64,
    /// Folders that the table's rules come to for this question.
    pub folders_projected: u64,
    /// Of them, those that were listed before there was enough.
    pub folders_listed: u64,
    /// Of those, the ones that hold files.
    pub folders_nonempty: u64,
    pub files: u64,
    /// Of them, those that were opened: that the others hold nothing of the kind was known.
    pub files_opened: u64,
    /// Size of all these files.
    pub bytes_in_files: u64,
    /// Bytes of them that were read.
    pub bytes_scanned: u64,
    pub rows: u64,
    /// LIST requests.
    pub lists: u64,
    /// At S3's list price, and Athena's where it was asked; 0 on a local disk.
    pub cost_usd: f64,
}

impl Statistics {
    /// Adds what a further reading for the same answer took.
    pub fn add(&mut self, more: &Statistics) {
        self.engine = more.engine;
        self.queue_ms += more.queue_ms;
        self.planning_ms += more.planning_ms;
        self.listing_ms += more.listing_ms;
        self.scan_ms += more.scan_ms;
        self.folders_projected += more.folders_projected;
        self.folders_listed += more.folders_listed;
        self.folders_nonempty += more.folders_nonempty;
        self.files += more.files;
        self.files_opened += more.files_opened;
        self.bytes_in_files += more.bytes_in_files;
        self.bytes_scanned += more.bytes_scanned;
        self.rows += more.rows;
        self.lists += more.lists;
        self.cost_usd += more.cost_usd;
    }
}

/// What a question would read, without reading a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    /// The folders that hold files, newest first, cut at [`SHOWN_MAX`].
    pub folders: Vec<FolderSize>,
    pub statistics: Statistics,
    /// What Athena would ask for scanning these files whole.
    pub athena_usd: f64,
}

/// Most folders a dry run shows; its sums count all.
pub const SHOWN_MAX: usize = 1000;

/// What lies in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderSize {
    pub path: String,
    /// Values of the partition columns, in the order of the path.
    pub values: Vec<String>,
    pub files: u64,
    pub bytes: u64,
}

impl Question {
    /// All rows that a filter is true of.
    pub fn all(filter: Predicate, now: i64) -> Question {
        Question { filter, behind: None, stop: Stop::Never, now }
    }

    /// As many as this takes.
    pub fn until(self, stop: Stop) -> Question {
        Question { stop, ..self }
    }

    /// Whether an event is among those that are wanted, as far as no filter says.
    pub fn wants(&self, event: &Event) -> bool {
        self.behind.as_ref().is_none_or(|behind| behind.is_after(event))
    }
}

impl Stop {
    /// Whether the events so far, in order and all of the newest time, are enough.
    pub fn is_reached(&self, events: &[Event]) -> bool {
        match self {
            Stop::Never => false,
            Stop::Rows { wanted, before } => {
                let oldest = events.first().map(|event| event.at);
                events.len() >= *wanted || before.zip(oldest).is_some_and(|(before, oldest)| oldest < before)
            }
            Stop::Changes { of, each, before } => {
                let seen = seen(events);
                of.iter().all(|attribute| {
                    seen.get(&(attribute.entity.as_str(), attribute.name.as_str()))
                        .is_some_and(|seen| seen.changes >= *each || before.is_some_and(|before| seen.oldest < before))
                })
            }
        }
    }
}

/// What events tell of one attribute.
struct Seen<'e> {
    changes: usize,
    oldest: i64,
    last: &'e Event,
}

fn seen(events: &[Event]) -> HashMap<(&str, &str), Seen<'_>> {
    let mut seen: HashMap<(&str, &str), Seen<'_>> = HashMap::new();
    for event in events {
        seen.entry((&event.entity, &event.attribute))
            .and_modify(|seen| {
                seen.changes += usize::from(!seen.last.says_the_same(event));
                seen.last = event;
            })
            .or_insert(Seen { changes: 1, oldest: event.at, last: event });
    }
    seen
}

/// The events of one attribute of one entity, in their order.
pub fn of_attribute(events: &[Event], attribute: &Attribute) -> Vec<Event> {
    let same = |event: &&Event| event.entity == attribute.entity && event.attribute == attribute.name;
    events.iter().filter(same).cloned().collect()
}
