//! How far each shard is done with: a low watermark over independently cut keys.
//!
//! The watermark of a shard is the position before the earliest row that is not in a stored file, or all that was read if there
//! is no such row. Each open buffer, and each cut that is not stored yet, holds the watermark at the position before its first
//! row of the shard; a batch being taken in holds it at the batch's beginning.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use schemas::log_entry::{Progress, ShardState};
use schemas::position::{Position, ShardId, Span};

use crate::error::WriterError;

/// One shard.
#[derive(Debug)]
struct Track {
    read_through: Position,
    /// The shard is closed and was read to its end.
    at_end: bool,
    /// Positions before unstored rows, counted.
    holds: BTreeMap<Position, u32>,
    /// When the shard was last seen to hold nothing beyond `read_through`, milliseconds since the epoch.
    seen_at: Option<i64>,
    /// What the log already says.
    logged: Progress,
}

/// An idle shard's last look goes into the log so often, in milliseconds: often enough against a retention of days.
pub const SEEN_EVERY_MS: i64 = 600_000;

impl Track {
    fn progress(&self) -> Progress {
        let drained = self.at_end;
        match self.holds.keys().next() {
            // What was seen beyond the rows that hold it says nothing of them.
            Some(held) => Progress { watermark: held.clone(), ended: false, drained, seen_at: self.logged.seen_at },
            None => Progress { watermark: self.read_through.clone(), ended: drained, drained, seen_at: self.seen_at },
        }
    }

    /// Whether the log should hear of it. That nothing came is worth an entry now and then.
    fn has_moved(&self) -> bool {
        let now = self.progress();
        let seen = |progress: &Progress| progress.seen_at.unwrap_or(i64::MIN);
        Progress { seen_at: self.logged.seen_at, ..now.clone() } != self.logged
            || seen(&now) >= seen(&self.logged).saturating_add(SEEN_EVERY_MS)
    }

    fn hold(&mut self, before: &Position) {
        *self.holds.entry(before.clone()).or_insert(0) += 1;
    }

    fn let_go(&mut self, before: &Position) {
        let count = self.holds.get_mut(before).expect("only what is held is let go");
        *count -= 1;
        if *count == 0 {
            self.holds.remove(before);
        }
    }
}

/// All shards of a writer. Shared by the pipeline, which reads, and the committer, which stores.
#[derive(Debug, Default)]
pub struct Shards {
    tracks: Mutex<BTreeMap<ShardId, Track>>,
}

impl Shards {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Track>> {
        // A panic while it is held leaves counts that are still right: each change is one statement.
        self.tracks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A shard is owned from here on; everything up to its watermark is stored.
    pub fn own(&self, shard: &ShardId, state: &ShardState) {
        let ShardState { watermark, ended, seen_at, .. } = state.clone();
        let logged = Progress { watermark: watermark.clone(), ended, drained: state.drained, seen_at };
        let track = Track { read_through: watermark, at_end: ended, holds: BTreeMap::new(), seen_at, logged };
        self.lock().insert(shard.clone(), track);
    }

    /// The shard is somebody else's from here on.
    pub fn disown(&self, shard: &ShardId) {
        self.lock().remove(shard);
    }

    pub fn is_owned(&self, shard: &ShardId) -> bool {
        self.lock().contains_key(shard)
    }

    /// At this instant the shard held nothing beyond what was read of it.
    pub fn seen(&self, shard: &ShardId, at: i64) {
        if let Some(track) = self.lock().get_mut(shard) {
            track.seen_at = track.seen_at.max(Some(at));
        }
    }

    /// A span enters flight. It must chain: a gap would be a loss, an overlap a repetition.
    pub fn enter(&self, shard: &ShardId, span: &Span) -> Result<(), WriterError> {
        let mut tracks = self.lock();
        let track = tracks
            .get_mut(shard)
            .ok_or_else(|| WriterError::Corrupt(format!("shard {shard} was read without being owned")))?;
        if span.from != track.read_through || span.to < span.from {
            return Err(WriterError::Corrupt(format!(
                "shard {shard}: span ({}, {}] does not follow what was read through {}",
                span.from, span.to, track.read_through
            )));
        }
        track.hold(&span.from);
        track.read_through = span.to.clone();
        Ok(())
    }

    /// The span's rows are all in buffers, which hold the watermark themselves.
    pub fn entered(&self, shard: &ShardId, span: &Span, at_end: bool) {
        if let Some(track) = self.lock().get_mut(shard) {
            track.let_go(&span.from);
            track.at_end |= at_end;
        }
    }

    /// The shard ends where it was read to, by the operator's word.
    pub fn give_up(&self, shard: &ShardId) {
        if let Some(track) = self.lock().get_mut(shard) {
            track.at_end = true;
        }
    }

    pub fn hold(&self, shard: &ShardId, before: &Position) {
        if let Some(track) = self.lock().get_mut(shard) {
            track.hold(before);
        }
    }

    /// The rows behind these holds are stored.
    pub fn let_go<'a>(&self, stored: impl IntoIterator<Item = (&'a ShardId, &'a Position)>) {
        let mut tracks = self.lock();
        for (shard, before) in stored {
            if let Some(track) = tracks.get_mut(shard) {
                track.let_go(before);
            }
        }
    }

    /// What has moved since it was last asked for.
    pub fn moved(&self) -> BTreeMap<ShardId, Progress> {
        let mut out = BTreeMap::new();
        for (shard, track) in self.lock().iter_mut() {
            if track.has_moved() {
                let now = track.progress();
                track.logged = now.clone();
                out.insert(shard.clone(), now);
            }
        }
        out
    }

    pub fn has_moved(&self) -> bool {
        self.lock().values().any(Track::has_moved)
    }

    /// How far the shard was read.
    pub fn read_through(&self, shard: &ShardId) -> Option<Position> {
        self.lock().get(shard).map(|track| track.read_through.clone())
    }

    pub fn names(&self) -> Vec<ShardId> {
        self.lock().keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(number: u64) -> Position {
        Position::from_numbers(number, 0)
    }

    fn state(watermark: u64) -> ShardState {
        let fresh = ShardState::new(schemas::log_entry::Start::TrimHorizon, "r");
        ShardState { watermark: at(watermark), ..fresh }
    }

    fn watermark(shards: &Shards, shard: &ShardId) -> Position {
        shards.lock()[shard].progress().watermark
    }

    #[test]
    fn a_span_that_does_not_chain_is_refused() {
        let (shards, shard) = (Shards::default(), ShardId::new("s"));
        assert!(shards.enter(&shard, &Span::new(at(0), at(1))).is_err(), "not owned");
        shards.own(&shard, &state(5));
        for (from, to) in [(4, 6), (6, 7), (5, 4)] {
            assert!(shards.enter(&shard, &Span::new(at(from), at(to))).is_err(), "({from},{to}]");
        }
        shards.enter(&shard, &Span::new(at(5), at(9))).expect("chains");
    }

    #[test]
    fn a_batch_in_flight_holds_the_watermark() {
        let (shards, shard) = (Shards::default(), ShardId::new("s"));
        shards.own(&shard, &state(5));
        let span = Span::new(at(5), at(9));
        shards.enter(&shard, &span).expect("chains");
        assert_eq!(watermark(&shards, &shard), at(5));
        shards.hold(&shard, &at(6));
        shards.entered(&shard, &span, true);
        assert_eq!(watermark(&shards, &shard), at(6));
        assert!(!shards.moved()[&shard].ended);
        shards.let_go([(&shard, &at(6))]);
        let end = Progress { watermark: at(9), ended: true, drained: true, seen_at: None };
        assert_eq!(shards.moved()[&shard], end);
        assert!(shards.moved().is_empty() && !shards.has_moved());
    }

    #[test]
    fn that_nothing_came_is_worth_an_entry_now_and_then() {
        let (shards, shard) = (Shards::default(), ShardId::new("s"));
        shards.own(&shard, &state(5));
        shards.seen(&shard, 1_000_000);
        assert_eq!(shards.moved()[&shard].seen_at, Some(1_000_000));
        shards.seen(&shard, 1_000_000 + SEEN_EVERY_MS - 1);
        assert!(!shards.has_moved());
        shards.seen(&shard, 1_000_000 + SEEN_EVERY_MS);
        assert!(shards.has_moved());
        shards.hold(&shard, &at(5));
        assert!(!shards.has_moved(), "a row that is not stored: what was seen beyond it does not count");
    }

    proptest! {
        /// Whatever is cut and stored in whatever order, the watermark never passes an unstored row, and reaches the end when
        /// all is stored.
        #[test]
        fn watermark_never_passes_an_unstored_row(keys in prop::collection::vec(0u8..6, 1..60), order in any::<u64>()) {
            let (shards, shard) = (Shards::default(), ShardId::new("s"));
            shards.own(&shard, &state(0));
            let mut open: BTreeMap<u8, (Position, Vec<u64>)> = BTreeMap::new();
            let mut unstored: std::collections::BTreeSet<u64> = Default::default();
            let mut seed = order;
            for (i, key) in keys.iter().enumerate() {
                let number = i as u64 + 1;
                let span = Span::new(at(number - 1), at(number));
                shards.enter(&shard, &span).expect("chains");
                let buffer = open.entry(*key).or_insert_with(|| {
                    shards.hold(&shard, &at(number - 1));
                    (at(number - 1), Vec::new())
                });
                buffer.1.push(number);
                unstored.insert(number);
                shards.entered(&shard, &span, false);
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                if seed >> 62 == 0 {
                    let (_, (before, rows)) = open.pop_first().expect("one is open");
                    shards.let_go([(&shard, &before)]);
                    rows.iter().for_each(|r| { unstored.remove(r); });
                }
                let low = watermark(&shards, &shard);
                prop_assert!(unstored.iter().all(|r| at(*r) > low), "{low} {unstored:?}");
            }
            for (before, _) in open.into_values() {
                shards.let_go([(&shard, &before)]);
            }
            prop_assert_eq!(watermark(&shards, &shard), at(keys.len() as u64));
        }
    }
}
