//! What the live table's log says: by which rules it is written, and whether somebody still writes it.

use std::collections::{BTreeMap, BTreeSet};

use schemas::layout;
use schemas::log_entry::WriterState;
use schemas::rules::Rules;
use schemas::table::TableSpec;
use writer::commit::log;
use writer::commit::takeover::{self, Standing};
use writer::store::Store;

use crate::error::RunError;
use crate::source::replay::plan::is_replays;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Live {
    /// Specs of the tables that its shards were written under last.
    pub specs: Vec<TableSpec>,
    /// Shards that a writer holds: it runs, or it was killed.
    pub held: Vec<String>,
}

impl Live {
    /// Reads the state of the live table; replays' shards do not count, nor do those that have ended.
    pub async fn read(state: &Store) -> Result<Live, RunError> {
        let owners = takeover::owners(state).await?;
        let mut logs: BTreeMap<String, WriterState> = BTreeMap::new();
        let (mut live, mut rules) = (Live::default(), BTreeSet::new());
        for (shard, epoch) in owners.into_iter().filter(|(shard, _)| !is_replays(shard)) {
            if !logs.contains_key(&epoch.writer) {
                logs.insert(epoch.writer.clone(), log::read(state, &epoch.writer).await?);
            }
            let fold = &logs[&epoch.writer];
            let carried = &fold.carried;
            let known = carried.shards.get(&shard).or_else(|| carried.released.get(&shard));
            let Some(known) = known.filter(|known| !known.ended) else { continue };
            rules.insert(known.rules.clone());
            if takeover::standing(&shard, fold, "", i64::MAX) != Standing::Free {
                live.held.push(format!("{shard} (writer {})", epoch.writer));
            }
        }
        for fingerprint in rules {
            live.specs.extend(spec(state, &fingerprint).await?);
        }
        Ok(live)
    }

    /// The definition that readers have, as far as anybody knows: one that differs from `spec` before one that does not.
    pub fn before<'a>(&'a self, spec: &TableSpec) -> Option<&'a TableSpec> {
        self.specs.iter().find(|known| known.text != spec.text).or(self.specs.first())
    }
}

async fn spec(state: &Store, fingerprint: &str) -> Result<Option<TableSpec>, RunError> {
    let name = layout::rules(fingerprint);
    let Some(bytes) = state.get(&name).await? else { return Ok(None) };
    let rules: Rules = serde_json::from_slice(&bytes)
        .map_err(|e| RunError::Environment(format!("{name} in the live table's state cannot be read: {e}")))?;
    Ok(TableSpec::parse(&rules.table, &name).ok())
}
