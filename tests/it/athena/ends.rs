//! The ways in which a statement ends, at a scripted API: found, refused, cut off, late, or given up by whoever asked.

use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use reader::config::{Columns, Limits};
use reader::engine::Engine;
use reader::engine::athena::{Athena, AthenaEngine};
use reader::error::ReaderError;
use reader::lake::{Lake, Place};
use reader::plan::Layout;
use reader::predicate::Predicate;
use reader::question::{Found, Question};
use schemas::table::TableSpec;
use serde_json::{Value, json};
use tests::athena::{Script, ScriptedAthena};
use tests::{block_on, wait_for};

use super::lake::{sdk, settings};

/// 2026-11-22.
const NOW: i64 = 1_795_305_600_000;

fn engine(athena: &ScriptedAthena, limits: Limits) -> AthenaEngine {
    let text = include_str!("../../../schemas/tables/attribute_events.toml");
    let spec = TableSpec::parse(text, "t.toml").expect("the table of the repository");
    let named = |name: &str| Some(name.to_string());
    let columns = Columns {
        entity: "entity_id".into(),
        attribute: "attribute_name".into(),
        at: "created_at".into(),
        value: "value".into(),
        operation: named("op"),
        event: named("event_id"),
        rule: None,
        evidence: None,
    };
    let table = Place::new(Arc::new(InMemory::new()), "", "s3://lake/");
    let lake = Lake { table, state: None, archive: None };
    let connection = Athena::connected(settings("db", &athena.url()), &sdk(Some(&athena.url())));
    AthenaEngine::new(Arc::new(Layout::new(spec, &[])), lake, (columns, limits), ("db".into(), connection))
}

fn question() -> Question {
    let of = [("created_date", "2026-01-01"), ("attribute_name", "cik"), ("entity_id", "us:MMM")];
    Question::all(Predicate::And(of.iter().map(|(column, text)| Predicate::text(column, text)).collect()), NOW)
}

fn ask(athena: &ScriptedAthena, limits: Limits) -> Result<Found, ReaderError> {
    block_on(engine(athena, limits).events(&question()))
}

fn execution(state: &str, status: Value, bytes: u64) -> (u16, Value) {
    let mut of = json!({"State": state});
    for (name, value) in status.as_object().into_iter().flatten() {
        of[name] = value.clone();
    }
    let statistics = json!({
        "DataScannedInBytes": bytes, "QueryQueueTimeInMillis": 30, "ServicePreProcessingTimeInMillis": 5,
        "QueryPlanningTimeInMillis": 200, "EngineExecutionTimeInMillis": 900
    });
    (
        200,
        json!({"QueryExecution": {"QueryExecutionId": "id-1", "WorkGroup": "primary", "Status": of, "Statistics": statistics}}),
    )
}

fn others(name: &str) -> (u16, Value) {
    match name {
        "StartQueryExecution" => (200, json!({"QueryExecutionId": "id-1"})),
        "GetWorkGroup" => (
            200,
            json!({"WorkGroup": {"Name": "primary", "Configuration": {"BytesScannedCutoffPerQuery": 12_345_678}}}),
        ),
        "GetQueryResults" => (200, json!({"ResultSet": {"Rows": [], "ResultSetMetadata": {"ColumnInfo": []}}})),
        _ => (200, json!({})),
    }
}

fn scripted(script: Script) -> ScriptedAthena {
    ScriptedAthena::start(script)
}

#[test]
fn a_request_whose_answer_got_lost_is_the_same_request_when_it_is_made_again() {
    let athena = scripted(|name, _, before| match (name, before) {
        ("StartQueryExecution", 0) => (500, json!({"__type": "InternalServerException"})),
        ("GetQueryExecution", 0) => execution("QUEUED", json!({}), 0),
        ("GetQueryExecution", 1) => execution("RUNNING", json!({}), 10),
        ("GetQueryExecution", _) => execution("SUCCEEDED", json!({}), 25_000_000),
        _ => others(name),
    });
    let found = ask(&athena, Limits::default()).expect("no row is an answer");
    let started = athena.calls("StartQueryExecution");
    assert_eq!((started.len(), &started[0]), (2, &started[1]));
    let token = started[0]["ClientRequestToken"].as_str().expect("a token");
    assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
    assert_eq!(started[0]["QueryExecutionContext"], json!({"Catalog": "AwsDataCatalog", "Database": "db"}));
    let took = &found.statistics;
    assert_eq!((took.queue_ms, took.scan_ms, took.bytes_scanned), (35.0, 700.0, 25_000_000));
    assert!(took.planning_ms >= 200.0 && (took.cost_usd - 25e6 / 1e12 * 5.0).abs() < 1e-12, "{took:?}");
    assert!(athena.calls("StopQueryExecution").is_empty(), "it is over");
}

#[test]
fn the_same_question_is_the_same_text_and_asked_later_another_request() {
    let athena = scripted(|name, _, _| match name {
        "GetQueryExecution" => execution("SUCCEEDED", json!({}), 0),
        _ => others(name),
    });
    let engine = engine(&athena, Limits::default());
    for now in [NOW, NOW, NOW + 1] {
        block_on(engine.events(&Question { now, ..question() })).expect("answered");
    }
    let started = athena.calls("StartQueryExecution");
    let of = |name: &str| started.iter().map(|call| call[name].clone()).collect::<Vec<_>>();
    let (texts, tokens) = (of("QueryString"), of("ClientRequestToken"));
    assert!(texts[0] == texts[2] && tokens[0] == tokens[1] && tokens[0] != tokens[2], "{texts:?} {tokens:?}");
}

#[test]
fn whoever_goes_away_leaves_no_statement_running() {
    let athena = scripted(|name, _, _| match name {
        "GetQueryExecution" => execution("RUNNING", json!({}), 0),
        _ => others(name),
    });
    let engine = engine(&athena, Limits::default());
    let gone = block_on(async { tokio::time::timeout(Duration::from_millis(400), engine.events(&question())).await });
    assert!(gone.is_err(), "it runs on");
    wait_for("the statement to be stopped", 10, || athena.calls("StopQueryExecution").pop())
        .as_object()
        .map(|call| assert_eq!(call["QueryExecutionId"], "id-1"))
        .expect("a call");
}

#[test]
fn what_takes_longer_than_a_question_may_is_stopped() {
    let athena = scripted(|name, _, _| match name {
        "GetQueryExecution" => execution("RUNNING", json!({}), 0),
        _ => others(name),
    });
    let late = ask(&athena, Limits { timeout: Duration::from_secs(1), ..Limits::default() });
    assert!(matches!(late, Err(ReaderError::Late(1))), "{late:?}");
    assert_eq!(athena.calls("StopQueryExecution").len(), 1, "before the answer is given");
}

#[test]
fn what_scans_more_than_a_question_may_is_stopped_while_it_runs() {
    let athena = scripted(|name, _, before| match name {
        "GetQueryExecution" => execution("RUNNING", json!({}), 400 * before as u64),
        _ => others(name),
    });
    let refused = ask(&athena, Limits { bytes: 1_000, ..Limits::default() });
    assert!(matches!(refused, Err(ReaderError::TooMuch { limit: 1_000, .. })), "{refused:?}");
    assert_eq!(athena.calls("StopQueryExecution").len(), 1);
}

#[test]
fn the_workgroups_own_cut_off_is_told_with_its_limit() {
    let athena = scripted(|name, _, _| match name {
        "GetQueryExecution" => {
            let reason = "Query cancelled! : Bytes scanned limit was exceeded";
            execution("CANCELLED", json!({"StateChangeReason": reason}), 12_345_679)
        }
        _ => others(name),
    });
    let refused = ask(&athena, Limits::default());
    assert!(matches!(refused, Err(ReaderError::TooMuch { limit: 12_345_678, .. })), "{refused:?}");
}

#[test]
fn a_statement_that_fails_says_whose_fault_it_was() {
    let athena = scripted(|name, _, _| match name {
        "GetQueryExecution" => {
            let error = json!({"ErrorCategory": 2, "ErrorType": 1301, "Retryable": false});
            execution("FAILED", json!({"StateChangeReason": "TABLE_NOT_FOUND: db.t", "AthenaError": error}), 0)
        }
        _ => others(name),
    });
    let failed = ask(&athena, Limits::default()).expect_err("it failed").to_string();
    assert_eq!(failed, "cannot run statement id-1 in Athena: Athena refused it: TABLE_NOT_FOUND: db.t");
    let refused =
        scripted(|_, _, _| (400, json!({"__type": "InvalidRequestException", "message": "no such workgroup"})));
    let failed = ask(&refused, Limits::default()).expect_err("refused").to_string();
    assert!(
        failed.starts_with("cannot ask Athena: start a statement:") && failed.contains("no such workgroup"),
        "{failed}"
    );
}
