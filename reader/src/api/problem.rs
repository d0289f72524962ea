//! Errors as RFC 9457 problems: what went wrong, and what whoever asked can do about it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::ReaderError;
use crate::plan::columns::Refusal;

/// Seconds after which a busy reader is worth asking again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The kinds of problems, each with its status and title. `docs/openapi.json` lists them.
pub const KINDS: [(&str, u16, &str); 12] = [
    ("question", 400, "the question is wrong"),
    ("who", 401, "nobody says who asks"),
    ("unknown", 404, "there is no such thing"),
    ("method", 405, "there is no such question"),
    ("too-wide", 422, "the question reads more than one may"),
    ("busy", 429, "too many questions at once"),
    ("corrupt", 500, "something stored cannot be understood"),
    ("environment", 503, "a store does not answer as it should"),
    ("late", 504, "no answer in time"),
    ("host", 421, "this name is not served here"),
    ("unknown-attribute", 404, "there is no such attribute"),
    ("outside-range", 404, "the lake holds nothing of that time"),
];

/// A problem, on its way out.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: &'static str,
    detail: String,
    more: Vec<(&'static str, Value)>,
}

impl Problem {
    pub fn new(kind: &'static str, detail: impl Into<String>) -> Problem {
        Problem { kind, detail: detail.into(), more: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: Value) -> Problem {
        self.more.push((name, value));
        self
    }

    fn status_and_title(&self) -> (StatusCode, &'static str) {
        let known = KINDS.iter().find(|(kind, ..)| *kind == self.kind);
        let (_, status, title) = known.unwrap_or(&KINDS[6]);
        (StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), title)
    }
}

impl From<ReaderError> for Problem {
    fn from(error: ReaderError) -> Problem {
        let detail = error.to_string();
        match error {
            ReaderError::Question { parameter, .. } => {
                Problem::new("question", detail).with("parameter", Value::String(parameter))
            }
            ReaderError::Unknown(_) => Problem::new("unknown", detail),
            ReaderError::UnknownAttribute { nearest, .. } => {
                let problem = Problem::new("unknown-attribute", detail);
                nearest.map_or(problem.clone(), |near| problem.with("nearest", Value::String(near)))
            }
            ReaderError::OutsideRange { first, last, .. } => {
                Problem::new("outside-range", detail).with("range", json!({"from": first, "to": last}))
            }
            ReaderError::TooWide(Refusal::TooMany { column, projected, limit, .. }) => Problem::new("too-wide", detail)
                .with("missing", Value::String(column))
                .with("folders", json!(projected))
                .with("limit", json!(limit)),
            ReaderError::TooWide(Refusal::Unbounded { column } | Refusal::BadValue { column, .. }) => {
                Problem::new("too-wide", detail).with("missing", Value::String(column))
            }
            ReaderError::TooMuch { limit, .. } => Problem::new("too-wide", detail).with("limit", json!(limit)),
            ReaderError::Busy(_) => Problem::new("busy", detail),
            ReaderError::Late(_) => Problem::new("late", detail),
            // Names of places and causes are the operator's: they are in the log.
            ReaderError::Environment { .. } | ReaderError::Config(_) => {
                tracing::error!(%detail, "a question failed");
                Problem::new("environment", "the lake cannot be read now: the log of the reader says why")
            }
            ReaderError::Corrupt { .. } => {
                tracing::error!(%detail, "a question failed");
                Problem::new("corrupt", "something stored cannot be understood: the log of the reader says what")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, title) = self.status_and_title();
        let mut body = json!({
            "type": format!("/problems/{}", self.kind),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
        });
        for (name, value) in self.more {
            body[name] = value;
        }
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], format!("{body}\n")).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
