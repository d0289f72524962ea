//! Streams on an emulator, driven through Amazon's own SDK.
//!
//! It does not retry: a retry after an answer that got lost puts the records a second time, and tests count each once.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, StreamStatus};

use crate::emulator::Emulator;
use crate::{block_on, unique, wait_for};

/// Records in one PutRecords at most (the API's limit).
pub const PUT_RECORDS_MAX: usize = 500;

/// Bytes in one PutRecords at most; the API's limit is 5 MiB, partition keys included.
const PUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A stream of one test.
#[derive(Debug, Clone)]
pub struct Stream {
    pub name: String,
    /// `http://127.0.0.1:<port>`
    pub endpoint: String,
    client: Client,
}

impl Stream {
    /// A new stream with so many shards, ready to use.
    pub fn new(emulator: &Emulator, what: &str, shards: i32) -> Stream {
        let stream = Stream { name: unique(what), endpoint: emulator.url(), client: client(&emulator.url()) };
        block_on(stream.client.create_stream().stream_name(&stream.name).shard_count(shards).send())
            .unwrap_or_else(|e| panic!("create stream: {e:?}\n{}", emulator.log_tail()));
        stream.wait_until_active();
        stream
    }

    /// Puts the records in order, in calls as large as the API allows; a record's partition key is what `key` makes of it.
    pub fn put(&self, records: &[Vec<u8>], key: impl Fn(&[u8]) -> String) {
        let mut call = Vec::new();
        let mut bytes = 0;
        for data in records {
            if call.len() == PUT_RECORDS_MAX || bytes + data.len() > PUT_BYTES_MAX {
                self.put_call(std::mem::take(&mut call));
                bytes = 0;
            }
            bytes += data.len() + 256;
            call.push(entry(data, key(data)));
        }
        if !call.is_empty() {
            self.put_call(call);
        }
    }

    fn put_call(&self, entries: Vec<PutRecordsRequestEntry>) {
        let sent = block_on(self.client.put_records().stream_name(&self.name).set_records(Some(entries)).send());
        let answer = sent.unwrap_or_else(|e| panic!("put records into {}: {e:?}", self.name));
        assert_eq!(answer.failed_record_count().unwrap_or(0), 0, "the emulator refused records");
    }

    /// All shards there ever were, oldest first.
    pub fn shards(&self) -> Vec<Shard> {
        let answer = block_on(self.client.list_shards().stream_name(&self.name).send()).expect("shards list");
        answer.shards().to_vec()
    }

    /// Shards that take records.
    pub fn open_shards(&self) -> Vec<Shard> {
        let open = |s: &Shard| s.sequence_number_range().is_some_and(|r| r.ending_sequence_number().is_none());
        self.shards().into_iter().filter(open).collect()
    }

    /// Splits a shard in the middle of its hash range.
    pub fn split(&self, shard: &Shard) {
        let range = shard.hash_key_range().expect("a shard has a hash range");
        let number = |text: &str| text.parse::<u128>().expect("128 bits");
        let (low, high) = (number(range.starting_hash_key()), number(range.ending_hash_key()));
        let middle = (low + (high - low) / 2 + 1).to_string();
        let call = self.client.split_shard().stream_name(&self.name).shard_to_split(shard.shard_id());
        block_on(call.new_starting_hash_key(middle).send()).expect("the shard splits");
        self.wait_until_active();
    }

    /// Merges two neighbouring shards.
    pub fn merge(&self, shard: &Shard, neighbour: &Shard) {
        let call = self.client.merge_shards().stream_name(&self.name).shard_to_merge(shard.shard_id());
        block_on(call.adjacent_shard_to_merge(neighbour.shard_id()).send()).expect("the shards merge");
        self.wait_until_active();
    }

    /// Names of the registered consumers.
    pub fn consumers(&self) -> Vec<String> {
        let answer = block_on(self.client.list_stream_consumers().stream_arn(self.arn()).send());
        let names = answer.expect("consumers list").consumers().iter().map(|c| c.consumer_name().to_string()).collect();
        names
    }

    /// Takes a consumer's registration back, whoever reads with it.
    pub fn deregister(&self, consumer: &str) {
        let call = self.client.deregister_stream_consumer().stream_arn(self.arn()).consumer_name(consumer);
        block_on(call.send()).expect("the consumer is there");
    }

    fn arn(&self) -> String {
        let answer = block_on(self.client.describe_stream_summary().stream_name(&self.name).send());
        let summary = answer.expect("the stream is there").stream_description_summary;
        summary.expect("a summary").stream_arn
    }

    fn wait_until_active(&self) {
        wait_for(&format!("stream {} to be active", self.name), 60, || {
            let call = self.client.describe_stream_summary().stream_name(&self.name).send();
            let answer = block_on(call).ok()?;
            let summary = answer.stream_description_summary()?;
            (*summary.stream_status() == StreamStatus::Active).then_some(())
        });
    }
}

fn entry(data: &[u8], key: String) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().data(Blob::new(data)).partition_key(key);
    entry.build().expect("data and key are there")
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}
