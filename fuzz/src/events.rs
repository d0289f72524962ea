//! Bodies of `POST /v1/events`, through the HTTP handler. The first byte names the encoding.

use axum::http::StatusCode;

use super::http::Endpoint;
use super::input::Input;

const ENCODINGS: [&str; 4] = ["identity", "gzip", "zstd", "br"];

thread_local! {
    static ENDPOINT: Endpoint = Endpoint::new();
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let first = usize::from(input.byte());
    let encoding = ENCODINGS[first % ENCODINGS.len()];
    let header = ("content-encoding", encoding);
    let answer = ENDPOINT.with(|endpoint| endpoint.call("/v1/events", header, input.0, first >= 128));
    let given = answer.records.len() as u64;
    match answer.status {
        StatusCode::OK => {
            assert_eq!(answer.body["accepted"].as_u64(), Some(given));
            if encoding == "identity" {
                let lines = lines(input.0);
                assert!(answer.records.iter().map(|record| record.as_ref()).eq(lines), "one record for each line");
            }
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            assert!(answer.body["accepted"].as_u64().unwrap_or(0) < given, "{}", answer.body);
        }
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            assert!(answer.body["error"].is_string() && given == 0, "{}", answer.body);
        }
        other => panic!("status {other}: {}", answer.body),
    }
}

/// The lines that hold something, without their ends.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = body.split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.trim_ascii().is_empty())
}
