//! A key program, and records it runs on: the first line is the program, each further one a record.
//!
//! Whatever they are, compiling and running end soon, and the cheapest way to run gives what jaq on the whole record gives.

use ingest::decode::decode;
use ingest::keys::{Budget, Keys};
use schemas::reject::{Reason, Reject};

use super::input::text;

/// Small, so that a program that would run for long is stopped soon.
const BUDGET: Budget = Budget { steps: 20_000, value_bytes: 512 };
const RECORDS: [&str; 4] = [
    "{}",
    r#"{"a":"2026-05-17T23:12:54.594-05:00","b":9007199254740993,"c d":[1,"x",null,{"b":true}]}"#,
    r#"{"a":{"b":{"c":-1.50},"\u0062":"é😀"},"b":"a-b-c","x":[[],{}]}"#,
    r#"{"a":null,"b":1E400,"b":"\ud800","c d":false}"#,
];

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let (program, records) = text.split_once("\n\n").unwrap_or((text, ""));
    let named = [("k".to_string(), program.to_string())];
    match Keys::compile(&named, BUDGET, &|_| ("c.toml".to_string(), Some(1))) {
        Ok(keys) => RECORDS.into_iter().chain(records.lines().take(4)).for_each(|record| evaluate(&keys, record)),
        Err(problems) => assert!(problems.iter().all(|problem| problem.message.starts_with("key `k`: "))),
    }
}

fn evaluate(keys: &Keys, record: &str) {
    if decode(record.as_bytes()).is_err() {
        return;
    }
    let (mut cheap, mut full) = (Vec::new(), Vec::new());
    let cheapest = keys.evaluate(record.as_bytes(), &mut cheap).map(|()| cheap).map_err(reason);
    let by_jaq = keys.evaluate_by_jaq(record.as_bytes(), &mut full).map(|()| full).map_err(reason);
    if let Ok(values) = &cheapest {
        assert!(values.iter().all(|value| !value.is_empty() && value.len() <= BUDGET.value_bytes));
    }
    // A cheaper way takes fewer steps.
    if by_jaq != Err(Reason::KeyBudget) {
        assert_eq!(cheapest, by_jaq, "{:?}", keys.levels());
    }
}

fn reason(reject: Reject) -> Reason {
    reject.reason
}
