//! Who may ask, what a configuration has to say before anyone else may, and how the process ends.

use tests::alluvium::{Lake, loopback, rules};
use tests::reader::{Reader, attribute, command, problem};

use super::lake::Asked;

const TOKEN: &str = "0123456789-abcdef-0123";

/// A configuration over an empty lake; `reader` are the fields of `[reader]`.
fn config(lake: &Lake, reader: &str) {
    let keys = [
        ("created_date", ".created_at | utc_date"),
        ("attribute_name", ".attribute_name"),
        ("entity_id_mod", ".entity_id | bucket(10)"),
    ];
    let rules = rules("schemas/tables/attribute_events.toml", &keys);
    for folder in ["lake/table", "lake/state"] {
        std::fs::create_dir_all(lake.file(folder)).expect("a folder");
    }
    lake.config(&format!("{rules}\n[reader]\n{reader}"));
}

fn start(reader: &str) -> (Lake, Reader) {
    let (lake, address) = (Lake::local(), loopback());
    config(&lake, &format!("listen = \"{address}\"\n{reader}"));
    let reader = Reader::start(&lake, &address);
    (lake, reader)
}

#[test]
fn a_token_is_needed_where_one_is_set() {
    let (_lake, reader) = start(&format!("token = \"{TOKEN}\""));
    let path = attribute("us:AAPL", "name");
    let refused = reader.ask(&path, &[]);
    problem(&path, &refused, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    problem(&path, &reader.ask(&path, &[("authorization", "Bearer 0123456789-abcdef-0124")]), 401);
    let right = format!("Bearer {TOKEN}");
    assert_eq!(reader.ask(&path, &[("authorization", &right)]).status, 200);
    assert_eq!(reader.ask("/healthz", &[]).status, 200, "whoever watches the process needs no token");
}

#[test]
fn a_proxy_says_who_asks() {
    let (_lake, reader) = start("trusted_header = \"x-forwarded-user\"");
    let path = attribute("us:AAPL", "name");
    problem(&path, &reader.ask(&path, &[]), 401);
    assert_eq!(reader.ask(&path, &[("x-forwarded-user", "ada")]).status, 200);
}

/// A page of another site whose name was made to point here.
#[test]
fn other_names_than_this_machines_are_not_answered() {
    let path = attribute("us:AAPL", "name");
    problem(&path, &Asked::sp500().reader.ask(&path, &[("host", "evil.example:9470")]), 421);
}

#[test]
fn limits_refuse_with_the_predicate_that_is_missing() {
    let (_lake, reader) = start("folders = 50");
    let wide = reader.refused("/v1/plan?from=2024-01-01&to=2024-01-09", 422);
    assert_eq!(wide["missing"], "entity_id_mod", "{wide}");
    assert_eq!(reader.ask("/v1/plan?from=2024-01-01&to=2024-01-05&entity=x", &[]).status, 200);
    let (_lake, reader) = start("span_days = 30");
    reader.refused("/v1/plan?from=2024-01-01&to=2024-03-09&entity=x", 400);
}

#[test]
fn a_wrong_configuration_ends_with_1_and_its_line_and_a_taken_port_with_3() {
    let lake = Lake::local();
    config(&lake, "listen = \"0.0.0.0:9470\"\n");
    let ended = command().arg("--config").arg(lake.file("alluvium.toml")).output().expect("it starts");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("alluvium.toml:") && told.contains("`listen` is open to other machines"), "{told}");

    let (lake, reader) = start("");
    let ended = command().arg("--config").arg(lake.file("alluvium.toml")).output().expect("it starts");
    assert_eq!(ended.status.code(), Some(3), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(reader.stop("TERM").success());
}

/// `alluvium` documents and checks the fields that the reader reads; each has the other's names and defaults.
#[test]
fn both_programs_know_the_same_fields() {
    let section = ingest::config::fields::section("reader").expect("the section is declared");
    let declared: Vec<&str> = section.fields.iter().map(|field| field.name).collect();
    assert_eq!(declared, reader::config::FIELDS);
    let default = |name: &str| match section.field(name).expect("declared").fallback {
        ingest::config::fields::Fallback::Default(text) => text,
        other => panic!("{name}: {other:?}"),
    };
    let limits = reader::config::Limits::default();
    assert_eq!(default("folders"), limits.folders.to_string());
    assert_eq!(default("rows"), limits.rows.to_string());
    assert_eq!(default("span_days"), limits.span_days.to_string());
    assert_eq!(default("at_once"), limits.at_once.to_string());
    assert_eq!(ingest::config::value::size(default("bytes")), Ok(limits.bytes));
    assert_eq!(ingest::config::value::duration(default("timeout")), Ok(limits.timeout));
    assert_eq!(default("listen"), reader::config::LISTEN);
}
