//! What retention takes: how long the stream keeps its records, and whether a position that it has trimmed means a loss.
//!
//! The service goes on behind a trimmed position without a word. But a position is trimmed on any shard that was idle for long,
//! and there nothing is lost: if the shard was seen to hold nothing behind the position, later than one retention period ago, then
//! what came since is still there.

use std::time::Duration;

use schemas::position::ShardId;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Shared;
use super::counters::add;
use super::pace::jitter;
use super::tail::Gap;
use crate::source::SourceError;

/// The service keeps records at least so long: 24 hours.
pub(super) const RETENTION_MS_MIN: i64 = 24 * 3_600_000;

/// An answer of the service counts for so long: the period can be changed at any time.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(600);

/// From this part of the retention period on, a reader that lags behind makes sure of its last record with each read.
const CLOSE_PERCENT: i64 = 90;

/// The stream's retention period, asked for only when it matters.
#[derive(Debug, Default)]
pub(super) struct Retention(Mutex<Option<(Instant, i64)>>);

impl Shared {
    /// Milliseconds for which the stream keeps a record. Where the service does not say (no right to ask), the least there is.
    async fn retention_ms(&self) -> Result<i64, SourceError> {
        let mut known = self.retention.0.lock().await;
        if let Some((at, period)) = *known
            && at.elapsed() < ANSWER_AGE_MAX
        {
            return Ok(period);
        }
        let period = self.ask_retention_ms().await?;
        *known = Some((Instant::now(), period));
        self.counters.retention_is(period);
        Ok(period)
    }

    async fn ask_retention_ms(&self) -> Result<i64, SourceError> {
        let (mut retry, began) = (self.retry(), Instant::now());
        loop {
            let failure = match self.service.retention_hours().await {
                Ok(hours) => return Ok(i64::from(hours).saturating_mul(3_600_000).max(RETENTION_MS_MIN)),
                Err(failure) => failure,
            };
            if !failure.may_pass() {
                tracing::warn!(stream = self.service.place(), %failure, "the retention period is not known: taken as 24 hours");
                return Ok(RETENTION_MS_MIN);
            }
            let Some(delay) = retry.failed(began.elapsed(), jitter(self.service.place(), retry.attempt())) else {
                return Err(failure.into_error(format!("ask for the retention period of {}", self.service.place())));
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Whether a reader that is so far behind has to fear retention.
    pub(super) async fn is_close_to_retention(&self, behind_ms: Option<u64>) -> Result<bool, SourceError> {
        let behind = behind_ms.map_or(0, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
        let close = |period: i64| behind >= period / 100 * CLOSE_PERCENT;
        Ok(close(RETENTION_MS_MIN) && close(self.retention_ms().await?))
    }

    /// The record that `gap` begins with was trimmed. Returns where nothing is lost by it, or what is lost was accepted.
    ///
    /// `seen_at`: the shard was last seen to hold nothing behind that record, milliseconds since the epoch.
    ///
    /// # Errors
    /// [`SourceError::Lost`], with what to write to go on.
    pub(super) async fn weigh(&self, shard: &ShardId, gap: &Gap, seen_at: Option<i64>) -> Result<(), SourceError> {
        let (after, first) = (&gap.after, gap.first.as_ref());
        if let Some(seen_at) = seen_at {
            let unseen = self.clock.now().saturating_sub(seen_at);
            if unseen < self.retention_ms().await? {
                tracing::debug!(%shard, %after, unseen, "the last record was trimmed while nothing came after it");
                return Ok(());
            }
        }
        if self.is_accepted(shard, gap) {
            let first = first.map(ToString::to_string);
            tracing::error!(%shard, %after, first, "records between these two are lost, as accepted with --accept-loss");
            add(&self.counters.lost_spans, 1);
            return Ok(());
        }
        Err(trimmed(shard, gap))
    }

    /// Whether the operator has said that what is missing here may be missing.
    pub(super) fn is_accepted(&self, shard: &ShardId, gap: &Gap) -> bool {
        self.settings.accepted_loss.iter().any(|accepted| accepted.covers(shard, &gap.after, gap.first.as_ref()))
    }
}

fn trimmed(shard: &ShardId, gap: &Gap) -> SourceError {
    let after = &gap.after;
    let message = match &gap.first {
        Some(first) => format!(
            "retention has trimmed that record, and what stood between it and record {first}, the first one there is, may be \
             gone with it: {}",
            way_on(shard, gap)
        ),
        None => {
            format!("retention has trimmed that record, and there is none behind it any more: {}", way_on(shard, gap))
        }
    };
    SourceError::Lost { shard: shard.clone(), after: after.clone(), first: gap.first.clone(), message }
}

/// What to write to go on without the records of `gap`.
pub(super) fn way_on(shard: &ShardId, gap: &Gap) -> String {
    let first = gap.first.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("start with --accept-loss {shard}:{}-{first} to go on without them", gap.after)
}
