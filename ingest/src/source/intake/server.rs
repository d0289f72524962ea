//! What all requests share: routes, who may send, how much, and the bounds that hold for every request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::access::{Access, Caller, Denied};
use super::body::{self, BodyError, Bounds, Loan};
use super::connection::Wire;
use super::counters::{IntakeCounters, Refusal};
use super::rate::Rates;
use super::seldom::Seldom;
use super::settings::{EndpointSettings, Limits};
use super::sink::Sink;
use super::tls::{self, Tls};
use super::{Clock, events, firehose};
use crate::source::{Rate, SourceError};

/// Requests that may be worked on at once; more wait up to [`SLOT_TIMEOUT`], then are told to slow down. Waiting for a body is
/// no work: a slow client takes nobody's turn.
const REQUESTS: usize = 256;
const SLOT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Debug)]
pub struct Intake {
    pub(super) sink: Arc<dyn Sink>,
    /// Delivery streams answered for, sorted.
    pub(super) streams: Vec<String>,
    pub(super) counters: Arc<IntakeCounters>,
    pub(super) clock: Clock,
    pub(super) started_at: i64,
    pub(super) access: Access,
    pub(super) limits: Arc<Limits>,
    pub(super) tls: Option<Tls>,
    rates: Rates,
    denials: Seldom,
    slots: Semaphore,
    memory: Arc<Semaphore>,
    request_seed: u64,
    requests: AtomicU64,
}

/// A request that is not let in.
#[derive(Debug)]
pub(super) enum Turned {
    Denied(Denied),
    /// The caller has to wait for so long.
    Throttled(Duration),
    Body(BodyError),
}

impl From<Denied> for Turned {
    fn from(denied: Denied) -> Turned {
        Turned::Denied(denied)
    }
}

impl Intake {
    /// Serves what the settings say into `sink`. `randomness` makes request ids differ between runs.
    ///
    /// # Errors
    /// [`SourceError::Config`]: settings that cannot be, TLS files that cannot be used or are not good now.
    pub fn new(
        sink: Arc<dyn Sink>,
        settings: &EndpointSettings,
        counters: Arc<IntakeCounters>,
        clock: Clock,
        randomness: [u8; 16],
    ) -> Result<Arc<Intake>, SourceError> {
        settings.check().map_err(SourceError::Config)?;
        let now = clock.now();
        let tls = settings.tls.as_ref().map(|files| tls::open(files, now)).transpose().map_err(SourceError::Config)?;
        let ends_at = tls.as_ref().map_or(0, |tls| tls.ends_at / 1_000);
        counters.certificate_ends.set(u64::try_from(ends_at).unwrap_or(0));
        if let Some(warning) = settings.warning() {
            tracing::warn!(listen = %settings.listen, "{warning}");
        }
        let mut streams = settings.delivery_streams.clone();
        streams.sort();
        streams.dedup();
        let limits = settings.limits.clone();
        let callers = settings.credentials.len() + 1;
        Ok(Arc::new(Intake {
            sink,
            streams,
            counters,
            started_at: now,
            clock,
            access: Access::new(settings.credentials.clone()),
            rates: Rates::new(callers, limits.requests_per_second, limits.bytes_per_second, now),
            limits: Arc::new(limits),
            tls,
            denials: Seldom::default(),
            slots: Semaphore::new(REQUESTS),
            memory: body::memory(),
            request_seed: u64::from_be_bytes(randomness[..8].try_into().expect("eight of sixteen bytes")),
            requests: AtomicU64::new(0),
        }))
    }

    /// Other rates for every caller, see [`super::settings::Limits`].
    pub fn set_rates(&self, rates: Rate) {
        self.rates.set(rates.calls_per_second, rates.bytes_per_second);
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

    pub(super) fn bounds(&self) -> Bounds {
        let limits = &self.limits;
        Bounds { bytes: limits.body_bytes, timeout: limits.body_timeout, min_rate: limits.min_body_rate }
    }

    /// Who sent the request, and its body. Whoever is known by nothing is turned away before memory is spent on the body; the
    /// rate is charged when it is proven who sent it, or anyone could use it up. `tokens`: a bearer token will do.
    pub(super) async fn admit(
        &self,
        head: &Parts,
        body: Body,
        tokens: bool,
        loan: &mut Loan,
    ) -> Result<(Caller, Vec<u8>), Turned> {
        let wire = head.extensions.get::<Wire>().copied().unwrap_or_default();
        let claimed = self.access.claim(head, tokens, wire.encrypted, self.clock.now()).map_err(Turned::Denied);
        let place = |caller: Caller| caller.place(self.access.len());
        let claimed = claimed.and_then(|claimed| {
            let ready = self.rates.ready(place(claimed.alleged()), self.clock.now());
            ready.map(|()| claimed).map_err(Turned::Throttled)
        });
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(turned) => {
                self.tell(&turned, wire);
                body::discard(body, &self.bounds()).await;
                return Err(turned);
            }
        };
        let body = body::read(body, &self.bounds(), loan).await.map_err(Turned::Body)?;
        let caller = self.access.prove(claimed, head, &body).map_err(Turned::Denied);
        let caller = caller.inspect_err(|turned| self.tell(turned, wire))?;
        self.rates.take(place(caller), body.len(), self.clock.now()).map_err(Turned::Throttled)?;
        Ok((caller, body))
    }

    /// Someone who is denied may be an attacker, or a colleague with an old key.
    fn tell(&self, turned: &Turned, wire: Wire) {
        let Turned::Denied(denied) = turned else { return };
        if let Some(left_out) = self.denials.now(self.clock.now()) {
            let message = denied.message.escape_debug().to_string();
            tracing::warn!(peer = ?wire.peer, kind = denied.kind, message, left_out, "a request was denied");
        }
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
