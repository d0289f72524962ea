//! Raw objects through `alluvium replay`: each record once, wherever it is stopped, whoever shares the work; and what was ingested
//! live under kills comes out of its archive as the same rows.

use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tests::alluvium::{self, Lake, Place, Running, attribute_events, loopback};
use tests::bundle::{bundle, gzip, zstd};
use tests::firehose::Firehose;
use tests::numbered::{PUT_EVENTS, Producer, check};
use tests::{corpus, duck, log, tools};

use crate::clients::{STREAM, intake_source};
use crate::end_to_end::check_sp500;
use crate::kill::kill_rounds;

/// Kills of a replay.
const KILLS: u32 = 12;
/// Longest life of a replay that is killed: it is through after a few seconds.
const LIFE_MS_MAX: u64 = 900;

const BUFFER: &str = "[buffer]\nage = \"300 ms\"\nidle = \"150 ms\"\nrows = 100\n\n[archive]\nage = \"200 ms\"\n";

/// A configuration for replays; its source is not used.
fn config(lake: &Lake) -> String {
    let sections = format!("{}\n{}\n{BUFFER}", intake_source(lake, &loopback()), attribute_events());
    lake.config(&sections).display().to_string()
}

pub(crate) fn command(config: &str, url: &str, more: &[&str]) -> Command {
    let mut command = alluvium::command();
    command.args(["replay", "--config", config, url]).args(more).current_dir(tests::root());
    command
}

pub(crate) fn replay(config: &str, url: &str, more: &[&str]) -> Output {
    command(config, url, more).output().expect("alluvium starts")
}

pub(crate) fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the summary is JSON")
}

/// Kills replays at random moments.
pub(crate) fn killed(rounds: u32, life_ms_max: u64, command: impl Fn() -> Command) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..rounds {
        let mut child = command().spawn().expect("alluvium starts");
        thread::sleep(Duration::from_millis(random.random_range(20..life_ms_max)));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
}

/// The same, then lets one come to its end.
fn replay_with_kills(config: &str, url: &str) -> Value {
    killed(KILLS, LIFE_MS_MAX, || command(config, url, &[]));
    done(&replay(config, url, &[]))
}

#[test]
fn what_was_ingested_under_kills_is_the_same_rows_replayed_under_kills() {
    let (live, listen) = (Lake::local().with_archive(), loopback());
    let client = Firehose::new(&listen, STREAM);
    let producer = Producer::start(move |events| client.put_call(&bundle(events)).is_ok());
    let sections = format!("{}\n{}\n{BUFFER}", intake_source(&live, &listen), attribute_events());
    kill_rounds(&live, &sections, 6);
    let last = Running::start(&live, &sections);
    let put = producer.stop();
    assert!(put.known.len() > PUT_EVENTS, "the intake answered {} events only", put.known.len());
    live.until_cut(put.known.len());
    last.stop();
    check(&live, &put);

    let again = Lake::local();
    let archive = live.archive.as_ref().expect("it has one").url();
    replay_with_kills(&config(&again), &archive);
    check(&again, &put);
    same_rows(&live, &again);
    assert_eq!(rejects(&live), rejects(&again));
    verified(&live, &again);
}

/// What operators have for the same question.
fn verified(live: &Lake, again: &Lake) {
    let config = again.file("alluvium.toml").display().to_string();
    let against = live.table.url();
    let verify = || alluvium::run(&["verify", "--config", &config, "--against", &against]);
    assert_eq!(done(&verify())["equal"], true);
    let Place::Folder(table) = &again.table else { panic!("a lake on the disk") };
    let lost = &again.table.list()[0];
    std::fs::remove_file(table.join(lost)).expect("removed");
    let second = verify();
    let told = String::from_utf8_lossy(&second.stdout).into_owned();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("\"equal\":false") && told.contains("\"rows\":0"), "{told}");
}

/// Every column of every row, by the shard and position that it tells of itself.
fn same_rows(a: &Lake, b: &Lake) {
    let (a, b) = (duck::lake(&a.table.url()), duck::lake(&b.table.url()));
    duck::none(
        "rows of the live table that the replay has not",
        &format!("select * from {a} except all select * from {b}"),
    );
    duck::none(
        "rows of the replay that the live table has not",
        &format!("select * from {b} except all select * from {a}"),
    );
    let places = format!("select count(*) - count(distinct (_shard, _position)) from {b}");
    assert_eq!(duck::number(&places), 0, "rows at one place");
    assert!(duck::number(&format!("select count(*) from {b}")) > 100);
}

fn rejects(lake: &Lake) -> Vec<String> {
    let mut lines: Vec<String> = lake.rejects().iter().map(Value::to_string).collect();
    lines.sort();
    lines
}

/// The S&P log as all that replay reads: Firehose's backups with and without newlines, NDJSON, pretty-printed objects, CloudTrail's
/// arrays, Firehose's error objects.
fn sp500_objects(folder: &Path) {
    let events = corpus::sp500();
    for (number, part) in events.chunks(events.len().div_ceil(40)).enumerate() {
        let name = folder.join(format!("2024/01/{:02}/part-{number}", 1 + number / 10));
        std::fs::create_dir_all(name.parent().expect("above it")).expect("made");
        let text = match number % 5 {
            0 => part.concat(),
            1 => part.join(&b'\n'),
            2 => pretty(part),
            3 => [b"{\"Records\":[".as_slice(), &part.join(&b','), b"]}"].concat(),
            _ => errors(part),
        };
        let bytes = match number % 3 {
            0 => gzip(&text),
            1 => zstd(&text),
            _ => text,
        };
        std::fs::write(name, bytes).expect("written");
    }
}

fn pretty(events: &[Vec<u8>]) -> Vec<u8> {
    let event = |event: &Vec<u8>| serde_json::from_slice::<Value>(event).expect("the corpus is JSON");
    let texts: Vec<String> =
        events.iter().map(|e| serde_json::to_string_pretty(&event(e)).expect("it serialises")).collect();
    texts.join("\n").into_bytes()
}

fn errors(events: &[Vec<u8>]) -> Vec<u8> {
    let line = |event: &Vec<u8>| {
        json!({"attemptsMade": 1, "arrivalTimestamp": 1_900_000_000_000_i64, "errorCode": "Lambda.FunctionError",
            "errorMessage": "m", "attemptEndingTimestamp": 1_900_000_001_000_i64, "rawData": STANDARD.encode(event)})
    };
    events.iter().map(|event| format!("{}\n", line(event))).collect::<String>().into_bytes()
}

#[test]
fn every_format_is_read_once_under_kills_and_not_again() {
    let lake = Lake::local();
    let (objects, config) = (lake.file("objects"), config(&lake));
    sp500_objects(&objects);
    let url = objects.display().to_string();

    let told = replay(&config, &url, &["--dry-run", "--to", "2024-01-02"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("objects     20 new") && told.contains("files       at least"), "{told}");
    assert!(lake.state.list().is_empty() && lake.table.list().is_empty(), "a dry run writes nothing");

    done(&replay(&config, &url, &["--from", "2024-01-04"]));
    replay_with_kills(&config, &url);
    assert_eq!(lake.rejects(), Vec::<Value>::new());
    check_sp500(&lake);
    let files = lake.table.list();
    assert_eq!(log::named_objects(&lake.state).into_iter().collect::<Vec<_>>(), files);

    // Under another url, and in part, the objects are the same ones.
    for url in [url.clone(), format!("file://{url}/2024/"), format!("{url}/2024/01/02/part-12")] {
        assert_eq!(done(&replay(&config, &url, &[]))["records"], 0, "{url}");
    }
    assert_eq!(lake.table.list(), files);
}

#[test]
fn an_object_that_has_changed_is_named_and_not_read_again() {
    let lake = Lake::local();
    let (objects, config) = (lake.file("objects"), config(&lake));
    sp500_objects(&objects);
    let url = objects.display().to_string();
    done(&replay(&config, &url, &[]));
    let files = lake.table.list();

    let grown = objects.join("2024/01/01/part-1");
    let more = [std::fs::read(&grown).expect("there"), zstd(b"\n{\"more\":1}")].concat();
    std::fs::write(&grown, more).expect("written");
    std::fs::write(objects.join("new.json"), b"{\"no\":\"partition\"}").expect("written");
    std::fs::write(objects.join("torn.gz"), &gzip(b"{\"no\":\"partition\"}\n")[..24]).expect("written");
    let second = replay(&config, &url, &[]);
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("part-1 is another object than when it was planned"), "{told}");
    assert!(told.contains("torn.gz is broken"), "{told}");
    assert_eq!(lake.table.list(), files);
    assert_eq!(lake.rejects().len(), 1, "the new object's record");
    check_rows(&lake, 10_355);
}

fn check_rows(lake: &Lake, rows: i64) {
    assert_eq!(duck::number(&format!("select count(*) from {}", duck::lake(&lake.table.url()))), rows);
}

#[test]
fn four_processes_share_the_objects_in_a_bucket() {
    let lake = Lake::s3("replay");
    // Few files: the emulator is slow with many.
    let sections = format!("{}\n{}", intake_source(&lake, &loopback()), attribute_events());
    let config = lake.config(&sections).display().to_string();
    let folder = lake.file("objects");
    sp500_objects(&folder);
    let Place::Prefix(bucket, _) = &lake.table else { panic!("a lake in a bucket") };
    for name in Place::Folder(folder.clone()).list() {
        bucket.put(&format!("raw/{name}"), std::fs::read(folder.join(&name)).expect("there"));
    }
    let url = bucket.url("raw/");
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let mut command = command(&config, &url, &[]);
            command.env("AWS_BATCH_JOB_ARRAY_INDEX", task.to_string()).env("AWS_BATCH_JOB_ARRAY_SIZE", "4");
            thread::spawn(move || command.output().expect("alluvium starts"))
        })
        .collect();
    let done: Vec<Value> = tasks.into_iter().map(|task| done(&task.join().expect("it ends"))).collect();
    let records: Vec<u64> = done.iter().map(|summary| summary["records"].as_u64().expect("a count")).collect();
    assert!(records.iter().sum::<u64>() == 10_355 && records.iter().all(|n| *n > 1_000), "{records:?}");
    check_sp500(&lake);
    assert_eq!(self::done(&replay(&config, &url, &[]))["records"], 0);
}

/// What a person sees who starts it: how fast it goes, how long it will take, how far what is stored lags behind.
#[test]
fn a_terminal_shows_rate_and_time_left_and_lag() {
    let lake = Lake::local();
    let (objects, config) = (lake.file("objects"), config(&lake));
    std::fs::create_dir_all(&objects).expect("made");
    for part in 0..24 {
        std::fs::write(objects.join(format!("part-{part:02}")), corpus::sp500().join(&b'\n')).expect("written");
    }
    let mut child = Command::new(tools::python("python"));
    child.arg(tests::file("tests/support/on_terminal.py")).arg(alluvium::binary());
    child.args(["replay", "--config", &config]).arg(&objects).current_dir(tests::root());
    let shown = tools::output(&mut child);
    let bars: Vec<&str> = shown.split(['\r', '\n']).filter(|line| line.contains(" of 24 objects")).collect();
    assert!(bars.len() > 3, "{shown}");
    let is_bar = |line: &&str| {
        let parts = ["MiB/", "MiB/s, ", "s left, ", " of 24 objects, lag "];
        parts.iter().all(|part| line.contains(part))
    };
    let first = bars.iter().copied().find(is_bar).unwrap_or_else(|| panic!("no bar shows all of it: {bars:#?}"));
    println!("{}", first.trim());
    assert!(shown.contains("\"records\":248520"), "the summary comes last: {shown}");
}
