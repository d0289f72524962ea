//! Clients that are slow, silent, too many, or do not read: cut off, and what they held is given back.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::counters::Cut;
use super::super::super::settings::{EndpointSettings, Limits};
use super::*;

/// What a test waits for at most.
const SOON: Duration = Duration::from_secs(20);

async fn limited(limits: Limits) -> Served {
    serve(EndpointSettings { limits, ..EndpointSettings::default() }, clock(), |sink| sink).await
}

fn short() -> Limits {
    let short = Duration::from_millis(200);
    Limits { header_timeout: short, idle_timeout: short, write_timeout: short, ..Limits::default() }
}

impl Served {
    async fn opened(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    async fn until(&self, what: &str, done: impl Fn(&IntakeCounters) -> bool) {
        let waiting = async {
            while !done(&self.counters) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("{what}"));
    }
}

/// All that comes until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut text)).await.expect("closed in time");
    assert!(read.is_ok() || text.is_empty(), "{read:?}");
    String::from_utf8_lossy(&text).into_owned()
}

const WHOLE: &[u8] = b"POST /v1/events HTTP/1.1\r\nHost: intake\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn a_silent_connection_and_a_head_that_trickles_are_cut_off() {
    let served = limited(short()).await;
    let mut silent = served.opened().await;
    assert_eq!(rest(&mut silent).await, "");
    let (mut trickling, begun) = (served.opened().await, Instant::now());
    for byte in WHOLE {
        if trickling.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() < SOON && served.counters.ended(Cut::Header) == 2);
    served.until("places are given back", |counters| counters.connections.get() == 0).await;
    assert!(served.records().await.is_empty());
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_for_its_own_time() {
    let served = limited(Limits { idle_timeout: Duration::from_secs(1), ..short() }).await;
    let mut stream = served.opened().await;
    for _ in 0..3 {
        stream.write_all(WHOLE).await.expect("open");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("answered");
        assert_eq!(&answer, b"HTTP/1.1 200");
        let mut left = vec![0; 1_000];
        assert!(stream.read(&mut left).await.expect("answered") > 0);
        // Longer than a head may take.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    rest(&mut stream).await;
    assert_eq!((served.counters.ended(Cut::Idle), served.counters.ended(Cut::Header)), (1, 0));
    assert_eq!(served.records().await.len(), 3);
}

#[tokio::test]
async fn a_body_slower_than_the_least_rate_is_answered_408_and_cut_off() {
    let served = limited(Limits { body_timeout: Duration::from_secs(1), ..Limits::default() }).await;
    let mut stream = served.opened().await;
    let head = b"POST /v1/events HTTP/1.1\r\nHost: intake\r\nContent-Length: 1000000\r\n\r\n{}\n";
    stream.write_all(head).await.expect("open");
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 408 "));
    assert_eq!(served.counters.refused(Refusal::Slow), 1);
    served.until("places are given back", |counters| counters.connections.get() == 0).await;
    assert!(served.records().await.is_empty());
}

#[tokio::test]
async fn slow_bodies_take_nobodys_turn() {
    let served = limited(Limits::default()).await;
    let mut slow = Vec::new();
    for _ in 0..400 {
        let mut stream = served.opened().await;
        let head = b"POST /v1/events HTTP/1.1\r\nHost: intake\r\nContent-Length: 10\r\n\r\n{";
        stream.write_all(head).await.expect("open");
        slow.push(stream);
    }
    served.until("all are under way", |counters| counters.events_requests.get() == 400).await;
    let begun = Instant::now();
    assert_eq!(served.send("POST /v1/events", &[], b"{}").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(4), "it waited for a place that slow clients held");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let served = limited(short()).await;
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stream = socket.connect(served.address).await.expect("connects");
    // The answer names the path: answers pile up until the buffers of both systems are full.
    let many = format!("GET /{} HTTP/1.1\r\nHost: intake\r\n\r\n", "x".repeat(8_000)).repeat(100);
    let writing = async { while stream.write_all(many.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(SOON, writing).await.expect("cut off");
    assert_eq!(served.counters.ended(Cut::Write), 1);
}

#[tokio::test]
async fn connections_over_the_limits_wait_or_are_closed_and_are_counted() {
    let served = limited(Limits { connections: 2, ..Limits::default() }).await;
    let first = served.opened().await;
    let _second = served.opened().await;
    let mut third = served.opened().await;
    third.write_all(WHOLE).await.expect("in the listen queue");
    served.until("the third waits", |counters| counters.connections_full.get() == 1).await;
    assert_eq!(served.counters.connections.get(), 2);
    drop(first);
    let mut answer = [0; 12];
    tokio::time::timeout(SOON, third.read_exact(&mut answer)).await.expect("its turn").expect("answered");

    let served = limited(Limits { connections_per_address: 1, ..Limits::default() }).await;
    let _first = served.opened().await;
    served.until("the first is in", |counters| counters.connections.get() == 1).await;
    assert_eq!(rest(&mut served.opened().await).await, "");
    assert_eq!(served.counters.ended(Cut::Address), 1);
}

#[tokio::test]
async fn more_than_a_thousand_connections_are_served_at_once() {
    let limits = Limits { connections: 1_200, connections_per_address: 1_200, ..Limits::default() };
    let served = limited(limits).await;
    let mut open = Vec::new();
    for _ in 0..1_150 {
        open.push(served.opened().await);
    }
    served.until("all are open", |counters| counters.connections.get() == 1_150).await;
    for stream in &mut open {
        stream.write_all(WHOLE).await.expect("open");
    }
    for stream in &mut open {
        let mut answer = [0; 12];
        tokio::time::timeout(SOON, stream.read_exact(&mut answer)).await.expect("in time").expect("answered");
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    drop(open);
    served.until("places are given back", |counters| counters.connections.get() == 0).await;
    assert_eq!(served.records().await.len(), 1_150);
}
