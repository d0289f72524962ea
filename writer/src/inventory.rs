//! What the log says is in the lake: every file ever cut, by reading all writers' logs.

use std::collections::BTreeMap;

use schemas::layout;
use schemas::log_entry::{Body, Cut, Entry, FORMAT, File};

use crate::error::WriterError;
use crate::store::Store;

/// All files that the log names, by writer and cut. Reads every entry: for summaries, audits and tests, not for the data path.
pub async fn files(state: &Store) -> Result<Vec<File>, WriterError> {
    let mut cuts: BTreeMap<(String, u64), Cut> = BTreeMap::new();
    for name in state.list(layout::WRITERS, None).await? {
        if name.ends_with(layout::CHECKPOINT_HINT) {
            continue;
        }
        let Some(bytes) = state.get(&name).await? else { continue };
        let entry: Entry = serde_json::from_slice(&bytes)
            .map_err(|e| WriterError::Corrupt(format!("log entry {name} cannot be read: {e}")))?;
        if entry.format != FORMAT {
            return Err(WriterError::Corrupt(format!(
                "log entry {name} has format {}; this version reads {FORMAT}",
                entry.format
            )));
        }
        if let Body::Cut(cut) = entry.body {
            cuts.insert((cut.by.clone(), cut.cut), cut);
        }
    }
    Ok(cuts.into_values().flat_map(|cut| cut.files).collect())
}
