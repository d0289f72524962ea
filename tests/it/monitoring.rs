//! The dashboard and the alarms name series that real processes expose, and every alarm is explained.
//!
//! A real Prometheus scrapes two processes, one on a stream and one with an intake, after a job with rejects, late records and cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::alluvium::{Lake, Running, attribute_events, loopback};
use tests::kinesis::Stream;
use tests::prometheus::{self, Prometheus, Sample};
use tests::{corpus, emulator, file, http, tools, wait_for};

use crate::clients::intake_source;
use crate::end_to_end::{entity, kinesis_source};

const BUFFER: &str = "[buffer]\nage = \"2 s\"\nidle = \"1 s\"\n";

/// Seconds until Prometheus has scraped twice what the job has done.
const SCRAPED_SECONDS: u64 = 60;

/// What the dashboard's variables stand for here; the range is some scrapes long.
const VARIABLES: [(&str, &str); 2] = [("$__rate_interval", "1m"), ("$instance", ".*")];

struct Watched {
    prometheus: Prometheus,
    /// Dropped, they are killed.
    running: Vec<(Lake, Running)>,
}

/// The log of 2012 is late today; four events are no rows: no JSON, no key, no value of the enum, no value of its column.
fn job() -> Vec<Vec<u8>> {
    let like = |name: &str, rule_version: Value| {
        let event = json!({"event_id": name, "entity_id": "us:X", "attribute_name": name, "op": "set", "value": "1",
            "created_at": "2013-01-01T00:00:00Z", "rule_version": rule_version, "nobody_reads_this": 1});
        event.to_string().into_bytes()
    };
    let mut events = corpus::sp500()[..300].to_vec();
    events.extend([b"no json".to_vec(), b"{\"entity_id\":1}".to_vec(), like("shoe_size", json!(1))]);
    events.extend([like("name", json!("not a number")), like("name", json!(7))]);
    events
}

fn on_a_stream(events: &[Vec<u8>]) -> (Lake, Running) {
    let (stream, lake) = (Stream::new(emulator::ministack(), "watched", 2), Lake::s3("watched"));
    stream.put(events, |event| if event.starts_with(b"{\"event_id") { entity(event) } else { "none".into() });
    let running = Running::start(&lake, &format!("{}\n{}\n{BUFFER}", kinesis_source(&stream), attribute_events()));
    (lake, running)
}

fn with_an_intake(events: &[Vec<u8>]) -> (Lake, Running) {
    let (lake, listen) = (Lake::local(), loopback());
    let source = intake_source(&lake, &listen);
    let running = Running::start(&lake, &format!("{source}\n{}\n{BUFFER}", attribute_events()));
    let rows: Vec<&[u8]> = events.iter().filter(|event| event.starts_with(b"{")).map(Vec::as_slice).collect();
    let (status, answer) =
        http::request(&listen, "POST", "/v1/events", &[], &rows.join(&b'\n')).expect("the intake answers");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    (lake, running)
}

fn watched() -> &'static Watched {
    static WATCHED: OnceLock<Watched> = OnceLock::new();
    WATCHED.get_or_init(|| {
        let events = job();
        let running = vec![on_a_stream(&events), with_an_intake(&events)];
        let targets: Vec<String> = running.iter().map(|(lake, _)| format!("\"{}\"", lake.admin)).collect();
        let config = std::fs::read_to_string(file("infra/monitoring/prometheus.yaml")).expect("readable");
        let config = config.replace("\"127.0.0.1:9464\"", &targets.join(", ")).replace(": 15s", ": 1s");
        let prometheus = Prometheus::start(&config, &[file("infra/monitoring/alarms.yaml")]);
        wait_for("the whole job to be seen", SCRAPED_SECONDS, || {
            // Seen again some scrapes later, so that rates have two points.
            let seen_again =
                "(alluvium_delivery_to_s3_records_total offset 3s > 300) and alluvium_partition_count == 0";
            (prometheus.query(seen_again).len() == 2).then_some(())
        });
        Watched { prometheus, running }
    })
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(file("infra/monitoring/alluvium.dashboard.json")).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

/// Every query of the dashboard with the panel it is in.
fn panels() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row");
    let queries = |panel: &Value| {
        let (title, targets) = (panel["title"].as_str().expect("a title").to_string(), panel["targets"].clone());
        let of = move |target: &Value| {
            let query = target["expr"].as_str().expect("a query").to_string();
            (title.clone(), VARIABLES.iter().fold(query, |query, (name, value)| query.replace(name, value)))
        };
        targets.as_array().expect("targets").iter().map(of).collect::<Vec<_>>()
    };
    panels.flat_map(queries).collect()
}

/// The PromQL of docs/metrics.md's table of Firehose's names.
fn firehose() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file("docs/metrics.md")).expect("readable");
    let (_, table) = text.split_once("## Firehose's names").expect("it has the table");
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        let query = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        Some((cells[0].to_string(), query.to_string()))
    };
    table.lines().filter_map(row).collect()
}

/// Each series that a query names, with the labels it asks for: `alluvium_x{a="b"}`.
fn selectors(query: &str) -> Vec<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find("alluvium_") {
        rest = &rest[at..];
        let name = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let labels = match rest[name..].strip_prefix('{') {
            Some(labels) => labels.find('}').expect("labels end") + 2,
            None => 0,
        };
        found.push(rest[..name + labels].to_string());
        rest = &rest[name + labels..];
    }
    found
}

#[test]
fn no_panel_is_without_a_series() {
    let watched = watched();
    let empty: Vec<_> = panels().into_iter().filter(|(_, query)| watched.prometheus.query(query).is_empty()).collect();
    assert_eq!(empty, Vec::<(String, String)>::new());
    assert!(panels().len() > 40, "{} queries", panels().len());
}

#[test]
fn every_series_that_an_alarm_or_one_of_firehoses_names_asks_for_is_there() {
    let prometheus = &watched().prometheus;
    let alarms = prometheus.alarms();
    let of_alarms = alarms.iter().map(|rule| {
        assert_eq!((&rule["health"], rule["lastError"].as_str()), (&json!("ok"), None), "{rule}");
        rule["query"].as_str().expect("a query").to_string()
    });
    let queries: Vec<String> = of_alarms.chain(firehose().into_iter().map(|(_, query)| query)).collect();
    assert!(alarms.len() >= 15 && queries.len() > alarms.len() + 20, "{queries:?}");
    let named: BTreeSet<String> = queries.iter().flat_map(|query| selectors(query)).collect();
    let missing: Vec<_> = named.iter().filter(|selector| prometheus.query(selector).is_empty()).collect();
    assert_eq!(missing, Vec::<&String>::new());
    for (name, query) in firehose() {
        assert!(!prometheus.query(&query).is_empty(), "{name}: {query}");
    }
}

/// The check above would not see a job that did nothing.
#[test]
fn the_figures_are_those_of_the_job() {
    let prometheus = &watched().prometheus;
    let on_stream = |query: &str| {
        let told = prometheus.query(&format!("sum({query} and on (instance) alluvium_kinesis_retention_used_percent)"));
        told.first().map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!(on_stream("alluvium_documents_total"), "305");
    assert_eq!(on_stream("alluvium_delivery_to_s3_records_total"), "301");
    for reason in ["not_json", "key_error", "outside_projection"] {
        assert_eq!(on_stream(&format!("alluvium_rejects_total{{reason=\"{reason}\"}}")), "1", "{reason}");
    }
    assert_eq!(on_stream("alluvium_failed_conversion_records_total"), "1");
    // Whatever has a day of 2012 or 2013: the row that its column refuses is found out later.
    assert_eq!(on_stream("alluvium_late_records_total{by=\"longer\"}"), "302");
    // Of the table alone; the rejects' files are cut, too.
    let files = watched().running[0].0.table.list().len();
    assert_eq!(on_stream("alluvium_delivery_to_s3_object_bytes_count"), files.to_string());
    assert_eq!(on_stream("alluvium_dropped_fields_total{field=\"nobody_reads_this\"}"), "1");
    let lags = prometheus.query("alluvium_partition_lag_seconds{column=\"attribute_name\", value=\"name\"}");
    assert_eq!(lags.len(), 2, "{lags:?}");
    assert_eq!(prometheus.query("alluvium_partition_lag_seconds{column=\"created_date\"}"), Vec::<Sample>::new());
}

#[test]
fn every_alarm_has_its_section_of_the_runbook_and_every_section_its_alarm() {
    let runbook = std::fs::read_to_string(file("infra/runbook.md")).expect("readable");
    let (_, alarms) = runbook.split_once("\n## Alarms\n").expect("a section of alarms");
    let (alarms, _) = alarms.split_once("\n## ").expect("another one behind it");
    let mut sections: BTreeMap<String, &str> = BTreeMap::new();
    for section in alarms.split("\n### ").skip(1) {
        let (title, text) = section.split_once('\n').expect("a title");
        assert!(text.trim().len() > 100, "{title} says too little");
        sections.insert(title.to_string(), text);
    }
    let rules = watched().prometheus.alarms();
    let named: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["name"].as_str()).collect();
    assert_eq!(named, sections.keys().map(String::as_str).collect());
    for rule in &rules {
        let name = rule["name"].as_str().expect("a name").to_lowercase();
        assert_eq!(rule["annotations"]["runbook"], format!("infra/runbook.md#{name}"));
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap_or_default()), "{rule}");
    }
}

#[test]
fn every_alarm_fires_when_it_should_and_not_when_all_is_well() {
    let mut promtool = Command::new(prometheus::program("promtool"));
    promtool.args(["test", "rules", "alarms.test.yaml"]).current_dir(file("infra/monitoring"));
    assert!(tools::output(&mut promtool).contains("SUCCESS"));
    let cases = std::fs::read_to_string(file("infra/monitoring/alarms.test.yaml")).expect("readable");
    for rule in watched().prometheus.alarms() {
        let fires = format!("{{labels: '{{alertname=\"{}\"}}', value: 1}}", rule["name"].as_str().expect("a name"));
        assert!(cases.contains(&fires), "{fires} is not among alarms.test.yaml's");
    }
}

#[test]
fn the_committed_dashboard_is_the_one_that_is_made() {
    let mut python = Command::new(tools::python("python"));
    assert_eq!(tools::output(python.arg(file("infra/monitoring/dashboard.py")).arg("--check")), "");
}

/// The collector's receiver takes Prometheus' own scrape configuration: promtool checks it, and it is that of prometheus.yaml.
#[test]
fn the_collector_scrapes_as_prometheus_does() {
    let print = "import json, sys, yaml; print(json.dumps([yaml.safe_load(open(path)) for path in sys.argv[1:]]))";
    let mut python = Command::new(tools::python("python"));
    python
        .args(["-c", print])
        .arg(file("infra/monitoring/collector.yaml"))
        .arg(file("infra/monitoring/prometheus.yaml"));
    let read: Value = serde_json::from_str(&tools::output(&mut python)).expect("JSON");
    let (collector, prometheus) = (&read[0], &read[1]);
    let mut scrape = collector["receivers"]["prometheus"]["config"].clone();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("scrape.yaml"), scrape.to_string()).expect("writable");
    let mut promtool = Command::new(prometheus::program("promtool"));
    tools::output(promtool.args(["check", "config", "scrape.yaml"]).current_dir(folder.path()));
    let jobs = scrape["scrape_configs"].as_array_mut().expect("jobs");
    let interval = jobs[0].as_object_mut().and_then(|job| job.remove("scrape_interval"));
    assert_eq!(interval.as_ref(), Some(&prometheus["global"]["scrape_interval"]));
    assert_eq!(scrape["scrape_configs"], prometheus["scrape_configs"]);
    let pipeline = &collector["service"]["pipelines"]["metrics"];
    for part in ["receivers", "processors", "exporters"] {
        for name in pipeline[part].as_array().expect("a list") {
            assert!(!collector[part][name.as_str().expect("a name")].is_null(), "{part}: {name}");
        }
    }
}
