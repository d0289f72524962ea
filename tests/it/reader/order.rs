//! Events as they come in life: late, twice, deleted, at one instant. What was known when stays known.

use serde_json::{Value, json};
use tests::alluvium::Lake;
use tests::reader::attribute;

use super::lake::Asked;

fn event(id: &str, op: &str, value: Value, at: &str) -> Vec<u8> {
    let event = json!({"event_id": id, "entity_id": "e:1", "attribute_name": "name", "op": op, "value": value, "created_at": at});
    event.to_string().into_bytes()
}

/// In the order in which they arrive.
fn events() -> &'static [Vec<u8>] {
    Vec::leak(vec![
        event("a", "set", json!("first"), "2024-03-01T10:00:00Z"),
        event("b", "set", json!("second"), "2024-03-05T10:00:00Z"),
        // Late: it took effect between the two.
        event("c", "set", json!("between"), "2024-03-03T10:00:00Z"),
        // Taken twice.
        event("b", "set", json!("second"), "2024-03-05T10:00:00Z"),
        // At one instant: the later record counts.
        event("d", "set", json!("x"), "2024-03-07T10:00:00Z"),
        event("e", "set", json!("y"), "2024-03-07T10:00:00Z"),
        event("f", "unset", Value::Null, "2024-03-09T10:00:00Z"),
        event("g", "set", json!("y"), "2024-03-11T10:00:00Z"),
        event("h", "set", json!("y"), "2024-03-12T10:00:00Z"),
    ])
}

#[test]
fn late_repeated_and_deleted_events_are_told_where_they_belong() {
    let asked = Asked::new(Lake::local().with_archive(), events(), 10, "");
    let path = attribute("e:1", "name");
    let told = |as_of: &str| {
        let answer = asked.reader.get(&format!("{path}?as_of={as_of}"));
        json!([answer["state"], answer["value"], answer["since"], answer["previous"]["value"]])
    };
    for (as_of, want) in [
        ("2024-02-29", json!(["never", null, null, null])),
        ("2024-03-02", json!(["set", "first", "2024-03-01T10:00:00Z", null])),
        ("2024-03-04", json!(["set", "between", "2024-03-03T10:00:00Z", "first"])),
        ("2024-03-05T09:59:59.999Z", json!(["set", "between", "2024-03-03T10:00:00Z", "first"])),
        ("2024-03-05T10:00:00Z", json!(["set", "second", "2024-03-05T10:00:00Z", "between"])),
        ("2024-03-07", json!(["set", "y", "2024-03-07T10:00:00Z", "x"])),
        ("2024-03-10", json!(["unset", null, "2024-03-09T10:00:00Z", "y"])),
        ("2024-03-20", json!(["set", "y", "2024-03-11T10:00:00Z", null])),
    ] {
        assert_eq!(told(as_of), want, "as of {as_of}");
    }
    let history = asked.reader.get(&format!("{path}/history"));
    let seen: Vec<_> = history["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|v| json!([v["event"], v["confirmations"]]))
        .collect();
    assert_eq!(json!(seen), json!([["g", 1], ["f", 0], ["e", 0], ["d", 0], ["b", 0], ["c", 0], ["a", 0]]));
    let part = asked.reader.get(&format!("{path}/history?from=2024-03-03&to=2024-03-08"));
    let seen: Vec<_> = part["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|v| json!([v["event"], v["previous"]["value"]]))
        .collect();
    assert_eq!(json!(seen), json!([["e", "x"], ["d", "second"], ["b", "between"], ["c", "first"]]));
}

#[test]
fn what_was_known_does_not_change_with_what_came_later() {
    let asked = Asked::new(Lake::local(), events(), 10, "");
    let path = attribute("e:1", "name");
    let now = asked.reader.get(&path);
    let arrived = now["arrived_at"].as_str().expect("an instant").to_string();
    let before = asked.reader.get(&format!("{path}?known_as_of=2020-01-01"));
    assert_eq!(before["state"], "never", "nothing had arrived then");
    let since = asked.reader.get(&format!("{path}?known_as_of={arrived}&as_of=2024-03-04"));
    assert_eq!(since["state"], "set");
    let version = asked.reader.get(now["links"]["version"].as_str().expect("a link"));
    assert!(version["record"].is_null() && version["missing"].as_str().is_some_and(|why| why.contains("no archive")));
}

/// Three ways of having no value are told apart.
#[test]
fn no_value_has_three_reasons() {
    let asked = Asked::sp500();
    assert_eq!(asked.reader.get(&attribute("us:NONE", "name"))["state"], "never");
    let unknown = asked.reader.refused(&attribute("us:AAPL", "nme"), 404);
    assert!(unknown["detail"].as_str().is_some_and(|d| d.contains("unknown attribute `nme`; the nearest is `name`")));
    let outside = asked.reader.refused(&format!("{}?as_of=1999-01-01", attribute("us:AAPL", "name")), 404);
    assert!(outside["detail"].as_str().is_some_and(|d| d.contains("before the table's range")), "{outside}");
}
