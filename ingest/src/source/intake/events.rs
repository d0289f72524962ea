//! `POST /v1/events`: one event per line, plain or compressed, for whoever has no Firehose client.
//!
//! Content-Type does not matter. Content-Encoding is `gzip`, `zstd` or `identity`. Empty lines are skipped. All lines of a
//! request are journaled in one append: `200 {"accepted": N}` says that all of them are durable, anything else says that none
//! are known to be. Where there are credentials, a request brings a bearer token or a signature (service `firehose`, as
//! `curl --aws-sigv4` makes). Lines are not parsed here: one that is no JSON object is a reject of the pipeline, with its raw bytes.

use std::io::Read;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::access::Denied;
use super::body::{BodyError, Loan};
use super::counters::Refusal;
use super::journal::RECORD_BYTES_MAX;
use super::server::{Intake, Turned, from_a_browser};

/// Most bytes of a body after decompression.
pub(super) const PLAIN_BYTES_MAX: usize = 64 << 20;
/// Most events of one request: what frames them must not outgrow the body.
pub(super) const LINES_MAX: usize = 500_000;
/// Seconds a client is asked to wait.
const RETRY_AFTER: u64 = 1;
/// How a client that did not say who it is may do so.
const CHALLENGE: &str = "Bearer realm=\"alluvium\"";
/// Largest zstd window accepted, log2: a frame may not ask for more memory than its content may have.
const ZSTD_WINDOW_LOG_MAX: u32 = 26;
/// Bytes decompressed between two looks at the bounds.
const STEP_BYTES: u64 = 256 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// A request that is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    refusal: Refusal,
    text: String,
    /// Events that are durable nevertheless: only when forwarding.
    accepted: usize,
    /// Seconds to wait, where that would help.
    retry_after: Option<u64>,
}

impl Refused {
    fn new(status: StatusCode, refusal: Refusal, text: impl Into<String>) -> Refused {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER);
        Refused { status, refusal, text: text.into(), accepted: 0, retry_after }
    }

    fn throttled(wait: std::time::Duration) -> Refused {
        let text = "more requests or bytes than one credential may send, wait";
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        Refused {
            retry_after: Some(u64::try_from(seconds).unwrap_or(u64::MAX)),
            ..Refused::new(StatusCode::TOO_MANY_REQUESTS, Refusal::Throttled, text)
        }
    }

    fn body(error: BodyError, max: usize) -> Refused {
        match error {
            BodyError::TooLarge => {
                Refused::too_large(format!("body is larger than {max} bytes: send fewer events at once"))
            }
            BodyError::Slow => Refused::new(StatusCode::REQUEST_TIMEOUT, Refusal::Slow, "body did not arrive in time"),
            BodyError::Busy => Refused::busy(),
            BodyError::Broken(why) => {
                Refused::new(StatusCode::BAD_REQUEST, Refusal::Invalid, format!("cannot read the body: {why}"))
            }
        }
    }

    fn turned(turned: Turned, max: usize) -> Refused {
        match turned {
            Turned::Denied(denied) => denied.into(),
            Turned::Throttled(wait) => Refused::throttled(wait),
            Turned::Body(error) => Refused::body(error, max),
        }
    }

    fn too_large(text: impl Into<String>) -> Refused {
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, Refusal::TooLarge, text)
    }

    fn busy() -> Refused {
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, Refusal::Busy, "too many requests at once, try again")
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Refused {
        let status = if denied.is_forbidden() { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        Refused::new(status, Refusal::Denied, format!("{}: {}", denied.kind, denied.message))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = match self.accepted {
            0 => serde_json::json!({ "error": self.text }),
            accepted => serde_json::json!({ "error": self.text, "accepted": accepted }),
        };
        let mut response = json(self.status, &body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        response
    }
}

pub(super) fn error(status: StatusCode, text: &str) -> impl IntoResponse {
    json(status, &serde_json::json!({ "error": text }))
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(super) async fn handle(State(intake): State<Arc<Intake>>, request: Request) -> Response {
    intake.counters.events_requests.add(1);
    match accept(&intake, request).await {
        Ok(accepted) => json(StatusCode::OK, &serde_json::json!({ "accepted": accepted })),
        Err(refused) => {
            intake.counters.refuse(refused.refusal);
            refused.into_response()
        }
    }
}

async fn accept(intake: &Intake, request: Request) -> Result<usize, Refused> {
    if from_a_browser(request.headers()) {
        let text = "requests from web pages are not taken: send without an Origin header";
        return Err(Refused::new(StatusCode::FORBIDDEN, Refusal::Invalid, text));
    }
    let encoding = encoding(request.headers())?;
    let mut loan = intake.loan();
    let (head, body) = request.into_parts();
    let admitted = intake.admit(&head, body, true, &mut loan).await;
    let (caller, body) = admitted.map_err(|turned| Refused::turned(turned, intake.limits.body_bytes))?;
    if intake.access.restricted_to(caller).is_some() {
        let text = "this credential is for some delivery streams only, and these events have none";
        return Err(Denied::forbidden(text).into());
    }
    let _slot = intake.slot().await.ok_or_else(Refused::busy)?;
    let (lines, _loan) = tokio::task::spawn_blocking(move || lines_of(body, encoding, loan))
        .await
        .map_err(|_| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, Refusal::Busy, "reading the events failed"))??;
    put(intake, lines).await
}

fn lines_of(body: Vec<u8>, encoding: Encoding, mut loan: Loan) -> Result<(Vec<Bytes>, Loan), Refused> {
    let plain = decompress(body, encoding, &mut loan)?;
    let lines = split(&Bytes::from(plain))?;
    // The records are framed once more on their way to the disk.
    loan.grow(lines.iter().map(|line| line.len() + 64).sum()).map_err(|_| Refused::busy())?;
    Ok((lines, loan))
}

async fn put(intake: &Intake, lines: Vec<Bytes>) -> Result<usize, Refused> {
    let (records, bytes) = (lines.len(), lines.iter().map(|line| line.len() as u64).sum());
    if records == 0 {
        return Ok(0);
    }
    let unavailable = |refusal, text| Refused::new(StatusCode::SERVICE_UNAVAILABLE, refusal, text);
    let receipt = match intake.sink.put(lines, intake.clock.now()).await {
        Ok(receipt) => receipt,
        Err(error) if error.refusal == Refusal::TooLarge => return Err(Refused::too_large(error.message)),
        Err(error) => return Err(unavailable(error.refusal, error.message)),
    };
    let accepted = records - receipt.failed();
    if accepted < records {
        let text =
            format!("{} of {records} events were not taken: send all again, or accept the loss", receipt.failed());
        return Err(Refused { accepted, ..unavailable(Refusal::Forward, text) });
    }
    intake.counters.accept(records as u64, bytes);
    Ok(records)
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let named = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    match named.as_deref().map(<[u8]>::trim_ascii) {
        None | Some(b"" | b"identity") => Ok(Encoding::Identity),
        Some(b"gzip" | b"x-gzip") => Ok(Encoding::Gzip),
        Some(b"zstd") => Ok(Encoding::Zstd),
        Some(other) => {
            let text = format!("content-encoding `{}`: want gzip, zstd or identity", other.escape_ascii());
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Refusal::Invalid, text))
        }
    }
}

fn decompress(body: Vec<u8>, encoding: Encoding, loan: &mut Loan) -> Result<Vec<u8>, Refused> {
    let broken = |error: std::io::Error| {
        let text = format!("body is no valid {encoding:?}: {error}").to_ascii_lowercase();
        Refused::new(StatusCode::BAD_REQUEST, Refusal::Invalid, text)
    };
    if body.is_empty() {
        return Ok(body);
    }
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => inflate(flate2::read::MultiGzDecoder::new(body.as_slice()), loan, broken),
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(body.as_slice()).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
            inflate(decoder, loan, broken)
        }
    }
}

/// Reads to the end or to the bound, whichever comes first: a small body may unfold to any size.
fn inflate(
    mut reader: impl Read,
    loan: &mut Loan,
    broken: impl Fn(std::io::Error) -> Refused,
) -> Result<Vec<u8>, Refused> {
    let mut plain = Vec::new();
    loop {
        loan.grow(STEP_BYTES as usize).map_err(|_| Refused::busy())?;
        let read = reader.by_ref().take(STEP_BYTES).read_to_end(&mut plain).map_err(&broken)?;
        if plain.len() > PLAIN_BYTES_MAX {
            let text = format!("body is larger than {PLAIN_BYTES_MAX} bytes decompressed: send fewer events at once");
            return Err(Refused::too_large(text));
        }
        if read == 0 {
            return Ok(plain);
        }
    }
}

/// The lines that hold something, without their ends. Shares the memory of `plain`.
fn split(plain: &Bytes) -> Result<Vec<Bytes>, Refused> {
    let mut lines = Vec::new();
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', plain).chain(std::iter::once(plain.len()));
    for (index, end) in ends.enumerate() {
        let line = &plain[start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.trim_ascii().is_empty() {
            lines.push(plain.slice(start..start + line.len()));
        }
        if line.len() > RECORD_BYTES_MAX {
            let (number, length) = (index + 1, line.len());
            let text = format!("line {number} has {length} bytes: an event has at most {RECORD_BYTES_MAX}");
            return Err(Refused::too_large(text));
        }
        if lines.len() > LINES_MAX {
            return Err(Refused::too_large(format!("more than {LINES_MAX} lines: send fewer events at once")));
        }
        start = end + 1;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_at_newlines_and_blank_ones_skipped() {
        let lines = split(&Bytes::from_static(b"{\"a\":1}\r\n\n  \r\n{\"b\":2}\n {\"c\":3} ")).expect("fits");
        assert_eq!(lines, ["{\"a\":1}", "{\"b\":2}", " {\"c\":3} "]);
        assert_eq!(split(&Bytes::new()).expect("fits"), Vec::<Bytes>::new());
    }

    #[test]
    fn a_line_too_long_is_named() {
        let body = format!("{{}}\n{}\n{{}}", "x".repeat(RECORD_BYTES_MAX + 1));
        let refused = split(&body.into()).expect_err("too long");
        assert!(refused.text.starts_with("line 2 has 1024001 bytes"), "{}", refused.text);
        assert_eq!(split(&"x".repeat(RECORD_BYTES_MAX).into()).expect("fits").len(), 1);
    }

    #[test]
    fn too_many_lines_are_refused() {
        assert_eq!(split(&"1\n".repeat(LINES_MAX).into()).expect("fits").len(), LINES_MAX);
        assert!(split(&"1\n".repeat(LINES_MAX + 1).into()).is_err());
    }

    #[test]
    fn a_decompression_bomb_stops_at_the_bound() {
        let bomb = zstd::encode_all(std::io::repeat(b'\n').take(PLAIN_BYTES_MAX as u64 + 1), 3).expect("compresses");
        assert!(bomb.len() < 1 << 20);
        let mut loan = Loan::new(super::super::body::memory());
        let refused = decompress(bomb, Encoding::Zstd, &mut loan).expect_err("too large");
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
