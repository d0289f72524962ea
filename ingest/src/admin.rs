//! The admin endpoint: `/healthz`, `/metrics` (OpenMetrics) and `/config` (what runs, without secrets), and
//! `POST /admin/api/reload` for whoever is on this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::reload::{Outcome, Reloader};

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
    /// What runs, and how to change it.
    pub reloader: Arc<Reloader>,
}

/// Serves until `stop` is cancelled. Fails only if the listener does.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> std::io::Result<()> {
    let service = router(admin).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/config", get(config))
        .route("/admin/api/reload", post(reload))
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
    json_response(StatusCode::OK, admin.reloader.current().shown())
}

/// The header of our own clients. A page of another origin cannot send it without asking first, and is not answered then.
const OURS: &str = "x-alluvium";

async fn reload(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    if !peer.ip().to_canonical().is_loopback() || !headers.contains_key(OURS) {
        let problems =
            vec!["only `alluvium reload` on the machine of the process may ask for this, or SIGHUP".to_string()];
        return outcome_response(StatusCode::FORBIDDEN, &Outcome::Refused { problems });
    }
    // Goes on to its end if whoever asked has gone.
    let reloader = admin.reloader.clone();
    match tokio::spawn(async move { reloader.reload().await }).await {
        Ok(refused @ Outcome::Refused { .. }) => outcome_response(StatusCode::CONFLICT, &refused),
        Ok(outcome) => outcome_response(StatusCode::OK, &outcome),
        Err(panic) => (StatusCode::INTERNAL_SERVER_ERROR, format!("reloading stopped: {panic}")).into_response(),
    }
}

fn outcome_response(status: StatusCode, outcome: &Outcome) -> Response {
    json_response(status, &json!(outcome))
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::metrics::Metrics;
    use crate::source::split::Task;
    use crate::{assemble, config};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(admin: &Admin, request: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, admin.clone(), stop.clone()));
        let mut stream = TcpStream::connect(address).await.expect("listening");
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        stop.cancel();
        server.await.expect("no panic").expect("stopped");
        answer
    }

    const CONFIG: &str = "version = 1\n[source.intake]\njournal = \"journal\"\n[keys]\ncreated_date = '.created_at | utc_date'\n\
        attribute_name = '.attribute_name'\nentity_id_mod = '.entity_id | bucket(10)'\n[table]\nspec = \"table.toml\"\n[lake]\n\
        url = \"lake\"\nerrors = \"errors\"\nstate = \"state\"\n";

    async fn admin(folder: &Path) -> Admin {
        let (file, table) = (folder.join("alluvium.toml"), include_str!("../../schemas/tables/attribute_events.toml"));
        std::fs::write(&file, CONFIG).expect("written");
        std::fs::write(folder.join("table.toml"), table).expect("written");
        let config = config::load(&file, &|_| None).expect("a configuration");
        let clock = assemble::wall_clock();
        let source = assemble::source(&config.source, Task::WHOLE, &clock).await.expect("opened").source;
        let (reloader, _changes) = Reloader::new(file, config, source, None);
        Admin { health: Health::default(), registry: Arc::new(Metrics::default().registry()), reloader }
    }

    #[tokio::test]
    async fn healthz_turns_503_while_a_part_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let admin = admin(folder.path()).await;
        assert!(ask(&admin, "GET /healthz").await.starts_with("HTTP/1.1 200"));
        admin.health.failing("store", "connection refused");
        let answer = ask(&admin, "GET /healthz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection refused"), "{answer}");
        admin.health.recovered("store");
        assert!(ask(&admin, "GET /healthz").await.ends_with("{\"status\":\"ok\"}\n"));
    }

    #[tokio::test]
    async fn metrics_and_config_are_served() {
        let folder = tempfile::tempdir().expect("a folder");
        let admin = admin(folder.path()).await;
        let answer = ask(&admin, "GET /metrics").await;
        assert!(
            answer.contains(OPENMETRICS) && answer.contains("# TYPE alluvium_incoming_records counter"),
            "{answer}"
        );
        let answer = ask(&admin, "GET /config").await;
        assert!(answer.contains("\"age\":\"300 s\"") && answer.contains("\"version\":1"), "{answer}");
        assert!(ask(&admin, "GET /nothing").await.starts_with("HTTP/1.1 404"));
    }

    /// A page in a browser can post here; it cannot send the header without asking first.
    #[tokio::test]
    async fn only_our_own_clients_reload() {
        let folder = tempfile::tempdir().expect("a folder");
        let admin = admin(folder.path()).await;
        let answer = ask(&admin, "POST /admin/api/reload").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        let answer = ask(&admin, "POST /admin/api/reload\nx-alluvium: 1\r\n").await;
        assert!(answer.ends_with("{\"outcome\":\"unchanged\"}\n"), "{answer}");
        std::fs::write(folder.path().join("alluvium.toml"), CONFIG.replace("bucket(10)", "bucket(5)"))
            .expect("written");
        let answer = ask(&admin, "POST /admin/api/reload\nx-alluvium: 1\r\n").await;
        assert!(
            answer.starts_with("HTTP/1.1 409") && answer.contains("[keys] entity_id_mod: needs a restart"),
            "{answer}"
        );
    }
}
