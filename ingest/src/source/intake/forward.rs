//! Forwarding: accepted records go to a Kinesis stream instead of the local journal.
//!
//! The partition key is the CRC-32 of the record's bytes: records spread evenly, and equal records share a shard. Records that
//! the stream throttles are put again a few times; what is left is told to the client, per record.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use bytes::Bytes;

use super::counters::Refusal;
use super::sink::{PutFailure, Receipt, Sink, SinkError};
use crate::source::SourceError;
use crate::source::kinesis::{self, KinesisSettings};

/// Most records of one PutRecords call (the service's limit).
const CALL_RECORDS: usize = 500;
/// Most bytes of one PutRecords call, keys included: the limit every server of the API keeps is 5 MiB.
const CALL_BYTES: usize = 5 << 20;
/// Length of a partition key.
const KEY_BYTES: usize = 8;
/// Calls made for one record; each waits twice as long as the one before.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What became of one record of a call: its sequence number, or the service's code and message.
type Outcome = Result<String, (String, String)>;

/// One PutRecords call.
#[async_trait]
trait PutRecords: Send + Sync + std::fmt::Debug + 'static {
    /// Per record, in order; or why the call as a whole failed, after the SDK's own retries.
    async fn put_records(&self, records: &[Bytes]) -> Result<Vec<Outcome>, String>;
}

/// Puts into a Kinesis stream.
#[derive(Debug)]
pub struct KinesisSink {
    stream: Box<dyn PutRecords>,
}

impl KinesisSink {
    /// Over a client like the one that reads the stream: same region, endpoint, credentials, timeouts. No call to Kinesis yet.
    ///
    /// # Errors
    /// [`SourceError::Config`] for an endpoint that is no URL, no region, no credentials.
    pub async fn connect(settings: &KinesisSettings) -> Result<KinesisSink, SourceError> {
        let (client, _) = kinesis::client(settings).await?;
        Ok(KinesisSink { stream: Box::new(KinesisStream { client, name: settings.stream.clone() }) })
    }

    /// Puts one call's worth, and what was throttled again. Outcomes in order.
    async fn put_chunk(&self, records: &[Bytes]) -> Vec<Result<String, PutFailure>> {
        let mut outcomes = vec![Err(failure("the record was not put")); records.len()];
        let mut pending: Vec<usize> = (0..records.len()).collect();
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let again: Vec<Bytes> = pending.iter().map(|index| records[*index].clone()).collect();
            pending = match self.stream.put_records(&again).await {
                Ok(answers) => settle(&mut outcomes, &pending, answers),
                Err(message) => {
                    tracing::warn!(%message, records = pending.len(), "cannot forward records");
                    pending.iter().for_each(|index| outcomes[*index] = Err(failure(&message)));
                    return outcomes;
                }
            };
            if pending.is_empty() || attempt == ATTEMPTS {
                return outcomes;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        outcomes
    }
}

/// Notes what became of the pending records and returns those still pending.
fn settle(outcomes: &mut [Result<String, PutFailure>], pending: &[usize], answers: Vec<Outcome>) -> Vec<usize> {
    let mut left = Vec::new();
    let mut answers = answers.into_iter();
    for &index in pending {
        outcomes[index] = match answers.next() {
            Some(Ok(sequence)) => Ok(sequence),
            Some(Err((code, message))) => Err(failure(&format!("{code}: {message}"))),
            None => Err(failure("the stream gave no answer for the record")),
        };
        if outcomes[index].is_err() {
            left.push(index);
        }
    }
    left
}

fn failure(message: &str) -> PutFailure {
    PutFailure { code: "ServiceUnavailableException", message: message.to_string() }
}

#[async_trait]
impl Sink for KinesisSink {
    async fn put(&self, records: Vec<Bytes>, _arrived_at: i64) -> Result<Receipt, SinkError> {
        let mut outcomes = Vec::with_capacity(records.len());
        for chunk in chunks(&records) {
            outcomes.extend(self.put_chunk(chunk).await);
        }
        let first = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        match first {
            Some(failure) if outcomes.iter().all(Result::is_err) => {
                Err(SinkError { refusal: Refusal::Forward, message: failure.message.clone() })
            }
            _ => Ok(Receipt::Stream(outcomes)),
        }
    }
}

/// Splits at the limits of one call.
fn chunks(records: &[Bytes]) -> Vec<&[Bytes]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, record) in records.iter().enumerate() {
        let length = record.len() + KEY_BYTES;
        if index > start && (index - start >= CALL_RECORDS || bytes + length > CALL_BYTES) {
            chunks.push(&records[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += length;
    }
    if start < records.len() {
        chunks.push(&records[start..]);
    }
    chunks
}

#[derive(Debug)]
struct KinesisStream {
    client: Client,
    name: String,
}

#[async_trait]
impl PutRecords for KinesisStream {
    async fn put_records(&self, records: &[Bytes]) -> Result<Vec<Outcome>, String> {
        let mut entries = Vec::with_capacity(records.len());
        for record in records {
            let key = format!("{:08x}", crc32fast::hash(record));
            let entry = PutRecordsRequestEntry::builder().data(Blob::new(record.to_vec())).partition_key(key).build();
            entries.push(entry.map_err(|error| error.to_string())?);
        }
        let call = self.client.put_records().stream_name(&self.name).set_records(Some(entries));
        let answer = call.send().await.map_err(|error| DisplayErrorContext(&error).to_string())?;
        let outcome =
            |entry: aws_sdk_kinesis::types::PutRecordsResultEntry| match (entry.sequence_number, entry.error_code) {
                (Some(sequence), None) => Ok(sequence),
                (_, code) => Err((code.unwrap_or_default(), entry.error_message.unwrap_or_default())),
            };
        Ok(answer.records.into_iter().map(outcome).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Throttles records that start with `t` until they were put `until` times, and those that start with `x` always.
    #[derive(Debug)]
    struct Throttling {
        calls: Mutex<Vec<usize>>,
        until: usize,
    }

    #[async_trait]
    impl PutRecords for Throttling {
        async fn put_records(&self, records: &[Bytes]) -> Result<Vec<Outcome>, String> {
            let mut calls = self.calls.lock().expect("unpoisoned");
            calls.push(records.len());
            let throttled = |record: &Bytes| record[0] == b'x' || (record[0] == b't' && calls.len() < self.until);
            let code = "ProvisionedThroughputExceededException";
            let outcome = |record: &Bytes| {
                if throttled(record) {
                    Err((code.to_string(), "rate exceeded".to_string()))
                } else {
                    Ok(String::from_utf8_lossy(record).into_owned())
                }
            };
            Ok(records.iter().map(outcome).collect())
        }
    }

    #[derive(Debug)]
    struct Unreachable;

    #[async_trait]
    impl PutRecords for Unreachable {
        async fn put_records(&self, _: &[Bytes]) -> Result<Vec<Outcome>, String> {
            Err("connection refused".to_string())
        }
    }

    fn records(texts: &[&str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
    }

    #[tokio::test]
    async fn only_the_throttled_records_are_put_again_and_order_is_kept() {
        let sink = KinesisSink { stream: Box::new(Throttling { calls: Mutex::default(), until: 3 }) };
        let outcomes = sink.put_chunk(&records(&["a", "t1", "b", "t2"])).await;
        let ids: Vec<String> = outcomes.into_iter().map(|outcome| outcome.expect("put")).collect();
        assert_eq!(ids, ["a", "t1", "b", "t2"]);
    }

    #[tokio::test]
    async fn a_record_that_stays_throttled_fails_alone_after_all_attempts() {
        let sink = KinesisSink { stream: Box::new(Throttling { calls: Mutex::default(), until: 0 }) };
        let receipt = sink.put(records(&["a", "x", "b"]), 0).await.expect("some were put");
        assert_eq!((receipt.len(), receipt.failed()), (3, 1));
        let failure = receipt.records().swap_remove(1).expect_err("throttled");
        assert_eq!(failure.code, "ServiceUnavailableException");
        assert!(failure.message.contains("ProvisionedThroughputExceededException"), "{}", failure.message);
    }

    #[tokio::test]
    async fn an_endpoint_that_cannot_be_is_told_before_the_first_record() {
        let wrong = KinesisSettings {
            endpoint_url: Some("127.0.0.1:4566".to_string()),
            ..KinesisSettings::new("events", kinesis::StartSetting::Latest)
        };
        assert!(matches!(KinesisSink::connect(&wrong).await, Err(SourceError::Config(_))));
    }

    #[tokio::test]
    async fn nothing_put_is_an_error_never_a_receipt() {
        let sink = KinesisSink { stream: Box::new(Unreachable) };
        let error = sink.put(records(&["a", "b"]), 0).await.expect_err("unreachable");
        assert_eq!((error.refusal, error.message.as_str()), (Refusal::Forward, "connection refused"));
    }

    #[test]
    fn chunks_keep_both_limits_and_every_record() {
        let small = vec![Bytes::from_static(b"a"); 1_001];
        assert_eq!(chunks(&small).iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [500, 500, 1]);
        let large = vec![Bytes::from(vec![0; 1_024_000]); 7];
        assert_eq!(chunks(&large).iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [5, 2]);
        assert!(chunks(&[]).is_empty());
    }
}
