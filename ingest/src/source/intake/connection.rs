//! Connections: accepted within bounds, encrypted where that is asked for, served until their client or a time limit ends them.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::counters::{Cut, IntakeCounters};
use super::places::{Place, Places};
use super::server::{Intake, router};
use super::timed::{Phase, Timed};

/// Requests under way when the server stops may take this long to be answered.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept, e.g. when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a request came over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wire {
    pub(super) peer: Option<SocketAddr>,
    /// By our own TLS. What a proxy in front says of itself is not asked.
    pub(super) encrypted: bool,
}

/// Serves until `stop`: then stops accepting, answers the requests under way, and returns. Dropped, it ends all connections.
pub async fn serve(listener: TcpListener, intake: Arc<Intake>, stop: CancellationToken) {
    let router = router(intake.clone());
    let places = Places::new(intake.limits.connections, intake.limits.connections_per_address);
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &places, &intake)).await {
        let Some((stream, peer, place)) = accepted else { continue };
        let (router, intake, stop) = (router.clone(), intake.clone(), stop.clone());
        connections.spawn(async move {
            let _open = Open::new(&intake.counters);
            connection(stream, peer, &intake, router, stop).await;
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
    places: &Arc<Places>,
    intake: &Intake,
) -> Option<(TcpStream, SocketAddr, Place)> {
    let one = places.one(|| intake.counters.connections_full.add(1)).await?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let place = places.enter(one, peer.ip());
            if place.is_none() {
                intake.counters.cut(Cut::Address);
            }
            Some((stream, peer, place?))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Counts a connection as long as it is there.
struct Open<'a>(&'a IntakeCounters);

impl<'a> Open<'a> {
    fn new(counters: &'a IntakeCounters) -> Open<'a> {
        counters.connections.add(1);
        Open(counters)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.less(1);
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    intake: &Arc<Intake>,
    router: Router,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set nodelay");
    }
    let Some(tls) = &intake.tls else {
        let wire = Wire { peer: Some(peer), encrypted: false };
        return http(stream, wire, intake, router, stop).await;
    };
    let handshake = tokio::time::timeout(intake.limits.handshake_timeout, tls.acceptor.accept(stream));
    match stop.run_until_cancelled(handshake).await {
        None => {}
        Some(Ok(Ok(stream))) => {
            let wire = Wire { peer: Some(peer), encrypted: true };
            Box::pin(http(stream, wire, intake, router, stop)).await;
        }
        Some(failed) => {
            let error = failed.map_or_else(
                |_| "took too long".to_string(),
                |outcome| outcome.err().map_or_else(String::new, |e| e.to_string()),
            );
            tracing::debug!(%peer, error, "TLS handshake failed");
            intake.counters.cut(Cut::Handshake);
        }
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    wire: Wire,
    intake: &Arc<Intake>,
    router: Router,
    stop: CancellationToken,
) {
    let phase = Phase::begin();
    let timed = Timed::new(stream, phase.clone(), intake.limits.clone(), intake.counters.clone());
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(wire);
        phase.busy();
        let (answering, phase) = (router.call(request), phase.clone());
        async move {
            let answer = answering.await;
            phase.answered();
            answer
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        // `Timed` waits for heads: this one would also end a connection that is idle between two requests.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(timed), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = ?wire.peer, %error, "connection ended early");
    }
}
