//! `alluvium-reader` as a process: started over a lake with the configuration that wrote it, asked over HTTP.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::alluvium::{Lake, binary, emulated};
use crate::http::{self, Answer};
use crate::{root, wait_for};

/// Seconds until it has to answer.
const START_SECONDS: u64 = 30;

/// A reader that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Reader {
    child: Child,
    /// `host:port`
    pub address: String,
}

/// A command of the binary, with the emulators' credentials.
pub fn command() -> Command {
    let mut command = Command::new(binary().with_file_name("alluvium-reader"));
    emulated(&mut command);
    command.stdin(Stdio::null()).current_dir(root());
    command
}

impl Reader {
    /// Starts over a lake's own `alluvium.toml`, which has `[reader] listen = "<address>"` in it.
    pub fn start(lake: &Lake, address: &str) -> Reader {
        let log = lake.file("reader.log");
        let sink = File::create(&log).expect("a log file");
        let mut command = command();
        command.arg("--config").arg(lake.file("alluvium.toml")).stdout(Stdio::null()).stderr(sink);
        let mut reader = Reader { child: command.spawn().expect("it starts"), address: address.to_string() };
        wait_for("the reader to answer", START_SECONDS, || {
            if let Some(status) = reader.child.try_wait().expect("the child can be asked") {
                panic!("the reader ended with {status}:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            matches!(http::get(address, "/healthz"), Ok((200, _))).then_some(())
        });
        reader
    }

    pub fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::ask(&self.address, "GET", path, headers, b"").unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// An answer that has to be 200 and JSON.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask(path, &[]);
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{path}: {text}");
        serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {text}"))
    }

    /// An answer that has to be a problem of this status.
    pub fn refused(&self, path: &str, status: u16) -> Value {
        problem(path, &self.ask(path, &[]), status)
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let answer = http::ask(&self.address, "POST", path, &[], body.to_string().as_bytes()).expect("it answers");
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Sends a signal by name and waits for its end.
    pub fn stop(mut self, signal: &str) -> std::process::ExitStatus {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill starts").success());
        self.child.wait().expect("it ends")
    }
}

/// A problem as RFC 9457 has it.
pub fn problem(path: &str, answer: &Answer, status: u16) -> Value {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{path}: {text}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {text}"));
    assert_eq!(problem["status"], status, "{path}: {text}");
    problem
}

impl Drop for Reader {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().expect("the child can be killed");
            self.child.wait().expect("the child ends");
        }
    }
}

/// Text as one part of a path.
pub fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Where the answers about an attribute are.
pub fn attribute(entity: &str, attribute: &str) -> String {
    format!("/v1/entities/{}/attributes/{}", segment(entity), segment(attribute))
}
