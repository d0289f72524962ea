//! Athena as far as it can be had here: ministack's API, whose statements DuckDB runs over the table's objects; a scripted API for
//! what ministack does not do; and SQL's text as other parsers read it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{block_on, file, tools};

/// What the parser of sqlglot and DuckDB each read in these SQL expressions, which are text literals of Athena's.
pub fn texts(expressions: &[String]) -> Vec<(String, String)> {
    let mut command = Command::new(tools::python("python"));
    command.arg(file("tests/support/athena_texts.py"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python starts");
    let asked = serde_json::to_vec(expressions).expect("text is JSON");
    let mut input = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || input.write_all(&asked));
    let done = child.wait_with_output().expect("python ends");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    writer.join().expect("no panic").expect("python reads its input");
    serde_json::from_slice(&done.stdout).expect("pairs of text")
}

/// Decides what one call is answered: the call's name, its body, how many of its name came before.
pub type Script = fn(&str, &Value, usize) -> (u16, Value);

/// An Athena API that answers what its script says. It runs no SQL and has no rows: it is for the ways in which a statement ends.
#[derive(Debug, Clone)]
pub struct ScriptedAthena {
    address: String,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl ScriptedAthena {
    pub fn start(script: Script) -> ScriptedAthena {
        let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let athena = ScriptedAthena { address, calls: Arc::default() };
        let calls = athena.calls.clone();
        let answer = move |headers: HeaderMap, body: Bytes| {
            let calls = calls.clone();
            async move { respond(&calls, script, &headers, &body) }
        };
        let router = Router::new().route("/", post(answer));
        block_on(async {
            tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        });
        athena
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bodies of the calls of one name, in order.
    pub fn calls(&self, name: &str) -> Vec<Value> {
        let calls = self.calls.lock().expect("no panic holds it");
        calls.iter().filter(|(called, _)| called == name).map(|(_, body)| body.clone()).collect()
    }
}

fn respond(calls: &Mutex<Vec<(String, Value)>>, script: Script, headers: &HeaderMap, body: &[u8]) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let name = target.rsplit('.').next().unwrap_or_default().to_string();
    let body: Value = serde_json::from_slice(body).expect("calls are JSON");
    let before = {
        let mut calls = calls.lock().expect("no panic holds it");
        let before = calls.iter().filter(|(called, _)| *called == name).count();
        calls.push((name.clone(), body.clone()));
        before
    };
    let (status, answer) = script(&name, &body, before);
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/x-amz-json-1.1")], answer.to_string()).into_response()
}
