//! What answers look like, as JSON schemas. Every member of an answer is here, and no other.

use serde_json::{Value, json};

use super::super::problem::KINDS;
use super::reference;

/// All of them by name.
pub(super) fn all() -> Value {
    json!({
        "Explanation": explanation(),
        "Sheet": sheet(),
        "State": state(),
        "History": history(),
        "ChangedVersion": changed_version(),
        "Version": version(),
        "Record": record(),
        "Diff": diff(),
        "CurrentQuestion": current_question(),
        "Current": object(json!({
            "as_of": instant(), "known_as_of": instant(), "values": list("State"), "statistics": reference("Statistics"),
        })),
        "Changes": changes(),
        "Plan": plan(),
        "Layout": layout(),
        "Table": table(),
        "Statistics": statistics(),
        "Problem": problem(),
    })
}

/// Every member is required, and there are no others.
fn object(properties: Value) -> Value {
    object_with(properties, &[])
}

/// As [`object`], but for members that may be left out.
fn object_with(properties: Value, optional: &[&str]) -> Value {
    let names = properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let required: Vec<&str> = names.filter(|name| !optional.contains(name)).collect();
    json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn optional_text() -> Value {
    json!({"type": ["string", "null"]})
}

/// Of RFC 3339, in UTC; null where there is none.
fn instant() -> Value {
    json!({"type": ["string", "null"], "format": "date-time"})
}

fn number() -> Value {
    json!({"type": "number", "minimum": 0})
}

fn whole() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn anything() -> Value {
    json!({})
}

fn list(of: &str) -> Value {
    json!({"type": "array", "items": reference(of)})
}

fn previous() -> Value {
    let before = object(json!({"operation": operation(), "value": optional_text()}));
    json!({"oneOf": [{"type": "null"}, before], "description": "what it was before; null: there was nothing"})
}

fn operation() -> Value {
    json!({"enum": ["set", "unset"]})
}

fn links() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

/// What is told of an event wherever one is shown.
fn event_members() -> Value {
    json!({
        "operation": operation(),
        "value": optional_text(),
        "event": optional_text(),
        "arrived_at": instant(),
        "rule": anything(),
        "evidence": anything(),
        "details": {"type": "object", "description": "the row's other columns"},
        "reference": text(),
        "links": links(),
    })
}

fn joined(parts: &[Value]) -> Value {
    let all = parts.iter().filter_map(Value::as_object).flatten();
    Value::Object(all.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn version_members() -> Value {
    let times = json!({
        "since": instant(),
        "until": instant(),
        "previous": previous(),
        "confirmations": whole(),
        "last_seen": instant(),
    });
    joined(&[event_members(), times])
}

/// Members that an attribute without any event does not have.
const OF_EVENTS: [&str; 13] = [
    "operation",
    "value",
    "event",
    "arrived_at",
    "rule",
    "evidence",
    "details",
    "reference",
    "since",
    "until",
    "previous",
    "confirmations",
    "last_seen",
];

fn state_members() -> Value {
    let own = json!({
        "entity": text(),
        "attribute": text(),
        "state": {"enum": ["set", "unset", "never"]},
    });
    joined(&[version_members(), own])
}

fn state() -> Value {
    object_with(state_members(), &OF_EVENTS)
}

fn explanation() -> Value {
    let more = json!({
        "as_of": instant(),
        "known_as_of": instant(),
        "freshness": object(json!({
            "last_arrived_at": instant(),
            "seconds": {"type": ["integer", "null"], "minimum": 0},
        })),
        "statistics": reference("Statistics"),
    });
    object_with(joined(&[state_members(), more]), &OF_EVENTS)
}

fn sheet() -> Value {
    object(json!({
        "entity": text(),
        "as_of": instant(),
        "known_as_of": instant(),
        "attributes": list("State"),
        "statistics": reference("Statistics"),
    }))
}

fn history() -> Value {
    object(json!({
        "entity": text(),
        "attribute": text(),
        "changes_only": {"type": "boolean"},
        "versions": list("ChangedVersion"),
        "next": optional_text(),
        "statistics": reference("Statistics"),
    }))
}

fn changed_version() -> Value {
    object(version_members())
}

fn version() -> Value {
    let more = json!({
        "entity": text(),
        "attribute": text(),
        "at": instant(),
        "file": {"type": "string", "description": "the object the row lies in, below the table's place"},
        "place": {"oneOf": [{"type": "null"}, object(json!({"shard": text(), "position": text()}))]},
        "columns": {"type": "object", "description": "all columns of the row"},
        "record": {"oneOf": [{"type": "null"}, reference("Record")]},
        "missing": {"type": ["string", "null"], "description": "why there is no record"},
        "statistics": reference("Statistics"),
    });
    object(joined(&[event_members(), more]))
}

fn record() -> Value {
    object(json!({
        "text": {"type": ["string", "null"], "description": "the record, where it is UTF-8 text"},
        "base64": {"type": ["string", "null"], "description": "the record, where it is not"},
        "bytes": whole(),
        "sha256": text(),
        "object": {"type": "string", "description": "the object of the archive it lies in"},
        "arrived_at": instant(),
    }))
}

fn diff() -> Value {
    let changed = object(json!({
        "entity": text(),
        "attribute": text(),
        "before": reference("State"),
        "after": reference("State"),
        "changes": whole(),
    }));
    object(json!({
        "entity": text(),
        "from": instant(),
        "to": instant(),
        "known_as_of": instant(),
        "changed": {"type": "array", "items": changed},
        "unchanged": {"type": "array", "items": text()},
        "statistics": reference("Statistics"),
    }))
}

fn current_question() -> Value {
    let pair = object(json!({"entity": text(), "attribute": text()}));
    let of = json!({"type": "array", "minItems": 1, "maxItems": 1000, "items": pair});
    object_with(json!({"of": of, "as_of": text(), "known_as_of": text()}), &["as_of", "known_as_of"])
}

fn changes() -> Value {
    let own = json!({"entity": text(), "attribute": text(), "at": instant()});
    let asked_for = json!({"previous": previous(), "repeats": {"type": "boolean"}});
    let event = object_with(joined(&[event_members(), own, asked_for]), &["previous", "repeats"]);
    object(json!({
        "attribute": text(),
        "date": text(),
        "events": {"type": "array", "items": event},
        "next": optional_text(),
        "statistics": reference("Statistics"),
    }))
}

fn plan() -> Value {
    let folder = object(json!({
        "path": text(),
        "values": {"type": "array", "items": text()},
        "files": whole(),
        "bytes": whole(),
    }));
    object(json!({
        "folders": {"type": "array", "items": folder},
        "athena_usd": number(),
        "limits": object(json!({"folders": whole(), "bytes": whole()})),
        "statistics": reference("Statistics"),
    }))
}

fn layout() -> Value {
    let size = json!({
        "folders": whole(),
        "files": whole(),
        "bytes": whole(),
        "files_needed": {"type": "integer", "minimum": 0, "description": "files that would do"},
        "small_file_score": {"type": "number", "minimum": 0, "maximum": 1, "description": "share of files that merging would save"},
    });
    let unseen = json!({"unseen": {"type": "integer", "minimum": 0, "description": "files that no query sees"}});
    let cell = object(joined(&[size.clone(), json!({"attribute": text()})]));
    let own = json!({"day": text(), "attributes": {"type": "array", "items": cell}});
    let day = object(joined(&[size.clone(), unseen.clone(), own]));
    let more = json!({
        "column": text(),
        "attribute_column": text(),
        "target_bytes": whole(),
        "total": object(size),
        "days": {"type": "array", "items": day},
        "next": {"type": ["string", "null"], "description": "the newest day that is not shown: the next answer's `to`"},
        "statistics": reference("Statistics"),
    });
    object(joined(&[unseen, more]))
}

fn table() -> Value {
    let column = object(json!({"name": text(), "type": text(), "comment": optional_text()}));
    let partition = object(json!({
        "name": text(),
        "type": text(),
        "comment": optional_text(),
        "rule": {"type": ["object", "null"], "description": "as Athena's table properties say it"},
        "follows_from": {"type": ["string", "null"], "description": "the column whose predicate implies this one's"},
    }));
    object(json!({
        "name": text(),
        "comment": optional_text(),
        "engine": text(),
        "archive": {"type": "boolean"},
        "columns": {"type": "array", "items": column},
        "partitions": {"type": "array", "items": partition},
        "attributes": {"type": ["array", "null"], "items": text()},
        "range": object(json!({"from": instant(), "to": instant()})),
        "roles": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        "limits": {"type": "object", "additionalProperties": whole()},
    }))
}

fn statistics() -> Value {
    object(json!({
        "engine": text(),
        "queue_ms": number(),
        "planning_ms": number(),
        "listing_ms": number(),
        "scan_ms": number(),
        "folders_projected": whole(),
        "folders_listed": whole(),
        "folders_nonempty": whole(),
        "files": whole(),
        "files_opened": whole(),
        "bytes_in_files": whole(),
        "bytes_scanned": whole(),
        "rows": whole(),
        "lists": whole(),
        "cost_usd": number(),
    }))
}

fn problem() -> Value {
    let kinds: Vec<String> = KINDS.iter().map(|(kind, ..)| format!("/problems/{kind}")).collect();
    let properties = json!({
        "type": {"enum": kinds},
        "title": text(),
        "status": whole(),
        "detail": text(),
        "parameter": {"type": "string", "description": "the part of the question that is wrong"},
        "missing": {"type": "string", "description": "the column that needs a predicate"},
        "folders": whole(),
        "limit": whole(),
        "nearest": {"type": "string", "description": "the known name that is nearest to an unknown one"},
        "range": object(json!({"from": instant(), "to": instant()})),
        "wants": {"enum": ["token"], "description": "what whoever asks has to send along"},
    });
    object_with(properties, &["parameter", "missing", "folders", "limit", "nearest", "range", "wants"])
}
