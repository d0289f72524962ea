//! The server side of AWS Lambda's runtime API, as its documentation tells it: what a function's process asks for events and gives
//! its answers to. The real program runs against it; Amazon's own emulator of it is a binary of GitHub's that no registry has.

use std::collections::HashMap;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{block_on, wait_for};

/// Version of the runtime API, and with it the beginning of its paths.
const VERSION: &str = "/2018-06-01/runtime";

/// Longest answer of a function: Lambda's own limit.
const ANSWER_BYTES_MAX: usize = 6 << 20;

/// Seconds that one event may take, the start of the program included.
const ANSWER_SECONDS: u64 = 60;

/// When an event has to be answered: no test goes on until 2100.
const DEADLINE_MS: &str = "4102444800000";

/// What a function said to an event: its answer, or the error it ended with.
type Said = Result<Value, String>;

/// By the event's id.
type Answers = HashMap<String, Said>;

/// A function: its process, and the runtime API it asks. Dropped, the process is killed.
#[derive(Debug)]
pub struct Function {
    pub process: Child,
    events: UnboundedSender<(String, Value)>,
    answers: Arc<Mutex<Answers>>,
    next: u64,
}

impl Function {
    /// Starts a program as Lambda does.
    pub fn start(mut command: Command) -> Function {
        let (events, waiting) = unbounded_channel();
        let answers = Arc::<Mutex<Answers>>::default();
        let address = serve(waiting, answers.clone());
        command.env("AWS_LAMBDA_RUNTIME_API", address).env("AWS_LAMBDA_FUNCTION_NAME", "reader");
        command.env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST").env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769");
        command.env("AWS_LAMBDA_LOG_GROUP_NAME", "/reader").env("AWS_LAMBDA_LOG_STREAM_NAME", "1");
        Function { process: command.spawn().expect("the program starts"), events, answers, next: 0 }
    }

    /// Hands an event over and waits for what the function says to it.
    pub fn invoke(&mut self, event: Value) -> Value {
        self.next += 1;
        let id = format!("00000000-0000-0000-0000-{:012}", self.next);
        self.events.send((id.clone(), event)).expect("the runtime API runs");
        let said = wait_for("the function to answer", ANSWER_SECONDS, || {
            if let Some(status) = self.process.try_wait().expect("the process can be asked") {
                panic!("the function's process ended with {status}");
            }
            self.answers.lock().expect("no panic holds it").remove(&id)
        });
        said.unwrap_or_else(|error| panic!("the function failed: {error}"))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.process.kill().expect("the process can be killed");
            self.process.wait().expect("the process ends");
        }
    }
}

/// `host:port` of a runtime API that gives these events, one at a time, and keeps the answers.
fn serve(waiting: UnboundedReceiver<(String, Value)>, answers: Arc<Mutex<Answers>>) -> String {
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let answer = move |request: Request| {
        let (waiting, answers) = (waiting.clone(), answers.clone());
        async move { respond(&waiting, &answers, request).await }
    };
    block_on(async {
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.expect("it serves") });
    });
    address
}

async fn respond(
    waiting: &tokio::sync::Mutex<UnboundedReceiver<(String, Value)>>,
    answers: &Mutex<Answers>,
    request: Request,
) -> Response {
    let path = request.uri().path().strip_prefix(VERSION).unwrap_or_default().to_string();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let is_get = request.method() == Method::GET;
    let body = to_bytes(request.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default();
    let text = || String::from_utf8_lossy(&body).into_owned();
    let said = match parts.as_slice() {
        ["invocation", "next"] if is_get => match waiting.lock().await.recv().await {
            Some((id, event)) => return invocation(&id, &event),
            None => return plain(StatusCode::GONE),
        },
        ["invocation", id, "response"] => (id, serde_json::from_slice(&body).map_err(|e| format!("{e}: {}", text()))),
        ["invocation", id, "error"] => (id, Err(text())),
        _ => return plain(StatusCode::NOT_FOUND),
    };
    answers.lock().expect("no panic holds it").insert(said.0.to_string(), said.1);
    plain(StatusCode::ACCEPTED)
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn invocation(id: &str, event: &Value) -> Response {
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", id)
        .header("lambda-runtime-deadline-ms", DEADLINE_MS)
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:reader")
        .header("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
        .body(Body::from(event.to_string()))
        .expect("headers of ours")
}

/// A request as an HTTP API of API Gateway hands it over (payload format 2.0).
pub fn http_event(method: &str, path_and_query: &str, headers: &[(&str, &str)], body: Option<&str>) -> Value {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let headers: HashMap<&str, &str> = headers.iter().copied().chain([("host", "api.example.com")]).collect();
    json!({
        "version": "2.0",
        "routeKey": "ANY /{proxy+}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
            "requestId": "id",
            "routeKey": "ANY /{proxy+}",
            "stage": "$default",
            "time": "22/Nov/2026:00:00:00 +0000",
            "timeEpoch": 1_795_305_600_000_u64
        },
        "body": body,
        "isBase64Encoded": false
    })
}
