//! The HTTP API: one router, which a socket serves here and anything else that speaks HTTP may serve elsewhere.

pub mod access;
mod answers;
pub mod connections;
pub mod export;
mod layout;
pub mod openapi;
pub mod parameters;
pub mod problem;
pub mod reply;
pub mod routes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use futures::FutureExt;

use crate::config::{Access, Config, EngineSettings};
use crate::engine::Engine;
use crate::engine::athena::{Athena, AthenaEngine};
use crate::engine::datafusion::LakeEngine;
use crate::error::ReaderError;
use crate::history::History;
use crate::lake::Lake;
use access::Room;
use parameters::Asked;
use problem::Problem;
use routes::{ROUTES, Route};

/// Longest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Everything that an answer needs.
#[derive(Debug)]
pub struct App {
    pub history: History,
    pub lake: Lake,
    access: Access,
    room: Room,
    timeout: Duration,
    clock: fn() -> i64,
}

impl App {
    /// The configured table, read by the configured engine.
    pub fn new(config: Config, clock: fn() -> i64) -> Result<App, ReaderError> {
        let lake = Lake::open(&config.lake)?;
        let layout = Arc::new(config.layout);
        let (columns, limits) = (config.reader.columns, config.reader.limits);
        let (of, shared) = ((columns.clone(), limits.clone()), layout.clone());
        let engine: Arc<dyn Engine> = match config.engine {
            EngineSettings::DataFusion => Arc::new(LakeEngine::new(shared, lake.clone(), of.0, of.1)?),
            EngineSettings::Athena(settings) => {
                let database = settings.database.clone();
                Arc::new(AthenaEngine::new(shared, lake.clone(), of, (database, Athena::new(settings))))
            }
        };
        let (room, timeout) = (Room::new(limits.at_once), limits.timeout);
        let history = History { engine, layout, columns, limits };
        Ok(App { history, lake, access: config.reader.access, room, timeout, clock })
    }
}

/// All routes, behind the access check.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let method = if route.method == "POST" { MethodFilter::POST } else { MethodFilter::GET };
        let answer = move |State(app): State<Arc<App>>, path: Path, request: Request| async move {
            respond(app, route, path, request).await
        };
        router = router.route(route.path, on(method, answer));
    }
    router
        .method_not_allowed_fallback(|| async { Problem::new("method", "see /v1/openapi.json for what can be asked") })
        .layer(from_fn_with_state(app.clone(), guard))
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(crate::page::router())
        .fallback(|| async { Problem::new("unknown", "no such path: see /v1/openapi.json for what can be asked") })
        .layer(axum::middleware::map_response(harden))
        .with_state(app)
}

async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match access::check(&app.access, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// What is stored may be anyone's text: no browser takes an answer for a page or a script, or keeps it where others share it.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let policy =
        HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}

/// The parts of a path, percent-decoded: `%2F` is a slash within a part.
type Path = Result<RawPathParams, RawPathParamsRejection>;

async fn respond(app: Arc<App>, route: &'static Route, path: Path, request: Request) -> Response {
    let headers = request.headers().clone();
    match answer(app, route, path, request).await {
        Ok(answer) => match answer.respond(&headers) {
            Ok(response) => response,
            Err(error) => Problem::from(error).into_response(),
        },
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Dropped (whoever asked has gone), it stops reading.
async fn answer(
    app: Arc<App>,
    route: &'static Route,
    path: Path,
    request: Request,
) -> Result<reply::Answer, ReaderError> {
    let query = request.uri().query().unwrap_or_default().to_string();
    let accept = text(request.headers(), header::ACCEPT.as_str());
    let path = path.map_err(|_| ReaderError::question("path", "is no UTF-8 text"))?;
    let path = path.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let mut asked = Asked::read(route, path, &query)?;
    if request.method() == Method::POST {
        let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await;
        asked.body =
            body.map_err(|_| ReaderError::question("body", format!("has more than {BODY_BYTES_MAX} bytes")))?;
    }
    asked.accept = accept;
    asked.now = (app.clock)();
    let seconds = app.timeout.as_secs();
    let work = async {
        let _place = app.room.enter().await?;
        (route.handler)(app.clone(), asked).await
    };
    tokio::time::timeout(app.timeout, work.boxed()).await.unwrap_or(Err(ReaderError::Late(seconds)))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_string)
}
