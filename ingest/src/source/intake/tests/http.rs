//! The endpoint over real connections: the AWS SDK for Rust, and plain HTTP where the SDK cannot go.

mod ndjson;
mod sdk;
mod secured;
mod slow;
mod stop;

use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::DropGuard;

use super::super::sink::{PutFailure, Receipt, SinkError};
use super::super::*;
use super::clock;
use counters::Refusal;

/// An endpoint over a journal of its own, ended when dropped.
struct Served {
    address: SocketAddr,
    journal: Arc<Journal>,
    counters: Arc<IntakeCounters>,
    serving: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
    stop: CancellationToken,
    _stopped: DropGuard,
}

/// What a status line and a body came back as.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: serde_json::Value,
}

async fn served() -> Served {
    served_with(|sink| sink).await
}

/// `wrap` may put another sink in place of the journal.
async fn served_with(wrap: impl FnOnce(Arc<dyn Sink>) -> Arc<dyn Sink>) -> Served {
    serve(EndpointSettings::default(), clock(), wrap).await
}

/// With settings of its own; address and delivery streams are the ones of all tests.
async fn serve(endpoint: EndpointSettings, clock: Clock, wrap: impl FnOnce(Arc<dyn Sink>) -> Arc<dyn Sink>) -> Served {
    let directory = tempfile::tempdir().expect("directory");
    let counters = Arc::new(IntakeCounters::default());
    let settings = JournalSettings {
        directory: directory.path().to_path_buf(),
        max_bytes: journal::MAX_BYTES_LEAST,
        segment_bytes: DEFAULT_SEGMENT_BYTES,
    };
    let journal = Arc::new(Journal::open(&settings, [5; 16], counters.clone()).expect("opens"));
    let sink = wrap(Arc::new(JournalSink::new(journal.clone())));
    let delivery_streams = vec!["events".to_string(), "audit".to_string()];
    let endpoint = EndpointSettings { delivery_streams, ..endpoint };
    let intake = Intake::new(sink, &endpoint, counters.clone(), clock, [5; 16]).expect("right settings");
    let listener = server::bind("127.0.0.1:0".parse().expect("address")).await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(connection::serve(listener, intake, stop.clone()));
    Served {
        address,
        journal,
        counters,
        serving,
        stop: stop.clone(),
        _directory: directory,
        _stopped: stop.drop_guard(),
    }
}

impl Served {
    /// All records of the journal.
    async fn records(&self) -> Vec<Bytes> {
        let tip = *self.journal.tip().borrow();
        let (mut after, mut data) = (tip.released, Vec::new());
        while let Some(chunk) = self.journal.read(after, tip.durable).await.expect("reads") {
            after = chunk.to;
            data.extend(chunk.records.into_iter().map(|record| record.data));
        }
        data
    }

    /// Sends one request over a connection of its own; `head` is further header lines.
    async fn send(&self, line: &str, head: &[&str], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        let mut request = format!("{line} HTTP/1.1\r\nHost: intake\r\nConnection: close\r\n");
        head.iter().for_each(|field| request.push_str(&format!("{field}\r\n")));
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream.write_all(body).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("answered");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("status");
        let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        Answer { status, head: head.to_ascii_lowercase(), body }
    }

    /// A request of the Firehose API as it goes over the wire.
    async fn call(&self, operation: &str, body: &str) -> Answer {
        let target = format!("X-Amz-Target: {operation}");
        self.send("POST /", &[&target, "Content-Type: application/x-amz-json-1.1"], body.as_bytes()).await
    }
}

/// Takes nothing: says so.
#[derive(Debug)]
struct Refusing(Refusal);

#[async_trait]
impl Sink for Refusing {
    async fn put(&self, _: Vec<Bytes>, _: i64) -> Result<Receipt, SinkError> {
        Err(SinkError { refusal: self.0, message: "journal is full: 1 of 1 bytes".to_string() })
    }
}

/// Takes every record but the second.
#[derive(Debug)]
struct NotTheSecond;

#[async_trait]
impl Sink for NotTheSecond {
    async fn put(&self, records: Vec<Bytes>, _: i64) -> Result<Receipt, SinkError> {
        let failure = PutFailure { code: "ServiceUnavailableException", message: "Slow down.".to_string() };
        let outcome = |n: usize| if n == 1 { Err(failure.clone()) } else { Ok(n.to_string()) };
        Ok(Receipt::Stream((0..records.len()).map(outcome).collect()))
    }
}
