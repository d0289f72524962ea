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

/// The cut that an entry is, if it is one.
async fn cut(state: &Store, name: &str) -> Result<Option<Cut>, WriterError> {
    let Some(bytes) = state.get(name).await? else { return Ok(None) };
    let entry: Entry = serde_json::from_slice(&bytes)
        .map_err(|e| WriterError::Corrupt(format!("log entry {name} cannot be read: {e}")))?;
    if entry.format != FORMAT {
        let format = entry.format;
        return Err(WriterError::Corrupt(format!("log entry {name} has format {format}; this version reads {FORMAT}")));
    }
    Ok(match entry.body {
        Body::Cut(cut) => Some(cut),
        _ => None,
    })
}
