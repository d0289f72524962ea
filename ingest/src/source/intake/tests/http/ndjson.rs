//! `POST /v1/events` and the paths that do not exist.

use std::io::Write;

use super::*;

/// Request line, head, body; then status and a part of the text.
type Wrong<'a> = (&'a str, &'a [&'a str], &'a [u8], u16, &'a str);

const LINES: &[u8] = b"{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}";

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("compresses");
    encoder.finish().expect("compresses")
}

#[tokio::test]
async fn lines_are_stored_in_one_append_whatever_their_encoding() {
    let zstd = zstd::encode_all(LINES, 3).expect("compresses");
    let two_members = [gzip(&LINES[..9]), gzip(&LINES[9..])].concat();
    let bodies: [(&[&str], &[u8]); 5] = [
        (&[], LINES),
        (&["Content-Encoding: identity", "Content-Type: text/plain"], LINES),
        (&["Content-Encoding: gzip"], &gzip(LINES)),
        (&["Content-Encoding: GZIP"], &two_members),
        (&["Content-Encoding: zstd"], &zstd),
    ];
    for (head, body) in bodies {
        let served = served().await;
        let answer = served.send("POST /v1/events", head, body).await;
        assert_eq!((answer.status, answer.body), (200, serde_json::json!({ "accepted": 3 })), "{head:?}");
        assert_eq!(served.records().await, ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
        assert_eq!((served.counters.journal_appends.get(), served.counters.records.get()), (1, 3));
    }
}

#[tokio::test]
async fn an_empty_body_accepts_nothing() {
    let served = served().await;
    for body in [&b""[..], b"\n\n  \n"] {
        let answer = served.send("POST /v1/events", &[], body).await;
        assert_eq!((answer.status, answer.body), (200, serde_json::json!({ "accepted": 0 })));
    }
    assert_eq!(served.send("POST /v1/events", &["Content-Encoding: gzip"], b"").await.status, 200);
}

#[tokio::test]
async fn every_wrong_request_has_its_status_and_text() {
    let served = served().await;
    let long = format!("{{}}\n{}\n", "x".repeat(1_024_001));
    let bomb = gzip(&vec![b'\n'; (64 << 20) + 1]);
    let large = vec![b'\n'; (16 << 20) + 1];
    let cases: [Wrong<'_>; 9] = [
        (
            "POST /v1/events",
            &["Content-Encoding: br"],
            LINES,
            415,
            "content-encoding `br`: want gzip, zstd or identity",
        ),
        ("POST /v1/events", &["Content-Encoding: gzip"], LINES, 400, "body is no valid gzip"),
        ("POST /v1/events", &["Content-Encoding: gzip"], &gzip(LINES)[..20], 400, "body is no valid gzip"),
        ("POST /v1/events", &["Content-Encoding: zstd"], LINES, 400, "body is no valid zstd"),
        ("POST /v1/events", &[], long.as_bytes(), 413, "line 2 has 1024001 bytes: an event has at most 1024000"),
        ("POST /v1/events", &["Content-Encoding: gzip"], &bomb, 413, "larger than 67108864 bytes decompressed"),
        ("POST /v1/events", &[], &large, 413, "body is larger than 16777216 bytes"),
        ("POST /v1/events", &["Origin: http://example.com"], LINES, 403, "send without an Origin header"),
        ("GET /v1/events", &[], b"", 405, "only POST is served"),
    ];
    for (line, head, body, status, text) in cases {
        let answer = served.send(line, head, body).await;
        let error = answer.body["error"].as_str().expect("error");
        assert_eq!(answer.status, status, "{error}");
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(served.send("POST /v2", &[], b"").await.status, 404);
    assert!(served.records().await.is_empty());
    assert_eq!((served.counters.refused(Refusal::TooLarge), served.counters.refused(Refusal::Unknown)), (3, 2));
}

#[tokio::test]
async fn a_full_journal_is_503_with_retry_after() {
    let served = served_with(|_| Arc::new(Refusing(Refusal::Journal))).await;
    let answer = served.send("POST /v1/events", &[], LINES).await;
    assert_eq!((answer.status, answer.body["error"].as_str()), (503, Some("journal is full: 1 of 1 bytes")));
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    assert_eq!((served.counters.refused(Refusal::Journal), served.counters.records.get()), (1, 0));
}

#[tokio::test]
async fn what_no_journal_of_this_size_can_hold_is_413_and_names_the_limit() {
    let served = served().await;
    let line = [vec![b'x'; 1_000_000], vec![b'\n']].concat();
    let answer = served.send("POST /v1/events", &["Content-Encoding: gzip"], &gzip(&line.repeat(13))).await;
    let error = answer.body["error"].as_str().expect("error");
    // Three quarters of the least journal, less a segment's header.
    assert!(answer.status == 413 && error.contains("send at most 12582848"), "{answer:?}");
    assert_eq!(served.counters.refused(Refusal::TooLarge), 1);
    let fits = served.send("POST /v1/events", &["Content-Encoding: gzip"], &gzip(&line.repeat(12))).await;
    assert_eq!((fits.status, served.journal.accepted()), (200, 12));
}

#[tokio::test]
async fn a_stream_that_took_only_some_is_no_success() {
    let served = served_with(|_| Arc::new(NotTheSecond)).await;
    let answer = served.send("POST /v1/events", &[], LINES).await;
    assert_eq!((answer.status, answer.body["accepted"].as_u64()), (503, Some(2)));
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let served = served().await;
    let mut stream = TcpStream::connect(served.address).await.expect("connects");
    let request = b"POST /v1/events HTTP/1.1\r\nHost: intake\r\nContent-Length: 100\r\n\r\n{\"a\":1}\n";
    stream.write_all(request).await.expect("sent");
    stream.shutdown().await.expect("half closed");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("closed");
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    assert!(served.records().await.is_empty());
}
