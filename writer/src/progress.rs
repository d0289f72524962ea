//! How far each shard is done with: a low watermark over independently cut keys.
//!
//! The watermark of a shard is the position before the earliest row that is not in a stored file, or all that was read if there
//! is no such row. Each open buffer, and each cut that is not stored yet, holds the watermark at the position before its first
//! row of the shard; a batch being taken in holds it at the batch's beginning.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use schemas::log_entry::Progress;
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
    /// What the log already says.
    logged: Progress,
}

impl Track {
    fn progress(&self) -> Progress {
        match self.holds.keys().next() {
            Some(held) => Progress { watermark: held.clone(), ended: false },
            None => Progress { watermark: self.read_through.clone(), ended: self.at_end },
        }
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

    /// A shard is owned from here on; everything up to `watermark` is stored.
    pub fn own(&self, shard: &ShardId, watermark: Position, ended: bool) {
        let logged = Progress { watermark: watermark.clone(), ended };
        let track = Track { read_through: watermark, at_end: ended, holds: BTreeMap::new(), logged };
        self.lock().insert(shard.clone(), track);
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
            let now = track.progress();
            if now != track.logged {
                track.logged = now.clone();
                out.insert(shard.clone(), now);
            }
        }
        out
    }

    pub fn has_moved(&self) -> bool {
        self.lock().values().any(|track| track.progress() != track.logged)
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

    fn watermark(shards: &Shards, shard: &ShardId) -> Position {
        shards.lock()[shard].progress().watermark
    }

    #[test]
    fn a_span_that_does_not_chain_is_refused() {
        let (shards, shard) = (Shards::default(), ShardId::new("s"));
        assert!(shards.enter(&shard, &Span::new(at(0), at(1))).is_err(), "not owned");
        shards.own(&shard, at(5), false);
        for (from, to) in [(4, 6), (6, 7), (5, 4)] {
            assert!(shards.enter(&shard, &Span::new(at(from), at(to))).is_err(), "({from},{to}]");
        }
        shards.enter(&shard, &Span::new(at(5), at(9))).expect("chains");
    }

    #[test]
    fn a_batch_in_flight_holds_the_watermark() {
        let (shards, shard) = (Shards::default(), ShardId::new("s"));
        shards.own(&shard, at(5), false);
        let span = Span::new(at(5), at(9));
        shards.enter(&shard, &span).expect("chains");
        assert_eq!(watermark(&shards, &shard), at(5));
        shards.hold(&shard, &at(6));
        shards.entered(&shard, &span, true);
        assert_eq!(watermark(&shards, &shard), at(6));
        assert!(!shards.moved()[&shard].ended);
        shards.let_go([(&shard, &at(6))]);
        assert_eq!(shards.moved()[&shard], Progress { watermark: at(9), ended: true });
        assert!(shards.moved().is_empty() && !shards.has_moved());
    }

    proptest! {
        /// Whatever is cut and stored in whatever order, the watermark never passes an unstored row, and reaches the end when
        /// all is stored.
        #[test]
        fn watermark_never_passes_an_unstored_row(keys in prop::collection::vec(0u8..6, 1..60), order in any::<u64>()) {
            let (shards, shard) = (Shards::default(), ShardId::new("s"));
            shards.own(&shard, at(0), false);
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
