//! Becoming the owner of shards: end the power of whoever owned them, carry their state into the own log, then claim the next
//! epoch.
//!
//! The order decides what a crash leaves behind:
//! 1. seal the former owners' logs, unless they have released the shards: their power to commit ends, their final state can be
//!    read;
//! 2. own log, `open` or `take`: carries the shards' state and the cuts that touch them and may not be stored yet;
//! 3. epoch + 1 of each shard, create-if-absent, names this writer.
//!
//! A crash after 1 leaves the shards with a sealed owner: the next start reads the same state again. After 2: the log is not
//! named by any epoch of those shards and is not read for them. In the midst of 3: some shards name this writer, whose log has
//! their state, the others still name the former owner; both are sealed and read next time. If two writers take over at once,
//! each shard's epoch object has one creator, and the other one goes without.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use schemas::layout;
use schemas::log_entry::{Carried, Entry, Epoch, FORMAT, WriterState};
use schemas::position::ShardId;

use super::log;
use crate::error::WriterError;
use crate::store::{Created, Store};

/// Requests at once while taking over.
const PARALLEL: usize = 16;

/// So long after a seal, in milliseconds, the shards it was made for are left to the writer that made it.
pub const SEAL_RESERVES_MS: i64 = 60_000;

/// How far a writer goes to own a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// Ends whoever owns it: the word of an operator who starts a process, or of an engine that assigns shards.
    Force,
    /// Only what nobody uses: never owned, released, or left by a writer that was sealed. `former` are this process's own
    /// earlier writers, which it may end.
    Gentle { former: Vec<String> },
}

/// How a shard that has an owner may be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its owner has released it or can no longer commit.
    Free,
    /// Its owner was sealed a moment ago by a writer that is about to take it.
    Reserved,
    /// Its owner may be alive: it has to be sealed first.
    Held,
}

/// How `shard`, whose last epoch names `owner`, may be had by `me`. `left` is what the owner's log says.
pub fn standing(shard: &ShardId, left: &WriterState, me: &str, now: i64) -> Standing {
    if left.carried.released.contains_key(shard) {
        return Standing::Free;
    }
    match &left.sealed {
        None => Standing::Held,
        Some(seal) if seal.by == me || !seal.takes.contains(shard) => Standing::Free,
        Some(seal) if now >= seal.at.saturating_add(SEAL_RESERVES_MS) => Standing::Free,
        Some(_) => Standing::Reserved,
    }
}

/// Which of an owner's shards to take, and whether it has to be sealed first. Pure: what the model of the protocol runs, too.
pub fn choose(
    owner: &str,
    wanted: &[ShardId],
    left: &WriterState,
    me: &str,
    taking: &Taking,
    now: i64,
) -> (Vec<ShardId>, bool) {
    let force = match taking {
        Taking::Force => true,
        Taking::Gentle { former } => former.iter().any(|name| name == owner),
    };
    let of = |shard: &ShardId| standing(shard, left, me, now);
    let chosen: Vec<ShardId> = wanted.iter().filter(|shard| force || of(shard) == Standing::Free).cloned().collect();
    let seal = chosen.iter().any(|shard| of(shard) == Standing::Held);
    (chosen, seal)
}

/// What the former owners have left.
#[derive(Debug, Default)]
pub struct Inheritance {
    /// Writers whose state this is.
    pub after: Vec<String>,
    /// State of the shards with their former epoch, and cuts that may not be stored.
    pub carried: Carried,
    /// Shards that were wanted and are somebody else's.
    pub theirs: BTreeMap<ShardId, String>,
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
    let reads: Vec<_> = last.into_values().map(|name| read_epoch(state, name)).collect();
    let epochs: Vec<Epoch> = stream::iter(reads).buffer_unordered(PARALLEL).try_collect().await?;
    Ok(epochs.into_iter().map(|epoch| (epoch.shard.clone(), epoch)).collect())
}

/// The last owners of these shards; one that nobody has owned is not in it.
pub async fn owners_of(state: &Store, shards: &[ShardId]) -> Result<BTreeMap<ShardId, Epoch>, WriterError> {
    let looks: Vec<_> = shards.iter().map(|shard| owner_of(state, shard)).collect();
    let found: Vec<Option<Epoch>> = stream::iter(looks).buffer_unordered(PARALLEL).try_collect().await?;
    Ok(found.into_iter().flatten().map(|epoch| (epoch.shard.clone(), epoch)).collect())
}

async fn owner_of(state: &Store, shard: &ShardId) -> Result<Option<Epoch>, WriterError> {
    match state.list(&layout::epochs(shard), None).await?.into_iter().next_back() {
        Some(name) => read_epoch(state, name).await.map(Some),
        None => Ok(None),
    }
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

/// Ends the former owners of these shards, as far as `taking` goes, and gathers what they have left.
pub async fn inherit(
    state: &Store,
    writer: &str,
    owners: BTreeMap<ShardId, Epoch>,
    taking: &Taking,
    now: i64,
) -> Result<Inheritance, WriterError> {
    let former: BTreeSet<&str> = owners.values().map(|epoch| epoch.writer.as_str()).collect();
    let mut out = Inheritance::default();
    for name in former {
        let wanted: Vec<ShardId> =
            owners.iter().filter(|(_, epoch)| epoch.writer == name).map(|(shard, _)| shard.clone()).collect();
        let mut left = log::read(state, name).await?;
        let (chosen, seal) = choose(name, &wanted, &left, writer, taking, now);
        out.theirs.extend(wanted.iter().filter(|s| !chosen.contains(s)).map(|s| (s.clone(), name.to_string())));
        if chosen.is_empty() {
            continue;
        }
        if seal {
            left = log::seal(state, name, writer, &chosen, now).await?;
        }
        let mut carried = left.hand_over(&chosen).ok_or_else(|| {
            WriterError::Corrupt(format!("writer {name} owns one of {chosen:?} but its log does not have it"))
        })?;
        carried.shards.iter_mut().for_each(|(shard, state)| state.epoch = owners[shard].epoch);
        out.after.push(name.to_string());
        out.carried.add(carried);
    }
    Ok(out)
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
    let claims: Vec<_> = rest.into_iter().map(|(shard, epoch)| claim_one(state, writer, shard, epoch)).collect();
    stream::iter(claims).buffer_unordered(PARALLEL).try_collect::<()>().await
}

async fn claim_one(state: &Store, writer: &str, shard: ShardId, epoch: u64) -> Result<(), WriterError> {
    match try_claim(state, writer, shard, epoch).await? {
        None => Ok(()),
        Some(by) => Err(WriterError::Fenced { writer: writer.to_string(), by }),
    }
}

/// Creates one epoch. If another writer has been faster: its name.
pub async fn try_claim(state: &Store, writer: &str, shard: ShardId, epoch: u64) -> Result<Option<String>, WriterError> {
    let name = layout::epoch(&shard, epoch);
    let claim = Epoch { format: FORMAT, shard, epoch, writer: writer.to_string() };
    let bytes = serde_json::to_vec_pretty(&claim).expect("strings and numbers serialise");
    match state.create(&name, bytes.into()).await? {
        Created::Ours => Ok(None),
        Created::Theirs(bytes) => {
            Ok(Some(serde_json::from_slice::<Epoch>(&bytes).map_or_else(|_| "another process".into(), |e| e.writer)))
        }
    }
}

/// An entry without its log's particulars, which [`log::Log::append`] fills in.
pub fn entry(now: i64, stored: u64, body: schemas::log_entry::Body) -> Entry {
    Entry { format: FORMAT, writer: String::new(), number: 0, at: now, stored, progress: BTreeMap::new(), body }
}
