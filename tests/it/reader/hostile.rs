//! What is asked with bad intent, and what was stored with it: an answer is a value, never a path, a statement or a page.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tests::alluvium::Lake;
use tests::http;
use tests::reader::{attribute, problem, segment};

use super::lake::Asked;

const NASTY: &[&str] = &[
    "../../../../etc/passwd",
    "..",
    ".",
    "/etc/passwd",
    "%2e%2e%2f",
    "' OR '1'='1",
    "x'; DROP TABLE attribute_events; --",
    "\" OR 1=1 --",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}",
    "us:AAPL\r\nx-injected: 1",
    "__HIVE_DEFAULT_PARTITION__",
    "created_date=2024-01-01/attribute_name=name",
    "*",
    "%",
    "_",
    "\u{202e}\u{0}é😀",
    "=cmd|' /C calc'!A0",
];

/// Whether an answer is one of ours: a value that is not there, or a question that is refused.
fn is_harmless(what: &str, answer: &http::Answer) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(matches!(answer.status, 200 | 400 | 404), "{what}: {} {text}", answer.status);
    let media_type = answer.header("content-type").unwrap_or_default();
    assert!(matches!(media_type, "application/json" | "application/problem+json"), "{what}: {media_type}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert!(answer.header("content-security-policy").is_some_and(|p| p.contains("default-src 'self'")), "{what}");
    assert_eq!(answer.header("x-injected"), None, "{what}");
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{what}: {e}: {text}"));
    assert!(!text.contains("root:x:") && !text.contains("panicked"), "{what}: {text}");
    if answer.status == 200 && body.get("state").is_some() {
        assert_eq!(body["state"], "never", "{what}: {text}");
    }
}

fn paths(text: &str) -> Vec<String> {
    let part = segment(text);
    let reference = asked_reference();
    vec![
        format!("/v1/entities/{part}"),
        attribute(text, "name"),
        attribute("us:AAPL", text),
        format!("{}/history", attribute(text, "name")),
        format!("/v1/attributes/{part}/changes?date=2024-01-01"),
        format!("/v1/attributes/name/changes?date={part}"),
        format!("{}?as_of={part}", attribute("us:NONE", "name")),
        format!("{}/history?cursor={part}", attribute("us:NONE", "name")),
        format!("{}/versions/{part}", attribute("us:NONE", "name")),
        format!("{}/versions/{reference}/record", attribute(text, "name")),
        format!("/v1/plan?entity={part}&from=2024-01-01&to=2024-01-01"),
        format!("/v1/plan?attributes={part}&from=2024-01-01&to=2024-01-01"),
        format!("/v1/entities/us%3ANONE?format={part}"),
        format!("/v1/entities/us%3ANONE?{part}=1"),
    ]
}

/// A reference that leads to an event of another entity.
fn asked_reference() -> String {
    let told = Asked::sp500().reader.get(&attribute("us:AAPL", "headquarters"));
    told["reference"].as_str().expect("a reference").to_string()
}

#[test]
fn nasty_questions_are_values_that_are_not_there() {
    let asked = Asked::sp500();
    for text in NASTY {
        for path in paths(text) {
            is_harmless(&path, &asked.reader.ask(&path, &[]));
        }
        let body = json!({"of": [{"entity": text, "attribute": "name"}]}).to_string();
        let answer = http::ask(&asked.reader.address, "POST", "/v1/current", &[], body.as_bytes()).expect("it answers");
        is_harmless(text, &answer);
    }
}

/// Bytes at random, as parts of paths, parameters and bodies.
#[test]
fn questions_at_random_are_answered_or_refused() {
    let asked = Asked::sp500();
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..150 {
        let length = random.random_range(1..40);
        let text: String = (0..length).map(|_| char::from_u32(random.random_range(1..0x3000)).unwrap_or('�')).collect();
        let all = paths(&text);
        let path = &all[random.random_range(0..all.len())];
        is_harmless(path, &asked.reader.ask(path, &[]));
        let body: Vec<u8> = (0..length).map(|_| random.random()).collect();
        let answer = http::ask(&asked.reader.address, "POST", "/v1/current", &[], &body).expect("it answers");
        problem("a body of noise", &answer, 400);
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let asked = Asked::sp500();
    let long = "x".repeat(9_000);
    asked.reader.refused(&format!("/v1/entities/{long}"), 400);
    asked.reader.refused("/v1/entities/us%3AAAPL?limit=3", 400);
    asked.reader.refused(&format!("{}/history?limit=100001", attribute("us:AAPL", "name")), 400);
    asked.reader.refused(&format!("{}/history?from=2020-01-01&to=2019-01-01", attribute("us:AAPL", "name")), 400);
    let of: Vec<Value> = (0..1001).map(|n| json!({"entity": format!("e{n}"), "attribute": "name"})).collect();
    let body = json!({"of": of}).to_string();
    problem(
        "pairs",
        &http::ask(&asked.reader.address, "POST", "/v1/current", &[], body.as_bytes()).expect("it answers"),
        400,
    );
    let body = vec![b' '; (1 << 20) + 1];
    problem("a body", &http::ask(&asked.reader.address, "POST", "/v1/current", &[], &body).expect("it answers"), 400);
}

/// Values that would be a script in a page, a formula in a sheet, a folder in a lake: they come back as the text they are.
#[test]
fn hostile_values_are_stored_found_and_told_as_text() {
    let values =
        ["<script>alert(document.cookie)</script>", "=HYPERLINK(\"http://evil\")", "../..", "'; --", "a\"b\\c\u{7f}"];
    let event = |n: usize, value: &str| {
        let entity = format!("e/{n}/../{value}");
        json!({"event_id": format!("id{n}"), "entity_id": entity, "attribute_name": "name", "op": "set", "value": value, "created_at": "2024-03-01T00:00:00Z"})
    };
    let events: Vec<Value> = values.iter().enumerate().map(|(n, value)| event(n, value)).collect();
    let lines: Vec<Vec<u8>> = events.iter().map(|e| e.to_string().into_bytes()).collect();
    let lines: &'static [Vec<u8>] = Vec::leak(lines);
    let asked = Asked::new(Lake::local().with_archive(), lines, 10, "");
    for (event, line) in events.iter().zip(lines) {
        let entity = event["entity_id"].as_str().expect("an id");
        let told = asked.reader.get(&attribute(entity, "name"));
        assert_eq!((&told["value"], &told["entity"]), (&event["value"], &event["entity_id"]));
        let record = asked.reader.ask(told["links"]["record"].as_str().expect("a link"), &[]);
        assert_eq!((record.status, &record.body), (200, line));
        assert_eq!(record.header("content-type"), Some("application/octet-stream"));
        assert!(record.header("content-disposition").is_some_and(|d| d.starts_with("attachment")));
        let csv = asked.reader.ask(&format!("/v1/entities/{}?format=csv", segment(entity)), &[]);
        let csv = String::from_utf8(csv.body).expect("text");
        let guarded = !csv.contains(",=HYPERLINK") && !csv.contains(",\"=HYPERLINK");
        assert!(guarded, "{csv}");
    }
}
