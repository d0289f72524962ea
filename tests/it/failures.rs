//! What goes wrong while running: each with its exit code and a message that says what to look at, as users see it.

use std::process::Stdio;
use std::time::Duration;

use tests::alluvium::{Lake, Place, Running, attribute_events, command, loopback};
use tests::firehose::Firehose;
use tests::kinesis::Stream;
use tests::tmpfs::SmallDisk;
use tests::{corpus, duck, emulator, golden, http, loose_store, root};

use crate::clients::{STREAM, intake_source};
use crate::end_to_end::{check_sp500, kinesis_source};

/// Seconds until retries are exhausted and the process gives up.
const GIVE_UP_SECONDS: u64 = 180;

/// Buffers that close soon after the last record.
const BUFFER: &str = "[buffer]\nage = \"1 s\"\nidle = \"500 ms\"\n";

/// Runs `alluvium run` until it ends by itself and compares exit code and last words with `tests/golden/run/<name>.txt`.
/// `hide` are texts that differ from run to run, and what stands for them.
fn check(name: &str, lake: &Lake, sections: &str, code: i32, without: &[&str], hide: &[(&str, &str)]) {
    let log = lake.file("stderr.log");
    let mut command = command();
    command.arg("run").arg("--config").arg(lake.config(sections)).current_dir(root()).stdout(Stdio::null());
    for variable in without {
        command.env_remove(variable);
    }
    let mut child = command.stderr(std::fs::File::create(&log).expect("a log file")).spawn().expect("alluvium starts");
    let mut waited = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child can be asked") {
            break status;
        }
        if waited == GIVE_UP_SECONDS * 10 {
            child.kill().expect("the child can be killed");
        }
        waited += 1;
        std::thread::sleep(Duration::from_millis(100));
    };
    let text = std::fs::read_to_string(&log).expect("its standard error");
    assert_eq!(status.code(), Some(code), "{name}: exit code, with:\n{text}");
    golden::check(&format!("run/{name}.txt"), &format!("exit {code}\n{}", last_words(&text, lake, hide)));
}

/// What it says outside its log lines, with what differs between runs replaced.
fn last_words(text: &str, lake: &Lake, hide: &[(&str, &str)]) -> String {
    let words = text.lines().filter(|line| !is_log_line(line));
    let mut words: String = words.map(|line| format!("{line}\n")).collect();
    let folder = lake.folder.path().display().to_string();
    for (from, to) in hide.iter().copied().chain([(folder.as_str(), "FOLDER"), (lake.admin.as_str(), "ADMIN")]) {
        words = words.replace(from, to);
    }
    words
}

/// Log lines begin with their instant: `2026-01-31T00:00:00.000000Z  INFO ...`.
fn is_log_line(line: &str) -> bool {
    let date = line.split('T').next().unwrap_or_default();
    date.len() == 10 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

#[test]
fn kinesis_endpoint_that_nobody_listens_on() {
    let (lake, address) = (Lake::local(), loopback());
    let source =
        format!("[source.kinesis]\nstream = \"events\"\nendpoint_url = \"http://{address}\"\nregion = \"us-east-1\"\n");
    let hide = [(address.as_str(), "ADDRESS")];
    check("unreachable_kinesis", &lake, &format!("{source}\n{}", attribute_events()), 3, &[], &hide);
}

#[test]
fn no_aws_credentials() {
    let lake = Lake::local();
    let stream = Stream::new(emulator::ministack(), "credentials", 1);
    let hide = [(stream.endpoint.as_str(), "ENDPOINT"), (stream.name.as_str(), "STREAM")];
    let sections = format!("{}\n{}", kinesis_source(&stream), attribute_events());
    check("no_credentials", &lake, &sections, 1, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], &hide);
}

#[test]
fn stream_that_does_not_exist() {
    let lake = Lake::local();
    let endpoint = emulator::ministack().url();
    let source = format!(
        "[source.kinesis]\nstream = \"no-such-stream\"\nendpoint_url = \"{endpoint}\"\nregion = \"us-east-1\"\n"
    );
    let hide = [(endpoint.as_str(), "ENDPOINT")];
    check("no_such_stream", &lake, &format!("{source}\n{}", attribute_events()), 1, &[], &hide);
}

/// Root is above permission bits; a path below a regular file stops everyone.
#[test]
fn lake_below_a_regular_file_cannot_be_written() {
    let mut lake = Lake::local();
    std::fs::write(lake.file("regular"), "").expect("a temporary file");
    let place = |name: &str| Place::Folder(lake.file("regular").join(name));
    (lake.table, lake.errors, lake.state) = (place("table"), place("errors"), place("state"));
    let sections = format!("{}\n{}", intake_source(&lake, &loopback()), attribute_events());
    check("unwritable_lake", &lake, &sections, 3, &[], &[]);
}

#[test]
fn bucket_that_does_not_exist() {
    let mut lake = Lake::s3("missing");
    let Place::Prefix(bucket, _) = &lake.table else { panic!("it is a bucket") };
    let mut bucket = bucket.clone();
    bucket.name = "no-such-bucket".to_string();
    let place = |name: &str| Place::Prefix(bucket.clone(), name.to_string());
    (lake.table, lake.errors, lake.state) = (place("table"), place("errors"), place("state"));
    let sections = format!("{}\n{}", intake_source(&lake, &loopback()), attribute_events());
    let config = lake.config(&sections);
    let done = command().args(["run", "--config"]).arg(config).current_dir(root()).output().expect("alluvium starts");
    let text = String::from_utf8_lossy(&done.stderr);
    // The store's answer holds a request id: no golden file.
    assert_eq!(done.status.code(), Some(3), "{text}");
    assert!(text.contains("s3://no-such-bucket/") && text.contains("NoSuchBucket"), "{text}");
}

#[test]
fn store_that_ignores_if_none_match_is_refused() {
    let lake = Lake::local();
    let endpoint = loose_store::start();
    // TOML takes a section once: the store's places stand in for the local ones.
    let config = format!(
        "version = 1\n{}\n{}\n[lake]\nurl = \"s3://loose/table/\"\nerrors = \"s3://loose/errors/\"\nstate = \"s3://loose/state/\"\n\
         endpoint_url = \"{endpoint}\"\nregion = \"us-east-1\"\nallow_http = true\n[admin]\nlisten = \"{}\"\n",
        intake_source(&lake, &loopback()),
        attribute_events(),
        lake.admin
    );
    let path = lake.file("loose.toml");
    std::fs::write(&path, config).expect("a temporary file");
    let done = command().args(["run", "--config"]).arg(path).current_dir(root()).output().expect("alluvium starts");
    let text = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{text}");
    let hide = [(endpoint.as_str(), "ENDPOINT")];
    golden::check("run/store_without_conditions.txt", &format!("exit 1\n{}", last_words(&text, &lake, &hide)));
}

/// The disk of the lake is full: the process gives up and says so; with room again, the same command finishes all of it.
#[test]
fn full_disk_under_the_lake_loses_nothing() {
    let (lake, listen) = (Lake::local(), loopback());
    let disk = SmallDisk::mount(&lake.folder.path().join("lake"), "1m");
    let source = intake_source(&lake, &listen);
    let sections = format!("{source}\n{}\n{BUFFER}", attribute_events());
    let mut running = Running::start(&lake, &sections);
    Firehose::new(&listen, STREAM).put(corpus::sp500());
    let status = running.ended(GIVE_UP_SECONDS);
    assert_eq!(status.code(), Some(3), "{}", running.log());
    let text = running.log();
    assert!(text.to_lowercase().contains("no space left"), "{text}");

    disk.grow("256m");
    let running = Running::start(&lake, &sections);
    lake.until_cut(corpus::sp500().len());
    running.stop();
    check_sp500(&lake);
}

/// The disk of the journal is full: what is not durable is never answered with success.
#[test]
fn full_disk_under_the_journal_is_never_a_false_success() {
    let (lake, listen) = (Lake::local(), loopback());
    let _disk = SmallDisk::mount(&lake.file("journal"), "2m");
    let sections = format!("{}\n{}\n{BUFFER}", intake_source(&lake, &listen), attribute_events());
    let running = Running::start(&lake, &sections);
    let mut taken = 0;
    let refused = corpus::sp500().chunks(200).find_map(|few| {
        let (status, body) =
            http::request(&listen, "POST", "/v1/events", &[], &few.join(&b'\n')).expect("the intake answers");
        taken += if status < 300 { few.len() } else { 0 };
        (status >= 300).then_some((status, body))
    });
    let (status, body) = refused.expect("2 MiB do not hold the whole log");
    assert_eq!(status, 503, "{}", String::from_utf8_lossy(&body));
    // What was taken is on the way to the lake, or waits in the journal: whichever, it is stored.
    lake.until_cut(taken);
    running.stop();
    let stored = duck::number(&format!("select count(*) from {}", duck::lake(&lake.table.url())));
    assert!(stored >= taken as i64, "{taken} events were answered with success, {stored} are stored");
}
