//! A Firehose client pointed at the intake: Amazon's own SDK, nothing changed but the endpoint.
//!
//! It does not retry: a retry after an answer that got lost puts the records a second time, with Firehose as with us.

use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::retry::RetryConfig;
use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;

use crate::block_on;

/// Records in one PutRecordBatch at most (the API's limit).
pub const BATCH_RECORDS_MAX: usize = 500;

/// Bytes in one call; the API's limit is 4 MiB.
const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;

/// A client of one intake.
#[derive(Debug, Clone)]
pub struct Firehose {
    client: Client,
    stream: String,
}

impl Firehose {
    /// `address` is the intake's `host:port`, `stream` the delivery stream's name.
    pub fn new(address: &str, stream: &str) -> Firehose {
        let config = aws_sdk_firehose::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{address}"))
            .region(Region::new("us-east-1"))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .build();
        Firehose { client: Client::from_conf(config), stream: stream.to_string() }
    }

    /// Puts all records; each must be taken.
    pub fn put(&self, records: &[Vec<u8>]) {
        let mut rest = records;
        while !rest.is_empty() {
            let (call, after) = rest.split_at(call_length(rest));
            self.put_call(call).unwrap_or_else(|e| panic!("put record batch: {e}"));
            rest = after;
        }
    }

    /// One PutRecordBatch; an error says that nothing is known of its records.
    pub fn put_call(&self, records: &[Vec<u8>]) -> Result<(), Box<dyn std::error::Error>> {
        let records = records.iter().map(|data| Record::builder().data(Blob::new(data.clone())).build());
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let call = self.client.put_record_batch().delivery_stream_name(&self.stream).set_records(Some(records));
        let answer = block_on(call.send())?;
        match answer.failed_put_count() {
            0 => Ok(()),
            refused => Err(format!("{refused} records refused").into()),
        }
    }
}

/// How many of the records fit in one call; at least one.
fn call_length(records: &[Vec<u8>]) -> usize {
    let mut bytes = 0;
    let fits = records.iter().take(BATCH_RECORDS_MAX).take_while(|data| {
        bytes += data.len();
        bytes <= BATCH_BYTES_MAX
    });
    fits.count().max(1)
}
