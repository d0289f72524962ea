//! Settings of the endpoint, the same whether its records go to the journal or to a stream.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::Credential;
use super::firehose;
use super::{DEFAULT_DELIVERY_STREAM, DEFAULT_LISTEN};
use crate::source::Rate;

/// Who may reach the endpoint, and how much of it one client may use.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// Address to listen on, [`DEFAULT_LISTEN`]; port 0 takes any free port.
    pub listen: SocketAddr,
    /// `insecure_allow_remote`: may listen where other machines reach it without asking them who they are, or take tokens in the
    /// clear.
    pub allow_remote: bool,
    /// Names the Firehose API answers for, `[a-zA-Z0-9_.-]{1,64}` each; all feed the one table.
    pub delivery_streams: Vec<String>,
    pub tls: Option<TlsFiles>,
    /// None: everybody may put.
    pub credentials: Vec<Credential>,
    pub limits: Limits,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and what it is signed by, the endpoint's own first.
    pub cert: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

/// What one client, one caller or all together may use. Every one has a counter that says when it bites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request's body as sent.
    pub body_bytes: usize,
    /// Connections open at once; more wait in the listen queue.
    pub connections: usize,
    /// Connections open at once from one address (IPv6: from one /64); more are closed.
    pub connections_per_address: usize,
    /// Requests per second of one credential.
    pub requests_per_second: u64,
    /// Bytes of bodies per second of one credential.
    pub bytes_per_second: u64,
    /// From a connection's opening, or a request's first byte, to the end of its head.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// From a request's head to the end of its body.
    pub body_timeout: Duration,
    /// Bytes per second that a body must bring at least.
    pub min_body_rate: u64,
    /// A client that takes nothing of its answer for so long is cut off.
    pub write_timeout: Duration,
    /// From a connection's opening to the end of the TLS handshake.
    pub handshake_timeout: Duration,
}

impl Limits {
    /// How much one caller may send.
    pub fn rate(&self) -> Rate {
        Rate { calls_per_second: self.requests_per_second, bytes_per_second: self.bytes_per_second }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 16 << 20,
            connections: 1_024,
            connections_per_address: 512,
            requests_per_second: 10_000,
            bytes_per_second: 128 << 20,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(120),
            min_body_rate: 16 << 10,
            write_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for EndpointSettings {
    fn default() -> EndpointSettings {
        EndpointSettings {
            listen: DEFAULT_LISTEN,
            allow_remote: false,
            delivery_streams: vec![DEFAULT_DELIVERY_STREAM.to_string()],
            tls: None,
            credentials: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl EndpointSettings {
    /// What is wrong with the settings, without looking at disk or network.
    pub fn check(&self) -> Result<(), String> {
        self.check_listen()?;
        if self.delivery_streams.is_empty() {
            return Err("delivery_streams is empty: name at least one, for example [\"alluvium\"]".to_string());
        }
        if let Some(name) = self.delivery_streams.iter().find(|name| !firehose::is_stream_name(name)) {
            return Err(format!("delivery stream `{name}`: want 1 to 64 of a-z, A-Z, 0-9, `_`, `.` and `-`"));
        }
        Ok(())
    }

    /// Whether it may listen where it is told to: on loopback; elsewhere if it knows who may put, and no token can be read on
    /// the way; anywhere if the operator says that something in front of it sees to that.
    pub fn check_listen(&self) -> Result<(), String> {
        let EndpointSettings { listen, .. } = self;
        if self.allow_remote || listen.ip().is_loopback() {
            return Ok(());
        }
        if self.credentials.is_empty() {
            return Err(format!(
                "{listen} can be reached from other machines, and nobody would be asked who they are; write credentials \
                 ([credentials.<name>]), 127.0.0.1:{}, or insecure_allow_remote = true if something in front of it asks",
                listen.port()
            ));
        }
        if self.tls.is_none() && self.credentials.iter().any(|credential| credential.token.is_some()) {
            return Err(format!(
                "{listen} can be reached from other machines, and a bearer token sent there without TLS can be read on the way; \
                 write tls_cert and tls_key, use access keys instead, or insecure_allow_remote = true if something in front of it \
                 speaks TLS"
            ));
        }
        Ok(())
    }

    /// What is allowed and yet worth a warning.
    pub fn warning(&self) -> Option<&'static str> {
        if self.listen.ip().is_loopback() {
            return None;
        }
        match (self.credentials.is_empty(), self.tls.is_some()) {
            (true, _) => Some("other machines can reach the intake, and it asks nobody who they are"),
            (false, false) => Some(
                "other machines can reach the intake without TLS: signatures keep events from being changed, not from being read",
            ),
            (false, true) => None,
        }
    }
}
