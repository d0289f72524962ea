//! Streams on an emulator, driven through Amazon's own SDK.
//!
//! It does not retry: a retry after an answer that got lost puts the records a second time, and tests count each once.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ScalingType, Shard, StreamStatus};

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
        Stream::at(&emulator.url(), what, shards).unwrap_or_else(|e| panic!("{e}\n{}", emulator.log_tail()))
    }

    /// The same on any server.
    pub fn at(endpoint: &str, what: &str, shards: i32) -> Result<Stream, String> {
        let stream = Stream { name: unique(what), endpoint: endpoint.into(), client: client(endpoint) };
        block_on(stream.client.create_stream().stream_name(&stream.name).shard_count(shards).send())
            .map_err(|e| format!("create stream: {e:?}"))?;
        stream.wait_until_active();
        Ok(stream)
    }

    /// For calls of which more is asked than to succeed.
    pub fn client(&self) -> &Client {
        &self.client
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

    /// Puts one call's records, and says whether all are known to have been taken: some may have been although it says no.
    pub fn try_put(&self, records: &[Vec<u8>], key: impl Fn(&[u8]) -> String) -> bool {
        let entries = records.iter().map(|data| entry(data, key(data))).collect();
        let sent = block_on(self.client.put_records().stream_name(&self.name).set_records(Some(entries)).send());
        sent.is_ok_and(|answer| answer.failed_record_count().unwrap_or(0) == 0)
    }

    /// Splits a shard in the middle of its hash range.
    pub fn split(&self, shard: &Shard) {
        assert!(self.try_split(shard), "{} splits", shard.shard_id());
    }

    /// The same; a shard that was closed in the meantime does not split.
    pub fn try_split(&self, shard: &Shard) -> bool {
        let range = shard.hash_key_range().expect("a shard has a hash range");
        let number = |text: &str| text.parse::<u128>().expect("128 bits");
        let (low, high) = (number(range.starting_hash_key()), number(range.ending_hash_key()));
        let middle = (low + (high - low) / 2 + 1).to_string();
        let call = self.client.split_shard().stream_name(&self.name).shard_to_split(shard.shard_id());
        let taken = block_on(call.new_starting_hash_key(middle).send()).is_ok();
        self.wait_until_active();
        taken
    }

    /// Merges two neighbouring shards.
    pub fn merge(&self, shard: &Shard, neighbour: &Shard) {
        assert!(self.try_merge(shard, neighbour), "{} and {} merge", shard.shard_id(), neighbour.shard_id());
    }

    pub fn try_merge(&self, shard: &Shard, neighbour: &Shard) -> bool {
        let call = self.client.merge_shards().stream_name(&self.name).shard_to_merge(shard.shard_id());
        let taken = block_on(call.adjacent_shard_to_merge(neighbour.shard_id()).send()).is_ok();
        self.wait_until_active();
        taken
    }

    /// `UpdateShardCount`: the stream splits and merges as it sees fit.
    pub fn try_resize(&self, shards: i32) -> bool {
        let call = self.client.update_shard_count().stream_name(&self.name).target_shard_count(shards);
        let taken = block_on(call.scaling_type(ScalingType::UniformScaling).send()).is_ok();
        self.wait_until_active();
        taken
    }

    /// The shard whose hash range begins where this one's ends.
    pub fn neighbour<'a>(&self, shard: &Shard, among: &'a [Shard]) -> Option<&'a Shard> {
        let number = |text: &str| text.parse::<u128>().expect("128 bits");
        let end = number(shard.hash_key_range()?.ending_hash_key()).checked_add(1)?;
        among.iter().find(|other| other.hash_key_range().is_some_and(|r| number(r.starting_hash_key()) == end))
    }

    /// Names of the registered consumers.
    pub fn consumers(&self) -> Vec<String> {
        let answer = block_on(self.client.list_stream_consumers().stream_arn(self.arn()).send());
        let answer = answer.expect("consumers list");
        answer.consumers().iter().map(|c| c.consumer_name().to_string()).collect()
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

    pub fn wait_until_active(&self) {
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
