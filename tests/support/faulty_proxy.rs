//! An S3 endpoint that fails as stores do: a proxy in front of the emulator that refuses, drops answers, cuts them short or is
//! slow, by a seeded plan. What it does is what every S3 client has to survive.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::block_on;

/// Longest request head that is understood.
const HEAD_MAX: usize = 64 * 1024;

const SLOW_DOWN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code>\
     <Message>Please reduce your request rate.</Message></Error>";

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// 503, not applied.
    SlowDown,
    /// Applied, and no answer.
    Unanswered,
    /// Applied, and half an answer.
    HalfAnswered,
    /// Applied late.
    Slow(u64),
}

/// How often each fault was done.
#[derive(Debug, Default)]
pub struct Injected {
    pub requests: AtomicU64,
    pub refused: AtomicU64,
    pub unanswered: AtomicU64,
    pub half_answered: AtomicU64,
    pub slow: AtomicU64,
}

#[derive(Debug)]
struct Plan {
    random: Mutex<StdRng>,
    healed: AtomicBool,
    /// Requests left of a time in which all are refused.
    outage: AtomicU64,
    injected: Injected,
}

impl Plan {
    fn next(&self) -> Fault {
        self.injected.requests.fetch_add(1, Ordering::Relaxed);
        if self.healed.load(Ordering::Relaxed) {
            return Fault::None;
        }
        let mut random = self.random.lock().expect("no panic holds it");
        if self.outage.load(Ordering::Relaxed) > 0 {
            self.outage.fetch_sub(1, Ordering::Relaxed);
            return Fault::SlowDown;
        }
        match random.random_range(0..1000) {
            0..40 => Fault::SlowDown,
            40..70 => Fault::Unanswered,
            70..85 => Fault::HalfAnswered,
            85..135 => Fault::Slow(random.random_range(20..400)),
            135..137 => {
                self.outage.store(15, Ordering::Relaxed);
                Fault::SlowDown
            }
            _ => Fault::None,
        }
    }

    fn count(&self, fault: Fault) {
        let counter = match fault {
            Fault::None => return,
            Fault::SlowDown => &self.injected.refused,
            Fault::Unanswered => &self.injected.unanswered,
            Fault::HalfAnswered => &self.injected.half_answered,
            Fault::Slow(_) => &self.injected.slow,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct FaultyProxy {
    address: String,
    plan: Arc<Plan>,
}

impl FaultyProxy {
    /// In front of `upstream` (`host:port`).
    pub fn start(upstream: String, seed: u64) -> FaultyProxy {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        let plan = Plan { random, healed: false.into(), outage: 0.into(), injected: Injected::default() };
        let (plan, listener) = (Arc::new(plan), block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port"));
        let address = listener.local_addr().expect("it is bound").to_string();
        let shared = plan.clone();
        block_on(async {
            tokio::spawn(async move {
                loop {
                    let Ok((client, _)) = listener.accept().await else { continue };
                    let (plan, upstream) = (shared.clone(), upstream.clone());
                    // An error is a connection that ended early: the client sees the same.
                    tokio::spawn(async move { pass(client, &upstream, &plan).await });
                }
            });
        });
        FaultyProxy { address, plan }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From here on nothing fails.
    pub fn heal(&self) {
        self.plan.healed.store(true, Ordering::Relaxed);
    }

    pub fn injected(&self) -> &Injected {
        &self.plan.injected
    }
}

/// One request of a connection, which is closed behind it.
async fn pass(mut client: TcpStream, upstream: &str, plan: &Plan) -> std::io::Result<()> {
    let request = read_request(&mut client).await?;
    let fault = plan.next();
    plan.count(fault);
    if fault == Fault::SlowDown {
        let length = SLOW_DOWN.len();
        let head = format!("HTTP/1.1 503 Slow Down\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        return client.write_all((head + SLOW_DOWN).as_bytes()).await;
    }
    if let Fault::Slow(millis) = fault {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(&request).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    match fault {
        Fault::Unanswered => Ok(()),
        Fault::HalfAnswered => client.write_all(&answer[..answer.len() / 2]).await,
        _ => client.write_all(&answer).await,
    }
}

/// Head and body, with the head asking the server to close the connection behind its answer.
pub(crate) async fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut bytes).await? == 0 || bytes.len() > HEAD_MAX {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_string())
    };
    assert!(header("transfer-encoding").is_none(), "the store's client states lengths: {head}");
    let length: usize = header("content-length").map_or(0, |n| n.parse().expect("a length"));
    while bytes.len() < end + 4 + length {
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let kept = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut request = kept.collect::<Vec<_>>().join("\r\n").into_bytes();
    request.extend_from_slice(b"\r\nconnection: close\r\n\r\n");
    request.extend_from_slice(&bytes[end + 4..]);
    Ok(request)
}
