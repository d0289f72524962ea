//! What other writers' logs say of shards: whether a parent was read to its end, so that its children may be read by us.

use std::collections::BTreeMap;

use schemas::log_entry::{Start, WriterState};
use schemas::position::ShardId;

use super::{log, takeover};
use crate::error::WriterError;
use crate::store::Store;

/// What is known of a shard that has, or had, an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStanding {
    /// It was read to its end.
    pub drained: bool,
    /// Where its first read began.
    pub start: Start,
}

/// The logs of other writers, read on from where they were read last.
#[derive(Debug, Default)]
pub struct Others {
    folds: BTreeMap<String, WriterState>,
}

impl Others {
    /// The standing of these shards; one that nobody has owned is not in the answer. Logs of writers that own none of them are
    /// forgotten.
    pub async fn standing(
        &mut self,
        state: &Store,
        shards: &[ShardId],
    ) -> Result<BTreeMap<ShardId, ShardStanding>, WriterError> {
        let owners = takeover::owners_of(state, shards).await?;
        self.folds.retain(|writer, _| owners.values().any(|epoch| epoch.writer == *writer));
        for epoch in owners.values() {
            self.folds.entry(epoch.writer.clone()).or_default();
        }
        for (writer, fold) in &mut self.folds {
            log::read_on(state, writer, fold).await?;
        }
        let of = |(shard, epoch): (ShardId, schemas::log_entry::Epoch)| {
            let carried = &self.folds.get(&epoch.writer)?.carried;
            let found = carried.shards.get(&shard).or_else(|| carried.released.get(&shard))?;
            Some((shard, ShardStanding { drained: found.drained, start: found.start.clone() }))
        };
        Ok(owners.into_iter().filter_map(of).collect())
    }
}
