//! A real Prometheus that scrapes processes of a test.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::emulator::free_port;
use crate::{http, root, tools, wait_for};

/// Seconds it may take until it is ready.
const START_SECONDS: u64 = 60;

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    address: String,
    /// Its standard input is the pipe that keeps it alive.
    child: Child,
    folder: TempDir,
}

/// A series by its labels, and its newest value.
pub type Sample = (BTreeMap<String, String>, String);

impl Prometheus {
    /// Started with this configuration, which lies beside copies of `files`.
    pub fn start(config: &str, files: &[PathBuf]) -> Prometheus {
        let folder = tempfile::Builder::new().prefix("alluvium-").tempdir().expect("a temporary folder");
        for file in files {
            std::fs::copy(file, folder.path().join(file.file_name().expect("a file"))).expect("copied");
        }
        std::fs::write(folder.path().join("prometheus.yaml"), config).expect("writable");
        let address = format!("127.0.0.1:{}", free_port());
        let log = File::create(folder.path().join("log")).expect("a log file");
        let mut command = Command::new(root().join("infra/local/with-parent"));
        command.arg(program("prometheus")).arg("--config.file=prometheus.yaml").arg("--storage.tsdb.path=data");
        command.arg(format!("--web.listen-address={address}")).current_dir(folder.path());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        let prometheus = Prometheus { address, child, folder };
        wait_for(&format!("prometheus: {:?}", prometheus.folder), START_SECONDS, || {
            matches!(http::get(&prometheus.address, "/-/ready"), Ok((200, _))).then_some(())
        });
        prometheus
    }

    /// What a query gives now.
    pub fn query(&self, promql: &str) -> Vec<Sample> {
        let data = self.get(&format!("/api/v1/query?query={}", percent(promql)), promql);
        let sample = |one: &Value| {
            let labels: BTreeMap<String, String> =
                serde_json::from_value(one["metric"].clone()).expect("labels are texts");
            (labels, one["value"][1].as_str().unwrap_or_default().to_string())
        };
        data["result"].as_array().expect("a vector").iter().map(sample).collect()
    }

    /// The alarm rules it has read.
    pub fn alarms(&self) -> Vec<Value> {
        let data = self.get("/api/v1/rules?type=alert", "rules");
        let groups = data["groups"].as_array().expect("groups").iter();
        groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    fn get(&self, path: &str, what: &str) -> Value {
        let (status, text) = http::get(&self.address, path).expect("it answers");
        assert_eq!(status, 200, "{what}: {text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["data"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("prometheus: {error}");
        }
    }
}

/// `prometheus` or `promtool`.
pub fn program(name: &str) -> PathBuf {
    tools::folder().join("prometheus").join(name)
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
