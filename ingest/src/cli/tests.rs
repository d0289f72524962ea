//! The commands that need neither stream nor store, on the example configurations under `infra/config`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use serde_json::{Value, json};

use super::{CheckArgs, Cli, DdlArgs, Dialect, Kind, check, ddl, explain};
use crate::logs::LogFormat;

const EXAMPLES: [&str; 3] = ["sp500-kinesis", "intake", "wikipedia"];

fn example(name: &str) -> PathBuf {
    Path::new("../infra/config").join(name).with_extension("toml")
}

fn explained(config: &str, input: &[u8]) -> Vec<Value> {
    let config = super::load(&example(config)).expect("examples are right");
    let mut out = Vec::new();
    explain::explain(&config, input, "input", &mut out).expect("explained");
    out.split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).expect("JSON lines"))
        .collect()
}

const EVENT: &str = r#"{"event_id":"ada56cd6f7fede1c46ea","entity_id":"us:MMM","attribute_name":"sp500_member","op":"set","value":"true","previous_value":null,"created_at":"2012-12-27T20:17:58Z","colour":"red"}"#;

#[test]
fn the_arguments_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn log_format_stands_before_or_behind_the_command() {
    for line in
        [["alluvium", "--log-format=json", "run", "--config=x"], ["alluvium", "run", "--config=x", "--log-format=json"]]
    {
        assert_eq!(Cli::try_parse_from(line).expect("right").log_format, LogFormat::Json);
    }
    let missing = Cli::try_parse_from(["alluvium", "run"]).expect_err("no config");
    assert_eq!(missing.exit_code(), 2);
}

#[tokio::test]
async fn the_examples_pass_the_check() {
    for name in EXAMPLES {
        let mut out = Vec::new();
        let outcome = check::run(&CheckArgs { config: example(name), offline: true }, &mut out).await;
        let text = String::from_utf8(out).expect("text");
        assert!(outcome.is_ok() && text.contains(": ok\n"), "{name}: {outcome:?}\n{text}");
    }
}

#[tokio::test]
async fn check_tells_every_problem_on_stdout_and_fails_as_input() {
    let mut out = Vec::new();
    let config = PathBuf::from("../tests/golden/errors/unknown_field.toml");
    let error = check::run(&CheckArgs { config, offline: true }, &mut out).await.expect_err("wrong");
    assert_eq!((error.kind, error.message.as_str()), (Kind::Input, ""));
    assert!(String::from_utf8(out).expect("text").lines().count() >= 5);
}

#[test]
fn an_event_is_explained_down_to_its_columns() {
    let said = explained("sp500-kinesis", EVENT.as_bytes());
    assert_eq!(said.len(), 1);
    let event = &said[0];
    assert_eq!((&event["parsed"], &event["projected"], &event["reject"]), (&json!(true), &json!(true), &Value::Null));
    assert_eq!(event["keys"]["attribute_name"], "sp500_member");
    let path = event["path"].as_str().expect("a path");
    assert!(path.starts_with("created_date=2012-12-27/attribute_name=sp500_member/entity_id_mod="), "{path}");
    assert_eq!(event["dropped"], json!(["colour"]));
    assert!(event["null_columns"].as_array().is_some_and(|n| n.contains(&json!("previous_value"))), "{event}");
}

#[test]
fn each_document_of_a_line_is_explained() {
    let said = explained("sp500-kinesis", format!("{EVENT}\n{EVENT}{{}}{EVENT} {{\n").as_bytes());
    let said: Vec<_> = said.iter().map(|s| (&s["line"], &s["document"], s["projected"] == true)).collect();
    let place = |line: u64, document: u64| (json!(line), json!(document));
    let (second, broken) = ([place(2, 1), place(2, 2), place(2, 3)], place(2, 4));
    assert_eq!(said[0], (&json!(1), &Value::Null, true));
    for (i, (line, document)) in second.iter().enumerate() {
        assert_eq!(said[i + 1], (line, document, i != 1));
    }
    assert_eq!((said[4], said.len()), ((&broken.0, &broken.1, false), 5));
}

#[test]
fn each_reject_says_its_reason_and_what_it_is_about() {
    let missing = EVENT.replace("attribute_name", "attribute");
    let outside = EVENT.replace("sp500_member", "ceo");
    let misfit = EVENT.replace("\"2012-12-27T20:17:58Z\"", "\"2012-12-27T20:17:58Z\",\"rule_version\":\"x\"");
    let input = format!("{missing}\n\n{outside}\r\n{misfit}\n[]\nnot json\n");
    let mut input = input.into_bytes();
    input.extend(b"{\"a\":\"\xff\"}");
    let said = explained("sp500-kinesis", &input);
    let told: Vec<(u64, &str)> = said
        .iter()
        .map(|s| (s["line"].as_u64().expect("a number"), s["reject"]["reason"].as_str().expect("a reason")))
        .collect();
    let expected = [
        (1, "key_missing"),
        (3, "outside_projection"),
        (4, "column"),
        (5, "not_object"),
        (6, "not_json"),
        (7, "not_json"),
    ];
    assert_eq!(told, expected);
    assert_eq!(said[0]["keys"], json!({"created_date": "2012-12-27"}));
    assert_eq!((&said[1]["projected"], &said[1]["path"]), (&json!(false), &Value::Null));
    assert_eq!((&said[2]["projected"], &said[2]["reject"]["column"]), (&json!(true), &json!("rule_version")));
}

#[test]
fn no_input_gives_no_output() {
    assert!(explained("wikipedia", b"").is_empty());
    assert!(explained("wikipedia", b"\n \n").is_empty());
}

#[test]
fn a_line_over_the_limit_is_told_and_the_next_one_read() {
    let mut input = vec![b' '; 17 << 20];
    input.push(b'\n');
    input.extend_from_slice(EVENT.as_bytes());
    let said = explained("sp500-kinesis", &input);
    assert_eq!((said.len(), &said[0]["reject"]["reason"]), (2, &json!("not_json")));
    assert_eq!((&said[1]["line"], &said[1]["projected"]), (&json!(2), &json!(true)));
}

#[test]
fn ddl_stands_at_the_lake_and_check_shows_what_differs() {
    let args = |check| DdlArgs { config: example("sp500-kinesis"), dialect: Dialect::Athena, check };
    let mut text = Vec::new();
    ddl::run(&args(None), &mut text).expect("printed");
    assert!(String::from_utf8_lossy(&text).contains("s3://company-lake/attribute_events/"));
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    file.write_all(&text).expect("written");
    ddl::run(&args(Some(file.path().into())), &mut Vec::new()).expect("the same");
    file.write_all(b"-- a line more\n").expect("written");
    let mut diff = Vec::new();
    let error = ddl::run(&args(Some(file.path().into())), &mut diff).expect_err("differs");
    assert_eq!(error.kind, Kind::Input);
    assert!(String::from_utf8_lossy(&diff).contains("\n--- a line more\n"), "{}", String::from_utf8_lossy(&diff));
}
