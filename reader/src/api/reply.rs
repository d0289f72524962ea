//! Answers on their way out: JSON or a list in another format, with statistics, and an ETag of what they say.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::export::{Format, Table};
use crate::error::ReaderError;
use crate::question::Statistics;

/// Where the statistics of other formats than JSON stand.
pub const STATISTICS_HEADER: &str = "x-alluvium-statistics";

/// What a question is answered with.
#[derive(Debug)]
pub struct Answer {
    body: AnswerBody,
    statistics: Option<Statistics>,
}

#[derive(Debug)]
enum AnswerBody {
    Json(Value),
    Table(Table, Format),
    /// Bytes as they were given, which nobody's browser may take for a page.
    Download {
        bytes: Vec<u8>,
        name: &'static str,
    },
}

impl Answer {
    pub fn json(value: Value) -> Answer {
        Answer { body: AnswerBody::Json(value), statistics: None }
    }

    /// JSON, or the table where another format is asked for.
    pub fn list(value: Value, table: impl FnOnce() -> Table, format: Format) -> Answer {
        let body = if format == Format::Json { AnswerBody::Json(value) } else { AnswerBody::Table(table(), format) };
        Answer { body, statistics: None }
    }

    pub fn download(bytes: Vec<u8>, name: &'static str) -> Answer {
        Answer { body: AnswerBody::Download { bytes, name }, statistics: None }
    }

    pub fn took(self, statistics: Statistics) -> Answer {
        Answer { statistics: Some(statistics), ..self }
    }

    /// The response; 304 without a body where whoever asks has this answer already.
    pub fn respond(self, asked: &HeaderMap) -> Result<Response, ReaderError> {
        let (media_type, bytes) = match &self.body {
            AnswerBody::Json(value) => ("application/json", lasting(value).to_string().into_bytes()),
            AnswerBody::Table(table, format) => (format.media_type(), table.write(*format)?),
            AnswerBody::Download { bytes, .. } => ("application/octet-stream", bytes.clone()),
        };
        let tag = tag(media_type, &bytes);
        if has(asked, &tag) {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, value(&tag))]).into_response());
        }
        let statistics = self.statistics.as_ref().map(|statistics| json!(statistics));
        let body = match (self.body, &statistics) {
            (AnswerBody::Json(mut json), Some(statistics)) => {
                json["statistics"] = statistics.clone();
                format!("{json}\n").into_bytes()
            }
            (AnswerBody::Json(json), None) => format!("{json}\n").into_bytes(),
            (AnswerBody::Download { name, .. }, _) => return Ok(download(bytes, name, &tag)),
            (AnswerBody::Table(..), _) => bytes,
        };
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::ETAG, value(&tag));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if let Some(statistics) = statistics {
            headers.insert(STATISTICS_HEADER, value(&statistics.to_string()));
        }
        Ok(response)
    }
}

/// An answer without its age: a second later it is another, and the answer is the same.
fn lasting(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(age) = answer.pointer_mut("/freshness/seconds") {
        *age = Value::Null;
    }
    answer
}

fn download(bytes: Vec<u8>, name: &str, tag: &str) -> Response {
    let disposition = value(&format!("attachment; filename=\"{name}\""));
    let media_type = HeaderValue::from_static("application/octet-stream");
    let headers =
        [(header::CONTENT_TYPE, media_type), (header::CONTENT_DISPOSITION, disposition), (header::ETAG, value(tag))];
    (headers, bytes).into_response()
}

/// Weak: statistics differ from time to time.
fn tag(media_type: &str, bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(media_type.as_bytes());
    hash.update([0]);
    hash.update(bytes);
    let hex: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{hex}\"")
}

fn has(asked: &HeaderMap, tag: &str) -> bool {
    let given = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_string();
    given.split(',').any(|one| one.trim() == "*" || plain(one) == plain(tag))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("made of hex, digits and names of ours")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_has_only_grown_older_has_the_same_tag() {
        let tag = |value: &str, seconds: u64| {
            let body = json!({"value": value, "freshness": {"last_arrived_at": null, "seconds": seconds}});
            let answer = Answer::json(body).respond(&HeaderMap::new()).expect("an answer");
            answer.headers()[header::ETAG].clone()
        };
        assert_eq!(tag("a", 1), tag("a", 2));
        assert_ne!(tag("a", 1), tag("b", 1));
    }
}
