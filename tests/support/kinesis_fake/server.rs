//! The fake over TCP: HTTP as processes and SDKs speak it.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;

use super::{Answer, KinesisFake, TARGET};
use crate::block_on;

/// A request is as large as PutRecords may be, in base64.
const BODY_MAX: usize = 16 << 20;

/// Serves on a free port for as long as this process lives; gives `http://127.0.0.1:<port>`.
pub fn start(fake: KinesisFake) -> String {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let routes = Router::new().fallback(answer).with_state(fake);
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("serving goes on") });
        format!("http://{address}")
    })
}

async fn answer(State(fake): State<KinesisFake>, request: Request) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = target.strip_prefix(TARGET).unwrap_or_default().to_string();
    let body = to_bytes(request.into_body(), BODY_MAX).await.unwrap_or_default();
    match fake.exchange(&name, &body).await {
        Some(Answer { status, body }) => respond(status, body),
        // A lost answer: the client waits until its own patience ends.
        None => std::future::pending().await,
    }
}

fn respond(status: u16, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    let json = "application/x-amz-json-1.1".parse().expect("a header value");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
