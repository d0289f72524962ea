//! One connection, which is one shard: what the daemon says, what is done about it, what is answered.
//!
//! Every await may be the last one (the task is dropped when the source stops). That loses nothing: what was not handed over
//! was not answered either, and a shard that was not given up is released when the pipeline ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::Shared;
use super::lines::{LineError, Lines};
use super::protocol::{self, BadMessage, Checkpoint, Message, Received};
use super::tip::Tip;
use crate::record::{Batch, Record};
use crate::source::kinesis::IDLE_WORD;
use crate::source::{Claimed, Claims, Resume, SourceError};

/// The end of a shard is checkpointed so often, [`Waits::end`] apart, before the daemon is told of failure by silence.
const END_TRIES: u32 = 5;

/// Why a conversation ends early.
#[derive(Debug, thiserror::Error)]
enum End {
    /// The connection alone: the child ends, with it the daemon, and whoever started that starts it again.
    #[error("{0}")]
    Connection(String),
    /// The whole source.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<LineError> for End {
    fn from(error: LineError) -> Self {
        End::Connection(error.to_string())
    }
}

impl From<BadMessage> for End {
    fn from(error: BadMessage) -> Self {
        End::Connection(error.to_string())
    }
}

/// The shard, owned.
#[derive(Debug)]
struct Held {
    shard: ShardId,
    /// Handed over through here: the next batch begins after it.
    at: Position,
    start: Start,
    ended: bool,
    /// See [`Resume::seen_at`].
    seen_at: Option<i64>,
    /// Between `at` and the next record that the daemon gives there may be others, which it does not give or which are lost: that
    /// is read from the stream.
    gap: bool,
}

/// What the daemon's first message said.
#[derive(Debug)]
struct Assigned {
    shard: ShardId,
    checkpoint: Checkpoint,
    _seat: Seat,
}

/// The one place for a connection that speaks for a shard. Free again when dropped.
#[derive(Debug)]
struct Seat(Arc<Shared>, ShardId);

impl Seat {
    fn take(shared: &Arc<Shared>, shard: &ShardId) -> Option<Self> {
        shared.served().insert(shard.clone()).then(|| Seat(Arc::clone(shared), shard.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.served().remove(&self.1);
    }
}

#[derive(Debug)]
pub(super) struct Conversation<R, W> {
    shared: Arc<Shared>,
    claims: Claims,
    out: mpsc::Sender<Batch>,
    lines: Lines<R>,
    answers: W,
    assigned: Option<Assigned>,
    held: Option<Held>,
    /// The last record the daemon gave: it refuses a checkpoint behind it.
    given: Option<Position>,
    /// What the lease table holds, and since when.
    checkpointed: Position,
    checkpointed_at: Option<Instant>,
    tip: Tip,
    /// When the pipeline last heard of the shard.
    word_at: Instant,
}

impl<R: AsyncBufRead + Unpin + Send, W: AsyncWrite + Unpin + Send> Conversation<R, W> {
    pub(super) fn new(
        shared: Arc<Shared>,
        claims: Claims,
        out: mpsc::Sender<Batch>,
        lines: Lines<R>,
        answers: W,
    ) -> Self {
        Conversation {
            shared,
            claims,
            out,
            lines,
            answers,
            assigned: None,
            held: None,
            given: None,
            checkpointed: Position::zero(),
            checkpointed_at: None,
            tip: Tip::default(),
            word_at: Instant::now(),
        }
    }

    /// Until the daemon closes the connection. Whatever ended it, the shard is given up: nobody reads it here any more.
    pub(super) async fn hold(mut self) -> Result<(), SourceError> {
        let outcome = self.messages().await;
        let shard = self.assigned.as_ref().map_or("none yet", |assigned| assigned.shard.as_str()).to_string();
        match outcome {
            Err(End::Source(error)) => return Err(error),
            Err(End::Connection(reason)) => {
                tracing::error!(shard, reason, "closing the connection of the shard's child")
            }
            Ok(()) => tracing::debug!(shard, "the shard's child has gone"),
        }
        self.give_up().await
    }

    async fn messages(&mut self) -> Result<(), End> {
        while self.lines.arrived().await? {
            // Before the line is read: the line is what takes memory.
            let permit = Arc::clone(&self.shared.permits).acquire_owned().await.map_err(|_| SourceError::Closed)?;
            let Received { message, action } = self.receive().await?;
            match message {
                Message::Initialize { shard, checkpoint } => {
                    drop(permit);
                    self.initialize(&shard, checkpoint).await?;
                }
                Message::ProcessRecords { records, behind_ms } => self.process(records, behind_ms, permit).await?,
                Message::LeaseLost => {
                    drop(permit);
                    self.give_up().await?;
                }
                Message::ShutdownRequested => {
                    drop(permit);
                    self.give_up().await?;
                    self.checkpoint_stored().await?;
                }
                Message::ShardEnded => {
                    drop(permit);
                    self.end().await?;
                }
                Message::Checkpointed { .. } => return Err(End::Connection("an answer to no checkpoint".into())),
            }
            self.say(protocol::status(&action)).await?;
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<Received, End> {
        let received = protocol::parse(self.lines.read().await?)?;
        self.lines.forget();
        Ok(received)
    }

    async fn say(&mut self, line: Vec<u8>) -> Result<(), End> {
        let said = async {
            self.answers.write_all(&line).await?;
            self.answers.flush().await
        };
        said.await.map_err(|e| End::Connection(format!("answering the daemon: {e}")))
    }

    async fn initialize(&mut self, name: &str, checkpoint: Checkpoint) -> Result<(), End> {
        if self.assigned.is_some() {
            return Err(End::Connection("a second initialize".into()));
        }
        if let Checkpoint::Other(word) = &checkpoint {
            let hint = "write initialPositionInStream = TRIM_HORIZON or LATEST into the daemon's properties";
            return Err(End::Connection(format!(
                "the daemon begins at {word}, which does not say where that is; {hint}"
            )));
        }
        if let Checkpoint::At(position) = &checkpoint {
            self.checkpointed = position.clone();
        }
        let shard = self.shared.shard_id(name);
        let _seat = self.seat(&shard).await?;
        self.assigned = Some(Assigned { shard, checkpoint, _seat });
        self.own().await
    }

    /// The connection before us may still be giving the shard up.
    async fn seat(&self, shard: &ShardId) -> Result<Seat, End> {
        let until = Instant::now() + self.shared.waits.handover;
        loop {
            if let Some(seat) = Seat::take(&self.shared, shard) {
                return Ok(seat);
            }
            if Instant::now() >= until {
                return Err(End::Connection("another connection speaks for this shard".into()));
            }
            tokio::time::sleep(self.shared.waits.look).await;
        }
    }

    /// Makes the shard ours, unless it is.
    async fn own(&mut self) -> Result<(), End> {
        if self.held.is_some() {
            return Ok(());
        }
        let Some(assigned) = &self.assigned else {
            return Err(End::Connection("records before initialize".into()));
        };
        let first_start = match assigned.checkpoint {
            Checkpoint::Latest => Start::At(self.shared.clock.now()),
            _ => Start::TrimHorizon,
        };
        let Resume { after, start, ended, seen_at } = self.taken(assigned.shard.clone(), first_start).await?;
        let gap = !after.is_zero() || assigned.checkpoint != Checkpoint::TrimHorizon;
        tracing::info!(shard = %assigned.shard, %after, ?start, checkpoint = ?assigned.checkpoint, "shard assigned");
        self.held = Some(Held { shard: assigned.shard.clone(), at: after, start, ended, seen_at, gap });
        Ok(())
    }

    /// The lease says that the shard is ours to read; its owner may not have heard of it yet, and never will if it is dead.
    async fn taken(&self, shard: ShardId, first_start: Start) -> Result<Resume, End> {
        let until = Instant::now() + self.shared.waits.handover;
        let owner = loop {
            match self.claims.claim(shard.clone(), first_start.clone()).await? {
                Claimed::Ours(resume) => return Ok(resume),
                Claimed::Theirs { writer } if Instant::now() >= until => break writer,
                Claimed::Theirs { .. } => tokio::time::sleep(self.shared.waits.look).await,
            }
        };
        tracing::warn!(%shard, owner, "the shard was not given up in time: taking it by force");
        count(&self.shared.counters.seized, 1);
        match self.claims.seize(shard.clone(), first_start).await? {
            Claimed::Ours(resume) => Ok(resume),
            Claimed::Theirs { writer } => Err(End::Connection(format!("{writer} took the shard at the same moment"))),
        }
    }

    /// Answered when the pipeline has taken the records in: until then the daemon gives no more of this shard.
    async fn process(
        &mut self,
        records: Vec<Record>,
        behind_ms: Option<u64>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), End> {
        self.own().await?;
        let read_after = self.tip.taken(self.shared.clock.now());
        let seen_at = read_after.filter(|_| behind_ms == Some(0));
        self.take_in(records, behind_ms, seen_at).await?;
        drop(permit);
        if self.checkpointed_at.is_none_or(|at| at.elapsed() >= self.shared.waits.checkpoint) {
            self.checkpoint_stored().await?;
        }
        Ok(())
    }

    /// `seen_at`: an instant at which the shard held nothing behind the records.
    async fn take_in(&mut self, records: Vec<Record>, behind_ms: Option<u64>, seen_at: Option<i64>) -> Result<(), End> {
        let close = self.shared.stream.is_close_to_retention(behind_ms).await?;
        let Some(held) = &mut self.held else { return Ok(()) };
        if let Some(behind) = behind_ms {
            self.shared.lags.behind(&held.shard, behind);
        }
        count(&self.shared.counters.records, records.len());
        self.given = records.last().map(|r| r.position.clone()).or(self.given.take());
        held.gap = (held.gap || close) && !held.is_joined_by(&records);
        let mut new = held.new_of(records, &self.shared.counters);
        if let (true, Some(first)) = (held.gap, new.first()) {
            self.fetch_through(first.position.clone()).await?;
            let Some(held) = &mut self.held else { return Ok(()) };
            held.gap = false;
            new = held.new_of(new, &self.shared.counters);
        }
        if let Some(wrong) = new.windows(2).find(|pair| pair[1].position <= pair[0].position) {
            let (before, after) = (&wrong[0].position, &wrong[1].position);
            return Err(End::Connection(format!("record {after} came after record {before}, but is not greater")));
        }
        let idle_word = seen_at.is_some() && self.word_at.elapsed() >= IDLE_WORD;
        if new.is_empty() && !idle_word { Ok(()) } else { self.hand_over(new, behind_ms, seen_at, false).await }
    }

    /// The span up to a record that the daemon gave, from the stream itself.
    async fn fetch_through(&mut self, to: Position) -> Result<(), End> {
        let Some(held) = &self.held else { return Ok(()) };
        let (shard, start, span) = (held.shard.clone(), held.start.clone(), Span::new(held.at.clone(), to));
        let seen_at = held.seen_at;
        let (stream, (fetched, batches)) = (Arc::clone(&self.shared.stream), mpsc::channel(1));
        tracing::info!(%shard, from = %span.from, to = %span.to, "reading what lies between what is stored and what the daemon gives");
        let reading = async move { stream.span(&shard, &start, &span, seen_at, fetched).await };
        let (read, handed) = tokio::join!(reading, self.pass_on(batches));
        // A pipeline that is gone shows on both sides.
        handed?;
        Ok(read?)
    }

    /// What the daemon never gave, to the end of the shard.
    async fn fetch_rest(&mut self) -> Result<(), End> {
        let Some(held) = &self.held else { return Ok(()) };
        let (after, start) = (held.at.clone(), held.start.clone());
        let resume = Resume { after, start, ended: false, seen_at: held.seen_at };
        let (stream, (fetched, batches)) = (Arc::clone(&self.shared.stream), mpsc::channel(1));
        let shard = held.shard.clone();
        tracing::info!(%shard, from = %held.at, "reading what lies between what is stored and the shard's end");
        let reading = async move { stream.rest(&shard, resume, fetched).await };
        let (read, handed) = tokio::join!(reading, self.pass_on(batches));
        handed?;
        Ok(read?)
    }

    async fn pass_on(&mut self, mut batches: mpsc::Receiver<Batch>) -> Result<(), End> {
        while let Some(Batch { records, behind_ms, last, .. }) = batches.recv().await {
            count(&self.shared.counters.gap_records, records.len());
            self.hand_over(records, behind_ms, None, last).await?;
        }
        Ok(())
    }

    /// Returns when the pipeline has taken the batch in.
    async fn hand_over(
        &mut self,
        records: Vec<Record>,
        behind_ms: Option<u64>,
        seen_at: Option<i64>,
        last: bool,
    ) -> Result<(), End> {
        let Some(held) = &mut self.held else { return Ok(()) };
        self.word_at = Instant::now();
        held.seen_at = held.seen_at.max(seen_at);
        let to = records.last().map_or_else(|| held.at.clone(), |record| record.position.clone());
        let span = Span::new(std::mem::replace(&mut held.at, to.clone()), to);
        held.ended = last;
        // The pipeline drops the batch, and with it this permit, when it is done with it.
        let taken = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&taken).acquire_owned().await.map_err(|_| SourceError::Closed)?;
        let batch = Batch { shard: held.shard.clone(), span, records, behind_ms, seen_at, last, permit: Some(permit) };
        self.out.send(batch).await.map_err(|_| SourceError::Closed)?;
        taken.acquire().await.map(drop).map_err(|_| SourceError::Closed)?;
        Ok(())
    }

    /// The daemon checks that the end is checkpointed; then the lease of the shard is done with, and its children begin.
    async fn end(&mut self) -> Result<(), End> {
        self.own().await?;
        match &self.held {
            Some(held) if held.ended => {}
            Some(held) if held.gap => self.fetch_rest().await?,
            _ => self.hand_over(Vec::new(), None, None, true).await?,
        }
        if let Some(held) = &self.held {
            self.shared.lags.ended(&held.shard);
        }
        self.give_up().await?;
        for attempt in 1..=END_TRIES {
            match self.checkpoint(protocol::checkpoint_end()).await? {
                None => return Ok(()),
                Some(error) => tracing::warn!(error, attempt, "the end of the shard was not checkpointed"),
            }
            tokio::time::sleep(self.shared.waits.end).await;
        }
        Err(End::Connection("the end of the shard could not be checkpointed".into()))
    }

    /// Cuts and stores all that was taken in of the shard, and lets go of it.
    async fn give_up(&mut self) -> Result<(), SourceError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        self.claims.give_up(held.shard.clone(), held.at.clone()).await?;
        self.shared.lags.ended(&held.shard);
        self.shared.note_stored(&held.shard, &held.at);
        tracing::info!(shard = %held.shard, through = %held.at, "shard given up");
        Ok(())
    }

    /// Tells the lease table what is stored, if that is news. A refusal is no failure: the next checkpoint says more.
    async fn checkpoint_stored(&mut self) -> Result<(), End> {
        let Some(position) = self.next_checkpoint() else { return Ok(()) };
        self.checkpointed_at = Some(Instant::now());
        match self.checkpoint(protocol::checkpoint_at(&position)).await? {
            None => self.checkpointed = position,
            Some(error) => tracing::warn!(error, %position, "the daemon refused a checkpoint"),
        }
        Ok(())
    }

    /// Not ahead of what is stored, not behind what the daemon gave, and a whole record: the lease table has no place for a
    /// position inside one.
    fn next_checkpoint(&self) -> Option<Position> {
        let stored = self.shared.stored(&self.assigned.as_ref()?.shard)?;
        let given = self.given.clone()?;
        let position = if given <= stored { given } else { stored };
        (position.document() == 0 && position > self.checkpointed).then_some(position)
    }

    /// The exception's name, if it was refused.
    async fn checkpoint(&mut self, line: Vec<u8>) -> Result<Option<String>, End> {
        self.say(line).await?;
        if !self.lines.arrived().await? {
            return Err(End::Connection("the daemon did not answer a checkpoint".into()));
        }
        let Message::Checkpointed { error } = self.receive().await?.message else {
            return Err(End::Connection("another message in answer to a checkpoint".into()));
        };
        let counters = &self.shared.counters;
        count(if error.is_none() { &counters.checkpoints } else { &counters.checkpoints_refused }, 1);
        Ok(error)
    }
}

impl Held {
    /// The last stored record is among them: nothing lies between it and what follows there.
    fn is_joined_by(&self, records: &[Record]) -> bool {
        !self.at.is_zero() && records.iter().any(|record| record.position.record() == self.at.record())
    }

    /// Without what the state holds already, and without what lies before the instant at which the shard's reading begins:
    /// the daemon's own `LATEST` may be a moment earlier.
    fn new_of(&self, records: Vec<Record>, counters: &super::KclCounters) -> Vec<Record> {
        let all = records.len();
        let too_early = |record: &Record| match self.start {
            Start::At(millis) => self.at.is_zero() && record.arrived_at < millis,
            Start::TrimHorizon => false,
        };
        let new = records.into_iter().skip_while(|record| record.position <= self.at || too_early(record));
        let new: Vec<Record> = new.collect();
        count(&counters.passed_over, all - new.len());
        new
    }
}

fn count(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}
