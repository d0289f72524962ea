//! Records and key programs that would rather bring the process down: it stays alive, its memory stays bounded, each of them is in
//! the errors output with its reason and its bytes, and what comes behind them is in the table.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::archive::{Raw, line};
use schemas::position::Position;
use tests::alluvium::{Lake, Running, command, loopback, rules};
use tests::bundle::{gzip, zstd};
use tests::duck;
use tests::firehose::Firehose;

use crate::clients::{STREAM, intake_source};

const SPEC: &str = r#"
version = 1
name = "t"
database = "d"
location = "s3://b/t/"

[[column]]
name = "id"
type = "bigint"

[[column]]
name = "v"
type = "string"

[[partition]]
name = "k"
type = "string"
"#;

/// Short ages; a small memory cap, so that what exceeds it is seen.
const BUFFER: &str = "[buffer]\nage = \"1 s\"\nidle = \"500 ms\"\nmemory = \"32 MiB\"\n";

/// What a process may have over its memory cap: its code, its stacks, what is read ahead and what is being encoded.
const BESIDE_BUFFERS: u64 = 350 << 20;

/// The intake's limit of one record, before base64.
const RECORD_BYTES_MAX: usize = 1_024_000;

/// Config sections of a table with the one key `k`.
fn sections(lake: &Lake, listen: &str, key: &str) -> String {
    let spec = lake.file("t.toml");
    std::fs::write(&spec, SPEC).expect("a temporary file");
    let rules = rules(&spec.display().to_string(), &[("k", key)]);
    format!("{}\n{rules}\n{BUFFER}", intake_source(lake, listen))
}

fn good(id: usize) -> Vec<u8> {
    format!("{{\"id\":{id},\"k\":\"good\",\"v\":\"x\"}}").into_bytes()
}

fn nested(open: &str, close: &str, depth: usize) -> Vec<u8> {
    format!("{{\"k\":\"deep\",\"v\":{}1{}}}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

/// What no row comes of, and the reason.
fn poisons() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let ten_mib = 10 << 20;
    vec![
        ("brackets up to the intake's limit", "not_json", b"[".repeat(RECORD_BYTES_MAX)),
        ("10 MiB of brackets", "not_json", gzip(&b"[".repeat(ten_mib))),
        ("10 MiB of opening objects", "not_json", zstd(&b"{\"a\":".repeat(ten_mib / 5))),
        ("10 MiB of nesting, closed", "too_deep", gzip(&nested("[", "]", ten_mib / 2))),
        ("a million bytes in a key", "key_too_long", format!("{{\"k\":\"{}\"}}", "x".repeat(1_000_000)).into_bytes()),
        ("10 MiB of line feeds", "not_json", gzip(&b"\n".repeat(ten_mib))),
        ("depth 100,000 of arrays", "too_deep", nested("[", "]", 100_000)),
        ("depth 100,000 of objects", "too_deep", nested("{\"a\":", "}", 100_000)),
        ("depth 100,000, never closed", "not_json", b"{\"a\":".repeat(100_000)),
        ("invalid UTF-8", "not_json", b"{\"k\":\"good\",\"v\":\"\xff\xfe\"}".to_vec()),
        ("an encoded surrogate", "not_json", b"{\"k\":\"good\",\"v\":\"\xed\xa0\x80\"}".to_vec()),
        ("an overlong slash", "not_json", b"{\"k\":\"\xc0\xaf\"}".to_vec()),
        ("NUL bytes", "not_json", vec![0; 1_000]),
        ("half an escape", "not_json", b"{\"k\":\"\\ud8\"}".to_vec()),
        ("gzip that unfolds to 100 MiB", "too_large", gzip(&b"0".repeat(100 << 20))),
        ("zstd that unfolds to 256 MiB", "too_large", zstd(&b" ".repeat(256 << 20))),
        ("gzip in gzip", "not_json", gzip(&gzip(b"{\"k\":\"good\"}"))),
        ("gzip cut short", "broken_compression", gzip(&good(0))[..30].to_vec()),
        ("zstd with something behind it", "broken_compression", [zstd(&good(0)), b"x".to_vec()].concat()),
        ("5 million documents", "too_many_documents", gzip(&b"{}".repeat(ten_mib / 2))),
        (
            "a number of a million digits",
            "column",
            format!("{{\"k\":\"n\",\"id\":{}}}", "9".repeat(1_000_000)).into_bytes(),
        ),
        ("an exponent without end", "column", b"{\"k\":\"n\",\"id\":1e999999999999}".to_vec()),
        ("an empty key", "key_empty", b"{\"k\":\"\"}".to_vec()),
    ]
}

#[test]
fn poison_records_are_rejected_each_with_its_reason_and_do_no_harm() {
    let (lake, listen) = (Lake::local(), loopback());
    let mut running = Running::start(&lake, &sections(&lake, &listen, ".k"));
    let client = Firehose::new(&listen, STREAM);
    let poisons = poisons();
    for (id, (_, _, poison)) in poisons.iter().enumerate() {
        client.put(&[poison.clone(), good(id)]);
    }
    lake.until_cut(2 * poisons.len());
    let peak = running.memory_peak();
    assert!(running.is_alive());
    running.stop();

    let mut found: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for reject in lake.rejects() {
        let text = |member: &str| reject[member].as_str().expect("a string").to_string();
        found.entry(STANDARD.decode(text("rawData")).expect("base64")).or_default().push(text("reason"));
    }
    let mut wrong = Vec::new();
    for (name, reason, poison) in &poisons {
        let reasons = found.remove(poison).unwrap_or_default();
        if reasons != [*reason] {
            wrong.push(format!("{name}: {reasons:?}, not {reason}"));
        }
    }
    wrong.extend(found.values().map(|reasons| format!("a reject of nothing that was put: {reasons:?}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let ids = duck::query(&format!("select id from {} order by id", duck::lake(&lake.table.url())));
    let ids: Vec<_> = ids.iter().map(|row| row["id"].as_u64().expect("a number") as usize).collect();
    assert_eq!(ids, (0..poisons.len()).collect::<Vec<_>>());
    println!("peak {} MiB", peak >> 20);
    // One record unfolds to 64 MiB at most, in a buffer that doubles.
    assert!(peak < (32 << 20) + (128 << 20) + BESIDE_BUFFERS, "{} MiB", peak >> 20);
}

/// A batch of compressed records may be a thousand times what it was when it was read.
#[test]
fn records_that_unfold_to_many_times_the_memory_cap_are_taken_within_it() {
    let (lake, listen) = (Lake::local(), loopback());
    let running = Running::start(&lake, &sections(&lake, &listen, ".k"));
    let (records, documents) = (10, 3_000);
    let v = "x".repeat(20_000);
    let record = |number: usize| {
        let ids = number * documents..(number + 1) * documents;
        let lines: Vec<String> = ids.map(|id| format!("{{\"id\":{id},\"k\":\"{}\",\"v\":\"{v}\"}}", id % 3)).collect();
        zstd(lines.join("\n").as_bytes())
    };
    Firehose::new(&listen, STREAM).put(&(0..records).map(record).collect::<Vec<_>>());
    lake.until_cut(records * documents);
    let peak = running.memory_peak();
    running.stop();
    let found = duck::query(&format!(
        "select count(*) as rows, count(distinct id) as ids, min(length(v)) as shortest from {}",
        duck::lake(&lake.table.url())
    ));
    let want = records * documents;
    assert_eq!(found, [serde_json::json!({"rows": want, "ids": want, "shortest": 20_000})]);
    println!("peak {} MiB of {} MiB taken in", peak >> 20, (want * 20_000) >> 20);
    // What a batch holds would be more than all of this.
    assert!(peak < (32 << 20) + BESIDE_BUFFERS, "{} MiB", peak >> 20);
}

/// A record of 10 MiB as it is, as Kinesis may give it: no emulator takes one, so it comes from a file. The kernel holds the limit.
#[test]
fn ten_mib_as_they_are_pass_through_within_a_limit_of_memory() {
    let lake = Lake::local();
    let config = lake.config(&sections(&lake, &loopback(), ".k"));
    let size = 10 << 20;
    let long = format!("{{\"id\":7,\"k\":\"good\",\"v\":\"{}\"}}", "y".repeat(size)).into_bytes();
    let lines =
        [b"[".repeat(size), nested("[", "]", size / 2), long, b"{\"a\":".repeat(size / 5), b"{}".repeat(size / 2)];
    // As in the archive: each line is a record whatever it holds.
    let archived = lines.iter().zip(1..).map(|(record, number)| {
        let position = Position::from_numbers(number, 0);
        line("s:0", &position, 1_709_251_200_000, Raw::Base64(&STANDARD.encode(record)))
    });
    std::fs::write(lake.file("records"), archived.collect::<Vec<_>>().join(&b'\n')).expect("a temporary file");
    let mut run = std::process::Command::new("bash");
    run.args(["-c", "ulimit -v 3000000 && exec \"$0\" \"$@\""]).arg(command().get_program()).arg("replay");
    run.arg("--config").arg(config).arg(lake.file("records")).current_dir(tests::root());
    let done = run.output().expect("bash starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut reasons: Vec<_> = lake.rejects().iter().map(|reject| reject["reason"].to_string()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["\"not_json\"", "\"not_json\"", "\"too_deep\"", "\"too_many_documents\""]);
    let sql = format!("select length(v) from {} where id = 7", duck::lake(&lake.table.url()));
    assert_eq!(duck::number(&sql), size as i64);
}

/// Of a member that is there twice the last one counts, for keys and for columns. Half a pair of surrogates is U+FFFD in a key,
/// and nothing that a column of text can hold.
#[test]
fn duplicate_members_are_the_same_to_keys_and_columns_and_lone_surrogates_are_rejected() {
    let (lake, listen) = (Lake::local(), loopback());
    // The first key runs on the text, the second by jq: both must agree with the column.
    let key = r#"if .id > 1 then .k else (.k | ascii_downcase | explode | implode) end"#;
    let running = Running::start(&lake, &sections(&lake, &listen, key));
    let events = [
        r#"{"id":1,"k":"first","v":"first","k":"last","v":"last"}"#,
        r#"{"id":9,"k":"first","v":"first","id":2,"k":"last","v":"last"}"#,
        r#"{"id":3,"k":null,"v":null,"\u006b":"last","\u0076":"last"}"#,
        r#"{"id":4,"k":"a\ud800b","v":"a\ud800b"}"#,
        r#"{"id":1,"k":"a\udc00\ud800b","v":"a\udc00\ud800b"}"#,
    ];
    Firehose::new(&listen, STREAM).put(&events.map(|event| event.as_bytes().to_vec()));
    lake.until_cut(events.len());
    running.stop();
    let reasons: Vec<_> = lake.rejects().iter().map(|reject| reject["reason"].clone()).collect();
    assert_eq!(reasons, ["column", "column"]);
    let rows = duck::query(&format!("select id, k, v from {} order by id, k desc", duck::lake(&lake.table.url())));
    let told: Vec<String> = rows.iter().map(|row| format!("{} {} {}", row["id"], row["k"], row["v"])).collect();
    let want = ["1 \"last\" \"last\"", "2 \"last\" \"last\"", "3 \"last\" \"last\""];
    assert_eq!(told, want);
}

/// Programs without end or measure: those that cannot end for any record are refused before anything is read, the others exceed
/// their budget record by record.
const HOSTILE: &[(&str, Outcome)] = &[
    ("[range(1e9)] | length | tostring", Outcome::Budget),
    ("reduce range(1e9) as $i (\"ab\"; . + .)", Outcome::Budget),
    ("reduce range(1e9) as $i (0; . + 1) | tostring", Outcome::Budget),
    ("[limit(1e9; range(1e12))] | length | tostring", Outcome::Budget),
    ("reduce range(30) as $i (\"0123456789\"; . + .)", Outcome::Budget),
    ("reduce range(40) as $i ([0]; . + .) | length | tostring", Outcome::Budget),
    ("reduce range(1e6) as $i ([]; [.]) | tostring", Outcome::Budget),
    ("[range(1e5) as $a | range(1e5) as $b | $a * $b] | add | tostring", Outcome::Budget),
    ("\"x\" * 1e9", Outcome::Budget),
    ("last(range(1e15)) | tostring", Outcome::Budget),
    ("until(false; .) | tostring", Outcome::Refused),
    ("[repeat(.)] | tostring", Outcome::Refused),
    ("def f: f; f", Outcome::Refused),
    ("[recurse(.)] | tostring", Outcome::Refused),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Budget,
    Refused,
}

#[test]
fn hostile_key_programs_that_cannot_end_are_refused() {
    for (program, want) in HOSTILE {
        let lake = Lake::local();
        let config = lake.config(&sections(&lake, &loopback(), program));
        let checked = command().args(["check", "--offline", "--config"]).arg(config).output().expect("alluvium starts");
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert_eq!(checked.status.success(), *want == Outcome::Budget, "{program}: {said}");
        assert!(*want == Outcome::Budget || said.contains("key `k`: "), "{program}: {said}");
    }
}

/// One key with all of them; a record says which one it runs into.
#[test]
fn hostile_key_programs_that_would_end_late_are_stopped_record_by_record() {
    let late = HOSTILE.iter().filter(|(_, want)| *want == Outcome::Budget).map(|(program, _)| *program);
    let late: Vec<String> =
        late.enumerate().map(|(n, program)| format!("if .poison == {n} then ({program}) el")).collect();
    let (lake, listen) = (Lake::local(), loopback());
    let mut running = Running::start(&lake, &sections(&lake, &listen, &format!("{}se .k end", late.concat())));
    let poison = |id: usize| format!("{{\"id\":{id},\"poison\":{},\"k\":\"x\"}}", id / 2 % late.len()).into_bytes();
    let put: Vec<_> = (0..20 * late.len()).map(|id| if id % 2 == 0 { poison(id) } else { good(id) }).collect();
    Firehose::new(&listen, STREAM).put(&put);
    lake.until_cut(put.len());
    assert!(running.is_alive());
    let peak = running.memory_peak();
    running.stop();
    let mut found: Vec<Vec<u8>> = Vec::new();
    for reject in lake.rejects() {
        assert_eq!(reject["reason"], "key_budget", "{reject}");
        found.push(STANDARD.decode(reject["rawData"].as_str().expect("text")).expect("base64"));
    }
    found.sort_unstable();
    let mut poisons: Vec<Vec<u8>> = put.iter().step_by(2).cloned().collect();
    poisons.sort_unstable();
    assert_eq!(found, poisons);
    let rows = duck::number(&format!("select count(distinct id) from {}", duck::lake(&lake.table.url())));
    assert_eq!(rows, put.len() as i64 / 2);
    println!("peak {} MiB", peak >> 20);
    assert!(peak < (32 << 20) + BESIDE_BUFFERS, "{} MiB", peak >> 20);
}
