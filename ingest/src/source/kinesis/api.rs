//! The one doorway to `aws-sdk-kinesis`: whoever calls Kinesis gets the client here, and the source's SDK types and SDK errors end
//! here.

mod fanout;

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{Config, Credentials, ProvideCredentials};
use aws_sdk_kinesis::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Record, Shard, ShardIteratorType};
use schemas::problem::causes;
use tokio::sync::OnceCell;

use super::kpl::HashRange;
use super::service::{Consumer, Failure, RawRecord, ReadFrom, RecordPage, Service, ShardPage, Subscription};
use super::tree::ListedShard;
use super::{Access, KinesisSettings};
use crate::source::SourceError;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// One attempt at one call; a 10 MiB reply fits in it at 1 MiB/s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// The SDK's own attempts at one call, before this source's backoff begins.
const SDK_ATTEMPTS: u32 = 3;
const SDK_BACKOFF_MAX: Duration = Duration::from_secs(2);
/// The whole chain of credential providers (variables, profile, web identity, container, instance).
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(15);
/// Only signed with, where an endpoint is named and a region is not.
const ENDPOINT_REGION: &str = "us-east-1";

/// What carries requests to the service, and its answers back.
#[derive(Debug, Clone)]
pub enum Wire {
    /// The SDK's own connections; [`SDK_ATTEMPTS`] at each call.
    Network,
    /// Handed in: a service within this process. One attempt at each call, since the SDK draws the pauses between its attempts
    /// from the system's randomness; what fails is tried again by this source.
    Given(SharedHttpClient),
}

/// One stream over the SDK.
#[derive(Debug)]
pub(super) struct KinesisApi {
    client: Client,
    subscriptions: Config,
    stream: String,
    stream_arn: OnceCell<String>,
    place: String,
}

impl KinesisApi {
    /// Resolves endpoint, region and credentials; no call to Kinesis yet.
    pub(super) async fn connect(settings: &KinesisSettings) -> Result<Self, SourceError> {
        let (client, place) = client(settings).await?;
        let (subscriptions, stream) = (fanout::config(&client), settings.stream.clone());
        Ok(KinesisApi { client, subscriptions, stream, stream_arn: OnceCell::new(), place })
    }

    /// Asked for once: a stream that is made again has the same.
    async fn stream_arn(&self) -> Result<&str, Failure> {
        let found = self.stream_arn.get_or_try_init(|| fanout::stream_arn(&self.client, &self.stream)).await;
        found.map(String::as_str)
    }
}

/// A client for the stream of `settings`, and where that is, for messages; no call to Kinesis yet.
///
/// # Errors
/// [`SourceError::Config`] for an endpoint that is no URL, no region, no credentials.
pub(in crate::source) async fn client(settings: &KinesisSettings) -> Result<(Client, String), SourceError> {
    if let Some(endpoint) = &settings.endpoint_url {
        check_endpoint(endpoint)?;
    }
    let config = Box::pin(load(settings)).await;
    let place = place(settings, &config)?;
    check_credentials(&config).await?;
    Ok((Client::new(&config), place))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
}

/// Nothing is looked up: reading profiles takes real time, on which a history in simulated time must not depend.
fn given(settings: &KinesisSettings, client: &SharedHttpClient, id: &str, secret: &str) -> SdkConfig {
    let credentials = SharedCredentialsProvider::new(Credentials::new(id, secret, None, None, "settings"));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(1))
        .timeout_config(timeouts())
        .region(Region::new(settings.region.clone().unwrap_or_else(|| ENDPOINT_REGION.into())))
        .endpoint_url(settings.endpoint_url.clone().unwrap_or_default())
        .credentials_provider(credentials)
        .http_client(client.clone())
        .build()
}

async fn load(settings: &KinesisSettings) -> SdkConfig {
    if let (Wire::Given(client), Access::Key { id, secret }) = (&settings.wire, &settings.access) {
        return given(settings, client, id, secret);
    }
    let retries = RetryConfig::standard().with_max_attempts(SDK_ATTEMPTS).with_max_backoff(SDK_BACKOFF_MAX);
    let mut loader =
        aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(retries).timeout_config(timeouts());
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &settings.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    if let Access::Key { id, secret } = &settings.access {
        loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "settings"));
    }
    let config = loader.load().await;
    if config.region().is_none() && config.endpoint_url().is_some() {
        return config.into_builder().region(Region::new(ENDPOINT_REGION)).build();
    }
    config
}

fn check_endpoint(endpoint: &str) -> Result<(), SourceError> {
    match url::Url::parse(endpoint) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => Err(SourceError::Config(format!(
            "endpoint_url `{endpoint}` is no http or https url: write for example `http://127.0.0.1:4566`"
        ))),
    }
}

fn place(settings: &KinesisSettings, config: &SdkConfig) -> Result<String, SourceError> {
    let stream = &settings.stream;
    let Some(region) = config.region() else {
        return Err(SourceError::Config(format!(
            "stream `{stream}`: no aws region: write `region` in [source.kinesis] or set AWS_REGION"
        )));
    };
    Ok(match config.endpoint_url() {
        Some(endpoint) => format!("stream `{stream}` at {endpoint}"),
        None => format!("stream `{stream}` in {region}"),
    })
}

/// Asks for credentials before the first call: the SDK would report their absence as a failed dispatch, like a dead network.
async fn check_credentials(config: &SdkConfig) -> Result<(), SourceError> {
    let none = |why: String| {
        SourceError::Config(format!(
            "no aws credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role: {why}"
        ))
    };
    let Some(provider) = config.credentials_provider() else { return Err(none("no provider".into())) };
    match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(none(causes(&error))),
        Err(_) => Err(none(format!("no provider answered within {} s", CREDENTIALS_TIMEOUT.as_secs()))),
    }
}

#[async_trait]
impl Service for KinesisApi {
    fn place(&self) -> &str {
        &self.place
    }

    async fn list_shards(&self, token: Option<String>) -> Result<ShardPage, Failure> {
        // The service refuses a token beside the stream's name: the token says both.
        let request = match token {
            Some(token) => self.client.list_shards().next_token(token),
            None => self.client.list_shards().stream_name(&self.stream),
        };
        let reply = request.send().await.map_err(failure)?;
        Ok(ShardPage {
            next: reply.next_token,
            shards: reply.shards.unwrap_or_default().into_iter().map(listed).collect(),
        })
    }

    async fn iterator(&self, shard: &str, from: &ReadFrom) -> Result<String, Failure> {
        let request = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(shard);
        let request = match from {
            ReadFrom::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            ReadFrom::At(millis) => {
                request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*millis))
            }
            ReadFrom::Record(position) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(position.sequence()),
            ReadFrom::After(position) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(position.sequence()),
        };
        let reply = request.send().await.map_err(failure)?;
        reply.shard_iterator.ok_or_else(|| Failure::Unreachable("GetShardIterator answered without an iterator".into()))
    }

    async fn records(&self, iterator: &str, limit: i32) -> Result<RecordPage, Failure> {
        let reply = self.client.get_records().shard_iterator(iterator).limit(limit).send().await.map_err(failure)?;
        Ok(RecordPage {
            records: reply.records.into_iter().map(raw).collect::<Result<_, _>>()?,
            next: reply.next_shard_iterator,
            behind_ms: reply.millis_behind_latest.and_then(|ms| u64::try_from(ms).ok()),
        })
    }

    async fn retention_hours(&self) -> Result<i32, Failure> {
        let call = self.client.describe_stream_summary().stream_name(&self.stream);
        let reply = call.send().await.map_err(failure)?;
        let summary = reply.stream_description_summary;
        let hours = summary.map(|summary| summary.retention_period_hours);
        hours.ok_or_else(|| Failure::Fatal("DescribeStreamSummary answered without a summary".into()))
    }

    async fn consumer(&self, name: &str) -> Result<Option<Consumer>, Failure> {
        fanout::consumer(&self.client, self.stream_arn().await?, name).await
    }

    async fn register(&self, name: &str) -> Result<(), Failure> {
        fanout::register(&self.client, self.stream_arn().await?, name).await
    }

    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard: &str,
        from: &ReadFrom,
    ) -> Result<Box<dyn Subscription>, Failure> {
        fanout::subscribe(&self.subscriptions, consumer_arn, shard, from).await
    }
}

fn listed(shard: Shard) -> ListedShard {
    let parents = [shard.parent_shard_id, shard.adjacent_parent_shard_id].into_iter().flatten().collect();
    let range = shard.hash_key_range.and_then(|range| {
        Some(HashRange { first: range.starting_hash_key.parse().ok()?, last: range.ending_hash_key.parse().ok()? })
    });
    ListedShard { id: shard.shard_id, parents, range }
}

/// The arrival is part of the record: a row may hold it, and keys may be made of it. Any time made up in its place would be
/// another one when the record is read again, so a server that leaves it out cannot be read from.
fn raw(record: Record) -> Result<RawRecord, Failure> {
    let Some(arrived_at) = record.approximate_arrival_timestamp.and_then(|at| millis(&at)) else {
        return Err(Failure::Fatal(format!(
            "record {} has no ApproximateArrivalTimestamp, which kinesis always gives: is this endpoint kinesis?",
            record.sequence_number
        )));
    };
    Ok(RawRecord { sequence_number: record.sequence_number, arrived_at, data: record.data.into_bytes() })
}

/// The service says seconds with a fraction, which no float holds exactly: cut off, the half of all arrivals would be a millisecond
/// earlier than they are, and than the Kinesis Client Library says.
fn millis(at: &DateTime) -> Option<i64> {
    i64::try_from((at.as_nanos() + 500_000).div_euclid(1_000_000)).ok()
}

/// Every SDK error, once.
fn failure<E>(error: SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(reply) => {
            let code = reply.err().code().unwrap_or_default();
            let message = reply.err().message().unwrap_or("no message");
            by_code(code, message, reply.raw().status().as_u16())
        }
        SdkError::ResponseError(reply) => by_status(reply.raw().status().as_u16()),
        SdkError::ConstructionFailure(_) => Failure::Fatal(causes(&error)),
        _ => Failure::Unreachable(causes(&error)),
    }
}

/// An answer that is not Kinesis's: a proxy, a balancer, some other server. The SDK's own words for it say nothing.
fn by_status(status: u16) -> Failure {
    let text = format!("http {status}, in no words of kinesis: is this endpoint kinesis, is a proxy in between?");
    if (400..500).contains(&status) { Failure::Fatal(text) } else { Failure::Unreachable(text) }
}

fn by_code(code: &str, message: &str, status: u16) -> Failure {
    let text = if code.is_empty() { format!("http {status}: {message}") } else { format!("{code}: {message}") };
    match code {
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "KMSThrottlingException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => Failure::Throttled(text),
        "ResourceInUseException" => Failure::InUse(text),
        "ExpiredIteratorException" | "ExpiredNextTokenException" => Failure::Expired(text),
        "ResourceNotFoundException" => Failure::NotFound(text),
        "InvalidArgumentException" | "ValidationException" => Failure::InvalidArgument(text),
        "AccessDeniedException"
        | "AccessDenied"
        | "KMSAccessDeniedException"
        | "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSNotFoundException"
        | "KMSOptInRequired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException"
        | "ExpiredTokenException" => Failure::Denied(text),
        _ if status >= 500 || status == 429 => Failure::Unreachable(text),
        _ => Failure::Fatal(text),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::primitives::Blob;

    use super::super::StartSetting;
    use super::*;

    #[test]
    fn each_error_code_has_its_answer() {
        for (code, status, passes) in [
            ("ProvisionedThroughputExceededException", 400, true),
            ("KMSThrottlingException", 400, true),
            ("ResourceInUseException", 400, true),
            ("ExpiredIteratorException", 400, true),
            ("InternalFailureException", 500, true),
            ("ServiceUnavailable", 503, true),
            ("", 502, true),
            ("ResourceNotFoundException", 400, false),
            ("InvalidArgumentException", 400, false),
            ("AccessDeniedException", 400, false),
            ("ExpiredTokenException", 400, false),
            ("SomethingNew", 400, false),
        ] {
            assert_eq!(by_code(code, "m", status).may_pass(), passes, "{code} {status}");
        }
        assert_eq!(
            by_code("ExpiredIteratorException", "m", 400),
            Failure::Expired("ExpiredIteratorException: m".into())
        );
    }

    #[test]
    fn a_failing_server_in_between_may_pass_and_a_wrong_one_does_not() {
        assert!(by_status(502).may_pass() && !by_status(403).may_pass());
    }

    #[test]
    fn a_record_without_an_arrival_is_refused_by_its_number() {
        let record = Record::builder().sequence_number("7").data(Blob::new("{}")).partition_key("p");
        let timed =
            record.clone().approximate_arrival_timestamp(DateTime::from_millis(1_234)).build().expect("a record");
        assert_eq!(raw(timed).map(|record| record.arrived_at), Ok(1_234));
        let failure = raw(record.build().expect("a record")).expect_err("no arrival");
        assert!(!failure.may_pass() && failure.to_string().starts_with("record 7 has no Approx"), "{failure}");
        assert!(matches!(failure.into_error("read".into()), SourceError::Environment { .. }));
    }

    #[test]
    fn an_arrival_is_the_millisecond_that_the_service_says() {
        for wanted in [1_700_000_015_102, 1_795_336_751_123, 1_700_000_015_000, 1, 0] {
            let parsed = DateTime::from_secs_f64(wanted as f64 / 1_000.0);
            assert_eq!(millis(&parsed), Some(wanted), "{parsed:?}");
        }
    }

    #[tokio::test]
    async fn a_client_has_the_region_and_the_bounds_of_the_settings() {
        let settings = KinesisSettings {
            endpoint_url: Some("http://127.0.0.1:1".into()),
            region: Some("eu-central-2".into()),
            access: Access::Key { id: "id".into(), secret: "secret".into() },
            ..KinesisSettings::new("events", StartSetting::Latest)
        };
        let (client, place) = client(&settings).await.expect("settings that work");
        assert_eq!(place, "stream `events` at http://127.0.0.1:1");
        let config = client.config();
        assert_eq!(config.region().map(Region::as_ref), Some("eu-central-2"));
        assert_eq!(config.timeout_config().and_then(TimeoutConfig::operation_attempt_timeout), Some(ATTEMPT_TIMEOUT));
        assert_eq!(config.retry_config().map(RetryConfig::max_attempts), Some(SDK_ATTEMPTS));
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_refused_with_an_example() {
        for text in ["127.0.0.1:4566", "localhost", "ftp://x", "http://"] {
            let error = check_endpoint(text).expect_err(text);
            assert!(error.to_string().contains("http://127.0.0.1:4566"), "{error}");
        }
        assert!(check_endpoint("http://127.0.0.1:4566").is_ok());
    }
}
