//! Finishing what a former owner had cut: the spans are read again, the same rows go into the same files at the same names.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::HashMap;
use schemas::log_entry::{Cut, File, Object, Target};
use schemas::position::{Position, ShardId, Span};

use super::committer::objects;
use super::cut::{FileRules, Made, Naming, make};
use crate::buffer::Buffer;
use crate::buffer::rope::RowIn;
use crate::error::WriterError;
use crate::store::Lake;

/// Whether rows of this span of this shard may be missing: their source has lost them, and that was accepted.
pub type MayMiss<'a> = dyn Fn(&ShardId, &Span) -> bool + Sync + 'a;

/// One file to be made again.
#[derive(Debug)]
struct Pending {
    by: String,
    cut: u64,
    number: usize,
    file: File,
    buffer: Buffer,
}

/// Files of unfinished cuts that were made under one set of rules, collecting their rows.
#[derive(Debug, Default)]
pub struct Redo {
    pending: Vec<Pending>,
    by_target: HashMap<Target, Vec<usize>>,
}

/// Looks for files at once.
const PARALLEL: usize = 32;

/// Those files of the cuts that are not stored, as (cut, number of the file). An object is there whole or not at all, and its
/// name binds its rows: one of the size that the entry says needs nothing more, and its spans need not be read again.
pub async fn missing<'a>(lake: &Lake, cuts: &[&'a Cut]) -> Result<Vec<(&'a Cut, usize)>, WriterError> {
    let files = cuts.iter().flat_map(|cut| (0..cut.files.len()).map(move |number| (*cut, number)));
    // Collected first: a stream of closures that borrow is not `Send` for every lifetime.
    let looks: Vec<_> = files.clone().map(|(cut, number)| is_stored(lake, &cut.files[number])).collect();
    let stored: Vec<bool> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
    Ok(files.zip(stored).filter(|(_, stored)| !stored).map(|(file, _)| file).collect())
}

async fn is_stored(lake: &Lake, file: &File) -> Result<bool, WriterError> {
    let home = lake.output(file.target.output())?;
    let objects = [(home, &file.object), (&lake.errors, &file.rejects)];
    for (store, object) in objects.into_iter().filter_map(|(store, object)| Some((store, object.as_ref()?))) {
        if store.size(&object.path).await? != Some(object.bytes) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The files in groups that take at most `memory` bytes of events each (a larger file is a group of its own). `shards`
/// are the names rows refer to by index.
pub fn groups(files: &[(&Cut, usize)], shards: &[ShardId], memory: u64) -> Vec<Redo> {
    let mut groups = Vec::new();
    let (mut redo, mut bytes) = (Redo::default(), 0);
    for (cut, number) in files {
        let file = &cut.files[*number];
        if bytes + file.data_bytes > memory && !redo.pending.is_empty() {
            groups.push(std::mem::take(&mut redo));
            bytes = 0;
        }
        bytes += file.data_bytes;
        redo.add(cut, *number, file, shards);
    }
    if !redo.pending.is_empty() {
        groups.push(redo);
    }
    groups
}

impl Redo {
    fn add(&mut self, cut: &Cut, number: usize, file: &File, shards: &[ShardId]) {
        let mut buffer = Buffer::new(file.target.clone(), 0);
        buffer.before = befores(file, shards);
        self.by_target.entry(file.target.clone()).or_default().push(self.pending.len());
        self.pending.push(Pending { by: cut.by.clone(), cut: cut.cut, number, file: file.clone(), buffer });
    }

    /// The spans to read again, by shard.
    pub fn spans(&self) -> BTreeMap<ShardId, Span> {
        let mut out: BTreeMap<ShardId, Span> = BTreeMap::new();
        for (shard, span) in self.pending.iter().flat_map(|p| &p.file.spans) {
            let whole = out.entry(shard.clone()).or_insert_with(|| span.clone());
            whole.from = whole.from.clone().min(span.from.clone());
            whole.to = whole.to.clone().max(span.to.clone());
        }
        out
    }

    /// Whether there is a file of this target.
    pub fn wants(&self, target: &Target) -> bool {
        self.by_target.contains_key(target)
    }

    /// Takes the row if one of the files is missing it. A row with a mark that no file wants is stored already.
    pub fn offer(&mut self, target: &Target, shard: &ShardId, row: RowIn<'_>) -> bool {
        let Some(candidates) = self.by_target.get(target) else { return false };
        let wanted = |i: &&usize| self.pending[**i].file.holds(shard, row.position);
        let Some(index) = candidates.iter().find(wanted).copied() else { return false };
        self.pending[index].buffer.rope.push(row);
        true
    }

    /// Makes and stores all files. They must hold as many rows as their entries say: fewer means that the source has lost some,
    /// which somebody must have accepted for a span of the file. A file of which nothing is left is not stored.
    pub async fn store(
        self,
        lake: &Lake,
        shards: &[ShardId],
        rules: &FileRules,
        may_miss: &MayMiss<'_>,
    ) -> Result<usize, WriterError> {
        let count = self.pending.len();
        for pending in self.pending {
            let naming =
                Naming { writer: &pending.by, cut: pending.cut, file: pending.number, reason: pending.file.reason };
            let made = make(&pending.buffer, shards, rules, naming)?;
            compare(&pending, &made, may_miss)?;
            for (store, path, bytes) in objects(lake, made)? {
                store.put(&path, bytes).await?;
            }
        }
        Ok(count)
    }
}

fn befores(file: &File, shards: &[ShardId]) -> BTreeMap<u32, Position> {
    let index = |shard: &ShardId| shards.iter().position(|s| s == shard).map(|i| i as u32);
    file.spans.iter().filter_map(|(shard, span)| Some((index(shard)?, span.from.clone()))).collect()
}

fn compare(pending: &Pending, made: &Made, may_miss: &MayMiss<'_>) -> Result<(), WriterError> {
    let (was, is) = (&pending.file, &made.file);
    let (had, has) = (rows(was), rows(is));
    if had != has {
        let forgiven = was.spans.iter().any(|(shard, span)| may_miss(shard, span));
        if !forgiven || has.0 > had.0 || has.1 > had.1 {
            return Err(differs(pending, had, has));
        }
        tracing::error!(
            cut = pending.cut,
            writer = pending.by,
            target = was.target.path(),
            rows = had.0.saturating_sub(has.0),
            rejects = had.1.saturating_sub(has.1),
            "a file is stored without rows that the source has lost, as accepted"
        );
        return Ok(());
    }
    if was.object != is.object {
        // Another version of the encoder: the rows are the same, and one PUT is whole, so either file is right.
        tracing::warn!(
            cut = pending.cut,
            writer = pending.by,
            target = was.target.path(),
            "redone file has other bytes"
        );
    }
    Ok(())
}

/// Rows and rejects of a file.
fn rows(file: &File) -> (u64, u64) {
    let rows = |object: &Option<Object>| object.as_ref().map_or(0, |o| o.rows);
    (rows(&file.object), rows(&file.rejects))
}

fn differs(pending: &Pending, had: (u64, u64), has: (u64, u64)) -> WriterError {
    let spans = pending.file.spans.iter().map(|(shard, span)| format!("{shard}:{}-{}", span.from, span.to));
    WriterError::Corrupt(format!(
        "cut {} of writer {}: the file for {} had {} rows and {} rejects, but its spans {} read again give {} and {}: \
         the source no longer has what it had",
        pending.cut,
        pending.by,
        pending.file.target.path(),
        had.0,
        had.1,
        spans.collect::<Vec<_>>().join(", "),
        has.0,
        has.1
    ))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schemas::log_entry::FlushReason;

    use super::*;

    fn file(rows: u64, rejects: u64) -> File {
        let object = |rows, path: &str| Object { path: path.into(), rows, bytes: 10 * rows, crc32: 7 };
        let span = Span::new(Position::from_numbers(3, 0), Position::from_numbers(9, 0));
        File {
            target: Target::Table("day=1".into()),
            object: (rows > 0).then(|| object(rows, "day=1/a.parquet")),
            rejects: (rejects > 0).then(|| object(rejects, "format/a")),
            reason: FlushReason::Age,
            data_bytes: 100,
            spans: [(ShardId::new("s"), span)].into(),
        }
    }

    fn compared(had: (u64, u64), has: (u64, u64), may_miss: &MayMiss<'_>) -> Result<(), WriterError> {
        let had = file(had.0, had.1);
        let buffer = Buffer::new(had.target.clone(), 0);
        let pending = Pending { by: "w".into(), cut: 4, number: 0, file: had, buffer };
        let made = Made {
            file: file(has.0, has.1),
            object: Bytes::new(),
            rejects: Bytes::new(),
            rejected: 0,
            dropped: BTreeMap::new(),
            oldest: 0,
        };
        compare(&pending, &made, may_miss)
    }

    #[test]
    fn a_file_with_fewer_rows_is_refused_with_its_spans() {
        let none: &MayMiss<'_> = &|_, _| false;
        assert!(compared((5, 2), (5, 2), none).is_ok());
        for has in [(4, 2), (5, 1), (6, 2), (0, 0)] {
            let error = compared((5, 2), has, none).expect_err("rows are missing").to_string();
            assert!(error.contains("its spans s:3-9 read again"), "{error}");
        }
    }

    #[test]
    fn a_file_whose_rows_may_be_missing_has_fewer_and_never_more() {
        let of_s: &MayMiss<'_> = &|shard, span| shard.as_str() == "s" && span.contains(&Position::from_numbers(5, 0));
        for has in [(4, 2), (5, 1), (0, 0)] {
            assert!(compared((5, 2), has, of_s).is_ok(), "{has:?}");
        }
        assert!(compared((5, 2), (6, 1), of_s).is_err() && compared((5, 2), (4, 3), of_s).is_err());
    }
}
