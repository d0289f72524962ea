//! What of an entity changed between two instants.

use serde_json::{Map, Value, json};

use super::super::App;
use super::super::parameters::{Asked, DayEnd};
use super::super::reply::Answer;
use super::{instant, rows, state_json};
use crate::error::ReaderError;
use crate::event::Event;
use crate::question::{Attribute, of_attribute};
use crate::timeline::versions;

const COLUMNS: [&str; 7] = ["attribute", "before", "before_since", "after", "after_since", "changes", "entity"];

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let missing = |name: &str| ReaderError::question(name, "is missing");
    let from = asked.instant("from", DayEnd::Last)?.ok_or_else(|| missing("from"))?;
    let to = asked.instant("to", DayEnd::Last)?.ok_or_else(|| missing("to"))?;
    let (entity, known, format) =
        (asked.required("entity")?, asked.instant("known_as_of", DayEnd::Last)?, asked.format()?);
    let of = app.history.attributes_of(entity, asked.names("attributes")?.as_deref())?;
    let found = app.history.between(of.clone(), (from, to), known, asked.now).await?;
    let all: Vec<_> = of.iter().map(|of| (of, compared(app, of, &found.events, from))).collect();
    let unchanged: Vec<&str> = all.iter().filter(|(_, diff)| diff.is_none()).map(|(of, _)| of.name.as_str()).collect();
    let changed: Vec<Map<String, Value>> = all.iter().filter_map(|(_, diff)| diff.clone()).collect();
    let body = json!({
        "entity": entity,
        "from": instant(Some(from)),
        "to": instant(Some(to)),
        "known_as_of": instant(known),
        "changed": changed,
        "unchanged": unchanged,
    });
    Ok(Answer::list(body, || rows(&flat(&changed), &COLUMNS), format).took(found.statistics))
}

/// Nothing where an attribute is the same at both ends.
fn compared(app: &App, of: &Attribute, events: &[Event], from: i64) -> Option<Map<String, Value>> {
    let own = of_attribute(events, of);
    let earlier: Vec<Event> = own.iter().filter(|event| event.at <= from).cloned().collect();
    let (before, after) = (state_json(of, &earlier, &app.history.columns), state_json(of, &own, &app.history.columns));
    let same = before.get("state") == after.get("state") && before.get("value") == after.get("value");
    let changes = versions(&own, true).iter().filter(|version| version.event.at > from).count();
    let diff = json!({"entity": of.entity, "attribute": of.name, "before": before, "after": after, "changes": changes});
    let Value::Object(diff) = diff else { return None };
    (!same).then_some(diff)
}

/// Before and after as cells.
fn flat(changed: &[Map<String, Value>]) -> Vec<Map<String, Value>> {
    let one = |diff: &Map<String, Value>| {
        let mut row = diff.clone();
        for side in ["before", "after"] {
            let of = |member: &str| diff[side].get(member).cloned().unwrap_or(Value::Null);
            row.insert(format!("{side}_since"), of("since"));
            row.insert(side.to_string(), of("value"));
        }
        row
    };
    changed.iter().map(one).collect()
}
