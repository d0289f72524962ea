//! Amazon Data Firehose's API, JSON 1.1: what an unchanged Firehose client needs to put records here.
//!
//! `POST /` with `X-Amz-Target: Firehose_20150804.<operation>`. Served: PutRecord, PutRecordBatch, DescribeDeliveryStream,
//! ListDeliveryStreams. Signatures are accepted and not checked. Limits and texts are the service's.

mod describe;
mod put;
mod validate;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::body::{self, BodyError, Loan};
use super::counters::Refusal;
use super::server::{Intake, from_a_browser};
use super::sink::SinkError;
pub(super) use validate::is_stream_name;

/// Account in the ARNs and messages answered: there is none.
const ACCOUNT: &str = "000000000000";
const TARGET: &str = "Firehose_20150804.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// Most bytes of a request: 4 MiB of data in base64, and room for what JSON may do to it.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A request that is not accepted, in the service's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    refusal: Refusal,
}

impl ApiError {
    fn new(kind: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::BAD_REQUEST, kind, message: message.into(), refusal: Refusal::Invalid }
    }

    fn invalid_argument(message: impl Into<String>) -> ApiError {
        ApiError { refusal: Refusal::TooLarge, ..ApiError::new("InvalidArgumentException", message) }
    }

    fn serialization(message: impl Into<String>) -> ApiError {
        ApiError::new("SerializationException", message)
    }

    fn not_found(stream: &str) -> ApiError {
        let message = format!("Firehose {stream} under account {ACCOUNT} not found.");
        ApiError { refusal: Refusal::Unknown, ..ApiError::new("ResourceNotFoundException", message) }
    }

    /// What the SDKs retry.
    fn unavailable(refusal: Refusal) -> ApiError {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        ApiError { status, kind: "ServiceUnavailableException", message: "Slow down.".to_string(), refusal }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> ApiError {
        match error {
            BodyError::TooLarge => ApiError::invalid_argument(validate::BATCH_TOO_LARGE),
            BodyError::Slow => ApiError {
                status: StatusCode::REQUEST_TIMEOUT,
                refusal: Refusal::Busy,
                ..ApiError::new("RequestTimeoutException", "The body did not arrive in time.")
            },
            BodyError::Busy => ApiError::unavailable(Refusal::Busy),
            BodyError::Broken(why) => ApiError::serialization(format!("Cannot read the body: {why}")),
        }
    }
}

impl From<SinkError> for ApiError {
    /// The service has no words for a sink that can never take a batch; the least journal takes any within its limits.
    fn from(error: SinkError) -> ApiError {
        ApiError::unavailable(error.refusal)
    }
}

pub(super) async fn handle(State(intake): State<Arc<Intake>>, request: Request) -> Response {
    let (status, body) = match answer(&intake, request).await {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => {
            intake.counters.refuse(error.refusal);
            let body = serde_json::json!({ "__type": error.kind, "message": error.message });
            (error.status, body.to_string().into_bytes())
        }
    };
    let headers = [
        (header::CONTENT_TYPE, CONTENT_TYPE.to_string()),
        (header::HeaderName::from_static("x-amzn-requestid"), intake.request_id()),
    ];
    (status, headers, body).into_response()
}

async fn answer(intake: &Intake, request: Request) -> Result<Vec<u8>, ApiError> {
    if from_a_browser(request.headers()) {
        let error = ApiError::new("AccessDeniedException", "Requests from web pages are not taken.");
        return Err(ApiError { status: StatusCode::FORBIDDEN, ..error });
    }
    let operation = Operation::of(request.headers())?;
    operation.count(intake);
    let _slot = intake.slot().await.ok_or_else(|| ApiError::unavailable(Refusal::Busy))?;
    let mut loan = intake.loan();
    let body = body::read(request.into_body(), BODY_BYTES_MAX, &mut loan).await?;
    operation.perform(intake, &body, &mut loan).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    PutRecord,
    PutRecordBatch,
    Describe,
    List,
}

impl Operation {
    fn of(headers: &HeaderMap) -> Result<Operation, ApiError> {
        let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        match target.strip_prefix(TARGET) {
            Some("PutRecord") => Ok(Operation::PutRecord),
            Some("PutRecordBatch") => Ok(Operation::PutRecordBatch),
            Some("DescribeDeliveryStream") => Ok(Operation::Describe),
            Some("ListDeliveryStreams") => Ok(Operation::List),
            _ => {
                let message = format!(
                    "X-Amz-Target `{target}` is not served: want {TARGET} and one of PutRecord, PutRecordBatch, \
                     DescribeDeliveryStream, ListDeliveryStreams."
                );
                Err(ApiError { refusal: Refusal::Unknown, ..ApiError::new("UnknownOperationException", message) })
            }
        }
    }

    fn count(self, intake: &Intake) {
        let counters = &intake.counters;
        match self {
            Operation::PutRecord => counters.put_record_requests.add(1),
            Operation::PutRecordBatch => counters.put_record_batch_requests.add(1),
            Operation::Describe => counters.describe_requests.add(1),
            Operation::List => counters.list_requests.add(1),
        }
    }

    async fn perform(self, intake: &Intake, body: &[u8], loan: &mut Loan) -> Result<Vec<u8>, ApiError> {
        match self {
            Operation::PutRecord => put::record(intake, body, loan).await,
            Operation::PutRecordBatch => put::batch(intake, body, loan).await,
            Operation::Describe => describe::describe(intake, body),
            Operation::List => describe::list(intake, body),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    // Clients may send nothing at all where every member is optional.
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| ApiError::serialization(format!("Cannot read the request: {error}")))
}

fn encode<T: serde::Serialize>(answer: &T) -> Vec<u8> {
    serde_json::to_vec(answer).expect("strings, numbers and booleans always serialise")
}

/// The configured delivery stream of this name.
fn find<'a>(intake: &'a Intake, name: &str) -> Result<&'a str, ApiError> {
    let found = intake.streams.iter().find(|stream| *stream == name);
    found.map(String::as_str).ok_or_else(|| ApiError::not_found(name))
}
