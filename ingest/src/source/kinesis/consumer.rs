//! The registered consumer that a stream's shards are pushed to with enhanced fan-out.
//!
//! All processes of one lake share one: a consumer has one subscription to a shard at a time, and a shard has one owner. Nobody
//! takes its registration back, since others may be reading with it.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Shared;
use super::pace::jitter;
use super::service::{ConsumerState, Failure, Service};
use crate::source::SourceError;

/// Between two looks at a consumer that is being made: it takes seconds.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Consumer {
    name: String,
    /// As last looked up. One task looks at a time.
    arn: Mutex<Option<String>>,
}

impl Consumer {
    pub(super) fn new(name: &str) -> Self {
        Consumer { name: name.to_string(), arn: Mutex::new(None) }
    }

    /// The active consumer, registered now if it is not.
    pub(super) async fn arn(&self, shared: &Shared) -> Result<String, SourceError> {
        let mut known = self.arn.lock().await;
        if let Some(arn) = &*known {
            return Ok(arn.clone());
        }
        let found = self.look_up(shared).await.map_err(|failure| self.error(failure, shared))?;
        Ok(known.insert(found).clone())
    }

    /// The service has not found `arn`, or a shard: looks the consumer up anew. Whether it was `arn` that was gone.
    pub(super) async fn was_gone(&self, shared: &Shared, arn: &str) -> Result<bool, SourceError> {
        let mut known = self.arn.lock().await;
        if known.as_deref().is_some_and(|known| known != arn) {
            return Ok(true);
        }
        match self.look_up(shared).await {
            Ok(found) => Ok(known.insert(found) != arn),
            // Nor is the stream there to register it with.
            Err(Failure::NotFound(_)) => Ok(false),
            Err(failure) => Err(self.error(failure, shared)),
        }
    }

    async fn look_up(&self, shared: &Shared) -> Result<String, Failure> {
        let (mut retry, began) = (shared.retry(), Instant::now());
        loop {
            let failure = match self.look(&*shared.service).await {
                Ok(arn) => return Ok(arn),
                Err(failure) => failure,
            };
            let delay = match failure.may_pass() {
                true => retry.failed(began.elapsed(), jitter(&self.name, retry.attempt())),
                false => None,
            };
            let Some(delay) = delay else { return Err(failure) };
            tracing::info!(consumer = self.name, %failure, "consumer is not active yet");
            tokio::time::sleep(delay.max(LOOK_AGAIN)).await;
        }
    }

    async fn look(&self, service: &dyn Service) -> Result<String, Failure> {
        let waiting = |what: &str| Failure::InUse(format!("consumer `{}` {what}", self.name));
        match service.consumer(&self.name).await? {
            Some(found) => match found.state {
                ConsumerState::Active => Ok(found.arn),
                ConsumerState::Creating => Err(waiting("is being made")),
                ConsumerState::Deleting => Err(waiting("is being deleted")),
            },
            // In use: another process of this lake was quicker.
            None => match service.register(&self.name).await {
                Ok(()) => {
                    tracing::info!(consumer = self.name, stream = service.place(), "consumer registered");
                    Err(waiting("has been registered"))
                }
                Err(failure) => Err(failure),
            },
        }
    }

    fn error(&self, failure: Failure, shared: &Shared) -> SourceError {
        let limit = match &failure {
            Failure::Throttled(_) => " (a stream has at most 20 consumers, 5 of them being made at a time)",
            _ => "",
        };
        let doing = format!("register consumer `{}` with {}{limit}", self.name, shared.service.place());
        explained(Hint::of(&failure), failure.into_error(doing))
    }
}

/// What may be done about a failure that polling would not have had.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hint {
    Grant,
    Polling,
    Nothing,
}

impl Hint {
    pub(super) fn of(failure: &Failure) -> Hint {
        match failure {
            Failure::Denied(_) => Hint::Grant,
            Failure::Fatal(_) | Failure::InvalidArgument(_) | Failure::Unreachable(_) => Hint::Polling,
            _ => Hint::Nothing,
        }
    }
}

/// The error with what to do about it.
pub(super) fn explained(hint: Hint, error: SourceError) -> SourceError {
    let hint = match hint {
        Hint::Grant => {
            "grant kinesis:DescribeStreamSummary, DescribeStreamConsumer, RegisterStreamConsumer and SubscribeToShard on the \
             stream and its consumers (and kms:Decrypt if it is encrypted), or write reader = \"polling\""
        }
        Hint::Polling => "if this endpoint has no enhanced fan-out, write reader = \"polling\"",
        Hint::Nothing => return error,
    };
    match error {
        SourceError::Config(text) => SourceError::Config(format!("{text}: {hint}")),
        SourceError::Environment { doing, message } => {
            SourceError::Environment { doing, message: format!("{message}: {hint}") }
        }
        other => other,
    }
}
