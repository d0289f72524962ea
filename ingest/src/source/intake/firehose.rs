//! Amazon Data Firehose's API, JSON 1.1: what an unchanged Firehose client needs to put records here.
//!
//! `POST /` with `X-Amz-Target: Firehose_20150804.<operation>`. Served: PutRecord, PutRecordBatch, DescribeDeliveryStream,
//! ListDeliveryStreams. Limits and texts are the service's. Signatures are checked where there are credentials (`access.rs`).

mod describe;
mod put;
mod validate;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::{Caller, Denied};
use super::body::{BodyError, Loan};
use super::counters::Refusal;
use super::server::{Intake, Turned, from_a_browser};
use super::sink::SinkError;
pub(super) use validate::is_stream_name;

/// Account in the ARNs and messages answered: there is none.
const ACCOUNT: &str = "000000000000";
const TARGET: &str = "Firehose_20150804.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// What a batch at the service's limit may have in base64, and room for what JSON may do to it.
const BATCH_BODY_BYTES: usize = 8 << 20;

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
                refusal: Refusal::Slow,
                ..ApiError::new("RequestTimeoutException", "The body did not arrive in time.")
            },
            BodyError::Busy => ApiError::unavailable(Refusal::Busy),
            BodyError::Broken(why) => ApiError::serialization(format!("Cannot read the body: {why}")),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> ApiError {
        ApiError { refusal: Refusal::Denied, ..ApiError::new(denied.kind, denied.message) }
    }
}

impl From<Turned> for ApiError {
    /// Who sends too much is told what the service tells, so that SDKs back off.
    fn from(turned: Turned) -> ApiError {
        match turned {
            Turned::Denied(denied) => denied.into(),
            Turned::Throttled(_) => ApiError::unavailable(Refusal::Throttled),
            Turned::Body(error) => error.into(),
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
    let mut loan = intake.loan();
    let (head, body) = request.into_parts();
    let (caller, body) =
        intake.admit(&head, body, false, &mut loan).await.map_err(|turned| turned_away(intake, turned))?;
    let _slot = intake.slot().await.ok_or_else(|| ApiError::unavailable(Refusal::Busy))?;
    operation.perform(intake, caller, &body, &mut loan).await
}

/// Where a body may be shorter than a batch, the service has no words for one that is too long.
fn turned_away(intake: &Intake, turned: Turned) -> ApiError {
    match turned {
        Turned::Body(BodyError::TooLarge) if intake.limits.body_bytes < BATCH_BODY_BYTES => {
            ApiError::invalid_argument(format!("Request body exceeds {} bytes", intake.limits.body_bytes))
        }
        turned => turned.into(),
    }
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

    /// As in IAM's actions.
    fn name(self) -> &'static str {
        match self {
            Operation::PutRecord => "PutRecord",
            Operation::PutRecordBatch => "PutRecordBatch",
            Operation::Describe => "DescribeDeliveryStream",
            Operation::List => "ListDeliveryStreams",
        }
    }

    async fn perform(self, intake: &Intake, caller: Caller, body: &[u8], loan: &mut Loan) -> Result<Vec<u8>, ApiError> {
        let asked = Asked { intake, caller, operation: self };
        match self {
            Operation::PutRecord => put::record(asked, body, loan).await,
            Operation::PutRecordBatch => put::batch(asked, body, loan).await,
            Operation::Describe => describe::describe(asked, body),
            Operation::List => describe::list(asked, body),
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

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    intake: &'a Intake,
    caller: Caller,
    operation: Operation,
}

impl<'a> Asked<'a> {
    /// The configured delivery stream of this name, if the caller may use it. Whether it may comes first, as with the service.
    fn find(&self, name: &str) -> Result<&'a str, ApiError> {
        if !self.intake.access.may_use(self.caller, name) {
            let (user, action) = (self.intake.access.name(self.caller), self.operation.name());
            return Err(ApiError::from(Denied::forbidden(format!(
                "User: {user} is not authorized to perform: firehose:{action} on resource: {}",
                describe::arn(name)
            ))));
        }
        let found = self.intake.streams.iter().find(|stream| *stream == name);
        found.map(String::as_str).ok_or_else(|| ApiError::not_found(name))
    }
}
