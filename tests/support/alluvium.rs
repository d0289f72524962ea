//! The real binary as a process: built once, started with a config of its own, watched, signalled.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::emulator::{free_port, ministack};
use crate::s3::Bucket;
use crate::{file, http, log, root, wait_for};

/// Seconds until `run` has to answer its health check: recovery and the start-up probe come first.
const START_SECONDS: u64 = 60;

/// Seconds a process may take to cut, commit and end after SIGTERM.
const STOP_SECONDS: u64 = 60;

/// Seconds until everything that was put is cut. The whole S&P log takes about 20 on two busy cores.
const CUT_SECONDS: u64 = 180;

/// No new cut for so long means that all is cut; tests that use it keep their buffers' ages below.
const QUIET: Duration = Duration::from_millis(1_500);

/// The binary, built with the profile this test was built with.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let exe = std::env::current_exe().expect("a test knows where it is");
        let profile = exe.parent().and_then(Path::parent).expect("a test lies in <target>/<profile>/deps");
        // All that the test command has built, so that cargo finds every feature as it left it and builds nothing twice.
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--workspace", "--all-targets"]).current_dir(root());
        cargo.arg("--target-dir").arg(profile.parent().expect("a profile lies in a target folder"));
        // What cargo tells a test of its package is not ours to pass on: build scripts (ring's) ask for these names, find them
        // changed, and everything above them is built anew, by this cargo and again by the next one outside.
        let told = std::env::vars_os().map(|(name, _)| name).filter(|name| is_of_package(&name.to_string_lossy()));
        told.for_each(|name| {
            cargo.env_remove(name);
        });
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let done = cargo.stdin(Stdio::null()).output().expect("cargo starts");
        assert!(done.status.success(), "building alluvium:\n{}", String::from_utf8_lossy(&done.stderr));
        profile.join("alluvium")
    })
}

fn is_of_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_"].iter().any(|begin| variable.starts_with(begin))
}

/// A command of the binary with the emulators' credentials and nothing else of the caller's AWS settings.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    emulated(&mut command);
    command.stdin(Stdio::null());
    command
}

/// Gives a command the emulators' credentials, and takes the caller's AWS settings away.
pub fn emulated(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    command.env("AWS_CONFIG_FILE", "/nonexistent").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
}

/// Runs a command that ends by itself.
pub fn run(args: &[&str]) -> Output {
    command().args(args).current_dir(root()).output().expect("alluvium starts")
}

/// A folder of objects: a local directory or a prefix of a bucket.
#[derive(Debug, Clone)]
pub enum Place {
    Folder(PathBuf),
    Prefix(Bucket, String),
}

impl Place {
    /// As it stands in a config; ends in `/`.
    pub fn url(&self) -> String {
        match self {
            Place::Folder(folder) => format!("file://{}/", folder.display()),
            Place::Prefix(bucket, prefix) => bucket.url(&format!("{prefix}/")),
        }
    }

    /// Paths of all objects below it, relative to it, sorted.
    pub fn list(&self) -> Vec<String> {
        match self {
            Place::Folder(folder) => {
                let mut found = Vec::new();
                walk(folder, folder, &mut found);
                found.sort();
                found
            }
            Place::Prefix(bucket, prefix) => {
                let below = format!("{prefix}/");
                bucket.list(prefix).iter().filter_map(|key| key.strip_prefix(&below)).map(str::to_string).collect()
            }
        }
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        match self {
            Place::Folder(folder) => std::fs::read(folder.join(path)).unwrap_or_else(|e| panic!("{path}: {e}")),
            Place::Prefix(bucket, prefix) => bucket.get(&format!("{prefix}/{path}")),
        }
    }
}

fn walk(top: &Path, folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.map(|e| e.expect("a folder lists")) {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue; // hidden from every engine's listing: files are staged there
        }
        if entry.file_type().expect("a file has a type").is_dir() {
            walk(top, &entry.path(), found);
        } else {
            let path = entry.path();
            found.push(path.strip_prefix(top).expect("below the top").to_string_lossy().into_owned());
        }
    }
}

/// A lake of one test, with all a process needs to write to it.
#[derive(Debug)]
pub struct Lake {
    /// Config, logs, journal; on `file://` the lake too.
    pub folder: TempDir,
    pub table: Place,
    pub errors: Place,
    pub state: Place,
    pub archive: Option<Place>,
    /// `host:port` of its process's admin endpoint: the same over restarts, as the config is.
    pub admin: String,
    /// Where its processes find the store, where that is not the emulator itself.
    pub endpoint: Option<String>,
}

impl Lake {
    /// On the local disk.
    pub fn local() -> Lake {
        let folder = tempfile::Builder::new().prefix("alluvium-").tempdir().expect("a temporary folder");
        let place = |name: &str| Place::Folder(folder.path().join("lake").join(name));
        Lake {
            table: place("table"),
            errors: place("errors"),
            state: place("state"),
            archive: None,
            folder,
            admin: loopback(),
            endpoint: None,
        }
    }

    /// In a bucket of its own on the S3 emulator.
    pub fn s3(what: &str) -> Lake {
        let folder = tempfile::Builder::new().prefix("alluvium-").tempdir().expect("a temporary folder");
        let bucket = Bucket::new(what);
        let place = |name: &str| Place::Prefix(bucket.clone(), name.to_string());
        Lake {
            folder,
            table: place("table"),
            errors: place("errors"),
            state: place("state"),
            archive: None,
            admin: loopback(),
            endpoint: None,
        }
    }

    /// Another process's view of the same lake: its own folder, config and admin endpoint.
    pub fn beside(&self) -> Lake {
        let folder = tempfile::Builder::new().prefix("alluvium-").tempdir().expect("a temporary folder");
        let (table, errors, state) = (self.table.clone(), self.errors.clone(), self.state.clone());
        Lake {
            folder,
            table,
            errors,
            state,
            archive: self.archive.clone(),
            admin: loopback(),
            endpoint: self.endpoint.clone(),
        }
    }

    /// Its processes keep every record as it came, beside the table.
    pub fn with_archive(self) -> Lake {
        let archive = match &self.table {
            Place::Folder(table) => Place::Folder(table.with_file_name("archive")),
            Place::Prefix(bucket, _) => Place::Prefix(bucket.clone(), "archive".into()),
        };
        Lake { archive: Some(archive), ..self }
    }

    /// Its processes go through this endpoint.
    pub fn through(self, endpoint: &str) -> Lake {
        Lake { endpoint: Some(endpoint.to_string()), ..self }
    }

    /// The `[lake]` section.
    pub fn section(&self) -> String {
        let (url, errors, state) = (self.table.url(), self.errors.url(), self.state.url());
        let mut section = format!("[lake]\nurl = \"{url}\"\nerrors = \"{errors}\"\nstate = \"{state}\"\n");
        if let Some(archive) = &self.archive {
            section.push_str(&format!("archive = \"{}\"\n", archive.url()));
        }
        if let Place::Prefix(..) = self.table {
            let endpoint = self.endpoint.clone().unwrap_or_else(|| ministack().url());
            section.push_str(&format!("endpoint_url = \"{endpoint}\"\nregion = \"us-east-1\"\nallow_http = true\n"));
        }
        section
    }

    /// Writes the config and says where it is; `sections` are source, keys, table and buffer.
    pub fn config(&self, sections: &str) -> PathBuf {
        let path = self.file("alluvium.toml");
        let text = format!("version = 1\n\n{sections}\n{}\n[admin]\nlisten = \"{}\"\n", self.section(), self.admin);
        // A process of an earlier start may be reading it.
        std::fs::write(self.file("alluvium.new"), text).expect("the config is writable");
        std::fs::rename(self.file("alluvium.new"), &path).expect("the config is writable");
        path
    }

    /// A file beside the config.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until at least so many rows are cut, rejects included, and a while has brought no more.
    pub fn until_cut(&self, rows: usize) {
        wait_for(&format!("{rows} rows to be cut"), CUT_SECONDS, || {
            (log::cut_rows(&self.state) >= rows as u64).then_some(())
        });
        let mut before = 0;
        wait_for("cuts to end", CUT_SECONDS, || {
            std::thread::sleep(QUIET);
            let now = log::cut_rows(&self.state);
            (std::mem::replace(&mut before, now) == now).then_some(())
        });
    }

    /// All rejects, as the errors output holds them.
    pub fn rejects(&self) -> Vec<serde_json::Value> {
        let parse = |line: &[u8]| serde_json::from_slice(line).expect("a line of the errors output is JSON");
        let files = self.errors.list();
        let texts = files.iter().map(|path| self.errors.read(path));
        texts.flat_map(|t| t.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(parse).collect::<Vec<_>>()).collect()
    }
}

/// A free `host:port`.
pub fn loopback() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// The key programs and table of the attribute history.
pub fn attribute_events() -> String {
    rules(
        "schemas/tables/attribute_events.toml",
        &[
            ("created_date", ".created_at | utc_date"),
            ("attribute_name", ".attribute_name"),
            ("entity_id_mod", ".entity_id | bucket(10)"),
        ],
    )
}

/// `[keys]` and `[table]`.
pub fn rules(spec: &str, keys: &[(&str, &str)]) -> String {
    let keys: String = keys.iter().map(|(name, program)| format!("{name} = '{program}'\n")).collect();
    format!("[keys]\n{keys}\n[table]\nspec = \"{}\"\n", file(spec).display())
}

/// `alluvium run` as a process. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    admin: String,
    log: PathBuf,
}

impl Running {
    /// Writes the config (`version` and `[admin]` are added) and starts; returns when `/healthz` says 200 and an intake listens.
    pub fn start(lake: &Lake, sections: &str) -> Running {
        Running::start_task(lake, sections, "0/1")
    }

    /// The same for one process of a split.
    pub fn start_task(lake: &Lake, sections: &str, task: &str) -> Running {
        let running = Running::spawn_task(lake, sections, task).until_healthy();
        if let Some(address) = sections.lines().find_map(|line| line.strip_prefix("listen = ")) {
            wait_for("the intake to listen", START_SECONDS, || TcpStream::connect(address.trim_matches('"')).ok());
        }
        running
    }

    /// Starts, without waiting.
    pub fn spawn(lake: &Lake, sections: &str) -> Running {
        Running::spawn_task(lake, sections, "0/1")
    }

    pub fn spawn_task(lake: &Lake, sections: &str, task: &str) -> Running {
        let config = lake.config(sections);
        let log = lake.file("stderr.log");
        let sink = File::options().create(true).append(true).open(&log).expect("a log file");
        let mut command = command();
        command
            .arg("run")
            .arg("--config")
            .arg(config)
            .args(["--task", task])
            .current_dir(root())
            .stdout(Stdio::null())
            .stderr(sink);
        Running { child: command.spawn().expect("alluvium starts"), admin: lake.admin.clone(), log }
    }

    fn until_healthy(mut self) -> Running {
        wait_for("alluvium to be healthy", START_SECONDS, || {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                panic!("alluvium ended with {status} before it was healthy:\n{}", self.log());
            }
            matches!(http::get(&self.admin, "/healthz"), Ok((200, _))).then_some(())
        });
        self
    }

    /// The whole of its standard error so far, of earlier starts on the same lake too.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `/metrics`, or nothing if it does not answer.
    pub fn metrics(&self) -> String {
        http::get(&self.admin, "/metrics").map(|(_, text)| text).unwrap_or_default()
    }

    /// Waits until the pipeline has taken in so many records: what is only in the journal is not cut when the process stops.
    pub fn until_taken_in(&self, records: usize) {
        let line = format!("alluvium_incoming_records_total {records}\n");
        wait_for("the records in the pipeline", STOP_SECONDS, || self.metrics().contains(&line).then_some(()));
    }

    /// Sends a signal by name (`TERM`, `KILL`, `STOP`, `CONT`, `HUP`).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill starts").success(), "kill -{name}");
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.child.wait().expect("the child ends");
    }

    /// The most memory it has had, in bytes.
    pub fn memory_peak(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Whether it has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_none()
    }

    /// SIGTERM: it must cut, commit and end with 0.
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.ended(STOP_SECONDS);
        assert!(status.success(), "alluvium ended with {status} after SIGTERM:\n{}", self.log());
    }

    /// Waits until it ends by itself.
    pub fn ended(&mut self, seconds: u64) -> ExitStatus {
        let log = self.log.clone();
        let child = &mut self.child;
        for _ in 0..seconds * 20 {
            if let Some(status) = child.try_wait().expect("the child can be asked") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("alluvium has not ended after {seconds} s:\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().expect("the child can be killed");
            self.child.wait().expect("the child ends");
        }
    }
}
