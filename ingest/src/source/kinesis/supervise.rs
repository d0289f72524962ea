//! Finds shards, claims them and sets a reader on each, parents before children.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use schemas::log_entry::Start;
use schemas::position::{Position, ShardId};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Shared;
use super::pace::jitter;
use super::service::{Failure, Service};
use super::tree::{GONE_AFTER_LISTS, ListedShard, ShardTree};
use crate::record::Batch;
use crate::source::{Claimed, Claims, ShardStanding, SourceError};

/// Between two looks at the logs of writers whose shards our shards wait for.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Pages of up to 1,000 shards in one list.
const LIST_PAGES_MAX: usize = 1_000;

/// What a task of the source reports.
#[derive(Debug)]
pub(super) enum Event {
    Listed(Vec<ListedShard>),
    /// This shard was read to its end.
    Drained(String),
}

/// Shard readers and the listing in flight. Dropped or shut down, all of it stops.
pub(super) type Tasks = JoinSet<Result<Event, SourceError>>;

#[derive(Debug)]
pub(super) struct Supervisor<'a> {
    shared: Arc<Shared>,
    tree: ShardTree,
    tasks: &'a mut Tasks,
    claims: Claims,
    out: mpsc::Sender<Batch>,
    next_listing: Instant,
    listing: Listing,
    /// When to ask how far others have read the parents that shards of ours wait for.
    next_asking: Instant,
}

/// At most one listing is in flight. A shard that ends meanwhile may have children that it was too early to see: it is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    Idle,
    InFlight,
    InFlightThenAgain,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        shared: Arc<Shared>,
        start: Start,
        tasks: &'a mut Tasks,
        claims: Claims,
        out: mpsc::Sender<Batch>,
    ) -> Self {
        let of = Arc::clone(&shared);
        let ours = move |id: &str| of.settings.task.has(&of.shard_id(id));
        let (tree, now) = (ShardTree::new(start, Box::new(ours)), Instant::now());
        Supervisor { shared, tree, tasks, claims, out, next_listing: now, listing: Listing::Idle, next_asking: now }
    }

    /// Runs until something fails: a stream has no end.
    pub(super) async fn run(mut self) -> Result<(), SourceError> {
        let listing = self.first_listing().await?;
        self.listed(listing).await?;
        loop {
            tokio::select! {
                Some(done) = self.tasks.join_next() => match done.map_err(|e| self.broken(&e))?? {
                    Event::Listed(listing) => self.listed(listing).await?,
                    Event::Drained(id) => self.drained(&id).await?,
                },
                () = tokio::time::sleep_until(self.next_listing), if self.listing == Listing::Idle => self.start_listing(),
                () = tokio::time::sleep_until(self.next_asking), if !self.tree.awaited().is_empty() => self.ask().await?,
            }
        }
    }

    /// The list that reading begins with; it has every shard of the state that is not read to its end.
    ///
    /// A list may be older than the shard: a shard is gone only when several lists in a row are without it.
    async fn first_listing(&self) -> Result<Vec<ListedShard>, SourceError> {
        for (shard, _) in self.claims.known() {
            self.shared.service_name(shard)?;
        }
        let mut listing = list(&self.shared, FirstFailure::Unreachable).await?;
        for _ in 1..GONE_AFTER_LISTS {
            if self.unlisted(&listing).is_empty() {
                break;
            }
            tokio::time::sleep(self.shared.settings.backoff_cap).await;
            listing = list(&self.shared, FirstFailure::MayPass).await?;
        }
        match self.unlisted(&listing).as_slice() {
            [] => Ok(listing),
            [gone, others @ ..] => Err(removed(self.shared.service.place(), gone, others.len())),
        }
    }

    /// Shards of the state, not read to their end, that the service does not list.
    fn unlisted(&self, listing: &[ListedShard]) -> Vec<&(ShardId, Position)> {
        let listed: HashSet<ShardId> = listing.iter().map(|listed| self.shared.shard_id(&listed.id)).collect();
        self.claims.known().iter().filter(|(shard, _)| !listed.contains(shard)).collect()
    }

    /// A shard that the service has removed while it waited for its parents to be read.
    fn unread(&self, shard: &ShardId) -> Result<(), SourceError> {
        if let Some(known) = self.claims.known().iter().find(|(known, _)| known == shard) {
            return Err(removed(self.shared.service.place(), known, 0));
        }
        // Stopping would not bring it back, and the next start would not know of it.
        tracing::error!(%shard, "shard was removed from the stream before it could be read: what it held is lost");
        Ok(())
    }

    fn start_listing(&mut self) {
        if self.listing != Listing::Idle {
            self.listing = Listing::InFlightThenAgain;
            return;
        }
        self.listing = Listing::InFlight;
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move { Ok(Event::Listed(list(&shared, FirstFailure::MayPass).await?)) });
    }

    async fn listed(&mut self, listing: Vec<ListedShard>) -> Result<(), SourceError> {
        for id in self.tree.list(listing) {
            self.unread(&self.shared.shard_id(&id))?;
        }
        self.next_listing = Instant::now() + self.shared.settings.discover_every;
        self.tree.claim_again();
        let again = self.listing == Listing::InFlightThenAgain;
        self.listing = Listing::Idle;
        if again {
            self.start_listing();
        }
        self.begin_ready().await
    }

    async fn drained(&mut self, id: &str) -> Result<(), SourceError> {
        tracing::info!(shard = %self.shared.shard_id(id), "shard read to its end");
        self.tree.drained(id);
        // A closed shard has children: found now, they are read without waiting for the next round.
        self.start_listing();
        self.begin_ready().await
    }

    /// A claimed shard that had already ended lets its children begin: until none is left.
    async fn begin_ready(&mut self) -> Result<(), SourceError> {
        loop {
            let ready = self.tree.ready();
            if ready.is_empty() {
                return Ok(());
            }
            for id in ready {
                self.begin(id).await?;
            }
        }
    }

    /// Asks how far others have read the parents of our shards.
    async fn ask(&mut self) -> Result<(), SourceError> {
        let awaited: Vec<(ShardId, String)> =
            self.tree.awaited().into_iter().map(|id| (self.shared.shard_id(&id), id)).collect();
        let standing = self.claims.standing(awaited.iter().map(|(shard, _)| shard.clone()).collect()).await?;
        for (shard, id) in awaited {
            if let Some(ShardStanding { drained, start }) = standing.get(&shard) {
                self.tree.heard(&id, start.clone(), *drained);
            }
        }
        self.next_asking = Instant::now() + ASK_EVERY.min(self.shared.settings.discover_every);
        self.begin_ready().await
    }

    async fn begin(&mut self, id: String) -> Result<(), SourceError> {
        let shard = self.shared.shard_id(&id);
        let resume = match self.claims.claim(shard.clone(), self.tree.first_start(&id)).await? {
            Claimed::Ours(resume) => resume,
            Claimed::Theirs { writer } => {
                tracing::info!(%shard, writer, "another process reads this shard");
                self.tree.refused(&id);
                return Ok(());
            }
        };
        self.tree.claimed(&id, resume.start.clone());
        if resume.ended {
            self.tree.drained(&id);
            return Ok(());
        }
        tracing::info!(%shard, after = %resume.after, start = ?resume.start, "reading shard");
        let (shared, out) = (Arc::clone(&self.shared), self.out.clone());
        self.tasks.spawn(async move {
            super::read_to_end(shared, &id, resume, out).await?;
            Ok(Event::Drained(id))
        });
        Ok(())
    }

    fn broken(&self, error: &JoinError) -> SourceError {
        SourceError::Environment { doing: format!("read {}", self.shared.service.place()), message: error.to_string() }
    }
}

/// Whatever was put after `after` and not read went with the shard; whether there was anything, the service does not say.
fn removed(place: &str, (shard, after): &(ShardId, Position), others: usize) -> SourceError {
    let others =
        if others > 0 { format!(" ({others} more shards of the state are not listed either)") } else { String::new() };
    let message = format!(
        "{place} does not list the shard any more, and it was not read to its end{others}: \
         start with --accept-loss {shard} to go on without them"
    );
    SourceError::Lost { shard: shard.clone(), after: after.clone(), first: None, message }
}

/// See [`super::KinesisSource::check`].
pub(super) async fn check(shared: &Shared) -> Result<(), SourceError> {
    list(shared, FirstFailure::Unreachable).await.map(drop)
}

/// Which failure ends a listing at its first occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstFailure {
    /// At start-up a dead endpoint is told at once, not after minutes of patience.
    Unreachable,
    MayPass,
}

async fn list(shared: &Shared, ends: FirstFailure) -> Result<Vec<ListedShard>, SourceError> {
    let mut retry = shared.retry();
    let began = Instant::now();
    loop {
        let failure = match pages(&*shared.service).await {
            Ok(listing) => {
                shared.learn(&listing);
                return Ok(listing);
            }
            Err(failure) => failure,
        };
        let again = match (&failure, ends) {
            (Failure::Unreachable(_), FirstFailure::Unreachable) => None,
            (failure, _) if failure.may_pass() => {
                retry.failed(began.elapsed(), jitter(shared.service.place(), retry.attempt()))
            }
            _ => None,
        };
        let Some(delay) = again else {
            return Err(failure.into_error(format!("list the shards of {}", shared.service.place())));
        };
        tracing::warn!(stream = shared.service.place(), %failure, "listing shards failed, trying again");
        tokio::time::sleep(delay).await;
    }
}

async fn pages(service: &dyn Service) -> Result<Vec<ListedShard>, Failure> {
    let (mut shards, mut token) = (Vec::new(), None);
    for _ in 0..LIST_PAGES_MAX {
        let page = service.list_shards(token).await?;
        shards.extend(page.shards);
        token = page.next;
        if token.is_none() {
            return Ok(shards);
        }
    }
    Err(Failure::Fatal(format!("more than {LIST_PAGES_MAX} pages of shards")))
}
