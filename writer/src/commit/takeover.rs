//! Becoming the owner of shards: seal whoever owned them, carry their state into the own log, then claim the next epoch.
//!
//! The order decides what a crash leaves behind:
//! 1. seal the former owners' logs: their power to commit ends, their final state can be read;
//! 2. own log, entry 0 (`open`): carries the shards' state and the cuts that may not be stored yet;
//! 3. epoch + 1 of each shard, create-if-absent, names this writer.
//!
//! A crash after 1 leaves the shards with a sealed owner: the next start reads the same state again. After 2: the log is not
//! named by any epoch and is never read. In the midst of 3: some shards name this writer, whose `open` entry has their state,
//! the others still name the former owner; both are sealed and read next time. If two processes take over at once, each shard's
//! epoch object has one creator, and the other one stops.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use schemas::layout;
use schemas::log_entry::{Carried, Cut, Entry, Epoch, FORMAT, ShardState};
use schemas::position::ShardId;

use super::log;
use crate::error::WriterError;
use crate::store::{Created, Store};

/// Requests at once while taking over.
const PARALLEL: usize = 16;

/// What the former owners have left.
#[derive(Debug, Default)]
pub struct Inheritance {
    /// Writers whose state this is.
    pub after: Vec<String>,
    /// State of all shards with their former epoch, and cuts that may not be stored.
    pub carried: Carried,
}

/// The last owner of every shard there is.
pub async fn owners(state: &Store) -> Result<BTreeMap<ShardId, Epoch>, WriterError> {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for name in state.list(layout::SHARDS, None).await? {
        if let Some((shard, _)) = name.rsplit_once('/') {
            // Names come in byte order and epochs are zero-padded: the last one stands.
            last.insert(shard.to_string(), name.clone());
        }
    }
    let epochs = stream::iter(last.into_values()).map(|name| read_epoch(state, name)).buffer_unordered(PARALLEL);
    epochs.map_ok(|epoch| (epoch.shard.clone(), epoch)).try_collect().await
}

async fn read_epoch(state: &Store, name: String) -> Result<Epoch, WriterError> {
    let bytes = state.get(&name).await?;
    let bytes = bytes.ok_or_else(|| WriterError::Corrupt(format!("epoch {name} was listed but is not there")))?;
    let epoch: Epoch = serde_json::from_slice(&bytes)
        .map_err(|e| WriterError::Corrupt(format!("epoch {name} cannot be read: {e}")))?;
    if epoch.format != FORMAT {
        let format = epoch.format;
        return Err(WriterError::Corrupt(format!("epoch {name} has format {format}; this version reads {FORMAT}")));
    }
    Ok(epoch)
}

/// Ends the former owners and gathers what they have left.
pub async fn inherit(state: &Store, writer: &str, now: i64) -> Result<Inheritance, WriterError> {
    let owners = owners(state).await?;
    let former: BTreeSet<&str> = owners.values().map(|epoch| epoch.writer.as_str()).collect();
    let mut out = Inheritance::default();
    for name in former {
        let left = log::read(state, name).await?;
        let all_released =
            owners.iter().filter(|(_, epoch)| epoch.writer == name).all(|(shard, _)| left.released.contains_key(shard));
        let left = if all_released { left } else { log::seal(state, name, writer, now).await? };
        out.after.push(name.to_string());
        for (shard, epoch) in owners.iter().filter(|(_, epoch)| epoch.writer == name) {
            let found = left.carried.shards.get(shard).or_else(|| left.released.get(shard));
            let found = found.ok_or_else(|| {
                WriterError::Corrupt(format!("shard {shard}: writer {name} owns it but its log does not have it"))
            })?;
            out.carried.shards.insert(shard.clone(), ShardState { epoch: epoch.epoch, ..found.clone() });
        }
        add_unfinished(&mut out.carried.unfinished, left.carried.unfinished);
    }
    Ok(out)
}

/// A writer that died while it claimed has carried a former owner's cuts into its log, and some shards still name that owner:
/// the same cut is then found in both logs, and must be done again once.
fn add_unfinished(all: &mut Vec<Cut>, more: Vec<Cut>) {
    for cut in more {
        if !all.iter().any(|known| known.by == cut.by && known.cut == cut.cut) {
            all.push(cut);
        }
    }
}

/// Creates the next epoch of each shard in this writer's name.
pub async fn claim(
    state: &Store,
    writer: &str,
    shards: impl IntoIterator<Item = (ShardId, u64)>,
) -> Result<(), WriterError> {
    // The first one alone, in an order that all processes share: of two that start at once, the one that loses stops before it
    // has taken anything from the other.
    let mut shards: Vec<(ShardId, u64)> = shards.into_iter().collect();
    shards.sort_unstable();
    let rest = shards.split_off(shards.len().min(1));
    for (shard, epoch) in shards {
        claim_one(state, writer, shard, epoch).await?;
    }
    let claims = stream::iter(rest).map(|(shard, epoch)| claim_one(state, writer, shard, epoch));
    claims.buffer_unordered(PARALLEL).try_collect::<()>().await
}

async fn claim_one(state: &Store, writer: &str, shard: ShardId, epoch: u64) -> Result<(), WriterError> {
    let name = layout::epoch(&shard, epoch);
    let claim = Epoch { format: FORMAT, shard, epoch, writer: writer.to_string() };
    let bytes = serde_json::to_vec_pretty(&claim).expect("strings and numbers serialise");
    match state.create(&name, bytes.into()).await? {
        Created::Ours => Ok(()),
        Created::Theirs(bytes) => {
            let by = serde_json::from_slice::<Epoch>(&bytes).map_or_else(|_| "another process".into(), |e| e.writer);
            Err(WriterError::Fenced { writer: writer.to_string(), by })
        }
    }
}

/// An entry without its log's particulars, which [`log::Log::append`] fills in.
pub fn entry(now: i64, stored: u64, body: schemas::log_entry::Body) -> Entry {
    Entry { format: FORMAT, writer: String::new(), number: 0, at: now, stored, progress: BTreeMap::new(), body }
}
