//! What a source asks of the pipeline: to own a shard, to give one up, what others say of one. A source reads only what it has
//! claimed.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::log_entry::Start;
use schemas::position::{Position, ShardId};
use tokio::sync::{mpsc, oneshot};
pub use writer::commit::others::ShardStanding;

use super::SourceError;

/// Where to begin with a shard.
#[derive(Debug, Clone, PartialEq)]
pub struct Resume {
    /// Read on after this; zero: nothing was read yet, begin at `start`.
    pub after: Position,
    pub start: Start,
    /// The shard was read and stored to its end.
    pub ended: bool,
    /// At this instant, milliseconds since the epoch, the shard held nothing after `after`.
    pub seen_at: Option<i64>,
}

impl Resume {
    /// A shard that nobody has read.
    pub fn fresh(start: Start) -> Self {
        Resume { after: Position::zero(), start, ended: false, seen_at: None }
    }
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// The shard is this process's own from here on.
    Ours(Resume),
    /// It is another writer's.
    Theirs { writer: String },
}

/// What a source asks.
#[derive(Debug)]
pub enum Request {
    Claim {
        shard: ShardId,
        /// Where to begin if nobody has ever read this shard.
        first_start: Start,
        /// End its owner, if there is one.
        force: bool,
        reply: oneshot::Sender<Claimed>,
    },
    GiveUp {
        shard: ShardId,
        through: Position,
        reply: oneshot::Sender<()>,
    },
    Standing {
        shards: Vec<ShardId>,
        reply: oneshot::Sender<BTreeMap<ShardId, ShardStanding>>,
    },
}

/// Hands shards to a source.
#[derive(Debug, Clone)]
pub struct Claims {
    requests: mpsc::Sender<Request>,
    known: Arc<[(ShardId, Position)]>,
}

impl Claims {
    /// `known`: see [`Claims::known`].
    pub fn new(requests: mpsc::Sender<Request>, known: Arc<[(ShardId, Position)]>) -> Self {
        Claims { requests, known }
    }

    /// This process's shards that were not read to their end, each with the position read through. A source that does not have
    /// one of them must fail: what follows that position would be missing from the table, and nobody would know.
    pub fn known(&self) -> &[(ShardId, Position)] {
        &self.known
    }

    /// Makes the shard this process's own if nobody else uses it, and says where to read on.
    pub async fn claim(&self, shard: ShardId, first_start: Start) -> Result<Claimed, SourceError> {
        self.ask(|reply| Request::Claim { shard, first_start, force: false, reply }).await
    }

    /// The same, by force: ends the writer that owns it. Only where somebody has decided that the shard is ours; another process
    /// may still be faster.
    pub async fn seize(&self, shard: ShardId, first_start: Start) -> Result<Claimed, SourceError> {
        self.ask(|reply| Request::Claim { shard, first_start, force: true, reply }).await
    }

    /// Claims a shard that can be nobody else's.
    pub async fn claim_own(&self, shard: ShardId, first_start: Start) -> Result<Resume, SourceError> {
        match self.claim(shard.clone(), first_start).await? {
            Claimed::Ours(resume) => Ok(resume),
            Claimed::Theirs { writer } => Err(SourceError::Taken { shard, writer }),
        }
    }

    /// Cuts, stores and releases one shard; answered when that is written down. `through` is the end of the last batch that was
    /// sent of it: nothing after it may be sent.
    pub async fn give_up(&self, shard: ShardId, through: Position) -> Result<(), SourceError> {
        self.ask(|reply| Request::GiveUp { shard, through, reply }).await
    }

    /// What other writers' logs say of these shards. One that nobody has owned is not in the answer.
    pub async fn standing(&self, shards: Vec<ShardId>) -> Result<BTreeMap<ShardId, ShardStanding>, SourceError> {
        self.ask(|reply| Request::Standing { shards, reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, SourceError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| SourceError::Closed)?;
        answer.await.map_err(|_| SourceError::Closed)
    }
}
