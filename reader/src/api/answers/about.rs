//! What can be asked: the table, its rules, its limits.

use serde_json::{Map, Value, json};

use super::super::App;
use super::super::parameters::Asked;
use super::super::reply::Answer;
use super::instant;
use crate::error::ReaderError;

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let (history, spec) = (&app.history, &app.history.layout.spec);
    let columns: Vec<Value> = spec
        .stored_columns()
        .iter()
        .map(|c| json!({"name": c.name, "type": c.data_type.to_string(), "comment": c.comment}))
        .collect();
    let (limits, roles) = (&history.limits, &history.columns);
    let range = history.range(asked.now);
    Ok(Answer::json(json!({
        "name": spec.name,
        "comment": spec.comment,
        "engine": history.engine.name(),
        "archive": app.lake.archive.is_some(),
        "columns": columns,
        "partitions": partitions(app),
        "attributes": history.attribute_names(),
        "range": {"from": instant(range.map(|r| r.0)), "to": instant(range.map(|r| r.1))},
        "roles": {
            "entity": roles.entity, "attribute": roles.attribute, "at": roles.at, "value": roles.value,
            "operation": roles.operation, "event": roles.event, "rule": roles.rule, "evidence": roles.evidence,
        },
        "limits": {
            "folders": limits.folders, "bytes": limits.bytes, "rows": limits.rows, "span_days": limits.span_days,
            "at_once": limits.at_once, "timeout_ms": limits.timeout.as_millis() as u64,
        },
    })))
}

/// Each with its rule, as Athena's table properties say it.
fn partitions(app: &App) -> Vec<Value> {
    let partition = |column: &schemas::table::PartitionColumn| {
        let rule = column.projection.as_ref().map(|rule| {
            let prefix = format!("projection.{}.", column.name);
            let members = rule.properties(&column.name).into_iter();
            let plain = members.map(|(name, value)| (name.trim_start_matches(&prefix).to_string(), json!(value)));
            Value::Object(plain.collect::<Map<_, _>>())
        });
        let follows = app.history.layout.generated.iter().find(|rule| rule.partition == column.name);
        json!({
            "name": column.name,
            "type": column.data_type.to_string(),
            "comment": column.comment,
            "rule": rule,
            "follows_from": follows.map(|rule| &rule.column),
        })
    };
    app.history.layout.spec.partitions.iter().map(partition).collect()
}
