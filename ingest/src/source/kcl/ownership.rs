//! What a connection asks of whoever owns shards. A stand-in until `Claims` answers all of it.

use async_trait::async_trait;
use schemas::log_entry::Start;
use schemas::position::ShardId;

use crate::source::{Claims, Resume, SourceError};

/// Whose a shard is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Claimed {
    Ours(Resume),
    Theirs { writer: String },
}

#[async_trait]
pub(super) trait Ownership: Send + Sync + std::fmt::Debug {
    /// Never by force: unowned, released or orphaned shards only.
    async fn claim(&self, shard: ShardId, first_start: Start) -> Result<Claimed, SourceError>;

    /// By force: seals a live owner.
    async fn seize(&self, shard: ShardId, first_start: Start) -> Result<Claimed, SourceError>;

    /// Cuts, stores and releases this one shard; returns when the log says so.
    async fn give_up(&self, shard: ShardId) -> Result<(), SourceError>;
}

#[async_trait]
impl Ownership for Claims {
    async fn claim(&self, shard: ShardId, first_start: Start) -> Result<Claimed, SourceError> {
        Claims::claim(self, shard, first_start).await.map(Claimed::Ours)
    }

    async fn seize(&self, shard: ShardId, first_start: Start) -> Result<Claimed, SourceError> {
        Claims::claim(self, shard, first_start).await.map(Claimed::Ours)
    }

    async fn give_up(&self, _shard: ShardId) -> Result<(), SourceError> {
        Err(SourceError::Config("giving up one shard is not there yet".into()))
    }
}
