//! It runs as its container image, its unit and `infra/local/up` run it: over a read-only root, as nobody, with the committed templates.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tests::alluvium::{self, Lake, attribute_events};
use tests::kinesis::Stream;
use tests::tmpfs::as_root;
use tests::{corpus, duck, emulator, file, http, root, tools, wait_for};

use crate::end_to_end::{entity, kinesis_source};

const BUFFER: &str = "[buffer]\nage = \"2 s\"\nidle = \"1 s\"\n";

/// Seconds until it answers, and until it has ended after SIGTERM.
const SECONDS: u64 = 60;

/// Ended however the test ends.
struct Contained(Child);

impl Contained {
    /// The binary's, which may be a child of what was started.
    fn pid(&self) -> String {
        let mut pid = self.0.id().to_string();
        while let Ok(children) = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
            let Some(child) = children.split_whitespace().next() else { break };
            pid = child.to_string();
        }
        pid
    }

    fn signal(&self, name: &str) -> bool {
        let sent = as_root("kill").arg(format!("-{name}")).arg(self.pid()).status();
        sent.is_ok_and(|status| status.success())
    }

    /// A line of `/proc/<pid>/status`.
    fn status(&self, name: &str) -> String {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process is there");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).expect("Linux says so");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) && !self.signal("KILL") {
            eprintln!("process {} is left", self.0.id());
        }
        if let Err(error) = self.0.wait() {
            eprintln!("waiting for the contained process: {error}");
        }
    }
}

fn contained(lake: &Lake, config: &Path) -> Contained {
    let inside = lake.file("root");
    std::fs::create_dir_all(&inside).expect("a folder");
    let log = std::fs::File::create(lake.file("stderr.log")).expect("a log file");
    let mut command = as_root("unshare");
    command.args(["--mount", "--propagation", "private", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
    command.args(["AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true"]);
    command.arg(file("tests/support/contained.sh")).arg(inside);
    command.arg(alluvium::binary()).arg(config).arg(file("schemas/tables"));
    command.args(["run", "--config", "/etc/alluvium/alluvium.toml", "--task", "0/1"]);
    Contained(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("unshare starts"))
}

#[test]
fn a_job_runs_over_a_read_only_root_as_nobody() {
    let (stream, lake) = (Stream::new(emulator::ministack(), "contained", 2), Lake::s3("contained"));
    let events = &corpus::sp500()[..500];
    stream.put(events, entity);
    let tables = file("schemas/tables").display().to_string();
    let rules = attribute_events().replace(&tables, "/usr/share/alluvium/tables");
    let config = lake.config(&format!("{}\n{rules}\n{BUFFER}", kinesis_source(&stream)));
    let mut process = contained(&lake, &config);
    let log = || std::fs::read_to_string(lake.file("stderr.log")).unwrap_or_default();
    wait_for("the contained process to be healthy", SECONDS, || {
        assert!(matches!(process.0.try_wait(), Ok(None)), "it has ended:\n{}", log());
        matches!(http::get(&lake.admin, "/healthz"), Ok((200, _))).then_some(())
    });
    assert_eq!(process.status("Uid"), "10001 10001 10001 10001");
    assert_eq!((process.status("NoNewPrivs"), process.status("CapEff")), ("1".into(), "0000000000000000".into()));
    lake.until_cut(events.len());
    assert!(process.signal("TERM"));
    let ended = wait_for("it to end", SECONDS, || process.0.try_wait().expect("it can be asked"));
    assert!(ended.success(), "{ended}:\n{}", log());
    let rows = duck::number(&format!("select count(*) from {}", duck::lake(&lake.table.url())));
    assert_eq!(rows, events.len() as i64);
}

/// What the image's last stage says, which nothing here can build.
#[test]
fn the_image_is_one_static_binary_and_nobody_runs_it() {
    let text = std::fs::read_to_string(file("infra/Dockerfile")).expect("readable");
    let (build, image) = text.split_once("\nFROM scratch\n").expect("nothing is below the binary");
    assert!(build.contains("+crt-static") && build.contains("! readelf --dynamic /alluvium | grep NEEDED"));
    assert!(image.contains("\nUSER 10001:10001\n") && !image.contains("RUN "), "{image}");
    let toolchain = std::fs::read_to_string(file("rust-toolchain.toml")).expect("readable");
    let version = build.split_once("FROM rust:").and_then(|(_, rest)| rest.split_once('-')).expect("a version").0;
    assert!(toolchain.contains(&format!("\"{version}\"")), "the image's Rust is {version}: {toolchain}");
}

/// The committed configuration of the image, with the variables that the templates set, is one that `alluvium` takes.
#[test]
fn the_configurations_of_image_and_pod_are_well() {
    let lake = Lake::local();
    let print = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let mut python = Command::new(tools::python("python"));
    let pod = tools::output(python.args(["-c", print]).arg(file("infra/kubernetes/alluvium.yaml")));
    let pod: Vec<Value> = serde_json::from_str(&pod).expect("JSON");
    let of_pod = pod.iter().find_map(|one| one["data"]["alluvium.toml"].as_str()).expect("a configuration");
    let of_image = std::fs::read_to_string(file("infra/aws/alluvium.toml")).expect("readable");
    let tables = file("schemas/tables").display().to_string();
    for text in [of_pod, &of_image] {
        let path = lake.file("alluvium.toml");
        std::fs::write(&path, text.replace("/usr/share/alluvium/tables", &tables)).expect("writable");
        let mut check = alluvium::command();
        check.env("STREAM", "events").env("LAKE_BUCKET", "company-lake").env("BUFFER_MEMORY", "2048 MiB");
        tools::output(check.args(["check", "--offline", "--config"]).arg(path));
    }
}

#[test]
fn one_command_starts_everything_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("up");
    let mut up = Command::new("bash");
    up.arg(file("infra/local/up")).arg("--once").env("ALLUVIUM_UP_DIR", &home).current_dir(root());
    up.env("ALLUVIUM_BIN", alluvium::binary().parent().expect("it lies in a folder")).stdin(Stdio::null());
    let done = up.output().expect("bash starts");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}");
    assert!(told.contains("stored 10355 rows") && told.contains("the page      http://127.0.0.1:"), "{told}");
    let (_, rest) = told.split_once("the page      http://").expect("an address");
    let address = rest.split_once('/').expect("a slash").0;
    assert!(http::get(address, "/healthz").is_err(), "the reader still answers");
    assert!(!home.exists(), "{} is left", home.display());
}
