//! What the log says is in the lake: every file ever cut, by reading all writers' logs.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use schemas::layout;
use schemas::log_entry::{Body, Cut, Entry, FORMAT, File};

use crate::error::WriterError;
use crate::store::Store;

/// Requests at once.
const PARALLEL: usize = 32;

/// All files that the log names, by writer and cut. Reads every entry: for summaries, audits and tests, not for the data path.
pub async fn files(state: &Store) -> Result<Vec<File>, WriterError> {
    let names = state.list(layout::WRITERS, None).await?;
    let entries: Vec<_> = names.iter().filter(|name| !name.ends_with(layout::CHECKPOINT_HINT)).collect();
    let reads: Vec<_> = entries.into_iter().map(|name| cut(state, name)).collect();
    let mut cuts: BTreeMap<(String, u64), Cut> = BTreeMap::new();
    let mut found = stream::iter(reads).buffered(PARALLEL);
    while let Some(cut) = found.try_next().await? {
        if let Some(cut) = cut {
            cuts.insert((cut.by.clone(), cut.cut), cut);
        }
    }
    Ok(cuts.into_values().flat_map(|cut| cut.files).collect())
}

/// Files that were cut together.
#[derive(Debug, Clone)]
pub struct Logged {
    /// When that was written down, milliseconds since the epoch.
    pub at: i64,
    pub files: Vec<File>,
}

/// The cuts of all logs in the order of their names, until they name `files_max` files; and whether those are all.
pub async fn cuts(state: &Store, files_max: usize) -> Result<(Vec<Logged>, bool), WriterError> {
    let names = state.list(layout::WRITERS, None).await?;
    let entries: Vec<_> = names.iter().filter(|name| !name.ends_with(layout::CHECKPOINT_HINT)).collect();
    let reads: Vec<_> = entries.into_iter().map(|name| entry(state, name)).collect();
    let (mut cuts, mut files) = (Vec::new(), 0);
    let mut found = stream::iter(reads).buffered(PARALLEL);
    while let Some(entry) = found.try_next().await? {
        if files >= files_max {
            return Ok((cuts, false));
        }
        if let Some(Entry { at, body: Body::Cut(cut), .. }) = entry {
            files += cut.files.len();
            cuts.push(Logged { at, files: cut.files });
        }
    }
    Ok((cuts, true))
}

/// The cut that an entry is, if it is one.
async fn cut(state: &Store, name: &str) -> Result<Option<Cut>, WriterError> {
    Ok(match entry(state, name).await?.map(|entry| entry.body) {
        Some(Body::Cut(cut)) => Some(cut),
        _ => None,
    })
}

async fn entry(state: &Store, name: &str) -> Result<Option<Entry>, WriterError> {
    let Some(bytes) = state.get(name).await? else { return Ok(None) };
    let entry: Entry = serde_json::from_slice(&bytes)
        .map_err(|e| WriterError::Corrupt(format!("log entry {name} cannot be read: {e}")))?;
    if entry.format != FORMAT {
        let format = entry.format;
        return Err(WriterError::Corrupt(format!("log entry {name} has format {format}; this version reads {FORMAT}")));
    }
    Ok(Some(entry))
}
