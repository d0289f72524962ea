//! Who is let in, as the AWS SDK for Rust and a plain client see it.

use std::time::Duration;

use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::retry::RetryConfig;
use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_firehose::error::ProvideErrorMetadata;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;

use super::super::super::access::{AccessKey, Credential, Secret, TokenHash, signature};
use super::super::super::settings::{EndpointSettings, Limits};
use super::*;

const SECRET: &str = "the uploader's secret";
const TOKEN: &str = "the token of a script";

fn credential(name: &str, id: &str) -> Credential {
    let key = Some(AccessKey { id: id.to_string(), secret: Secret::new(SECRET) });
    Credential { name: name.to_string(), key, token: None, delivery_streams: None }
}

fn secured() -> EndpointSettings {
    let token = Credential { key: None, token: Some(TokenHash::of(TOKEN)), ..credential("script", "") };
    let audit = Credential { delivery_streams: Some(vec!["audit".to_string()]), ..credential("auditor", "AUDITOR") };
    EndpointSettings {
        credentials: vec![credential("uploader", "UPLOADER"), token, audit],
        ..EndpointSettings::default()
    }
}

/// The wall clock, so many milliseconds off.
fn clock_off(by: i64) -> Clock {
    Clock::new(move || crate::clock::now_ms() + by)
}

fn client(served: &Served, id: &str, secret: &str, session: Option<&str>) -> Client {
    let session = session.map(str::to_string);
    let config = aws_sdk_firehose::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new(id, secret, session, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{}", served.address))
        .build();
    Client::from_conf(config)
}

/// The error's code, or none if the put was taken.
async fn put(client: &Client, stream: &str) -> Option<String> {
    let record = Record::builder().data(Blob::new("{}")).build().expect("complete");
    let put = client.put_record().delivery_stream_name(stream).record(record).send().await;
    put.err().map(|error| {
        let status = error.raw_response().expect("answered").status().as_u16();
        format!("{status} {}", error.code().unwrap_or_default())
    })
}

#[tokio::test]
async fn an_sdk_with_the_right_key_is_taken_and_any_other_is_told_why() {
    let served = serve(secured(), clock_off(0), |sink| sink).await;
    let code = async |id: &str, secret: &str| put(&client(&served, id, secret, None), "events").await;
    assert_eq!(code("UPLOADER", SECRET).await, None);
    assert_eq!(code("UPLOADER", "another secret").await.as_deref(), Some("400 InvalidSignatureException"));
    assert_eq!(code("NOBODY", SECRET).await.as_deref(), Some("400 UnrecognizedClientException"));
    let session = client(&served, "UPLOADER", SECRET, Some("a session token is of no use here"));
    assert_eq!(put(&session, "events").await, None);
    let plain = served.call("Firehose_20150804.PutRecord", "{}").await;
    assert_eq!((plain.status, plain.body["__type"].as_str()), (400, Some("MissingAuthenticationTokenException")));
    assert_eq!((served.records().await.len(), served.counters.refused(Refusal::Denied)), (2, 3));
}

#[tokio::test]
async fn a_clock_that_is_off_by_more_than_five_minutes_is_told_so() {
    for (off, taken) in [(signature::SKEW_MS - 60_000, true), (signature::SKEW_MS + 60_000, false)] {
        for by in [off, -off] {
            let served = serve(secured(), clock_off(by), |sink| sink).await;
            let code = put(&client(&served, "UPLOADER", SECRET, None), "events").await;
            assert_eq!(code.is_none(), taken, "{by}: {code:?}");
            assert!(code.is_none_or(|code| code == "400 InvalidSignatureException"));
        }
    }
}

#[tokio::test]
async fn a_key_for_one_stream_is_for_nothing_else() {
    let served = serve(secured(), clock_off(0), |sink| sink).await;
    let auditor = client(&served, "AUDITOR", SECRET, None);
    assert_eq!(put(&auditor, "audit").await, None);
    assert_eq!(put(&auditor, "events").await.as_deref(), Some("400 AccessDeniedException"));
    assert_eq!(put(&auditor, "no-such-stream").await.as_deref(), Some("400 AccessDeniedException"));
    let describe =
        auditor.describe_delivery_stream().delivery_stream_name("events").send().await.expect_err("not its own");
    assert_eq!(describe.code(), Some("AccessDeniedException"));
    let listed = auditor.list_delivery_streams().send().await.expect("listed");
    assert_eq!(listed.delivery_stream_names(), ["audit"]);
}

#[tokio::test]
async fn events_are_taken_with_a_token_and_nothing_less() {
    let served = serve(secured(), clock_off(0), |sink| sink).await;
    let right = served.send("POST /v1/events", &[&format!("Authorization: Bearer {TOKEN}")], b"{}").await;
    assert_eq!((right.status, right.body), (200, serde_json::json!({ "accepted": 1 })));
    for head in [&["Authorization: Bearer the token of a scrip"][..], &["Authorization: Basic dTpw"], &[]] {
        let answer = served.send("POST /v1/events", head, b"{}").await;
        assert_eq!(answer.status, 401, "{head:?}");
        assert!(answer.head.contains("www-authenticate: bearer realm=\"alluvium\""), "{}", answer.head);
    }
    let firehose = ["X-Amz-Target: Firehose_20150804.ListDeliveryStreams", &format!("Authorization: Bearer {TOKEN}")];
    let answer = served.send("POST /", &firehose, b"{}").await;
    assert_eq!((answer.status, answer.body["__type"].as_str()), (400, Some("IncompleteSignatureException")));
    assert_eq!((served.records().await.len(), served.counters.refused(Refusal::Denied)), (1, 4));
}

#[tokio::test]
async fn a_large_body_of_someone_unknown_is_answered_and_takes_no_memory() {
    let served = serve(secured(), clock_off(0), |sink| sink).await;
    let large = vec![b'x'; 20 << 20];
    assert_eq!(served.send("POST /v1/events", &[], &large).await.status, 401);
    let answer = served.send("POST /", &["X-Amz-Target: Firehose_20150804.PutRecord"], &large).await;
    assert_eq!(answer.body["__type"], "MissingAuthenticationTokenException");
}

fn limited(limits: Limits) -> EndpointSettings {
    EndpointSettings { limits, ..secured() }
}

#[tokio::test]
async fn who_sends_too_much_is_throttled_and_nobody_else() {
    let limits = Limits { requests_per_second: 2, ..Limits::default() };
    let served = serve(limited(limits), Clock::new(|| 1_000), |sink| sink).await;
    let token = format!("Authorization: Bearer {TOKEN}");
    let mut answers = Vec::new();
    for _ in 0..4 {
        let answer = served.send("POST /v1/events", &[&token], b"{}").await;
        assert!(answer.status == 200 || answer.head.contains("retry-after: 1"), "{answer:?}");
        answers.push(answer.status);
    }
    assert_eq!(answers, [200, 200, 429, 429]);
    assert_eq!(served.counters.refused(Refusal::Throttled), 2);
}

#[tokio::test]
async fn an_sdk_backs_off_and_gets_all_of_it_through() {
    let limits = Limits { requests_per_second: 5, ..Limits::default() };
    let served = serve(limited(limits), clock_off(0), |sink| sink).await;
    let once = client(&served, "UPLOADER", SECRET, None);
    let mut codes = Vec::new();
    for _ in 0..20 {
        codes.extend(put(&once, "events").await);
    }
    assert!(!codes.is_empty() && codes.iter().all(|code| code == "503 ServiceUnavailableException"), "{codes:?}");
    let retry = RetryConfig::standard().with_max_attempts(10).with_initial_backoff(Duration::from_millis(200));
    let config = once.config().to_builder().retry_config(retry).build();
    let patient = Client::from_conf(config);
    let before = served.counters.refused(Refusal::Throttled);
    for _ in 0..10 {
        assert_eq!(put(&patient, "events").await, None);
    }
    assert!(served.counters.refused(Refusal::Throttled) > before, "it was throttled in between");
}

#[tokio::test]
async fn bytes_have_their_rate_and_a_stranger_does_not_use_it_up() {
    let limits = Limits { bytes_per_second: 1_000, ..Limits::default() };
    let served = serve(limited(limits), Clock::new(|| 1_000), |sink| sink).await;
    let body = vec![b' '; 5_000];
    let wrong = served.send("POST /v1/events", &["Authorization: Bearer the token of a scrip"], &body).await;
    let token = format!("Authorization: Bearer {TOKEN}");
    let first = served.send("POST /v1/events", &[&token], &body).await;
    let second = served.send("POST /v1/events", &[&token], b"{}").await;
    assert_eq!((wrong.status, first.status, second.status), (401, 200, 429));
    assert!(second.head.contains("retry-after: 5"), "{}", second.head);
}

#[test]
fn who_may_listen_where() {
    let at = |listen: &str, change: fn(&mut EndpointSettings)| {
        let mut settings = EndpointSettings { listen: listen.parse().expect("address"), ..EndpointSettings::default() };
        change(&mut settings);
        settings.check()
    };
    let remote = "0.0.0.0:4573";
    assert_eq!(at("127.0.0.1:4573", |_| {}), Ok(()));
    assert_eq!(at("[::1]:4573", |s| s.credentials = secured().credentials), Ok(()));
    let error = at(remote, |_| {}).expect_err("open to all");
    assert!(error.contains("[credentials.<name>]") && error.contains("127.0.0.1:4573"), "{error}");
    assert_eq!(at(remote, |s| s.allow_remote = true), Ok(()));
    assert_eq!(at(remote, |s| s.credentials = vec![credential("uploader", "UPLOADER")]), Ok(()));
    let error = at(remote, |s| s.credentials = secured().credentials).expect_err("a token in the clear");
    assert!(error.contains("bearer token") && error.contains("tls_cert"), "{error}");
}
