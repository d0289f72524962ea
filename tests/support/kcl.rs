//! Machines that read a stream through Amazon's Kinesis Client Library: `infra/kcl/start` with the real daemon and the real
//! binary, leases in the DynamoDB of an emulator.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::alluvium::{self, Lake};
use crate::emulator::ministack;
use crate::kinesis::Stream;
use crate::{file, http, root, tools, wait_for};

/// Seconds a machine may take to hand its shards over and end after SIGTERM.
const STOP_SECONDS: u64 = 120;

/// The daemon's jars, where `infra/kcl/setup` has put them.
///
/// Where they are not: panics with the reason if `ALLUVIUM_KCL=required`, else prints it and gives nothing.
pub fn jars(test: &str) -> Option<PathBuf> {
    let jars = tools::folder().join("kcl/jars");
    if jars.is_dir() {
        return Some(jars);
    }
    let reason = format!("{test} DID NOT RUN: no {}; `bash infra/kcl/setup` fetches it", jars.display());
    assert!(!required(), "{reason}");
    eprintln!("{reason}");
    None
}

/// Whether the caller asked for these tests: `just kcl` does.
pub fn required() -> bool {
    std::env::var("ALLUVIUM_KCL").is_ok_and(|value| value == "required")
}

/// One machine: a folder with its config, properties and socket, and the two processes.
#[derive(Debug)]
pub struct Machine {
    name: String,
    lake: Lake,
    properties: PathBuf,
    config: PathBuf,
    jars: PathBuf,
    start: Option<Child>,
}

impl Machine {
    /// Writes what it needs, without starting. Machines with the same lake and `application` share the stream.
    pub fn new(name: &str, jars: PathBuf, lake: &Lake, stream: &Stream, application: &str, sections: &str) -> Machine {
        let lake = lake.beside();
        let source = format!(
            "[source.kcl]\nsocket = \"kcl.sock\"\nstream = \"{}\"\nendpoint_url = \"{}\"\nregion = \"us-east-1\"\n\
             handover = \"3 s\"\n",
            stream.name, stream.endpoint
        );
        let config = lake.config(&format!("{source}\n{sections}"));
        let properties = lake.file("alluvium.properties");
        let child = format!("{} shard --socket {}", alluvium::binary().display(), lake.file("kcl.sock").display());
        std::fs::write(&properties, properties_of(&child, name, stream, application)).expect("the folder is writable");
        Machine { name: name.into(), lake, properties, config, jars, start: None }
    }

    /// Starts both processes.
    pub fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.lake.file("log")).expect("a log file");
        let mut command = Command::new("bash");
        alluvium::emulated(&mut command);
        command.arg(file("infra/kcl/start")).arg(&self.config).arg(&self.properties).current_dir(root());
        command.env("ALLUVIUM", alluvium::binary()).env("KCL_JARS", &self.jars);
        // The emulator's CBOR gives arrival times a thousand times too small.
        command.env("KCL_JAVA_OPTS", "-Xmx256m -XX:TieredStopAtLevel=1 -Daws.cborEnabled=false");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.start = Some(command.spawn().expect("bash starts"));
    }

    /// Shards whose children are connected.
    pub fn shards(&self) -> u64 {
        let metrics = http::get(&self.lake.admin, "/metrics").map(|(_, text)| text).unwrap_or_default();
        let line = metrics.lines().find_map(|line| line.strip_prefix("alluvium_kcl_connections "));
        line.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.lake.file("log")).unwrap_or_default()
    }

    /// kill -9 of everything at once, as when the machine is gone.
    pub fn die(&mut self) {
        let Some(mut start) = self.start.take() else { return };
        let processes = children(start.id());
        start.kill().expect("bash can be killed");
        start.wait().expect("bash ends");
        for (pid, _) in processes {
            kill(pid);
        }
    }

    /// kill -9 of the daemon alone.
    pub fn kill_daemon(&self) {
        self.kill_child("MultiLangDaemon");
    }

    /// kill -9 of `alluvium run` alone.
    pub fn kill_run(&self) {
        self.kill_child("\0run\0");
    }

    fn kill_child(&self, what: &str) {
        let start = self.start.as_ref().expect("a machine that runs");
        let found = children(start.id()).into_iter().find(|(_, command)| command.contains(what));
        kill(found.unwrap_or_else(|| panic!("{}: no process with {what:?}:\n{}", self.name, self.log())).0);
    }

    /// SIGTERM: shards are handed over, what is open is stored, and it ends with 0.
    pub fn stop(&mut self) {
        let mut start = self.start.take().expect("a machine that runs");
        let sent = Command::new("kill").arg("-TERM").arg(start.id().to_string()).status();
        assert!(sent.expect("kill starts").success(), "kill -TERM");
        let status = wait_for(&format!("{} to stop", self.name), STOP_SECONDS, || start.try_wait().expect("bash"));
        assert!(status.success(), "{}: {status}\n{}", self.name, self.log());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("== log of {}\n{}", self.name, lines[lines.len().saturating_sub(80)..].join("\n"));
        }
        self.die();
    }
}

/// Shortest times everywhere: a test waits for leases to expire and to be balanced.
fn properties_of(child: &str, worker: &str, stream: &Stream, application: &str) -> String {
    let (name, kinesis, dynamodb) = (&stream.name, &stream.endpoint, ministack().url());
    format!(
        "executableName = {child}\nstreamName = {name}\napplicationName = {application}\nworkerId = {worker}\n\
         regionName = us-east-1\nkinesisEndpoint = {kinesis}\ndynamoDBEndpoint = {dynamodb}\n\
         AwsCredentialsProvider = DefaultCredentialsProvider\nprocessingLanguage = rust\n\
         initialPositionInStream = TRIM_HORIZON\ncallProcessRecordsEvenForEmptyRecordList = true\n\
         metricsLevel = NONE\nfailoverTimeMillis = 6000\nleaseAssignmentIntervalMillis = 2000\n\
         shardSyncIntervalMillis = 5000\nparentShardPollIntervalMillis = 500\nidleTimeBetweenReadsInMillis = 250\n\
         shutdownGraceMillis = 50000\ninMemoryWorkerMetricsCaptureFrequencyMillis = 1000\n\
         workerMetricsReporterFreqInMillis = 2000\nvarianceBalancingFrequency = 1\n"
    )
}

/// Processes whose parent this is, with their command lines, words apart by NUL.
fn children(parent: u32) -> Vec<(u32, String)> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let of_parent = |pid: &u32| {
        // `pid (name) state parent ...`; the name may hold anything.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>());
        fields.is_some_and(|fields| fields.get(1).is_some_and(|ppid| *ppid == parent.to_string()))
    };
    let command = |pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (pid, String::from_utf8_lossy(&words).into_owned())
    };
    pids.filter(of_parent).map(command).collect()
}

fn kill(pid: u32) {
    let sent = Command::new("kill").arg("-KILL").arg(pid.to_string()).stderr(Stdio::null()).status();
    // One that has ended meanwhile is dead as well.
    sent.expect("kill starts");
}

/// Waits until the machines together have so many shards, each at least `least`, for two seconds.
pub fn wait_for_shards(machines: &[&Machine], all: u64, least: u64, seconds: u64) {
    let mut since = 0;
    wait_for(&format!("{all} shards on {} machines", machines.len()), seconds, || {
        let shards: Vec<u64> = machines.iter().map(|machine| machine.shards()).collect();
        let settled = shards.iter().sum::<u64>() == all && shards.iter().all(|n| *n >= least);
        since = if settled { since + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(450));
        (since >= 4).then_some(())
    });
}
