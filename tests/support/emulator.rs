//! The emulators: ministack for S3 and for Kinesis at volume, kinesis-local for Kinesis with right shard lineage.
//!
//! One of each serves all tests of a process; tests keep apart by the names of their streams and buckets. They run under
//! `infra/local/with-parent`, which ends them when this process is gone, however it went.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::{root, tools, wait_for};

/// Seconds an emulator may take until it listens. A loaded machine has needed 12.
const START_SECONDS: u64 = 90;

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    port: u16,
    /// Its standard input is the pipe that keeps the emulator alive.
    child: Child,
    folder: TempDir,
}

impl Emulator {
    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The last lines it logged.
    pub fn log_tail(&self) -> String {
        log_tail(&self.folder.path().join("log"))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("emulator on port {}: {error}", self.port);
        }
    }
}

/// S3, and Kinesis for volume: never split or merge a shard on it, it forgets the parents.
pub fn ministack() -> &'static Emulator {
    static ONE: OnceLock<Emulator> = OnceLock::new();
    ONE.get_or_init(|| {
        start("ministack", |folder, port| {
            let mut command = wrapped(tools::folder().join("ministack/bin/ministack"));
            command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string()).env("S3_PERSIST", "1");
            command.env("S3_DATA_DIR", folder.join("s3")).current_dir(folder);
            command
        })
    })
}

/// The way to ministack's Athena for the table at a place: each statement is translated by sqlglot from Athena's SQL to that of
/// DuckDB, which is what ministack runs it in, over the objects that its Glue catalog says.
pub fn athena(place: &str) -> Emulator {
    let (upstream, place) = (ministack().address(), place.to_string());
    start("athena", move |folder, port| {
        let mut command = wrapped(tools::python("python"));
        command.arg(crate::file("tests/support/athena_proxy.py")).arg(port.to_string()).arg(upstream).arg(place);
        command.current_dir(folder);
        command
    })
}

/// Kinesis with right parents and children after a split or merge. About 600 records per second.
pub fn kinesis_local() -> &'static Emulator {
    static ONE: OnceLock<Emulator> = OnceLock::new();
    ONE.get_or_init(|| {
        start("kinesis-local", |_, port| {
            let package = tools::folder().join("npm/node_modules/kinesis-local");
            let mut command = wrapped(PathBuf::from("node"));
            command.arg("main.js").env("KINESIS_MOCK_CERT_PATH", package.join("server.json"));
            command.env("KINESIS_MOCK_PLAIN_PORT", port.to_string());
            command.env("KINESIS_MOCK_TLS_PORT", free_port().to_string()).env("SHARD_LIMIT", "1000");
            for step in ["CREATE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS", "UPDATE_SHARD_COUNT", "DELETE_STREAM"] {
                command.env(format!("{step}_DURATION"), "50ms");
            }
            command.current_dir(package);
            command
        })
    })
}

fn wrapped(program: PathBuf) -> Command {
    let mut command = Command::new(root().join("infra/local/with-parent"));
    command.arg(program);
    command
}

fn start(name: &str, command: impl FnOnce(&Path, u16) -> Command) -> Emulator {
    let folder = tempfile::Builder::new().prefix("alluvium-").tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let sink = File::create(&log).expect("a log file");
    let port = free_port();
    let mut command = command(folder.path(), port);
    command.stdin(Stdio::piped()).stdout(sink.try_clone().expect("a second handle")).stderr(sink);
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
    let address = format!("127.0.0.1:{port}");
    wait_for(&format!("{name} to listen on {address}"), START_SECONDS, || {
        if let Ok(Some(status)) = child.try_wait() {
            panic!("{name} ended with {status} before it listened:\n{}", log_tail(&log));
        }
        TcpStream::connect(&address).ok()
    });
    Emulator { port, child, folder }
}

/// A port nobody listens on now. Between this and its use another process could take it; then the start fails, loudly.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback has a free port").port()
}

fn log_tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
