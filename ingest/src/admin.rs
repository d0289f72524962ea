//! The admin endpoint: `/healthz`, `/metrics` (OpenMetrics) and `/config` (what runs, without secrets). Read-only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What is failing right now, by part of the process. Cheap to clone: clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Health {
    /// `part` (`source`, `store`, ...) fails, and is being retried; said until [`Health::recovered`].
    pub fn failing(&self, part: &'static str, why: impl Into<String>) {
        self.parts().insert(part, why.into());
    }

    /// `part` works.
    pub fn recovered(&self, part: &'static str) {
        self.parts().remove(part);
    }

    /// What fails and why; empty: all is well.
    pub fn failures(&self) -> BTreeMap<&'static str, String> {
        self.parts().clone()
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        // A panic elsewhere leaves the map whole: inserting and removing are all that is done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the endpoint shows.
#[derive(Debug, Clone)]
pub struct Admin {
    pub health: Health,
    pub registry: Arc<Registry>,
    /// See [`crate::config::Config::shown`].
    pub config: serde_json::Value,
}

/// Serves until `stop` is cancelled. Fails only if the listener does.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router(admin)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/config", get(config))
        .with_state(admin)
}

async fn healthz(State(admin): State<Admin>) -> Response {
    let failures = admin.health.failures();
    if failures.is_empty() {
        return json_response(StatusCode::OK, &json!({"status": "ok"}));
    }
    json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "failing", "failures": failures}))
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &admin.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot encode metrics: {error}")).into_response(),
    }
}

async fn config(State(admin): State<Admin>) -> Response {
    json_response(StatusCode::OK, &admin.config)
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(admin: Admin, path: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, admin, stop.clone()));
        let mut stream = TcpStream::connect(address).await.expect("listening");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        stop.cancel();
        server.await.expect("no panic").expect("stopped");
        answer
    }

    fn admin() -> Admin {
        let registry = Arc::new(crate::metrics::Metrics::default().registry());
        Admin { health: Health::default(), registry, config: json!({"version": 1}) }
    }

    #[tokio::test]
    async fn healthz_turns_503_while_a_part_fails() {
        let admin = admin();
        assert!(ask(admin.clone(), "/healthz").await.starts_with("HTTP/1.1 200"));
        admin.health.failing("store", "connection refused");
        let answer = ask(admin.clone(), "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection refused"), "{answer}");
        admin.health.recovered("store");
        assert!(ask(admin, "/healthz").await.ends_with("{\"status\":\"ok\"}\n"));
    }

    #[tokio::test]
    async fn metrics_and_config_are_served() {
        let answer = ask(admin(), "/metrics").await;
        assert!(
            answer.contains(OPENMETRICS) && answer.contains("# TYPE alluvium_incoming_records counter"),
            "{answer}"
        );
        assert!(ask(admin(), "/config").await.ends_with("{\"version\":1}\n"));
        assert!(ask(admin(), "/nothing").await.starts_with("HTTP/1.1 404"));
    }
}
