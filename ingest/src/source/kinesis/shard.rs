//! Reading one shard: iterator, pace, retries, positions.
//!
//! Every await may be the last one (the reader is dropped when the source stops): the position moves only where nothing is
//! awaited before the records are handed over, and a record that was not handed over is read again by whoever reads next.

use std::sync::Arc;
use std::time::Duration;

use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::Shared;
use super::counters::add;
use super::pace::{Pace, Retry, jitter};
use super::service::{Failure, RawRecord, ReadFrom, RecordPage};
use crate::record::{Batch, Record};
use crate::source::{Resume, SourceError};

/// The service refuses an instant that it has not reached yet. `latest` is this machine's instant: so far may its clock be ahead.
const CLOCK_SKEW_MS: i64 = 5 * 60 * 1_000;

/// Failures in a row before the log says so aloud.
const QUIET_ATTEMPTS: u32 = 4;

/// What one read gave.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) records: Vec<Record>,
    pub(super) span: Span,
    pub(super) behind_ms: Option<u64>,
    pub(super) caught_up: bool,
    /// The shard ends here.
    pub(super) last: bool,
}

#[derive(Debug)]
pub(super) struct ShardReader {
    shared: Arc<Shared>,
    shard: ShardId,
    /// The shard's name in the service.
    id: String,
    start: Start,
    last: Position,
    iterator: Option<String>,
    pace: Pace,
    retry: Retry,
    began: Instant,
}

impl ShardReader {
    pub(super) fn new(shared: Arc<Shared>, id: &str, after: Position, start: Start) -> Self {
        let settings = &shared.settings;
        ShardReader {
            shard: shared.shard_id(id),
            id: id.to_string(),
            start,
            last: after,
            iterator: None,
            pace: Pace::new(settings.reads_per_second, settings.bytes_per_second, settings.idle_poll),
            retry: shared.retry(),
            began: Instant::now(),
            shared,
        }
    }

    pub(super) fn resumed(shared: Arc<Shared>, id: &str, resume: Resume) -> Self {
        ShardReader::new(shared, id, resume.after, resume.start)
    }

    /// Reads to the shard's end.
    pub(super) async fn drain(mut self, out: mpsc::Sender<Batch>) -> Result<(), SourceError> {
        loop {
            let (read, permit) = self.read().await?;
            let last = read.last;
            self.hand_over(read, Some(permit), &out).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Sends what was read, if it says anything; without a permit, waits for one first.
    pub(super) async fn hand_over(
        &self,
        read: Read,
        permit: Option<OwnedSemaphorePermit>,
        out: &mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        let Read { records, span, behind_ms, last, .. } = read;
        if let Some(behind) = behind_ms {
            self.shared.counters.behind(&self.shard, behind);
        }
        if last || !records.is_empty() {
            let permit = match permit {
                Some(permit) => permit,
                None => self.permit().await?,
            };
            let batch = Batch {
                shard: self.shard.clone(),
                span,
                records,
                behind_ms,
                seen_at: None,
                last,
                permit: Some(permit),
            };
            out.send(batch).await.map_err(|_| SourceError::Closed)?;
        }
        if last {
            self.shared.counters.ended(&self.shard);
        }
        Ok(())
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, SourceError> {
        let permits = Arc::clone(&self.shared.permits);
        permits.acquire_owned().await.map_err(|_| SourceError::Closed)
    }

    /// One answer of the service, however many attempts it takes. The permit is taken before the call, since the call is what
    /// takes memory, and not held while a failure is waited out.
    pub(super) async fn read(&mut self) -> Result<(Read, OwnedSemaphorePermit), SourceError> {
        loop {
            tokio::time::sleep(self.pace.wait(self.began.elapsed())).await;
            let permit = self.permit().await?;
            match self.attempt().await {
                Ok(page) => return Ok((self.accept(page)?, permit)),
                Err(failure) => {
                    drop(permit);
                    self.wait_out(failure).await?;
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<RecordPage, Failure> {
        let iterator = match &self.iterator {
            Some(iterator) => iterator.clone(),
            None => {
                let fresh = self.shared.service.iterator(&self.id, &self.read_from()).await?;
                self.iterator.insert(fresh).clone()
            }
        };
        let began = self.began.elapsed();
        let page = self.shared.service.records(&iterator, self.shared.settings.records_per_read).await?;
        self.pace.spent(began, page.bytes(), page.caught_up());
        Ok(page)
    }

    /// After the last record read, or else where the reading began: an iterator that expired before the first record goes back
    /// to the same start.
    pub(super) fn read_from(&self) -> ReadFrom {
        match (&self.start, self.last.is_zero()) {
            (_, false) => ReadFrom::After(self.last.clone()),
            (Start::TrimHorizon, true) => ReadFrom::TrimHorizon,
            (Start::At(millis), true) => ReadFrom::At(*millis),
        }
    }

    fn accept(&mut self, page: RecordPage) -> Result<Read, SourceError> {
        add(&self.shared.counters.reads, 1);
        self.iterator = page.next.clone();
        self.take(page)
    }

    /// Checks the page and moves the position behind it.
    pub(super) fn take(&mut self, page: RecordPage) -> Result<Read, SourceError> {
        self.retry.succeeded();
        self.shared.counters.records(page.records.len(), page.bytes());
        let (caught_up, behind_ms, last) = (page.caught_up(), page.behind_ms, page.next.is_none());
        let from = self.last.clone();
        let mut to = from.clone();
        let mut records = Vec::with_capacity(page.records.len());
        for raw in page.records {
            let record = self.checked(raw, &to)?;
            to = record.position.clone();
            records.push(record);
        }
        self.last = to.clone();
        Ok(Read { records, span: Span::new(from, to), behind_ms, caught_up, last })
    }

    /// A record that does not stand behind the one before it would be lost or doubled further on: better to stop here.
    fn checked(&self, raw: RawRecord, before: &Position) -> Result<Record, SourceError> {
        let broken = |message: String| SourceError::Environment { doing: self.doing(), message };
        let position = Position::new(raw.sequence_number, 0).map_err(|bad| broken(format!("sequence number {bad}")))?;
        if position <= *before {
            return Err(broken(format!("record {position} came after record {before}, but is not greater")));
        }
        Ok(Record { position, arrived_at: raw.arrived_at, data: raw.data })
    }

    /// Waits where waiting helps, or says what is wrong.
    pub(super) async fn wait_out(&mut self, failure: Failure) -> Result<(), SourceError> {
        self.count(&failure);
        if matches!(failure, Failure::Expired(_)) {
            self.iterator = None;
        }
        let delay = match &failure {
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
        let (Start::At(start), true) = (&self.start, self.last.is_zero()) else { return None };
        let ahead = start.saturating_sub(self.shared.clock.now());
        let settings = &self.shared.settings;
        let wait = Duration::from_millis(u64::try_from(ahead).unwrap_or(0));
        (ahead.saturating_add(CLOCK_SKEW_MS) > 0).then(|| wait.max(settings.backoff_base).min(settings.backoff_cap))
    }

    pub(super) fn error(&self, failure: Failure) -> SourceError {
        match failure {
            Failure::NotFound(message) => {
                let message = format!("{} is not there any more: {message}", self.shared.service.place());
                SourceError::Lost { shard: self.shard.clone(), after: self.last.clone(), message }
            }
            Failure::InvalidArgument(message) if !self.last.is_zero() => SourceError::Config(format!(
                "{}: the service does not know position {} ({message}): was the stream deleted and made again? \
                 a new stream wants a new state url",
                self.doing(),
                self.last
            )),
            failure => failure.into_error(self.doing()),
        }
    }

    fn doing(&self) -> String {
        format!("read shard {} of {}", self.id, self.shared.service.place())
    }
}
