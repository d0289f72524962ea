//! Firehose's API: through the AWS SDK, and the texts of every error on the wire.

use std::collections::HashSet;

use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::retry::RetryConfig;
use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_firehose::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{DeliveryStreamStatus, DeliveryStreamType, Record};

use super::*;

const PUT: &str = "Firehose_20150804.PutRecord";
const BATCH: &str = "Firehose_20150804.PutRecordBatch";
const DESCRIBE: &str = "Firehose_20150804.DescribeDeliveryStream";
const LIST: &str = "Firehose_20150804.ListDeliveryStreams";

fn client(served: &Served) -> Client {
    let config = aws_sdk_firehose::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{}", served.address))
        .build();
    Client::from_conf(config)
}

fn record(data: impl Into<Vec<u8>>) -> Record {
    Record::builder().data(Blob::new(data)).build().expect("data is set")
}

/// Status, code and message as the SDK understood them.
fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    outcome: Result<T, SdkError<E>>,
) -> (u16, String, String) {
    let error = outcome.expect_err("refused");
    let status = error.raw_response().expect("answered").status().as_u16();
    let text = |text: Option<&str>| text.unwrap_or_default().to_string();
    (status, text(error.code()), text(error.message()))
}

#[tokio::test]
async fn put_record_is_in_the_journal_when_it_is_answered() {
    let served = served().await;
    let put = client(&served).put_record().delivery_stream_name("events");
    let answer = put.record(record("{\"a\":1}")).send().await.expect("put");
    assert!(answer.record_id().starts_with(&served.journal.id()));
    assert_eq!(answer.encrypted(), Some(false));
    assert_eq!(served.records().await, ["{\"a\":1}"]);
    let counters = &served.counters;
    assert_eq!((counters.records.get(), counters.bytes.get(), counters.put_record_requests.get()), (1, 7, 1));
}

#[tokio::test]
async fn a_batch_of_500_is_taken_whole_in_order_with_an_id_each() {
    let served = served().await;
    let texts: Vec<String> = (0..500).map(|n| format!("{{\"n\":{n}}}")).collect();
    let records = texts.iter().map(|text| record(text.as_str())).collect();
    let put = client(&served).put_record_batch().delivery_stream_name("audit").set_records(Some(records));
    let answer = put.send().await.expect("put");
    assert_eq!((answer.failed_put_count(), answer.encrypted()), (0, Some(false)));
    let ids: HashSet<_> = answer.request_responses().iter().filter_map(|each| each.record_id()).collect();
    assert_eq!((answer.request_responses().len(), ids.len()), (500, 500));
    assert_eq!(served.records().await, texts);
    assert_eq!(served.counters.journal_syncs.get(), 1);
}

#[tokio::test]
async fn binary_and_empty_records_are_taken_as_they_are() {
    let served = served().await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let records = Some(vec![record(every_byte.clone()), record(Vec::new())]);
    let put = client(&served).put_record_batch().delivery_stream_name("events").set_records(records);
    assert_eq!(put.send().await.expect("put").failed_put_count(), 0);
    assert_eq!(served.records().await, [Bytes::from(every_byte), Bytes::new()]);
}

#[tokio::test]
async fn describe_and_list_answer_for_the_configured_streams() {
    let served = served().await;
    let client = client(&served);
    let described = client.describe_delivery_stream().delivery_stream_name("events").send().await.expect("described");
    let described = described.delivery_stream_description().expect("description");
    assert_eq!(described.delivery_stream_name(), "events");
    assert_eq!(described.delivery_stream_status(), &DeliveryStreamStatus::Active);
    assert_eq!(described.delivery_stream_type(), &DeliveryStreamType::DirectPut);
    assert_eq!(described.create_timestamp().expect("created").as_secs_f64(), 1.0);
    assert!(described.destinations()[0].extended_s3_destination_description().is_some());
    let all = client.list_delivery_streams().send().await.expect("listed");
    assert_eq!(
        (all.delivery_stream_names(), all.has_more_delivery_streams()),
        (&["audit".into(), "events".into()][..], false)
    );
    let first = client.list_delivery_streams().limit(1).send().await.expect("listed");
    assert_eq!((first.delivery_stream_names(), first.has_more_delivery_streams()), (&["audit".into()][..], true));
    let rest =
        client.list_delivery_streams().exclusive_start_delivery_stream_name("audit").send().await.expect("listed");
    assert_eq!(rest.delivery_stream_names(), ["events"]);
}

#[tokio::test]
async fn limits_are_refused_with_the_services_texts_and_nothing_is_stored() {
    let served = served().await;
    let client = client(&served);
    let batch = |records| client.put_record_batch().delivery_stream_name("events").set_records(Some(records)).send();
    let too_long = "failed to satisfy constraint: Member must have length less than or equal to";
    let one = client.put_record().delivery_stream_name("events").record(record(vec![b'x'; 1_024_001])).send().await;
    let text = format!("1 validation error detected: Value at 'record.data' {too_long} 1024000");
    assert_eq!(refused(one), (400, "ValidationException".into(), text));
    let text = format!("1 validation error detected: Value at 'records.2.member.data' {too_long} 1024000");
    let long = batch(vec![record("a"), record(vec![b'x'; 1_024_001])]).await;
    assert_eq!(refused(long), (400, "ValidationException".into(), text));
    let many = batch(vec![record("{}"); 501]).await;
    let text = format!("1 validation error detected: Value at 'records' {too_long} 500");
    assert_eq!(refused(many), (400, "ValidationException".into(), text));
    let large = batch(vec![record(vec![b'x'; 1_000_000]); 5]).await;
    assert_eq!(refused(large), (400, "InvalidArgumentException".into(), "Records size exceeds 4 MB limit".into()));
    let huge = batch(vec![record(vec![b'x'; 1_000_000]); 20]).await;
    assert_eq!(refused(huge).2, "Records size exceeds 4 MB limit");
    assert_eq!((served.records().await.len(), served.journal.accepted()), (0, 0));
    let fits = batch(vec![record(vec![b'x'; 1_024_000]); 4]).await;
    assert_eq!(fits.expect("fits").failed_put_count(), 0);
}

#[tokio::test]
async fn an_unknown_stream_is_not_found_and_nothing_is_stored() {
    let served = served().await;
    let put = client(&served).put_record().delivery_stream_name("other").record(record("{}")).send().await;
    let error = put.expect_err("unknown").into_service_error();
    assert!(error.is_resource_not_found_exception());
    assert_eq!(error.message(), Some("Firehose other under account 000000000000 not found."));
    assert!(served.records().await.is_empty());
    assert_eq!(served.counters.refused(Refusal::Unknown), 1);
}

#[tokio::test]
async fn a_full_journal_is_service_unavailable_and_every_answered_record_is_there() {
    let served = served().await;
    let client = client(&served);
    let mut answered = 0;
    let error = loop {
        let put = client.put_record_batch().delivery_stream_name("events");
        match put.set_records(Some(vec![record(vec![b'x'; 1_000_000]); 4])).send().await {
            Ok(answer) => answered += 4 - usize::try_from(answer.failed_put_count()).expect("no less than zero"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.raw_response().expect("answered").status().as_u16(), 503);
    assert!(error.as_service_error().expect("modelled").is_service_unavailable_exception());
    assert_eq!((served.records().await.len(), served.counters.refused(Refusal::Journal)), (answered, 1));
    assert_eq!(answered, 16);
}

#[tokio::test]
async fn a_closed_pipeline_is_never_a_success() {
    let served = served_with(|_| Arc::new(Refusing(Refusal::Forward))).await;
    let put = client(&served).put_record().delivery_stream_name("events").record(record("{}")).send().await;
    assert_eq!(refused(put), (503, "ServiceUnavailableException".into(), "Slow down.".into()));
    assert_eq!((served.counters.refused(Refusal::Forward), served.counters.records.get()), (1, 0));
}

#[tokio::test]
async fn records_that_a_stream_did_not_take_fail_alone() {
    let served = served_with(|_| Arc::new(NotTheSecond)).await;
    let put = client(&served).put_record_batch().delivery_stream_name("events");
    let answer = put.set_records(Some(vec![record("a"), record("b"), record("c")])).send().await.expect("put");
    assert_eq!(answer.failed_put_count(), 1);
    let codes: Vec<_> = answer.request_responses().iter().map(|each| each.error_code()).collect();
    assert_eq!(codes, [None, Some("ServiceUnavailableException"), None]);
    assert_eq!(served.counters.records.get(), 2);
}

/// Every way a request can be wrong: operation, body, then status, `__type` and message.
const WRONG: &[(&str, &str, u16, &str, &str)] = &[
    ("", "{}", 400, "UnknownOperationException", "X-Amz-Target `` is not served"),
    ("Firehose_20150804.DeleteDeliveryStream", "{}", 400, "UnknownOperationException", "is not served"),
    ("Kinesis_20131202.PutRecord", "{}", 400, "UnknownOperationException", "is not served"),
    (PUT, "{", 400, "SerializationException", "Cannot read the request"),
    (PUT, "[1]", 400, "SerializationException", "Cannot read the request"),
    (PUT, r#"{"DeliveryStreamName":7}"#, 400, "SerializationException", "Cannot read the request"),
    (
        PUT,
        r#"{"DeliveryStreamName":"events","Record":{"Data":"a"}}"#,
        400,
        "SerializationException",
        "'record.data' is not base64",
    ),
    (
        PUT,
        "",
        400,
        "ValidationException",
        "2 validation errors detected: Value null at 'deliveryStreamName' failed to satisfy constraint: Member must not be null; Value null at 'record' failed to satisfy constraint: Member must not be null",
    ),
    (
        PUT,
        r#"{"DeliveryStreamName":"events","Record":{}}"#,
        400,
        "ValidationException",
        "1 validation error detected: Value null at 'record.data' failed to satisfy constraint: Member must not be null",
    ),
    (
        PUT,
        r#"{"DeliveryStreamName":"a b","Record":{"Data":""}}"#,
        400,
        "ValidationException",
        "1 validation error detected: Value 'a b' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    ),
    (
        PUT,
        r#"{"DeliveryStreamName":"","Record":{"Data":""}}"#,
        400,
        "ValidationException",
        "1 validation error detected: Value '' at 'deliveryStreamName' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ),
    (
        BATCH,
        r#"{"DeliveryStreamName":"events"}"#,
        400,
        "ValidationException",
        "1 validation error detected: Value null at 'records' failed to satisfy constraint: Member must not be null",
    ),
    (
        BATCH,
        r#"{"DeliveryStreamName":"events","Records":[]}"#,
        400,
        "ValidationException",
        "1 validation error detected: Value '[]' at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ),
    (
        BATCH,
        r#"{"DeliveryStreamName":"events","Records":[null]}"#,
        400,
        "ValidationException",
        "1 validation error detected: Value null at 'records.1.member' failed to satisfy constraint: Member must not be null",
    ),
    (
        BATCH,
        r#"{"DeliveryStreamName":"events","Records":[{"Data":"e30="},{"Data":"!"}]}"#,
        400,
        "SerializationException",
        "'records.2.member.data' is not base64",
    ),
    (
        BATCH,
        r#"{"DeliveryStreamName":"none","Records":[{"Data":"e30="}]}"#,
        400,
        "ResourceNotFoundException",
        "Firehose none under account 000000000000 not found.",
    ),
    (
        DESCRIBE,
        r#"{"DeliveryStreamName":"none"}"#,
        400,
        "ResourceNotFoundException",
        "Firehose none under account 000000000000 not found.",
    ),
    (
        LIST,
        r#"{"Limit":0}"#,
        400,
        "ValidationException",
        "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
];

#[tokio::test]
async fn every_wrong_request_has_its_status_type_and_text() {
    let served = served().await;
    for (operation, body, status, kind, message) in WRONG {
        let answer = served.call(operation, body).await;
        let text = answer.body["message"].as_str().expect("message");
        assert_eq!(
            (answer.status, answer.body["__type"].as_str()),
            (*status, Some(*kind)),
            "{operation} {body}: {text}"
        );
        assert!(text.contains(message), "{operation} {body}: {text}");
        assert!(answer.head.contains("content-type: application/x-amz-json-1.1"), "{}", answer.head);
        assert!(answer.head.contains("x-amzn-requestid: "), "{}", answer.head);
    }
    assert!(served.records().await.is_empty());
}

#[tokio::test]
async fn a_name_of_64_is_allowed_and_one_of_65_is_not() {
    let served = served().await;
    let name = |length| format!(r#"{{"DeliveryStreamName":"{}"}}"#, "n".repeat(length));
    assert_eq!(served.call(DESCRIBE, &name(64)).await.body["__type"], "ResourceNotFoundException");
    assert_eq!(served.call(DESCRIBE, &name(65)).await.body["__type"], "ValidationException");
}

#[tokio::test]
async fn escaped_json_and_unknown_members_are_read() {
    let served = served().await;
    let body = r#"{"DeliveryStreamName":"\u0065vents","Record":{"Data":"\u0065\u0033\u0030=","New":1},"More":[]}"#;
    assert_eq!(served.call(PUT, body).await.status, 200);
    assert_eq!(served.records().await, ["{}"]);
}
