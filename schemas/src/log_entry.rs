//! The writer log: what one process run has read, cut and stored, as a chain of small objects that are only ever created.
//!
//! `writers/<writer>/<number>.json`, each created if absent, so that a number has one author. The state of a writer is the fold
//! of its entries ([`WriterState::apply`]); a checkpoint entry carries the fold so far. See ARCHITECTURE.md, "Exactly once".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::position::{Position, ShardId, Span};
pub use crate::target::{Output, Target};

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
    /// The shard is closed and was read to its end, though not all of it may be stored: its children may be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drained: bool,
    /// At this instant (milliseconds since the epoch) the shard held nothing beyond the watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<i64>,
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
    /// Shards taken over while running, with what their former owners have left; as in `Open`.
    Take {
        after: Vec<String>,
        #[serde(flatten)]
        state: Carried,
    },
    /// Shards owned from here on that nobody had owned (for example the children of a split).
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
    Seal {
        by: String,
        /// The shards it was sealed for. The others are for whoever wants them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        takes: Vec<ShardId>,
    },
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
    /// Given up, everything read from them stored: their state for whoever owns them next.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub released: BTreeMap<ShardId, ShardState>,
    /// Where reading began in the shards that unfinished cuts touch and that belong to others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<ShardId, Start>,
}

impl Carried {
    /// Adds what another writer has left. A cut may come from two logs, carried by one that died taking over: it is redone once.
    pub fn add(&mut self, more: Carried) {
        self.shards.extend(more.shards);
        self.foreign.extend(more.foreign);
        self.foreign.retain(|shard, _| !self.shards.contains_key(shard));
        for cut in more.unfinished {
            if !self.unfinished.iter().any(|known| known.by == cut.by && known.cut == cut.cut) {
                self.unfinished.push(cut);
            }
        }
    }
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
    /// See [`Progress::drained`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drained: bool,
    /// See [`Progress::seen_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<i64>,
    /// Fingerprint of the rules the marks were made under.
    pub rules: String,
    /// Above the watermark: how far each target's rows are already cut.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<Target, Position>,
}

impl ShardState {
    /// A shard nobody has read.
    pub fn new(start: Start, rules: &str) -> Self {
        ShardState {
            epoch: 1,
            start,
            watermark: Position::zero(),
            ended: false,
            drained: false,
            seen_at: None,
            rules: rules.to_string(),
            marks: BTreeMap::new(),
        }
    }

    /// The highest mark: up to here the shard has to be read again under the rules of the marks.
    pub fn highest_mark(&self) -> &Position {
        self.marks.values().max().filter(|m| **m > self.watermark).unwrap_or(&self.watermark)
    }

    /// What the former owner had begun with: to the end of the record with the highest mark, which one set of rules tells apart.
    pub fn begun(&self) -> Span {
        Span::new(self.watermark.clone(), self.highest_mark().record())
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

impl Cut {
    /// Whether one of its files holds rows of one of these shards.
    pub fn touches(&self, has: impl Fn(&ShardId) -> bool) -> bool {
        self.shards().any(has)
    }

    fn shards(&self) -> impl Iterator<Item = &ShardId> {
        self.files.iter().flat_map(|file| file.spans.keys())
    }
}

/// One file of a cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub target: Target,
    /// Below the URL of the target's output. Absent when every row was rejected.
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

impl File {
    /// Whether the row of the file's target at this position is one of its rows.
    pub fn holds(&self, shard: &ShardId, position: &Position) -> bool {
        self.spans.get(shard).is_some_and(|span| span.contains(position))
    }
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
    /// The shard goes to another writer.
    Release,
    Shutdown,
}

impl FlushReason {
    pub const ALL: [FlushReason; 8] = [
        FlushReason::Size,
        FlushReason::Rows,
        FlushReason::Age,
        FlushReason::Idle,
        FlushReason::Memory,
        FlushReason::Rules,
        FlushReason::Release,
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
            FlushReason::Release => "release",
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

/// Who has ended a log, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub by: String,
    /// Milliseconds since the epoch, by that writer's clock.
    pub at: i64,
    pub takes: Vec<ShardId>,
}

/// The fold of a writer's log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriterState {
    pub carried: Carried,
    pub sealed: Option<Sealed>,
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
        let writer = entry.writer;
        match entry.body {
            Body::Open { state, .. } | Body::Checkpoint(state) => self.carried = state,
            Body::Take { state, .. } => {
                self.carried.released.retain(|shard, _| !state.shards.contains_key(shard));
                self.carried.add(state);
            }
            Body::Claim { shards } => {
                self.carried.released.retain(|shard, _| !shards.contains_key(shard));
                self.carried.shards.extend(shards);
            }
            Body::Cut(cut) => self.apply_cut(cut),
            Body::Stored => {}
            Body::Redone => {
                self.carried.unfinished.retain(|cut| cut.by == writer);
                self.carried.foreign.clear();
            }
            Body::Release { ref shards } => {
                self.apply_progress(&writer, entry.stored, entry.progress);
                self.release(&writer, shards);
                return;
            }
            Body::Seal { by, takes } => {
                self.sealed = Some(Sealed { by, at: entry.at, takes });
                return;
            }
        }
        self.apply_progress(&writer, entry.stored, entry.progress);
    }

    /// What the next owner of these shards has to know: their state (`None` if this writer never had one of them), and the cuts
    /// that touch one of them and may not be stored. Cuts that touch none of them wait for whoever takes the shards they touch.
    pub fn hand_over(&self, shards: &[ShardId]) -> Option<Carried> {
        let state = |shard: &ShardId| {
            let state = self.carried.shards.get(shard).or_else(|| self.carried.released.get(shard))?;
            Some((shard.clone(), state.clone()))
        };
        let shards: BTreeMap<ShardId, ShardState> = shards.iter().map(state).collect::<Option<_>>()?;
        let touching = self.carried.unfinished.iter().filter(|cut| cut.touches(|shard| shards.contains_key(shard)));
        let unfinished: Vec<Cut> = touching.cloned().collect();
        let others = unfinished.iter().flat_map(Cut::shards).filter(|shard| !shards.contains_key(*shard));
        let foreign = others.filter_map(|shard| Some((shard.clone(), self.start_of(shard)?))).collect();
        Some(Carried { shards, unfinished, foreign, ..Carried::default() })
    }

    /// Where reading of a shard began, as far as this log knows.
    fn start_of(&self, shard: &ShardId) -> Option<Start> {
        let Carried { shards, released, foreign, .. } = &self.carried;
        let own = shards.get(shard).or_else(|| released.get(shard)).map(|state| state.start.clone());
        own.or_else(|| foreign.get(shard).cloned())
    }

    fn release(&mut self, writer: &str, shards: &[ShardId]) {
        let carried = &mut self.carried;
        for shard in shards {
            if let Some(state) = carried.shards.remove(shard) {
                carried.released.insert(shard.clone(), state);
            }
        }
        // Own cuts of them are stored. A former owner's cut that touches none of what is left is its next owner's work.
        carried.unfinished.retain(|cut| cut.by == writer || cut.touches(|shard| carried.shards.contains_key(shard)));
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
                state.drained = moved.drained;
                state.seen_at = moved.seen_at;
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
