//! `kinesis_fake SHARDS [EVENTS]` serves the stream `bench` until its stdin ends: the Kinesis of the tests, for the benchmarks.
//!
//! Prints its URL. With a file of events, one a line, their records lie in the stream already, and what reads of them answer is
//! made before the URL is printed: what is measured is who reads, not who serves.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tests::kinesis_fake::{Answer, KinesisFake, TARGET};

const USAGE: &str = "kinesis_fake SHARDS [EVENTS]";
const STREAM: &str = "bench";
/// Records of one PutRecords at most.
const PUT_RECORDS_MAX: usize = 500;
const BODY_MAX: usize = 16 << 20;

struct Served {
    fake: KinesisFake,
    /// Answers of GetRecords by their iterator.
    reads: HashMap<String, Bytes>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let shards: u32 = args.first().and_then(|text| text.parse().ok()).expect(USAGE);
    // Time stands still: an iterator says the same whenever it is made.
    let now = now();
    let fake = KinesisFake::new(Arc::new(move || now), Duration::ZERO);
    call(&fake, "CreateStream", &json!({ "StreamName": STREAM, "ShardCount": shards }));
    let mut reads = HashMap::new();
    if let Some(events) = args.get(1) {
        put(&fake, std::fs::File::open(events).expect("the events can be read"));
        prepare(&fake, &mut reads);
    }
    tests::block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        println!("http://{}", listener.local_addr().expect("it is bound"));
        let routes = Router::new().fallback(answer).with_state(Arc::new(Served { fake, reads }));
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("serving goes on") });
    });
    std::io::stdin().lock().read_to_end(&mut Vec::new()).expect("stdin ends");
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, which has no clock to be given")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_millis()).expect("and before the end of time")
}

fn call(fake: &KinesisFake, name: &str, body: &Value) -> Answer {
    let answer = fake.call(name, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&answer.body));
    answer
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("an answer is JSON")
}

fn put(fake: &KinesisFake, events: std::fs::File) {
    let lines = std::io::BufReader::new(events).lines().map(|line| line.expect("events are text"));
    let mut batch = Vec::new();
    let send = |batch: &mut Vec<Value>| {
        call(fake, "PutRecords", &json!({ "StreamName": STREAM, "Records": std::mem::take(batch) }));
    };
    for (number, line) in lines.enumerate() {
        batch.push(json!({ "Data": STANDARD.encode(line), "PartitionKey": number.to_string() }));
        if batch.len() == PUT_RECORDS_MAX {
            send(&mut batch);
        }
    }
    if !batch.is_empty() {
        send(&mut batch);
    }
}

/// Reads every shard to its end and keeps what was answered.
fn prepare(fake: &KinesisFake, reads: &mut HashMap<String, Bytes>) {
    let listed = value(&call(fake, "ListShards", &json!({ "StreamName": STREAM })));
    for shard in listed["Shards"].as_array().expect("shards") {
        let wanted = json!({ "StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON" });
        let mut iterator = value(&call(fake, "GetShardIterator", &wanted))["ShardIterator"].clone();
        loop {
            let answer = call(fake, "GetRecords", &json!({ "ShardIterator": iterator }));
            let (read, token) = (value(&answer), iterator.as_str().expect("a token").to_string());
            if read["Records"].as_array().is_none_or(Vec::is_empty) {
                break;
            }
            reads.insert(token, Bytes::from(answer.body));
            iterator = read["NextShardIterator"].clone();
        }
    }
}

async fn answer(State(served): State<Arc<Served>>, request: Request) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = target.strip_prefix(TARGET).unwrap_or_default().to_string();
    let body = to_bytes(request.into_body(), BODY_MAX).await.unwrap_or_default();
    if name == "GetRecords" {
        let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
        let known = wanted["ShardIterator"].as_str().and_then(|token| served.reads.get(token));
        if let Some(known) = known {
            return Response::new(Body::from(known.clone()));
        }
    }
    let Answer { status, body } = served.fake.call(&name, &body);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).expect("a status");
    response
}
