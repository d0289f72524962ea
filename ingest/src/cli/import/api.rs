//! A stream and its table as AWS tells them: `DescribeDeliveryStream` and Glue's `GetTable`. The stream's answer is taken as it
//! came, so that a setting the SDK does not know yet is told and not passed over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_firehose::config::retry::RetryConfig;
use aws_sdk_firehose::config::timeout::TimeoutConfig;
use aws_sdk_firehose::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_firehose::error::{BoxError, ProvideErrorMetadata};

use super::super::CliError;
use crate::catalog::{Catalog, CatalogError};
use crate::import::GlueTable;
use schemas::problem::causes;

/// One attempt at one call, and attempts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const ATTEMPTS: u32 = 5;

/// Keeps the last answer's body.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Option<Vec<u8>>>>);

impl Intercept for Kept {
    fn name(&self) -> &'static str {
        "kept answer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().map(<[u8]>::to_vec);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
        Ok(())
    }
}

/// The answer of `DescribeDeliveryStream`, as text.
pub(super) async fn describe(name: &str) -> Result<String, CliError> {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(retries).timeout_config(timeouts);
    let config = Box::pin(loader.load()).await;
    if config.region().is_none() {
        return Err(CliError::input("firehose: no aws region: set AWS_REGION"));
    }
    let kept = Kept::default();
    let request = Client::new(&config).describe_delivery_stream().delivery_stream_name(name);
    let answer = request.customize().interceptor(kept.clone()).send().await;
    if let Err(error) = answer {
        let message = error.message().map_or_else(|| causes(&error), str::to_string);
        return Err(match error.code() {
            Some("ResourceNotFoundException") => {
                let message = message.trim_end_matches('.');
                CliError::input(format!("firehose: {message}: name a stream of this account and region"))
            }
            Some(code) => CliError::environment(format!("firehose DescribeDeliveryStream {name}: {code}"), message),
            None => CliError::environment(format!("firehose DescribeDeliveryStream {name}"), message),
        });
    }
    let body = kept.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    let text = body.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| CliError::environment("firehose DescribeDeliveryStream", "the answer is no text"))
}

/// A table of the Glue catalog.
pub(super) async fn table(database: &str, name: &str, region: Option<&str>) -> Result<GlueTable, CliError> {
    let failed = |error: CatalogError| match error {
        CatalogError::Input(message) => CliError::input(format!("{message}; or give its columns with --glue-table")),
        CatalogError::Environment(message) => CliError::environment("reading the table's columns", message),
    };
    let catalog = Catalog::connect(region).await.map_err(failed)?;
    let looked = catalog.look(database, name).await.map_err(failed)?;
    Ok(looked.described())
}
