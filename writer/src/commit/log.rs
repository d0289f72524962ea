//! A writer's log: append own entries, read and seal another's.

use bytes::Bytes;
use schemas::layout;
use schemas::log_entry::{Body, Entry, FORMAT, WriterState};
use schemas::position::ShardId;

use crate::error::WriterError;
use crate::store::{Created, Store};

/// Entries between two checkpoints: what a takeover reads at most, about.
pub const CHECKPOINT_EVERY: u64 = 64;

/// Tries to put a seal at the end of a log that is still growing. Each failed try means the other has committed once more.
pub const SEAL_TRIES: u32 = 1000;

/// The own log. One task appends.
#[derive(Debug)]
pub struct Log {
    state: Store,
    writer: String,
    /// Fold of all that was appended.
    fold: WriterState,
    since_checkpoint: u64,
}

impl Log {
    pub fn new(state: Store, writer: &str) -> Self {
        Log { state, writer: writer.to_string(), fold: WriterState::default(), since_checkpoint: 0 }
    }

    pub fn writer(&self) -> &str {
        &self.writer
    }

    pub fn fold(&self) -> &WriterState {
        &self.fold
    }

    pub fn next_entry(&self) -> u64 {
        self.fold.next_entry
    }

    /// Appends the entry, or finds out that this writer was sealed.
    pub async fn append(&mut self, mut entry: Entry) -> Result<(), WriterError> {
        entry.format = FORMAT;
        entry.writer.clone_from(&self.writer);
        entry.number = self.fold.next_entry;
        let name = layout::log_entry(&self.writer, entry.number);
        let bytes = serde_json::to_vec(&entry).expect("strings and numbers serialise");
        match self.state.create(&name, bytes.into()).await? {
            Created::Ours => {
                self.since_checkpoint += 1;
                if matches!(entry.body, Body::Checkpoint(_)) {
                    self.checkpointed(entry.number).await?;
                }
                self.fold.apply(entry);
                Ok(())
            }
            Created::Theirs(bytes) => Err(self.conflict(&name, &bytes)),
        }
    }

    /// An error if another process has put an entry where our next one belongs.
    pub async fn check_unsealed(&self) -> Result<(), WriterError> {
        let name = layout::log_entry(&self.writer, self.fold.next_entry);
        match self.state.get(&name).await? {
            Some(bytes) => Err(self.conflict(&name, &bytes)),
            None => Ok(()),
        }
    }

    pub fn wants_checkpoint(&self) -> bool {
        self.since_checkpoint >= CHECKPOINT_EVERY
    }

    async fn checkpointed(&mut self, number: u64) -> Result<(), WriterError> {
        self.since_checkpoint = 0;
        let hint = serde_json::json!({ "entry": number }).to_string();
        self.state.put(&layout::checkpoint_hint(&self.writer), hint.into()).await
    }

    fn conflict(&self, name: &str, bytes: &Bytes) -> WriterError {
        match parse(name, bytes) {
            Ok(Entry { body: Body::Seal { by, .. }, .. }) => WriterError::Fenced { writer: self.writer.clone(), by },
            Ok(_) => {
                WriterError::Corrupt(format!("log entry {name} was written by another process in this writer's name"))
            }
            Err(error) => error,
        }
    }
}

fn parse(name: &str, bytes: &[u8]) -> Result<Entry, WriterError> {
    let entry: Entry = serde_json::from_slice(bytes)
        .map_err(|e| WriterError::Corrupt(format!("log entry {name} cannot be read: {e}")))?;
    if entry.format != FORMAT {
        let format = entry.format;
        return Err(WriterError::Corrupt(format!("log entry {name} has format {format}; this version reads {FORMAT}")));
    }
    Ok(entry)
}

/// Reads another writer's log to its end as it stands.
pub async fn read(state: &Store, writer: &str) -> Result<WriterState, WriterError> {
    let mut fold = WriterState::default();
    read_on(state, writer, &mut fold).await?;
    Ok(fold)
}

/// Brings `fold` up to the log's end.
pub(super) async fn read_on(state: &Store, writer: &str, fold: &mut WriterState) -> Result<(), WriterError> {
    let after = match fold.next_entry {
        0 => checkpoint_before(state, writer).await?.map(|n| n.saturating_sub(1)).filter(|n| *n > 0),
        next => Some(next - 1),
    };
    let after = after.map(|n| layout::log_entry(writer, n));
    for name in state.list(&layout::log_folder(writer), after.as_deref()).await? {
        let number = name.rsplit('/').next().and_then(|n| n.strip_suffix(".json")).and_then(|n| n.parse::<u64>().ok());
        let Some(number) = number else { continue };
        if fold.next_entry != 0 && number != fold.next_entry {
            let missing = fold.next_entry;
            return Err(WriterError::Corrupt(format!(
                "log of writer {writer}: entry {missing} is missing before {number}"
            )));
        }
        let bytes = state.get(&name).await?;
        let bytes =
            bytes.ok_or_else(|| WriterError::Corrupt(format!("log entry {name} was listed but is not there")))?;
        let entry = parse(&name, &bytes)?;
        if entry.number != number {
            let other = entry.number;
            return Err(WriterError::Corrupt(format!(
                "log entry {name} says that it is entry {other}: it was moved or copied"
            )));
        }
        let begins =
            matches!(entry.body, Body::Checkpoint(_)) || (number == 0 && matches!(entry.body, Body::Open { .. }));
        if fold.next_entry == 0 && !begins {
            return Err(WriterError::Corrupt(format!(
                "log of writer {writer} begins with entry {number}: earlier ones are missing"
            )));
        }
        fold.apply(entry);
    }
    Ok(())
}

/// Number of the last checkpoint entry, as far as the hint knows.
async fn checkpoint_before(state: &Store, writer: &str) -> Result<Option<u64>, WriterError> {
    let hint = state.get(&layout::checkpoint_hint(writer)).await?;
    Ok(hint.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok()?.get("entry")?.as_u64()))
}

/// Ends a writer's power to commit, and reads what it had done until then.
///
/// The seal is created at the log's next number. If the writer commits at the same moment, one of the two creates wins: either
/// the entry (then we read it and try the next number) or the seal (then its append fails and it knows). `takes` are the shards
/// it is sealed for.
pub async fn seal(
    state: &Store,
    writer: &str,
    by: &str,
    takes: &[ShardId],
    now: i64,
) -> Result<WriterState, WriterError> {
    let mut fold = read(state, writer).await?;
    for _ in 0..SEAL_TRIES {
        if fold.sealed.is_some() {
            return Ok(fold);
        }
        let number = fold.next_entry;
        let body = Body::Seal { by: by.to_string(), takes: takes.to_vec() };
        let entry = Entry {
            format: FORMAT,
            writer: writer.to_string(),
            number,
            at: now,
            stored: 0,
            progress: Default::default(),
            body,
        };
        let bytes = serde_json::to_vec(&entry).expect("strings and numbers serialise");
        match state.create(&layout::log_entry(writer, number), bytes.into()).await? {
            Created::Ours => fold.apply(entry),
            Created::Theirs(_) => read_on(state, writer, &mut fold).await?,
        }
    }
    Err(WriterError::environment(format!("cannot seal the log of writer {writer}"), "it keeps growing"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn an_entry_under_another_number_is_refused() {
        let state = Store::new(Arc::new(InMemory::new()), "", "memory:///");
        let sealed = seal(&state, "w", "other", &[], 0).await.expect("a store");
        assert_eq!(sealed.next_entry, 1);
        let entry = state.get(&layout::log_entry("w", 0)).await.expect("a store").expect("the seal");
        state.put(&layout::log_entry("w", 1), entry).await.expect("a store");
        let mut fold = sealed;
        let error = read_on(&state, "w", &mut fold).await.expect_err("a copy").to_string();
        assert!(error.contains("says that it is entry 0"), "{error}");
    }
}
