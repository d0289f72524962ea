//! Bodies of the Firehose API, through the HTTP handler. The first byte names the operation.

use axum::http::StatusCode;
use serde_json::Value;

use super::http::{Answer, Endpoint};
use super::input::Input;

const OPERATIONS: [&str; 5] =
    ["PutRecord", "PutRecordBatch", "DescribeDeliveryStream", "ListDeliveryStreams", "DeleteDeliveryStream"];

thread_local! {
    static ENDPOINT: Endpoint = Endpoint::new();
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let first = usize::from(input.byte());
    let operation = OPERATIONS[first % OPERATIONS.len()];
    let target = format!("Firehose_20150804.{operation}");
    let fail_thirds = first >= 128;
    let answer = ENDPOINT.with(|endpoint| endpoint.call("/", ("x-amz-target", &target), input.0, fail_thirds));
    match answer.status {
        StatusCode::OK => is_whole(operation, &answer, input.0),
        StatusCode::BAD_REQUEST | StatusCode::SERVICE_UNAVAILABLE => {
            assert!(answer.body["__type"].is_string() && answer.body["message"].is_string(), "{}", answer.body);
        }
        other => panic!("status {other}: {}", answer.body),
    }
}

/// Each record that was sent was given to the sink, and has its own answer.
fn is_whole(operation: &str, answer: &Answer, request: &[u8]) {
    assert!(answer.records.iter().all(|record| record.len() <= 1_024_000));
    assert!(answer.records.iter().map(|record| record.len()).sum::<usize>() <= 4 << 20);
    let request: Option<Value> = serde_json::from_slice(request).ok();
    match operation {
        "PutRecord" => {
            assert_eq!(answer.records.len(), 1);
            assert!(answer.body["RecordId"].is_string());
        }
        "PutRecordBatch" => {
            let answers = answer.body["RequestResponses"].as_array().expect("an answer for each");
            assert_eq!(answers.len(), answer.records.len());
            let failed = answers.iter().filter(|one| one["ErrorCode"].is_string()).count();
            assert_eq!(answer.body["FailedPutCount"].as_u64(), Some(failed as u64));
            if let Some(sent) = request.as_ref().and_then(|request| request["Records"].as_array()) {
                assert_eq!(sent.len(), answers.len());
            }
        }
        _ => assert!(answer.records.is_empty() && answer.body.is_object()),
    }
}
