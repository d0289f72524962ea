//! Reading one shard: iterator, pace, retries, positions.
//!
//! Every await may be the last one (the reader is dropped when the source stops): the position moves only where nothing is
//! awaited before the records are handed over, and a record that was not handed over is read again by whoever reads next.

use std::sync::Arc;
use std::time::Duration;

use schemas::log_entry::Start;
use schemas::position::{ShardId, Span};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::Shared;
use super::counters::add;
use super::pace::{Pace, Retry, jitter};
use super::retention::way_on;
use super::service::{Failure, ReadFrom, RecordPage};
use super::tail::{Gap, Piece, Tail};
use crate::record::{Batch, Record};
use crate::source::{Resume, SourceError};

/// The service refuses an instant that it has not reached yet. `latest` is this machine's instant: so far may its clock be ahead.
const CLOCK_SKEW_MS: i64 = 5 * 60 * 1_000;

/// Failures in a row before the log says so aloud.
const QUIET_ATTEMPTS: u32 = 4;

/// An idle shard's last look is told to the pipeline so often.
pub(in crate::source) const IDLE_WORD: Duration = Duration::from_secs(60);

/// Reads in a row that may find nothing at the tip before a record that should come counts as gone.
pub(super) const EMPTY_READS_MAX: u32 = 3;

/// What one read gave, or a piece of it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) records: Vec<Record>,
    pub(super) span: Span,
    pub(super) behind_ms: Option<u64>,
    pub(super) caught_up: bool,
    /// At this instant the shard held nothing behind the span, milliseconds since the epoch.
    pub(super) seen_at: Option<i64>,
    /// The shard ends here.
    pub(super) last: bool,
    /// Of the whole page, with its last piece.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What is known of a page whose records are being handed over.
#[derive(Debug)]
struct Page {
    behind_ms: Option<u64>,
    caught_up: bool,
    seen_at: Option<i64>,
    last: bool,
    permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
pub(super) struct ShardReader {
    shared: Arc<Shared>,
    shard: ShardId,
    /// The shard's name in the service.
    id: String,
    start: Start,
    tail: Tail,
    page: Option<Page>,
    /// See [`Read::seen_at`].
    seen_at: Option<i64>,
    /// Reads in a row that found nothing at the tip.
    barren: u32,
    /// So far behind that retention may overtake: each read then makes sure of the record before it.
    endangered: bool,
    /// The position is refused, and the operator has accepted what follows from that.
    from_oldest: bool,
    iterator: Option<String>,
    pace: Pace,
    retry: Retry,
    began: Instant,
    /// When the pipeline last heard of this shard.
    word_at: Instant,
}

impl ShardReader {
    pub(super) fn resumed(shared: Arc<Shared>, id: &str, resume: Resume) -> Self {
        let settings = &shared.settings;
        let doing = format!("read shard {id} of {}", shared.service.place());
        let tail = Tail::new(doing, resume.after, shared.hash_range(id), Arc::clone(&shared.counters));
        ShardReader {
            shard: shared.shard_id(id),
            id: id.to_string(),
            start: resume.start,
            tail,
            page: None,
            seen_at: resume.seen_at,
            barren: 0,
            endangered: false,
            from_oldest: false,
            iterator: None,
            pace: Pace::new(Arc::clone(&shared.limits), settings.idle_poll),
            retry: shared.retry(),
            began: Instant::now(),
            word_at: Instant::now(),
            shared,
        }
    }

    /// Reads to the shard's end.
    pub(super) async fn drain(mut self, out: mpsc::Sender<Batch>) -> Result<(), SourceError> {
        loop {
            let read = self.read().await?;
            let last = read.last;
            self.hand_over(read, &out).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Sends what was read, if it says anything.
    pub(super) async fn hand_over(&mut self, read: Read, out: &mpsc::Sender<Batch>) -> Result<(), SourceError> {
        let Read { records, span, behind_ms, seen_at, last, permit, .. } = read;
        if let Some(behind) = behind_ms {
            self.shared.counters.behind(&self.shard, behind);
        }
        let idle_word = seen_at.is_some() && self.word_at.elapsed() >= IDLE_WORD;
        if last || !span.is_empty() || idle_word {
            self.word_at = Instant::now();
            let batch = Batch { shard: self.shard.clone(), span, records, behind_ms, seen_at, last, permit };
            out.send(batch).await.map_err(|_| SourceError::Closed)?;
        }
        if last {
            self.shared.counters.ended(&self.shard);
        }
        Ok(())
    }

    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, SourceError> {
        let permits = Arc::clone(&self.shared.permits);
        permits.acquire_owned().await.map_err(|_| SourceError::Closed)
    }

    /// One answer of the service, however many attempts it takes, or the next piece of one. The permit is taken before the call,
    /// since the call is what takes memory, and not held while a failure is waited out.
    pub(super) async fn read(&mut self) -> Result<Read, SourceError> {
        loop {
            if let Some(read) = self.next() {
                return Ok(read);
            }
            tokio::time::sleep(self.pace.wait(self.began.elapsed())).await;
            let permit = self.permit().await?;
            match self.attempt().await {
                Ok((mut page, asked_at)) => {
                    add(&self.shared.counters.reads, 1);
                    let last = page.next.is_none();
                    self.iterator = page.next.take();
                    self.take(page, last, asked_at, Some(permit)).await?;
                    // An iterator jumps over what retention takes without a word; a position does not.
                    if self.endangered && self.tail.is_ahead() {
                        self.iterator = None;
                    }
                }
                Err(failure) => {
                    drop(permit);
                    self.wait_out(failure).await?;
                }
            }
        }
    }

    /// A page, and when it was asked for.
    async fn attempt(&mut self) -> Result<(RecordPage, i64), Failure> {
        let iterator = match &self.iterator {
            Some(iterator) => iterator.clone(),
            None => {
                let fresh = self.shared.service.iterator(&self.id, &self.read_from()).await?;
                self.anchor();
                self.iterator.insert(fresh).clone()
            }
        };
        let (began, asked_at) = (self.began.elapsed(), self.shared.clock.now());
        let page = self.shared.service.records(&iterator, self.shared.settings.records_per_read).await?;
        self.pace.spent(began, page.bytes(), page.caught_up());
        Ok((page, asked_at))
    }

    /// With the record that the last position lies in, or else where the reading began: an iterator that expired before the first
    /// record goes back to the same start.
    pub(super) fn read_from(&self) -> ReadFrom {
        match (&self.start, self.tail.last().is_zero()) {
            (_, false) if self.from_oldest => ReadFrom::TrimHorizon,
            (_, false) => ReadFrom::Record(self.tail.last().clone()),
            (Start::TrimHorizon, true) => ReadFrom::TrimHorizon,
            (Start::At(millis), true) => ReadFrom::At(*millis),
        }
    }

    /// What comes next comes from [`ShardReader::read_from`].
    pub(super) fn anchor(&mut self) {
        self.tail.anchor();
    }

    /// Whether retention may overtake this reader. Then only [`ShardReader::read`] tells what it took.
    pub(super) fn is_endangered(&self) -> bool {
        self.endangered
    }

    /// Checks a page that was asked for at this instant and is the shard's `last`; [`ShardReader::next`] then gives it in pieces.
    pub(super) async fn take(
        &mut self,
        page: RecordPage,
        last: bool,
        asked_at: i64,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), SourceError> {
        self.retry.succeeded();
        self.from_oldest = false;
        self.shared.counters.records(page.records.len(), page.bytes());
        let (caught_up, behind_ms) = (page.caught_up(), page.behind_ms);
        self.barren = if caught_up { self.barren + 1 } else { 0 };
        let mut gap = self.tail.offer(page.records)?;
        if last || self.barren >= EMPTY_READS_MAX {
            gap = gap.or_else(|| self.tail.gap_at_end());
        }
        if let Some(gap) = gap {
            self.shared.weigh(&self.shard, &gap, self.seen_at).await?;
            self.tail.prove();
        }
        self.endangered = self.shared.is_close_to_retention(behind_ms).await?;
        let at_tip = behind_ms == Some(0) && !self.tail.is_anchored();
        let seen_at = at_tip.then_some(asked_at);
        self.seen_at = self.seen_at.max(seen_at);
        self.page = Some(Page { behind_ms, caught_up, seen_at, last, permit });
        Ok(())
    }

    /// The next piece of the page at hand; the position moves behind it.
    pub(super) fn next(&mut self) -> Option<Read> {
        let page = self.page.take()?;
        let Piece { records, span } = self.tail.piece().unwrap_or_else(|| self.tail.nothing());
        let Page { behind_ms, caught_up, seen_at, last, permit } = page;
        if self.tail.is_drained() {
            return Some(Read { records, span, behind_ms, caught_up, seen_at, last, permit });
        }
        self.page = Some(Page { behind_ms, caught_up, seen_at, last, permit });
        Some(Read { records, span, behind_ms, caught_up: false, seen_at: None, last: false, permit: None })
    }

    /// Waits where waiting helps, or says what is wrong.
    pub(super) async fn wait_out(&mut self, failure: Failure) -> Result<(), SourceError> {
        self.count(&failure);
        if matches!(failure, Failure::Expired(_)) {
            self.iterator = None;
        }
        let delay = match &failure {
            Failure::InvalidArgument(_) if self.may_begin_at_oldest() => {
                self.from_oldest = true;
                Some(Duration::ZERO)
            }
            Failure::InvalidArgument(_) => self.until_start(),
            failure if failure.may_pass() => {
                self.retry.failed(self.began.elapsed(), jitter(&self.id, self.retry.attempt()))
            }
            _ => None,
        };
        let Some(delay) = delay else { return Err(self.error(failure)) };
        self.log(&failure, delay);
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// One refusal is everyday life where several read a stream; a row of them is worth a look.
    fn log(&self, failure: &Failure, delay: Duration) {
        let (shard, delay_ms) = (&self.shard, delay.as_millis() as u64);
        if self.retry.attempt() > QUIET_ATTEMPTS {
            tracing::warn!(%shard, %failure, delay_ms, "reads keep failing, trying again");
        } else {
            tracing::debug!(%shard, %failure, delay_ms, "read failed, trying again");
        }
    }

    fn count(&self, failure: &Failure) {
        let counters = &self.shared.counters;
        match failure {
            Failure::Throttled(_) => add(&counters.throttled, 1),
            Failure::Expired(_) => add(&counters.expired, 1),
            Failure::Unreachable(_) => add(&counters.unreachable, 1),
            _ => {}
        }
    }

    /// How long to wait for the service's clock to reach the start, if that is what it may have refused.
    fn until_start(&self) -> Option<Duration> {
        let (Start::At(start), true) = (&self.start, self.tail.last().is_zero()) else { return None };
        let ahead = start.saturating_sub(self.shared.clock.now());
        let settings = &self.shared.settings;
        let wait = Duration::from_millis(u64::try_from(ahead).unwrap_or(0));
        (ahead.saturating_add(CLOCK_SKEW_MS) > 0).then(|| wait.max(settings.backoff_base).min(settings.backoff_cap))
    }

    pub(super) fn error(&self, failure: Failure) -> SourceError {
        match failure {
            Failure::NotFound(message) => {
                let message = format!("{} is not there any more: {message}", self.shared.service.place());
                SourceError::Lost { shard: self.shard.clone(), after: self.tail.last().clone(), first: None, message }
            }
            Failure::InvalidArgument(message) if !self.tail.last().is_zero() => SourceError::Config(format!(
                "{}: the service does not know position {} ({message}): was the stream deleted and made again? \
                 a new stream wants a new state url; if it is the same stream, {}",
                self.doing(),
                self.tail.last(),
                way_on(&self.shard, &self.everything_behind())
            )),
            failure => failure.into_error(self.doing()),
        }
    }

    /// A service may refuse a position that is trimmed. Whether that is why, only the operator can tell.
    fn may_begin_at_oldest(&self) -> bool {
        !self.from_oldest
            && !self.tail.last().is_zero()
            && self.shared.is_accepted(&self.shard, &self.everything_behind())
    }

    fn everything_behind(&self) -> Gap {
        Gap { after: self.tail.last().clone(), first: None }
    }

    fn doing(&self) -> String {
        format!("read shard {} of {}", self.id, self.shared.service.place())
    }
}
