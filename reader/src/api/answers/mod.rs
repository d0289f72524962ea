//! One file for each question: parameters to the rows it needs, rows to the answer.

pub(super) mod about;
pub(super) mod changes;
pub(super) mod current;
pub(super) mod diff;
pub(super) mod explain;
pub(super) mod history;
pub(super) mod plan;
pub(super) mod sheet;
pub(super) mod version;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::config::Columns;
use crate::event::Event;
use crate::question::{Attribute, of_attribute};
use crate::reference::Reference;
use crate::time::instant_text;
use crate::timeline::{Before, Version, versions};

/// What stands for itself in a part of a path (RFC 3986, "unreserved").
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where an attribute's answers are.
fn attribute_path(of: &Attribute) -> String {
    let segment = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
    format!("/v1/entities/{}/attributes/{}", segment(&of.entity), segment(&of.name))
}

fn instant(at: Option<i64>) -> Value {
    at.map_or(Value::Null, |at| Value::String(instant_text(at)))
}

fn previous(before: Option<&Before>) -> Value {
    before.map_or(Value::Null, |before| json!({"operation": before.operation.as_str(), "value": before.value}))
}

/// What a row says beside what every answer says of it: all its columns that have no part of their own.
fn details(event: &Event, columns: &Columns) -> Value {
    let parts = [&columns.entity, &columns.attribute, &columns.at, &columns.value];
    let optional = [&columns.operation, &columns.event, &columns.rule, &columns.evidence];
    let named = |name: &String| parts.contains(&name) || optional.iter().any(|part| part.as_ref() == Some(name));
    let plain = event.columns.iter().filter(|(name, _)| !named(name) && !name.starts_with('_'));
    Value::Object(plain.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn column(event: &Event, name: Option<&String>) -> Value {
    name.and_then(|name| event.columns.get(name)).cloned().unwrap_or(Value::Null)
}

/// What is told of an event wherever one is shown.
fn told(event: &Event, columns: &Columns) -> Map<String, Value> {
    let of = Attribute { entity: event.entity.clone(), name: event.attribute.clone() };
    let reference = Reference::of(event).text();
    let version = format!("{}/versions/{reference}", attribute_path(&of));
    let told = json!({
        "operation": event.operation.as_str(),
        "value": event.state(),
        "event": event.id,
        "arrived_at": instant(event.arrived_at),
        "rule": column(event, columns.rule.as_ref()),
        "evidence": column(event, columns.evidence.as_ref()),
        "details": details(event, columns),
        "reference": reference,
        "links": {"version": version, "record": format!("{version}/record")},
    });
    let Value::Object(told) = told else { unreachable!("an object was written") };
    told
}

/// A change, and how long it held.
fn version_json(version: &Version, columns: &Columns) -> Map<String, Value> {
    let mut told = told(&version.event, columns);
    let times = [
        ("since", instant(Some(version.event.at))),
        ("until", instant(version.until)),
        ("previous", previous(version.previous.as_ref())),
        ("confirmations", json!(version.confirmations)),
        ("last_seen", instant(Some(version.last_seen))),
    ];
    told.extend(times.into_iter().map(|(name, value)| (name.to_string(), value)));
    told
}

/// What an attribute was last, of these events.
fn state_json(of: &Attribute, events: &[Event], columns: &Columns) -> Map<String, Value> {
    let mut all = versions(&of_attribute(events, of), true);
    let path = attribute_path(of);
    let links = json!({"explain": path, "history": format!("{path}/history")});
    let mut state = match all.pop() {
        None => Map::from_iter([("state".to_string(), json!("never")), ("links".to_string(), links.clone())]),
        Some(version) => {
            let mut told = version_json(&version, columns);
            told.insert("state".into(), json!(version.event.operation.as_str()));
            if let Some(Value::Object(own)) = told.get_mut("links") {
                own.extend(links.as_object().cloned().unwrap_or_default());
            }
            told
        }
    };
    state.insert("entity".into(), json!(of.entity));
    state.insert("attribute".into(), json!(of.name));
    state
}

/// A member of an answer as a cell of a list.
fn cell(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The members of answers, by these names, as a list.
fn rows(objects: &[Map<String, Value>], columns: &[&'static str]) -> super::export::Table {
    let row = |object: &Map<String, Value>| columns.iter().map(|name| cell(object, name)).collect();
    super::export::Table { columns: columns.to_vec(), rows: objects.iter().map(row).collect() }
}
