//! The reader's page in a real browser, over a lake that the real binary has made of real events. What it has to show is worked out
//! here, from the log itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::alluvium::{self, Lake, Place, Running, attribute_events, loopback};
use tests::browser::browser;
use tests::{corpus, file, http, root, wait_for};

use crate::clients::intake_source;

/// Beside the S&P log: hostile texts, numbers that repeat, a record whose letters matter.
const EXTRA: &str = include_str!("../page/events.ndjson");

const TOKEN: &str = "a-token-of-these-tests";

/// Seconds a reader may take until it answers.
const START_SECONDS: u64 = 60;

/// The README's picture is in every clone.
const PICTURE_BYTES_MAX: usize = 300_000;

/// A lake and two readers of it: one for whoever asks, one for those with the token.
struct Served {
    lake: Lake,
    open: Reader,
    closed: Reader,
}

struct Reader {
    address: String,
    /// Its standard input is the pipe that keeps the reader alive.
    _child: Child,
}

fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let lake = lake();
        let (open, closed) = (reader(&lake, "open", ""), reader(&lake, "closed", &format!("token = \"{TOKEN}\"\n")));
        Served { lake, open, closed }
    })
}

fn lake() -> Lake {
    let (lake, listen) = (Lake::local().with_archive(), loopback());
    let source = intake_source(&lake, &listen);
    let sections = format!("{source}\n{}\n[buffer]\nage = \"60 s\"\nidle = \"1 s\"\n", attribute_events());
    let running = Running::start(&lake, &sections);
    for events in [corpus::sp500().join(&b'\n'), EXTRA.into()] {
        let (status, answer) = http::request(&listen, "POST", "/v1/events", &[], &events).expect("the intake answers");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    }
    lake.until_cut(events().len());
    running.stop();
    let Place::Folder(table) = &lake.table else { panic!("a local lake is a folder") };
    // Nobody's rules know this attribute: the storage page has to find it.
    let stray = table.join("created_date=2024-03-02/attribute_name=shoe_size/entity_id_mod=1");
    std::fs::create_dir_all(&stray).expect("the lake is writable");
    std::fs::write(stray.join("stray.parquet"), b"of another program").expect("the lake is writable");
    lake
}

fn reader(lake: &Lake, name: &str, access: &str) -> Reader {
    let address = loopback();
    let config = lake.file(&format!("{name}.toml"));
    let text = std::fs::read_to_string(lake.file("alluvium.toml")).expect("the lake's config");
    std::fs::write(&config, format!("{text}\n[reader]\nlisten = \"{address}\"\n{access}"))
        .expect("the folder is writable");
    let log = File::create(lake.file(&format!("{name}.log"))).expect("a log file");
    let mut command = Command::new(root().join("infra/local/with-parent"));
    command.arg(alluvium::binary().with_file_name("alluvium-reader")).arg("--config").arg(&config);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    let child = command.spawn().expect("the reader starts");
    wait_for("the reader to answer", START_SECONDS, || {
        matches!(http::get(&address, "/healthz"), Ok((200, _))).then_some(())
    });
    Reader { address, _child: child }
}

/// All events that were put, parsed.
fn events() -> Vec<Value> {
    let extra = EXTRA.lines().map(str::as_bytes);
    let all = corpus::sp500().iter().map(Vec::as_slice).chain(extra);
    all.map(|event| serde_json::from_slice(event).expect("an event is JSON")).collect()
}

/// What an attribute was from an event on; nothing: no value.
type Change = (String, Option<String>);

/// The changes of every attribute of an entity, oldest first, by folding the log.
fn fold(entity: &str) -> BTreeMap<String, Vec<Change>> {
    let text = |value: &Value| value.as_str().map(str::to_string).unwrap_or_else(|| value.to_string());
    let mut found: Vec<Value> = events().into_iter().filter(|event| event["entity_id"] == entity).collect();
    found.sort_by_key(|event| text(&event["created_at"]));
    let mut folded: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for event in found {
        let value = (event["op"] == "set").then(|| text(&event["value"]));
        let changes = folded.entry(text(&event["attribute_name"])).or_default();
        if changes.last().is_none_or(|(_, last)| *last != value) {
            changes.push((text(&event["created_at"]), value));
        }
    }
    folded
}

/// The last value of each attribute on that day.
fn at(entity: &str, day: &str) -> BTreeMap<String, Option<String>> {
    let last =
        |changes: Vec<Change>| changes.into_iter().rfind(|(since, _)| &since[..10] <= day).map(|(_, value)| value);
    fold(entity).into_iter().filter_map(|(name, changes)| Some((name, last(changes)?))).collect()
}

/// What an attribute was before its change of that day, and after.
fn change_on(entity: &str, attribute: &str, day: &str) -> Option<(String, [Option<String>; 2])> {
    let mut changes = fold(entity).remove(attribute)?;
    let at = changes.iter().position(|(since, _)| since.starts_with(day))?;
    let before = at.checked_sub(1).and_then(|earlier| changes[earlier].1.take());
    Some((entity.to_string(), [before, changes.swap_remove(at).1]))
}

/// `(attribute, before, after)` of what differs between the ends of two days.
fn difference(entity: &str, from: &str, to: &str) -> Vec<(String, Option<String>, Option<String>)> {
    let (before, after) = (at(entity, from), at(entity, to));
    let old = |name: &String| before.get(name).cloned().flatten();
    let differs = after.iter().filter(|(name, value)| old(name) != **value || !before.contains_key(*name));
    differs.map(|(name, value)| (name.clone(), old(name), value.clone())).collect()
}

/// Files of a day's attribute, as they lie on the disk.
fn files_of(lake: &Lake, day: &str, attribute: &str) -> usize {
    let folder = format!("created_date={day}/attribute_name={attribute}/");
    lake.table.list().iter().filter(|path| path.starts_with(&folder)).count()
}

fn record_of(id: &str) -> String {
    let is = |line: &&str| line.contains(&format!("\"event_id\":\"{id}\""));
    let all = corpus::sp500().iter().map(|event| std::str::from_utf8(event).expect("the corpus is text"));
    all.chain(EXTRA.lines()).find(is).expect("an event of this id").to_string()
}

fn play(scenario: &str, more: Value) {
    let Some(browser) = browser(&format!("page: {scenario}")) else { return };
    let mut facts = more;
    facts["base"] = json!(format!("http://{}", served().open.address));
    browser.play(scenario, &facts);
}

#[test]
fn a_value_is_found_and_its_evidence_read_by_keyboard_alone() {
    play("keyboard", json!({"entity": "us:AAPL", "attribute": "industry", "value": at("us:AAPL", "2100")["industry"]}));
}

#[test]
fn explanation_and_timeline_are_the_fold_of_the_log() {
    let entity = "us:AAPL";
    play("timeline", json!({"entity": entity, "attributes": fold(entity)}));
}

#[test]
fn numbers_are_drawn_and_repeats_are_folded() {
    play("numbers", json!({"entity": "test:numbers", "attribute": "founded_year"}));
}

#[test]
fn two_dates_differ_where_the_log_says_so() {
    let (from, to) = ("2015-09-22", "2023-04-02");
    let changed = difference("us:AAPL", from, to);
    assert!(changed.len() > 1, "{changed:?}");
    play("compare", json!({"entity": "us:AAPL", "from": from, "to": to, "changed": changed}));
}

#[test]
fn evidence_holds_the_raw_record_byte_for_byte() {
    let of = |id: &str, entity: &str, attribute: &str| json!({"entity": entity, "attribute": attribute, "record": record_of(id)});
    play(
        "evidence",
        json!({"of": [
            of("x1", "test:hostile", "name"),
            of("e369331b3f5a61233cb1", "us:AAPL", "name"),
        ]}),
    );
}

#[test]
fn the_sheet_has_every_attribute_with_its_age_in_words() {
    play("sheet", json!({"entity": "us:MMM", "values": at("us:MMM", "2100")}));
}

#[test]
fn the_feed_has_a_days_changes() {
    let (day, attribute) = ("2024-12-10", "company");
    let on = |event: &Value| {
        event["attribute_name"] == attribute && event["created_at"].as_str().is_some_and(|at| at.starts_with(day))
    };
    let of_day: Vec<Value> = events().into_iter().filter(on).collect();
    let changed: BTreeMap<String, [Option<String>; 2]> =
        of_day.iter().filter_map(|event| change_on(event["entity_id"].as_str()?, attribute, day)).collect();
    play("feed", json!({"attribute": attribute, "day": day, "events": of_day.len(), "changed": changed}));
}

#[test]
fn storage_counts_what_lies_on_the_disk() {
    let lake = &served().lake;
    let (day, attribute) = ("2024-12-08", "name");
    play(
        "storage",
        json!({"day": day, "attribute": attribute, "files": files_of(lake, day, attribute), "unseen_day": "2024-03-02"}),
    );
}

#[test]
fn every_state_is_an_address_and_back_and_forward_work() {
    play("addresses", json!({"entity": "us:AAPL"}));
}

#[test]
fn never_unknown_and_out_of_range_are_told_apart() {
    play("empty", json!({}));
}

#[test]
fn stored_markup_is_text_and_runs_nothing() {
    play("hostile", json!({}));
}

#[test]
fn every_view_can_be_used_by_everyone() {
    play("accessible", json!({}));
}

#[test]
fn the_token_is_asked_for_once() {
    play("token", json!({"closed": format!("http://{}", served().closed.address), "token": TOKEN}));
}

/// `UPDATE_GOLDEN=1` takes it anew.
#[test]
fn the_readmes_picture_is_of_the_page() {
    let committed = file("docs/reader.png");
    let path = match std::env::var_os("UPDATE_GOLDEN") {
        Some(_) => committed.clone(),
        None => served().lake.file("reader.png"),
    };
    play("picture", json!({"entity": "us:AAPL", "attribute": "industry", "path": path}));
    let picture = std::fs::read(&committed).expect("the picture is committed");
    assert!(picture.starts_with(b"\x89PNG") && picture.len() < PICTURE_BYTES_MAX, "{} bytes", picture.len());
}

/// Not what a browser makes of it, but what it is told.
#[test]
fn files_of_the_page_are_tagged_and_may_do_nothing_else() {
    let address = &served().open.address;
    let head = |path: &str, more: &str| {
        use std::io::{Read, Write};
        let mut socket = std::net::TcpStream::connect(address).expect("the reader listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{more}\r\n");
        socket.write_all(request.as_bytes()).expect("the reader reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the reader answers");
        answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase()
    };
    let policy = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
        img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n";
    for (path, media_type) in
        [("/", "text/html"), ("/page/main.js", "text/javascript"), ("/page/style.css", "text/css")]
    {
        let fresh = head(path, "");
        assert!(fresh.starts_with("http/1.1 200") && fresh.contains(policy), "{fresh}");
        assert!(
            fresh.contains(&format!("content-type: {media_type}")) && fresh.contains("x-content-type-options: nosniff"),
            "{fresh}"
        );
        let tag = fresh.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag");
        assert!(head(path, &format!("if-none-match: {tag}\r\n")).starts_with("http/1.1 304"), "{path}");
    }
    assert!(head("/page/../secret", "").starts_with("http/1.1 404"));
}
