//! Reading one shard as the service pushes it (`SubscribeToShard`): subscribe, renew, hand over.
//!
//! **Where a subscription begins.** The first one where a poll would. A later one behind the *continuation* of the last event:
//! the service's own mark of how far it has looked, which moves on although no record comes. It is no record's number, so it
//! never enters a span; it is kept beside the position, for the next call alone, and a process that starts anew does without.
//!
//! **Memory.** One event of each shard is held until the pipeline has a permit for it, and no further one is asked for; what
//! the service sends meanwhile waits in the connection, which takes 2 MiB and then no more. The permit is not taken before the
//! event, as a poll's is: an idle shard's next event is seconds away, and sixteen of them would hold up all others.
//!
//! **The end of a shard** comes with its last event. Where it does not (kinesis-local never says it), a poll finds it: a reader
//! that waited on would keep the shard's children waiting for ever.
//!
//! Every await may be the last one, as in `shard`.

use std::sync::Arc;
use std::time::Duration;

use schemas::position::Position;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Shared;
use super::consumer::{Consumer, Hint, explained};
use super::counters::add;
use super::pace::{Retry, jitter};
use super::service::{Failure, Pushed, ReadFrom, RecordPage, Subscription};
use super::shard::ShardReader;
use crate::record::Batch;
use crate::source::{Resume, SourceError};

/// A subscription that gave nothing for so long is dead: also where no record comes, the service sends an event every few
/// seconds. The connection may be half open, which nobody else would tell.
const SILENCE: Duration = Duration::from_secs(60);

/// The service refuses another subscription of a consumer to a shard for so long after one it has taken.
const RENEW_AFTER: Duration = Duration::from_secs(5);

/// Between two attempts at a subscription that someone else holds, doubling; jitter takes up to half, down to [`RENEW_AFTER`].
const IN_USE_BASE: Duration = Duration::from_secs(10);
const IN_USE_CAP: Duration = Duration::from_secs(40);

/// A continuation older than a subscription lives (five minutes) is not used: what retention has removed since then shows only
/// by the last record, which is then asked for.
const CONTINUATION_AGE_MAX: Duration = Duration::from_secs(300);

/// The service may not know a shard in the first moment of a consumer or of its own: so many attempts before it is gone.
const NOT_FOUND_MAX: u32 = 3;

#[derive(Debug)]
pub(super) struct FanOutReader {
    shared: Arc<Shared>,
    id: String,
    /// Position, checks and patience, as polling has them.
    shard: ShardReader,
    continuation: Option<(Position, Instant)>,
    subscribed_at: Option<Instant>,
    /// When the subscription was asked for, milliseconds since the epoch: its events are no older, however long they waited.
    asked_at: i64,
    /// Of whom the last subscription was asked for.
    arn: String,
    in_use: Retry,
    not_found: u32,
    began: Instant,
}

impl FanOutReader {
    pub(super) fn resumed(shared: Arc<Shared>, id: &str, resume: Resume) -> Self {
        FanOutReader {
            id: id.to_string(),
            shard: ShardReader::resumed(Arc::clone(&shared), id, resume),
            continuation: None,
            subscribed_at: None,
            asked_at: 0,
            arn: String::new(),
            in_use: Retry::new(IN_USE_BASE, IN_USE_CAP, shared.settings.give_up),
            not_found: 0,
            began: Instant::now(),
            shared,
        }
    }

    /// Reads to the shard's end.
    pub(super) async fn drain(mut self, consumer: &Consumer, out: mpsc::Sender<Batch>) -> Result<(), SourceError> {
        let mut poll = false;
        loop {
            if poll || self.shard.is_endangered() {
                if self.poll(&out).await? {
                    return Ok(());
                }
                poll = false;
                continue;
            }
            let failure = match self.subscribe(consumer).await? {
                Ok(subscription) => match self.follow(subscription, &out).await? {
                    Ended::Shard => return Ok(()),
                    Ended::Untold => {
                        poll = true;
                        continue;
                    }
                    Ended::Subscription(None) => continue,
                    Ended::Subscription(Some(failure)) => failure,
                },
                Err(failure) => failure,
            };
            self.wait_out(failure, consumer).await?;
        }
    }

    /// Reads by polling: what is pushed may jump over what retention takes without a word. Whether the shard ended.
    async fn poll(&mut self, out: &mpsc::Sender<Batch>) -> Result<bool, SourceError> {
        self.continuation = None;
        let read = self.shard.read().await?;
        let last = read.last;
        self.shard.hand_over(read, out).await?;
        Ok(last)
    }

    async fn subscribe(&mut self, consumer: &Consumer) -> Result<Result<Box<dyn Subscription>, Failure>, SourceError> {
        if let Some(at) = self.subscribed_at {
            sleep_until(at + RENEW_AFTER).await;
        }
        self.arn = consumer.arn(&self.shared).await?;
        let from = self.read_from();
        self.asked_at = self.shared.clock.now();
        let call = self.shared.service.subscribe(&self.arn, &self.id, &from);
        let answer = timeout(SILENCE, call).await.unwrap_or_else(|_| Err(silent()));
        if answer.is_ok() {
            if !matches!(from, ReadFrom::After(_)) {
                self.shard.anchor();
            }
            let counters = &self.shared.counters;
            add(&counters.subscriptions, 1);
            if self.subscribed_at.replace(Instant::now()).is_some() {
                add(&counters.renewals, 1);
            }
            tracing::debug!(shard = self.id, ?from, "subscribed");
        }
        Ok(answer)
    }

    fn read_from(&mut self) -> ReadFrom {
        match &self.continuation {
            Some((at, seen)) if seen.elapsed() < CONTINUATION_AGE_MAX => ReadFrom::After(at.clone()),
            _ => self.shard.read_from(),
        }
    }

    /// Hands over what comes, until the shard or the subscription ends.
    async fn follow(
        &mut self,
        mut subscription: Box<dyn Subscription>,
        out: &mpsc::Sender<Batch>,
    ) -> Result<Ended, SourceError> {
        let mut events = 0u64;
        loop {
            let next = timeout(SILENCE, subscription.next()).await.unwrap_or_else(|_| Err(silent()));
            let pushed = match next {
                Ok(Some(pushed)) => pushed,
                Ok(None) if events > 0 => return Ok(Ended::Subscription(None)),
                Ok(None) => {
                    return Ok(Ended::Subscription(Some(Failure::Unreachable(
                        "it ended before its first event".into(),
                    ))));
                }
                Err(failure) => return Ok(Ended::Subscription(Some(failure))),
            };
            events += 1;
            let last = pushed.last;
            let untold = !last && pushed.behind_ms == Some(0) && self.shared.is_closed(&self.id);
            self.accept(pushed).await?;
            while let Some(read) = self.shard.next() {
                self.shard.hand_over(read, out).await?;
            }
            if last {
                return Ok(Ended::Shard);
            }
            if untold {
                return Ok(Ended::Untold);
            }
            if self.shard.is_endangered() {
                return Ok(Ended::Subscription(None));
            }
        }
    }

    async fn accept(&mut self, pushed: Pushed) -> Result<(), SourceError> {
        self.in_use.succeeded();
        self.not_found = 0;
        // One that is no number is of no use, and the position will do.
        let continuation = pushed.continuation.and_then(|number| Position::new(number, 0).ok());
        self.continuation = continuation.map(|at| (at, Instant::now()));
        add(&self.shared.counters.events, 1);
        let permit = if pushed.records.is_empty() { None } else { Some(self.shard.permit().await?) };
        let page = RecordPage { records: pushed.records, next: None, behind_ms: pushed.behind_ms };
        self.shard.take(page, pushed.last, self.asked_at, permit).await
    }

    /// Waits where waiting helps, or says what is wrong.
    async fn wait_out(&mut self, failure: Failure, consumer: &Consumer) -> Result<(), SourceError> {
        match failure {
            Failure::InUse(message) => self.wait_for_others(message).await,
            Failure::NotFound(_) if consumer.was_gone(&self.shared, &self.arn).await? => Ok(()),
            Failure::NotFound(_) if self.not_found < NOT_FOUND_MAX => {
                self.not_found += 1;
                sleep(RENEW_AFTER).await;
                Ok(())
            }
            Failure::InvalidArgument(message) if self.continuation.take().is_some() => {
                tracing::warn!(shard = self.id, message, "continuation refused, subscribing after the last record");
                Ok(())
            }
            failure => {
                let hint = Hint::of(&failure);
                self.shard.wait_out(failure).await.map_err(|error| explained(hint, error))
            }
        }
    }

    /// The former owner of the shard still holds its subscription, or two lakes use one consumer.
    async fn wait_for_others(&mut self, message: String) -> Result<(), SourceError> {
        add(&self.shared.counters.in_use, 1);
        let attempt = self.in_use.attempt();
        let Some(delay) = self.in_use.failed(self.began.elapsed(), jitter(&self.id, attempt)) else {
            return Err(self.shard.error(Failure::InUse(format!(
                "{message}: does another lake or program use this consumer? two want two names (`consumer`)"
            ))));
        };
        let delay_ms = delay.as_millis() as u64;
        tracing::warn!(shard = self.id, message, delay_ms, "someone else holds the subscription, trying again");
        sleep(delay).await;
        Ok(())
    }
}

#[derive(Debug)]
enum Ended {
    Shard,
    /// Everything of a closed shard has come, and its end was not told.
    Untold,
    /// With what ended it, if not the service in its own time.
    Subscription(Option<Failure>),
}

fn silent() -> Failure {
    Failure::Unreachable(format!("no event for {} s", SILENCE.as_secs()))
}
