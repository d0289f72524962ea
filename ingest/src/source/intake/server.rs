//! The HTTP server: connections, routes, and the bounds that hold for every request.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::body::{self, Loan};
use super::counters::{IntakeCounters, Refusal};
use super::sink::Sink;
use super::{Clock, events, firehose};
use crate::source::SourceError;

/// Connections that may be open; more wait in the listen queue.
const CONNECTIONS: usize = 1_024;
/// Requests that may be worked on at once; more wait up to [`SLOT_TIMEOUT`], then are told to slow down.
const REQUESTS: usize = 256;
const SLOT_TIMEOUT: Duration = Duration::from_secs(5);
/// A request's head must be here within this; an idle connection is closed after it.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests under way when the server stops may take this long to be answered.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept, e.g. when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the handlers share.
#[derive(Debug)]
pub struct Intake {
    pub(super) sink: Arc<dyn Sink>,
    /// Delivery streams answered for, sorted.
    pub(super) streams: Vec<String>,
    pub(super) counters: Arc<IntakeCounters>,
    pub(super) clock: Clock,
    pub(super) started_at: i64,
    slots: Semaphore,
    memory: Arc<Semaphore>,
    request_seed: u64,
    requests: AtomicU64,
}

impl Intake {
    /// Serves `streams` into `sink`. `randomness` makes request ids differ between runs.
    pub fn new(
        sink: Arc<dyn Sink>,
        streams: &[String],
        counters: Arc<IntakeCounters>,
        clock: Clock,
        randomness: [u8; 16],
    ) -> Arc<Intake> {
        let mut streams = streams.to_vec();
        streams.sort();
        streams.dedup();
        let request_seed = u64::from_be_bytes(randomness[..8].try_into().expect("eight of sixteen bytes"));
        Arc::new(Intake {
            sink,
            streams,
            counters,
            started_at: clock.now(),
            clock,
            slots: Semaphore::new(REQUESTS),
            memory: body::memory(),
            request_seed,
            requests: AtomicU64::new(0),
        })
    }

    pub(super) fn loan(&self) -> Loan {
        Loan::new(self.memory.clone())
    }

    /// A place among the requests worked on; none if none came free in time.
    pub(super) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(SLOT_TIMEOUT, self.slots.acquire()).await.ok()?.ok()
    }

    /// A name for one request, in the shape of AWS's.
    pub(super) fn request_id(&self) -> String {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        let seed = self.request_seed;
        format!("{:08x}-{:04x}-4{:03x}-8000-{n:012x}", seed >> 32, (seed >> 16) & 0xffff, seed & 0xfff)
    }
}

/// Binds the address; port 0 takes any free one.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, SourceError> {
    TcpListener::bind(listen).await.map_err(|error| SourceError::Environment {
        doing: format!("listening on {listen}"),
        message: error.to_string(),
    })
}

/// The routes: `POST /` speaks Firehose, `POST /v1/events` takes NDJSON.
pub fn router(intake: Arc<Intake>) -> Router {
    Router::new()
        .route("/", post(firehose::handle))
        .route("/v1/events", post(events::handle))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(intake)
}

/// Serves until `stop`: then stops accepting, answers the requests under way, and returns. Dropped, it ends all connections.
pub async fn serve(listener: TcpListener, intake: Arc<Intake>, stop: CancellationToken) {
    let router = router(intake);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Some(stream) = stop.run_until_cancelled(accept(&listener, &places)).await {
        let Some((stream, place)) = stream else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, router, stop).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!("ended connections that did not finish in time");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set nodelay");
    }
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

/// A page in a browser may post to loopback without asking anyone; it cannot hide that it is one.
pub(super) fn from_a_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
}

async fn wrong_method(State(intake): State<Arc<Intake>>, request: Request) -> Response {
    intake.counters.refuse(Refusal::Unknown);
    let text = format!("{} {}: only POST is served", request.method(), request.uri().path());
    events::error(StatusCode::METHOD_NOT_ALLOWED, &text).into_response()
}

async fn unknown_path(State(intake): State<Arc<Intake>>, request: Request) -> Response {
    intake.counters.refuse(Refusal::Unknown);
    let path = request.uri().path();
    let text = format!("no such path {path}: post to / (Firehose's API) or /v1/events (one JSON object per line)");
    events::error(StatusCode::NOT_FOUND, &text).into_response()
}
