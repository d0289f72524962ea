//! Enhanced fan-out over the SDK: consumers, and subscriptions as streams of events.

use std::fmt::Debug;

use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{Config, StalledStreamProtectionConfig};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardError;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::primitives::event_stream::EventReceiver;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};
use schemas::problem::causes;

use super::{by_code, failure, raw};
use crate::source::kinesis::service::{Consumer, ConsumerState, Failure, Pushed, ReadFrom, Subscription};

/// The client's settings for subscriptions. The SDK would end a stream of fewer than a byte a second after five seconds, which
/// is an idle shard's everyday life; how long a subscription may be silent is the reader's to say.
pub(super) fn config(client: &Client) -> Config {
    client.config().to_builder().stalled_stream_protection(StalledStreamProtectionConfig::disabled()).build()
}

pub(super) async fn stream_arn(client: &Client, stream: &str) -> Result<String, Failure> {
    let reply = client.describe_stream_summary().stream_name(stream).send().await.map_err(failure)?;
    let summary = reply.stream_description_summary;
    let arn = summary.map(|summary| summary.stream_arn).filter(|arn| !arn.is_empty());
    arn.ok_or_else(|| Failure::Fatal("DescribeStreamSummary answered without the stream's ARN".into()))
}

pub(super) async fn consumer(client: &Client, stream_arn: &str, name: &str) -> Result<Option<Consumer>, Failure> {
    let request = client.describe_stream_consumer().stream_arn(stream_arn).consumer_name(name);
    let found = match request.send().await.map_err(failure) {
        Ok(reply) => reply.consumer_description,
        Err(Failure::NotFound(_)) => None,
        Err(failure) => return Err(failure),
    };
    Ok(found.map(|found| Consumer { state: state(&found.consumer_status), arn: found.consumer_arn }))
}

fn state(status: &ConsumerStatus) -> ConsumerState {
    match status {
        ConsumerStatus::Active => ConsumerState::Active,
        ConsumerStatus::Deleting => ConsumerState::Deleting,
        // Whatever else there may be: not active yet.
        _ => ConsumerState::Creating,
    }
}

pub(super) async fn register(client: &Client, stream_arn: &str, name: &str) -> Result<(), Failure> {
    let request = client.register_stream_consumer().stream_arn(stream_arn).consumer_name(name);
    request.send().await.map(drop).map_err(failure)
}

/// Over a connection of its own. On a shared one, streams beyond the number that the server allows (128 on some of Amazon's)
/// would wait for ever, and a shard that is not read on would hold up the others by the window they share.
pub(super) async fn subscribe(
    config: &Config,
    consumer_arn: &str,
    shard: &str,
    from: &ReadFrom,
) -> Result<Box<dyn Subscription>, Failure> {
    let client = Client::from_conf(config.clone());
    let request = client.subscribe_to_shard().consumer_arn(consumer_arn).shard_id(shard);
    let reply = request.starting_position(position(from)?).send().await.map_err(refused)?;
    Ok(Box::new(Stream { events: reply.event_stream, _connection: client }))
}

fn position(from: &ReadFrom) -> Result<StartingPosition, Failure> {
    let position = StartingPosition::builder();
    let position = match from {
        ReadFrom::TrimHorizon => position.r#type(ShardIteratorType::TrimHorizon),
        ReadFrom::At(millis) => {
            position.r#type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*millis))
        }
        ReadFrom::Record(at) => position.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(at.sequence()),
        ReadFrom::After(after) => {
            position.r#type(ShardIteratorType::AfterSequenceNumber).sequence_number(after.sequence())
        }
    };
    position.build().map_err(|error| Failure::Fatal(causes(&error)))
}

/// The answer's first event belongs to the call for the SDK: a stream that breaks before it is a failure on the way.
fn refused(error: SdkError<SubscribeToShardError>) -> Failure {
    match &error {
        SdkError::ResponseError(reply) if reply.raw().status().is_success() => Failure::Unreachable(causes(&error)),
        _ => failure(error),
    }
}

#[derive(Debug)]
struct Stream {
    events: EventReceiver<SubscribeToShardEventStream, SubscribeToShardEventStreamError>,
    _connection: Client,
}

#[async_trait]
impl Subscription for Stream {
    async fn next(&mut self) -> Result<Option<Pushed>, Failure> {
        loop {
            match self.events.recv().await.map_err(broken)? {
                Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) => return pushed(event).map(Some),
                None => return Ok(None),
                // Of a later version of the service, or the emulators' second initial response.
                Some(_) => {}
            }
        }
    }
}

fn pushed(event: SubscribeToShardEvent) -> Result<Pushed, Failure> {
    Ok(Pushed {
        // At its end a shard names its children. The continuation is left out then, but that alone proves nothing.
        last: !event.child_shards().is_empty(),
        continuation: Some(event.continuation_sequence_number).filter(|number| !number.is_empty()),
        behind_ms: u64::try_from(event.millis_behind_latest).ok(),
        records: event.records.into_iter().map(raw).collect::<Result<_, _>>()?,
    })
}

/// In the midst of a stream: there is no status, and the error's code is in its kind.
fn broken<R: Debug>(error: SdkError<SubscribeToShardEventStreamError, R>) -> Failure {
    let SdkError::ServiceError(reply) = &error else { return Failure::Unreachable(causes(&error)) };
    let error = reply.err();
    let code = code(error).or(error.code()).unwrap_or_default();
    // What is not known ends the subscription; whether it also refuses the next one, that one will say.
    by_code(code, error.message().unwrap_or("no message"), 500)
}

fn code(error: &SubscribeToShardEventStreamError) -> Option<&'static str> {
    use SubscribeToShardEventStreamError as E;
    Some(match error {
        E::ResourceNotFoundException(_) => "ResourceNotFoundException",
        E::ResourceInUseException(_) => "ResourceInUseException",
        E::KmsDisabledException(_) => "KMSDisabledException",
        E::KmsInvalidStateException(_) => "KMSInvalidStateException",
        E::KmsAccessDeniedException(_) => "KMSAccessDeniedException",
        E::KmsNotFoundException(_) => "KMSNotFoundException",
        E::KmsOptInRequired(_) => "KMSOptInRequired",
        E::KmsThrottlingException(_) => "KMSThrottlingException",
        E::InternalFailureException(_) => "InternalFailureException",
        _ => return None,
    })
}
