//! What Amazon Data Firehose's CloudWatch metrics are called here: for alarms and dashboards that move over.

use std::fmt::Write as _;

/// One of its metrics.
struct Named {
    /// As CloudWatch has it, in the namespace `AWS/Firehose`.
    firehose: &'static str,
    /// The same figure over five minutes, in PromQL; empty if there is none.
    here: &'static str,
    note: &'static str,
}

const fn named(firehose: &'static str, here: &'static str, note: &'static str) -> Named {
    Named { firehose, here, note }
}

const NO_LIMIT: &str =
    "a stream has no limit of its own; `requests_per_second` and `bytes_per_second` are each credential's";
const NO_LAMBDA: &str = "there is no Lambda in between";
const NO_LATENCY: &str = "what the client sees is the client's to measure";
const NO_KEY: &str = "a bucket's key that may not be used is a PUT that fails: `/healthz` and the log have S3's words";

static NAMES: &[Named] = &[
    named("IncomingBytes", "sum(increase(alluvium_incoming_bytes_total[5m]))", ""),
    named("IncomingRecords", "sum(increase(alluvium_incoming_records_total[5m]))", ""),
    named(
        "IncomingPutRequests",
        "sum(increase(alluvium_put_record_requests_total[5m])) + sum(increase(alluvium_put_record_batch_requests_total[5m]))",
        "",
    ),
    named(
        "ThrottledRecords",
        "sum(increase(alluvium_intake_refused_total{reason=\"throttled\"}[5m]))",
        "requests, not records",
    ),
    named("BytesPerSecondLimit", "", NO_LIMIT),
    named("RecordsPerSecondLimit", "", NO_LIMIT),
    named("PutRequestsPerSecondLimit", "", NO_LIMIT),
    named("PartitionCount", "sum(alluvium_partition_count)", ""),
    named("ActivePartitionsLimit", "", "partitions are bounded by memory alone: `alluvium_buffer_memory_limit_bytes`"),
    named(
        "PartitionCountExceeded",
        "sum(increase(alluvium_flushes_total{reason=\"memory\"}[5m])) > bool 0",
        "nothing goes to the errors output: the largest buffers are cut early",
    ),
    named(
        "JQProcessing.Duration",
        "1000 * sum(rate(alluvium_jq_processing_duration_seconds_sum[5m])) \
         / sum(rate(alluvium_jq_processing_duration_seconds_count[5m]))",
        "milliseconds for a batch, decoding included",
    ),
    named(
        "PerPartitionThroughput",
        "sum(rate(alluvium_incoming_bytes_total[5m])) / sum(alluvium_partition_count)",
        "the mean of the open ones; there is no limit on one",
    ),
    named("DeliveryToS3.Bytes", "sum(increase(alluvium_delivery_to_s3_bytes_total[5m]))", ""),
    named("DeliveryToS3.Records", "sum(increase(alluvium_delivery_to_s3_records_total[5m]))", ""),
    named(
        "DeliveryToS3.ObjectCount",
        "sum(increase(alluvium_delivery_to_s3_object_count_total{output=\"table\"}[5m]))",
        "",
    ),
    named(
        "DeliveryToS3.Success",
        "sum(rate(alluvium_delivery_to_s3_success_total[5m])) / sum(rate(alluvium_delivery_to_s3_attempts_total[5m]))",
        "errors and archive included",
    ),
    named(
        "DeliveryToS3.DataFreshness",
        "max(alluvium_delivery_to_s3_data_freshness_seconds)",
        "errors and archive included",
    ),
    named(
        "BackupToS3.ObjectCount",
        "sum(increase(alluvium_delivery_to_s3_object_count_total{output=\"archive\"}[5m]))",
        "",
    ),
    named("BackupToS3.Bytes", "", "the archive's objects are counted, not their bytes"),
    named(
        "BackupToS3.Records",
        "sum(increase(alluvium_incoming_records_total[5m]))",
        "with `[lake] archive`, every record",
    ),
    named("BackupToS3.Success", "", "see DeliveryToS3.Success"),
    named("BackupToS3.DataFreshness", "", "see DeliveryToS3.DataFreshness"),
    named("SucceedConversion.Records", "sum(increase(alluvium_succeed_conversion_records_total[5m]))", ""),
    named("SucceedConversion.Bytes", "sum(increase(alluvium_succeed_conversion_bytes_total[5m]))", ""),
    named("FailedConversion.Records", "sum(increase(alluvium_failed_conversion_records_total[5m]))", ""),
    named("FailedConversion.Bytes", "", "records are counted; the errors output has their bytes"),
    named("ExecuteProcessing.Duration", "", NO_LAMBDA),
    named("ExecuteProcessing.Success", "", NO_LAMBDA),
    named("SucceedProcessing.Records", "", NO_LAMBDA),
    named("SucceedProcessing.Bytes", "", NO_LAMBDA),
    named(
        "DataReadFromKinesisStream.Bytes",
        "sum(increase(alluvium_data_read_from_kinesis_stream_bytes_total[5m]))",
        "",
    ),
    named(
        "DataReadFromKinesisStream.Records",
        "sum(increase(alluvium_data_read_from_kinesis_stream_records_total[5m]))",
        "",
    ),
    named("KinesisMillisBehindLatest", "max(alluvium_kinesis_millis_behind_latest)", "by shard without `max`"),
    named("ThrottledGetRecords", "sum(increase(alluvium_throttled_get_records_total[5m]))", ""),
    named("ThrottledGetShardIterator", "", "in ThrottledGetRecords"),
    named("ThrottledDescribeStream", "", "in ThrottledGetRecords"),
    named("PutRecord.Requests", "sum(increase(alluvium_put_record_requests_total[5m]))", ""),
    named("PutRecord.Bytes", "", "see PutRecordBatch.Bytes"),
    named("PutRecord.Latency", "", NO_LATENCY),
    named("PutRecordBatch.Requests", "sum(increase(alluvium_put_record_batch_requests_total[5m]))", ""),
    named("PutRecordBatch.Records", "sum(increase(alluvium_intake_records_total[5m]))", "of all operations"),
    named("PutRecordBatch.Bytes", "sum(increase(alluvium_intake_bytes_total[5m]))", "of all operations"),
    named("PutRecordBatch.Latency", "", NO_LATENCY),
    named("DescribeDeliveryStream.Requests", "sum(increase(alluvium_describe_delivery_stream_requests_total[5m]))", ""),
    named("DescribeDeliveryStream.Latency", "", NO_LATENCY),
    named("ListDeliveryStreams.Requests", "sum(increase(alluvium_list_delivery_streams_requests_total[5m]))", ""),
    named("ListDeliveryStreams.Latency", "", NO_LATENCY),
    named("UpdateDeliveryStream.Requests", "", "there is no such operation: what is set is the configuration"),
    named("UpdateDeliveryStream.Latency", "", "there is no such operation"),
    named("KMSKeyAccessDenied", "", NO_KEY),
    named("KMSKeyDisabled", "", NO_KEY),
    named("KMSKeyInvalidState", "", NO_KEY),
    named("KMSKeyNotFound", "", NO_KEY),
];

const INTRO: &str = "
## Firehose's names

What Firehose reports to CloudWatch, and the same figure over five minutes here. It has nothing for rejects by reason, lag by
partition or by shard, sizes of objects and late records: `alluvium_rejects_total`, `alluvium_partition_lag_seconds`,
`alluvium_kinesis_millis_behind_latest`, `alluvium_delivery_to_s3_object_bytes`, `alluvium_late_records_total`.

| Firehose | PromQL | |
| --- | --- | --- |
";

/// The section of `docs/metrics.md`.
pub(super) fn markdown() -> String {
    let mut out = INTRO.to_string();
    for Named { firehose, here, note } in NAMES {
        let here = if here.is_empty() { "-".to_string() } else { format!("`{here}`") };
        writeln!(out, "| {firehose} | {here} | {note} |").expect("a String takes everything");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The names of ours in a PromQL expression.
    fn series(promql: &str) -> impl Iterator<Item = &str> {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        promql.split(move |c| !is_of_name(c)).filter(|word| word.starts_with("alluvium_"))
    }

    #[test]
    fn each_of_firehoses_names_stands_for_metrics_that_are_declared_or_says_why_not() {
        let declared: HashSet<String> =
            super::super::sections().into_iter().flat_map(|(_, docs)| docs).flat_map(|doc| doc.series()).collect();
        let mut seen = HashSet::new();
        for Named { firehose, here, note } in NAMES {
            assert!(seen.insert(firehose), "{firehose} twice");
            assert!(!here.is_empty() || !note.is_empty(), "{firehose}: why not?");
            series(here).for_each(|name| assert!(declared.contains(name), "{firehose}: {name}"));
        }
        series(INTRO).for_each(|name| assert!(declared.contains(name) || name.ends_with("object_bytes"), "{name}"));
    }
}
