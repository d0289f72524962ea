//! The real logs: each attribute's value, each history, each record is what the log says.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::corpus;
use tests::reader::{attribute, segment};

use super::lake::Asked;
use super::logged::{Logged, current};

/// Pairs of one question: the API's limit.
const PAIRS: usize = 1000;

/// Every attribute of every entity by the batch, attribute by attribute: each question then reads one attribute's folders.
fn check_every_value(asked: &Asked) {
    let mut by_attribute: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (entity, attribute) in asked.histories.keys() {
        by_attribute.entry(attribute).or_default().push(entity);
    }
    let mut checked = 0;
    for (name, entities) in by_attribute {
        for entities in entities.chunks(PAIRS) {
            let of: Vec<Value> = entities.iter().map(|e| json!({"entity": e, "attribute": name})).collect();
            let answer = asked.reader.post("/v1/current", &json!({"of": of}));
            for (entity, told) in entities.iter().zip(answer["values"].as_array().expect("values")) {
                check_value(&asked.histories[&(entity.to_string(), name.to_string())], told);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, asked.histories.len());
}

fn check_value(events: &[Logged], told: &Value) {
    let (last, since) = current(events);
    let (op, value) = last.state();
    let before = events.iter().rev().find(|event| event.state() != last.state());
    let previous = before.map_or(Value::Null, |b| json!({"operation": b.state().0, "value": b.state().1}));
    let want = json!([last.entity, last.attribute, op, value, since.instant(), last.instant(), previous]);
    let got = json!([
        told["entity"],
        told["attribute"],
        told["state"],
        told["value"],
        told["since"],
        told["last_seen"],
        told["previous"],
    ]);
    assert_eq!(got, want, "{told}");
}

/// Every so many histories, event by event and folded, in pages.
fn check_histories(asked: &Asked, step: usize) {
    for ((entity, name), events) in asked.histories.iter().step_by(step) {
        let path = format!("{}/history", attribute(entity, name));
        let all = pages(asked, &format!("{path}?changes_only=false"), events.len().div_ceil(2));
        let told: Vec<_> = all.iter().rev().map(|v| json!([v["event"], v["value"], v["since"]])).collect();
        let want: Vec<_> = events.iter().map(|e| json!([e.id, e.state().1, e.instant()])).collect();
        assert_eq!(told, want, "{entity} {name}");

        let folded = pages(asked, &format!("{path}?changes_only=true"), 2);
        let told: Vec<_> = folded.iter().rev().map(|v| json!([v["event"], v["until"], v["confirmations"]])).collect();
        assert_eq!(told, runs(events), "{entity} {name}");
    }
}

/// First event of each run of the same, when the next began, and how many confirmed it.
fn runs(events: &[Logged]) -> Vec<Value> {
    let runs: Vec<&[Logged]> = events.chunk_by(|a, b| a.state() == b.state()).collect();
    let until = |at: usize| runs.get(at + 1).map(|next| next[0].instant());
    runs.iter().enumerate().map(|(at, run)| json!([run[0].id, until(at), run.len() - 1])).collect()
}

/// All pages of a history, newest first.
fn pages(asked: &Asked, path: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = asked.reader.get(&format!("{path}&limit={limit}{cursor}"));
        let versions = page["versions"].as_array().expect("versions");
        assert!(versions.len() <= limit);
        all.extend(versions.iter().cloned());
        let Some(next) = page["next"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

/// Every so many events: the record behind it, from the archive, is the line that was put.
fn check_records(asked: &Asked, step: usize) {
    let events: Vec<&Logged> = asked.histories.values().flatten().collect();
    for event in events.into_iter().step_by(step) {
        let path = format!("{}/history?changes_only=false&limit=100000", attribute(&event.entity, &event.attribute));
        let history = asked.reader.get(&path);
        let all = history["versions"].as_array().expect("versions");
        let told = all.iter().find(|version| version["event"] == event.id.as_str()).expect("the event is told");
        let version = asked.reader.get(told["links"]["version"].as_str().expect("a link"));
        assert_eq!(version["record"]["text"].as_str().map(str::as_bytes), Some(event.line), "{version}");
        assert_eq!(version["event"], event.id.as_str());
        let record = asked.reader.ask(told["links"]["record"].as_str().expect("a link"), &[]);
        assert_eq!((record.status, record.body.as_slice()), (200, event.line));
    }
}

#[test]
fn sp500_every_value_is_the_logs() {
    check_every_value(&Asked::sp500());
}

#[test]
fn sp500_histories_and_records_are_the_logs() {
    let asked = Asked::sp500();
    check_histories(&asked, 29);
    check_records(&asked, 149);
}

#[test]
fn cncf_every_value_history_and_record_is_the_logs() {
    let asked = Asked::cncf();
    check_every_value(&asked);
    check_histories(&asked, 997);
    check_records(&asked, 4999);
}

/// Most of these facts share their instant with others: what comes last is a matter of positions.
#[test]
fn sec_every_value_history_and_record_is_the_logs() {
    let asked = Asked::sec();
    check_every_value(&asked);
    check_histories(&asked, 37);
    check_records(&asked, 1499);
}

/// The columns of the list as it was published at a date, and the attributes they are.
fn published(date: &str) -> &'static [(&'static str, &'static str)] {
    if date < "2023" {
        return &[("Name", "name"), ("Sector", "industry")];
    }
    &[
        ("Security", "name"),
        ("GICS Sector", "industry"),
        ("GICS Sub-Industry", "sub_industry"),
        ("Headquarters Location", "headquarters"),
        ("Date added", "date_added"),
        ("CIK", "cik"),
        ("Founded", "founded_year"),
    ]
}

/// The published list at a date, by symbol.
fn list(date: &str) -> BTreeMap<String, Value> {
    let csv = tests::file(&format!("tests/corpus/sp500/constituents_{date}.csv"));
    let rows = tests::duck::query(&format!("select * from read_csv('{}', all_varchar = true)", csv.display()));
    rows.into_iter().map(|row| (row["Symbol"].as_str().expect("a symbol").to_string(), row)).collect()
}

/// At the four dates: every member by the batch, every fifth entity by its sheet.
#[test]
fn sheets_are_the_published_lists_at_their_dates() {
    let asked = Asked::sp500();
    let entities: Vec<&str> = {
        let mut all: Vec<&str> = asked.histories.keys().map(|(entity, _)| entity.as_str()).collect();
        all.dedup();
        all
    };
    for (date, instant) in corpus::SP500_DATES {
        let (list, as_of) = (list(date), format!("{}Z", instant.replace(' ', "T")));
        let members = column(&asked, &entities, "sp500_member", &as_of);
        let listed: Vec<&str> =
            members.iter().filter(|(_, value)| *value == "true").map(|(entity, _)| &entity[3..]).collect();
        assert_eq!(listed, list.keys().map(String::as_str).collect::<Vec<_>>(), "members at {date}");
        for (name, attribute) in published(date) {
            let values = column(&asked, &entities, attribute, &as_of);
            for symbol in &listed {
                assert_eq!(values[&format!("us:{symbol}")], list[*symbol][name], "{symbol} {name} at {date}");
            }
        }
        for entity in entities.iter().step_by(5) {
            check_sheet(&asked, entity, list.get(&entity[3..]), date, &as_of);
        }
    }
}

/// One attribute of all entities at an instant.
fn column(asked: &Asked, entities: &[&str], attribute: &str, as_of: &str) -> BTreeMap<String, Value> {
    let of: Vec<Value> = entities.iter().map(|e| json!({"entity": e, "attribute": attribute})).collect();
    let answer = asked.reader.post("/v1/current", &json!({"of": of, "as_of": as_of}));
    let values = answer["values"].as_array().expect("values").iter();
    values.map(|told| (told["entity"].as_str().expect("a name").to_string(), told["value"].clone())).collect()
}

fn check_sheet(asked: &Asked, entity: &str, row: Option<&Value>, date: &str, as_of: &str) {
    let sheet = asked.reader.get(&format!("/v1/entities/{}?as_of={as_of}", segment(entity)));
    let told = |name: &str| {
        let all = sheet["attributes"].as_array().expect("attributes").iter();
        all.filter(|told| told["attribute"] == name).map(|told| told["value"].clone()).next().expect("the attribute")
    };
    assert_eq!(told("sp500_member") == "true", row.is_some(), "{entity} at {date}: {sheet}");
    let Some(row) = row else { return };
    for (name, attribute) in published(date) {
        assert_eq!(told(attribute), row[name], "{entity} {name} at {date}");
    }
}

/// What an entity was at one date and what at another is what its diff says changed, and what the day's feed says of a change is
/// what the log says of that day.
#[test]
fn diffs_and_feeds_agree_with_sheets_and_log() {
    let asked = Asked::sp500();
    let (from, to) = ("2015-09-22T14:54:35Z", "2024-01-01T00:33:06Z");
    for entity in ["us:AAPL", "us:MMM", "us:GOOGL", "us:XRX"] {
        let sheet =
            |at: &str| asked.reader.get(&format!("/v1/entities/{}?as_of={at}", segment(entity)))["attributes"].clone();
        let (before, after) = (sheet(from), sheet(to));
        let pairs = before.as_array().expect("a list").iter().zip(after.as_array().expect("a list"));
        let same = |a: &Value, b: &Value| a["state"] == b["state"] && a["value"] == b["value"];
        let want: Vec<_> =
            pairs.filter(|(a, b)| !same(a, b)).map(|(a, b)| json!([a["attribute"], a["value"], b["value"]])).collect();
        let diff = asked.reader.get(&format!("/v1/entities/{}/diff?from={from}&to={to}", segment(entity)));
        let told = diff["changed"].as_array().expect("a list").iter();
        let told: Vec<_> = told.map(|d| json!([d["attribute"], d["before"]["value"], d["after"]["value"]])).collect();
        assert_eq!(told, want, "{entity}");
        assert!(!want.is_empty() || entity == "us:XRX", "{entity} has changed in nine years");
    }
    let day = asked.histories.values().flatten().find(|e| e.attribute == "headquarters").expect("a change").at[..10]
        .to_string();
    let of_day = |e: &&Logged| e.attribute == "headquarters" && e.at.starts_with(&day);
    let mut want: Vec<_> = asked.histories.values().flatten().filter(of_day).map(|e| e.id.clone()).collect();
    let feed = asked.reader.get(&format!("/v1/attributes/headquarters/changes?date={day}&limit=100000"));
    let mut told: Vec<_> = feed["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|e| e["event"].as_str().expect("an id").to_string())
        .collect();
    want.sort();
    told.sort();
    assert_eq!(told, want);
    check_previous(&asked);
}

/// What each event of a day changed: of the first day, of one with repetitions, of one whose entities had been silent for years.
fn check_previous(asked: &Asked) {
    for (attribute, day) in [("name", "2012-12-27"), ("company", "2024-12-10"), ("cik", "2026-08-08")] {
        let path = format!("/v1/attributes/{attribute}/changes?date={day}&previous=true");
        let (half, whole) =
            (asked.reader.get(&format!("{path}&limit=3")), asked.reader.get(&format!("{path}&limit=1000")));
        let events = whole["events"].as_array().expect("events");
        assert_eq!(half["events"].as_array().expect("events")[..], events[..events.len().min(3)], "{attribute} {day}");
        assert!(!events.is_empty(), "{attribute} {day}");
        for told in events {
            let entity = told["entity"].as_str().expect("a name");
            let history = &asked.histories[&(entity.to_string(), attribute.to_string())];
            let at = history.iter().position(|event| told["event"] == *event.id).expect("an event of the log");
            let before = at.checked_sub(1).map(|earlier| history[earlier].state());
            let want = before.as_ref().map_or(Value::Null, |(op, value)| json!({"operation": op, "value": value}));
            assert_eq!(told["previous"], want, "{told}");
            assert_eq!(told["repeats"], before.is_some_and(|before| before == history[at].state()), "{told}");
        }
    }
    let few = "/v1/attributes/company/changes?date=2024-12-10&previous=true&limit=100000";
    assert_eq!(asked.reader.get(few)["events"].as_array().map(Vec::len), Some(503));
}
