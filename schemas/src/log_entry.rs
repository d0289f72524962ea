//! The writer log: what one process run has read, cut and stored, as a chain of small objects that are only ever created.
//!
//! `writers/<writer>/<number>.json`, each created if absent, so that a number has one author. The state of a writer is the fold
//! of its entries ([`WriterState::apply`]); a checkpoint entry carries the fold so far. See ARCHITECTURE.md, "Exactly once".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::position::{Position, ShardId, Span};

/// Version of the entry format; a reader refuses what it does not know.
pub const FORMAT: u32 = 1;

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub format: u32,
    pub writer: String,
    pub number: u64,
    /// When it was written, milliseconds since the epoch. For people; nothing is decided by it.
    pub at: i64,
    /// All objects of cuts below this one are stored.
    pub stored: u64,
    /// Watermarks that have moved since the last entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub progress: BTreeMap<ShardId, Progress>,
    #[serde(flatten)]
    pub body: Body,
}

/// How far a shard is done with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Everything at or below it is in stored files (of the table or of the errors output).
    pub watermark: Position,
    /// The shard is closed, and the watermark is its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// What the entry says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Body {
    /// First entry of a log: the shards taken over, and the cuts of their former owners that may not be stored yet.
    Open {
        /// Writers that were sealed for it, or had released.
        after: Vec<String>,
        #[serde(flatten)]
        state: Carried,
    },
    /// Shards owned from here on (found later, for example the children of a split).
    Claim { shards: BTreeMap<ShardId, ShardState> },
    /// What is going to be stored. Objects are PUT only after this entry exists.
    Cut(Cut),
    /// Nothing but progress.
    Stored,
    /// The cuts inherited from former owners are stored.
    Redone,
    /// The fold of everything before it: whoever reads the log may begin here.
    Checkpoint(Carried),
    /// These shards are given up: everything read from them is stored, and anyone may take them without a seal.
    Release { shards: Vec<ShardId> },
    /// The log ends here, by the hand of another writer: no later entry counts.
    Seal { by: String },
}

/// State that one entry hands on to whoever reads the log from there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    pub shards: BTreeMap<ShardId, ShardState>,
    /// Cuts whose objects may not all be stored, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<Cut>,
    #[serde(default)]
    pub next_cut: u64,
}

/// What is known of one shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardState {
    pub epoch: u64,
    /// Where reading began when the shard was first seen.
    pub start: Start,
    pub watermark: Position,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// Fingerprint of the rules the marks were made under.
    pub rules: String,
    /// Above the watermark: how far each target's rows are already cut.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<Target, Position>,
}

impl ShardState {
    /// The highest mark: up to here the shard has to be read again under the rules of the marks.
    pub fn highest_mark(&self) -> &Position {
        self.marks.values().max().filter(|m| **m > self.watermark).unwrap_or(&self.watermark)
    }
}

/// Where the first read of a shard begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The oldest record there is.
    TrimHorizon,
    /// The first record that arrived at or after this instant, milliseconds since the epoch. `latest` is stored as the
    /// instant it was said, so that a restart before the first record skips nothing.
    At(i64),
}

/// Which output a row belongs to: a partition of the table, or a folder of the errors output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// Partition path, hive-escaped, no slash at either end.
    Table(std::sync::Arc<str>),
    /// Folder below the errors URL.
    Errors(std::sync::Arc<str>),
}

impl Target {
    pub fn is_table(&self) -> bool {
        matches!(self, Target::Table(_))
    }

    pub fn path(&self) -> &str {
        match self {
            Target::Table(path) | Target::Errors(path) => path,
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        match target {
            Target::Table(path) => format!("table/{path}"),
            Target::Errors(path) => format!("errors/{path}"),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('/') {
            Some(("table", path)) => Ok(Target::Table(path.into())),
            Some(("errors", path)) => Ok(Target::Errors(path.into())),
            _ => Err(format!("`{text}` is no target: want table/... or errors/...")),
        }
    }
}

/// A set of files that are stored together with one log entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// Writer that made the cut; with `cut` it binds the objects' names.
    pub by: String,
    pub cut: u64,
    /// Fingerprint of the rules the files are made under.
    pub rules: String,
    pub files: Vec<File>,
}

/// One file of a cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub target: Target,
    /// Below the table's or the errors output's URL. Absent when every row was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    /// Rows that turned out not to fit a column, beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<Object>,
    /// Why it was cut.
    pub reason: FlushReason,
    /// Bytes of events it was made from: what it takes in memory to make it again.
    pub data_bytes: u64,
    /// For every shard the span whose rows of this target it holds.
    pub spans: BTreeMap<ShardId, Span>,
}

/// An object that a cut names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    /// CRC-32 of the bytes.
    pub crc32: u32,
}

/// Why a buffer was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlushReason {
    Size,
    Rows,
    Age,
    Idle,
    /// The cap over all buffers was reached and this one was the largest or oldest.
    Memory,
    /// The rules change: what was read under the old ones is cut first.
    Rules,
    Shutdown,
}

impl FlushReason {
    pub const ALL: [FlushReason; 7] = [
        FlushReason::Size,
        FlushReason::Rows,
        FlushReason::Age,
        FlushReason::Idle,
        FlushReason::Memory,
        FlushReason::Rules,
        FlushReason::Shutdown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            FlushReason::Size => "size",
            FlushReason::Rows => "rows",
            FlushReason::Age => "age",
            FlushReason::Idle => "idle",
            FlushReason::Memory => "memory",
            FlushReason::Rules => "rules",
            FlushReason::Shutdown => "shutdown",
        }
    }
}

/// Who owns a shard in one epoch: the content of `shards/<shard>/<epoch>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    pub format: u32,
    pub shard: ShardId,
    pub epoch: u64,
    pub writer: String,
}

/// The fold of a writer's log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriterState {
    pub carried: Carried,
    /// Given up, everything read from them stored.
    pub released: BTreeMap<ShardId, ShardState>,
    /// Sealed by this writer.
    pub sealed: Option<String>,
    /// Number of the next entry.
    pub next_entry: u64,
}

impl WriterState {
    /// One entry on. Entries after a seal do not count.
    pub fn apply(&mut self, entry: Entry) {
        self.next_entry = entry.number.saturating_add(1);
        if self.sealed.is_some() {
            return;
        }
        match entry.body {
            Body::Open { state, .. } | Body::Checkpoint(state) => self.carried = state,
            Body::Claim { shards } => self.carried.shards.extend(shards),
            Body::Cut(cut) => self.apply_cut(cut),
            Body::Stored => {}
            Body::Redone => self.carried.unfinished.retain(|cut| cut.by == entry.writer),
            Body::Release { ref shards } => {
                self.apply_progress(&entry.writer, entry.stored, entry.progress);
                self.release(shards);
                return;
            }
            Body::Seal { by } => {
                self.sealed = Some(by);
                return;
            }
        }
        self.apply_progress(&entry.writer, entry.stored, entry.progress);
    }

    fn release(&mut self, shards: &[ShardId]) {
        for shard in shards {
            if let Some(state) = self.carried.shards.remove(shard) {
                self.released.insert(shard.clone(), state);
            }
        }
    }

    fn apply_cut(&mut self, cut: Cut) {
        self.carried.next_cut = cut.cut.saturating_add(1);
        for file in &cut.files {
            for (shard, span) in &file.spans {
                if let Some(state) = self.carried.shards.get_mut(shard) {
                    state.rules.clone_from(&cut.rules);
                    let mark = state.marks.entry(file.target.clone()).or_insert_with(Position::zero);
                    if span.to > *mark {
                        *mark = span.to.clone();
                    }
                }
            }
        }
        self.carried.unfinished.push(cut);
    }

    fn apply_progress(&mut self, writer: &str, stored: u64, progress: BTreeMap<ShardId, Progress>) {
        // `stored` counts the writer's own cuts; inherited ones leave with a `Redone` entry.
        self.carried.unfinished.retain(|cut| cut.by != writer || cut.cut >= stored);
        for (shard, moved) in progress {
            if let Some(state) = self.carried.shards.get_mut(&shard) {
                state.marks.retain(|_, mark| *mark > moved.watermark);
                state.watermark = moved.watermark;
                state.ended = moved.ended;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads a log has not written it: a number may be any.
    #[test]
    fn the_largest_numbers_fold() {
        let json = format!(
            r#"{{"format":1,"writer":"w","number":{0},"at":0,"stored":0,"kind":"cut","by":"w","cut":{0},"rules":"r","files":[]}}"#,
            u64::MAX
        );
        let mut state = WriterState::default();
        state.apply(serde_json::from_str(&json).expect("an entry"));
        assert_eq!((state.next_entry, state.carried.next_cut), (u64::MAX, u64::MAX));
    }
}
