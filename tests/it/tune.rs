//! `alluvium tune` before `alluvium run`: what it says of a sample is what the real process then leaves of it.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tests::alluvium::{self, Lake, Place, Running, attribute_events, loopback, rules};
use tests::{corpus, http, log};

use crate::clients::intake_source;

/// Bytes of one request.
const POST_BYTES: usize = 1 << 20;

/// How far a prediction may be off.
const TOLERANCE: f64 = 0.10;

/// No limit of time is reached by a process that gets all at once and is stopped.
const PATIENT: &str = "age = \"24 h\"\nidle = \"24 h\"\n";

fn wikipedia() -> String {
    rules("schemas/tables/wikipedia_edits.toml", &[("edit_date", ".timestamp | utc_date"), ("channel", ".channel")])
}

fn sections(lake: &Lake, rules: &str, buffer: &str) -> String {
    format!("{}\n{rules}\n[buffer]\n{buffer}", intake_source(lake, &loopback()))
}

/// `alluvium tune` with nothing to try but what is configured.
fn tune(config: &Path, sample: &str, more: &[&str]) -> Output {
    let config = config.display().to_string();
    let mut args = vec!["tune", "--config", &config, "--sample", sample];
    args.extend(more);
    alluvium::run(&args)
}

fn told(done: &Output) -> Value {
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("--json prints JSON")
}

/// As fast as can be: what is compared is the sample taken once. An age of a day is then more than can be simulated, so that no
/// other setting takes time.
const ONCE: &[&str] = &[
    "--json",
    "--rate",
    "1000000000/s",
    "--size",
    "1 MiB",
    "--age",
    "24 h",
    "--idle",
    "24 h",
    "--buckets",
    "10",
    "--without",
    "none",
];

/// Posts all events, waits until they are in, stops: the files, ascending.
fn files_of_run(lake: &Lake, sections: &str, events: &[Vec<u8>]) -> Vec<u64> {
    let running = Running::start(lake, sections);
    let listen = sections.lines().find_map(|line| line.strip_prefix("listen = ")).expect("an intake").trim_matches('"');
    let mut body = Vec::new();
    for (number, event) in events.iter().enumerate() {
        body.extend_from_slice(event);
        body.push(b'\n');
        if body.len() > POST_BYTES || number + 1 == events.len() {
            let (status, answer) = http::request(listen, "POST", "/v1/events", &[], &body).expect("the intake answers");
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
            body.clear();
        }
    }
    running.until_taken_in(events.len());
    running.stop();
    let Place::Folder(table) = &lake.table else { panic!("a lake on the disk") };
    let bytes = |path: &String| std::fs::metadata(table.join(path)).expect("it is there").len();
    let mut sizes: Vec<u64> = lake.table.list().iter().map(bytes).collect();
    assert_eq!(sizes.len(), log::named_objects(&lake.state).len());
    sizes.sort_unstable();
    sizes
}

fn near(what: &str, predicted: f64, real: f64) {
    println!("{what}: predicted {predicted}, real {real}, off by {:+.1} %", (predicted / real - 1.0) * 100.0);
    assert!((predicted / real - 1.0).abs() <= TOLERANCE, "{what}: predicted {predicted}, real {real}");
}

/// Predicts from the file what `run` makes of its events, then lets it.
fn predicted_and_run(rules: &str, buffer: &str, sample: &Path, events: &[Vec<u8>]) -> (Lake, Value) {
    let lake = Lake::local();
    let sections = sections(&lake, rules, &format!("{buffer}{PATIENT}"));
    let config = lake.config(&sections);
    let report = told(&tune(&config, &sample.display().to_string(), ONCE));
    let once = &report["once"];
    let sizes = files_of_run(&lake, &sections, events);
    println!("{buffer}{once}");
    near("files", once["files"].as_f64().expect("a count"), sizes.len() as f64);
    near("median", once["file_bytes"]["p50"].as_f64().expect("bytes"), sizes[sizes.len() / 2] as f64);
    near("bytes", once["total_file_bytes"].as_f64().expect("bytes"), sizes.iter().sum::<u64>() as f64);
    (lake, report)
}

#[test]
fn the_sp500_log_becomes_as_many_files_as_predicted() {
    let events = corpus::sp500();
    let (lake, report) = predicted_and_run(&attribute_events(), "rows = 40\n", &corpus::sp500_path(), events);
    assert!(report["once"]["by_reason"]["rows"].as_u64() > Some(20), "{report}");
    its_log_tells_the_same(&lake);
}

/// The lake itself as the sample: no record is read.
fn its_log_tells_the_same(lake: &Lake) {
    let config = lake.file("alluvium.toml");
    for place in [lake.state.url(), lake.table.url()] {
        let report = told(&tune(&config, &place, ONCE));
        assert_eq!(report["sample"]["events"], 10_355, "{place}");
        assert_eq!(report["sample"]["kind"], "the lake's log");
        let files = report["once"]["files"].as_f64().expect("a count");
        near("files by the log", files, lake.table.list().len() as f64);
    }
}

#[test]
fn a_day_of_edits_becomes_as_many_files_as_predicted() {
    let events = corpus::wikipedia();
    let buffer = "size = \"64 KiB\"\n";
    let (_, report) = predicted_and_run(&wikipedia(), buffer, &corpus::wikipedia_path(), events);
    assert!(report["once"]["by_reason"]["size"].as_u64() > Some(20), "{report}");
}

#[test]
fn edits_in_files_of_so_many_rows_are_as_predicted() {
    let events = corpus::wikipedia();
    predicted_and_run(&wikipedia(), "rows = 300\n", &corpus::wikipedia_path(), events);
}

/// By the edits' own times: settings are compared over a day, and the page and the table tell it.
#[test]
fn a_day_by_its_own_times_recommends_and_draws() {
    let lake = Lake::local();
    let config = lake.config(&sections(&lake, &wikipedia(), "age = \"300 s\"\nidle = \"60 s\"\n"));
    let (sample, page) = (corpus::wikipedia_path().display().to_string(), lake.file("report.html"));
    let page_path = page.display().to_string();
    let more = ["--freshness", "15 min", "--html", &page_path];
    let done = tune(&config, &sample, &more);
    let table = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    println!("{table}");
    for part in ["as configured", "age 900 s", "without channel", "recommended", "because", "[buffer]"] {
        assert!(table.contains(part), "no `{part}` in\n{table}");
    }
    let report = told(&tune(&config, &sample, &[&more[..], &["--json"]].concat()));
    let trials = report["trials"].as_array().expect("trials");
    let files = |trial: &Value| trial["figures"]["files_per_day"].as_f64().expect("a number");
    let with = |age: f64, idle: f64| {
        let is = |t: &&Value| t["age"] == age && t["idle"] == idle && t["layout"] == 0;
        trials.iter().find(is).unwrap_or_else(|| panic!("no trial of {age} and {idle}"))
    };
    let (now, patient) = (with(300.0, 60.0), with(900.0, 900.0));
    assert!(files(patient) < files(now) / 2.0, "{} and {}", files(patient), files(now));
    let p99 = |trial: &Value| trial["figures"]["freshness_ms"]["p99"].as_f64().expect("a number");
    assert!(p99(now) <= 303_000.0 && p99(patient) > p99(now), "{} and {}", p99(now), p99(patient));
    assert_eq!(report["recommended"]["setting"]["age"], 900.0);
    let page = std::fs::read_to_string(page).expect("the page is written");
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
}

#[test]
fn what_is_no_sample_is_said() {
    let lake = Lake::local();
    let config = lake.config(&sections(&lake, &wikipedia(), ""));
    let folder = lake.file("sample");
    std::fs::create_dir_all(&folder).expect("made");
    let sample = folder.display().to_string();
    let refused = |more: &[&str], want: &str| {
        let done = tune(&config, &sample, more);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{told}");
        assert!(told.contains(want), "no `{want}` in {told}");
    };
    refused(&[], "there is no object");
    std::fs::write(folder.join("empty.json"), "\n\n").expect("written");
    refused(&[], "hold no record");
    std::fs::write(folder.join("torn.gz"), [0x1f, 0x8b, 8, 0, 0]).expect("written");
    refused(&[], "torn.gz is broken");
    std::fs::remove_file(folder.join("torn.gz")).expect("removed");
    std::fs::write(folder.join("no.json"), "nonsense\n{\"channel\":\"#xx\",\"timestamp\":\"2016-06-27T00:00:00Z\"}\n")
        .expect("written");
    refused(&[], "every event of the sample is rejected");
    refused(&[], "not_json 1");
    std::fs::write(folder.join("no.json"), "{\"channel\":\"#en.wikipedia\",\"timestamp\":\"2016-06-27T00:00:00Z\"}\n")
        .expect("written");
    refused(&[], "all events of the sample have one time");
    refused(&["--time", ".nothing"], "does not say when its events came");
    refused(&["--without", "chanel"], "there is no key `chanel`");
    let state = lake.state.url();
    let done = tune(&config, &state, &[]);
    assert!(String::from_utf8_lossy(&done.stderr).contains("its log names no file yet"));
    for (more, want) in [(["--rate", "5"], "500/s"), (["--size", "1 B"], "is too small")] {
        let done = tune(&config, &sample, &more);
        assert_eq!(done.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&done.stderr).contains(want));
    }
}
