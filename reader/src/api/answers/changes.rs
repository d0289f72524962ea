//! An attribute's events of a day, and, where it is asked for, what each was before.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::super::App;
use super::super::parameters::{Asked, DayEnd};
use super::super::reply::Answer;
use super::super::routes::{PAGE, PAGE_MAX};
use super::current::PAIRS_MAX;
use super::{instant, previous, rows, told};
use crate::error::ReaderError;
use crate::event::Event;
use crate::question::{Attribute, Found};
use crate::reference::Reference;
use crate::time::day_text;
use crate::timeline::before;

const COLUMNS: [&str; 8] = ["entity", "attribute", "operation", "value", "at", "arrived_at", "event", "reference"];
const COLUMNS_WITH_PREVIOUS: [&str; 10] =
    ["entity", "attribute", "operation", "value", "previous", "repeats", "at", "arrived_at", "event", "reference"];

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let (attribute, day) = (asked.required("attribute")?, asked.day("date")?);
    let (limit, cursor, format) = (asked.count("limit", PAGE, PAGE_MAX)?, asked.cursor()?, asked.format()?);
    let with_previous = asked.flag("previous", false)?;
    let known = asked.instant("known_as_of", DayEnd::Last)?;
    let mut found = app.history.day(attribute, day, known, asked.now).await?;
    if let Some(after) = &cursor {
        found.events.retain(|event| after.is_after(event));
    }
    let skipped = found.events.len().saturating_sub(limit);
    let shown = &found.events[skipped..];
    let next = shown.first().filter(|_| skipped > 0).map(|last| Reference::of(last).text());
    let mut events: Vec<_> = shown.iter().map(|event| event_json(event, app)).collect();
    if with_previous {
        let of = entities(shown, attribute)?;
        let older = app.history.before(of, day, known, asked.now).await?;
        tell_previous(&mut events, older.as_ref(), &found.events, skipped);
        older.iter().for_each(|older| found.statistics.add(&older.statistics));
    }
    events.reverse();
    let columns: &[&str] = if with_previous { &COLUMNS_WITH_PREVIOUS } else { &COLUMNS };
    let body = json!({"attribute": attribute, "date": day_text(day), "events": events, "next": next});
    Ok(Answer::list(body, || rows(&events, columns), format).took(found.statistics))
}

fn event_json(event: &Event, app: &App) -> Map<String, Value> {
    let mut told = told(event, &app.history.columns);
    told.insert("entity".into(), json!(event.entity));
    told.insert("attribute".into(), json!(event.attribute));
    told.insert("at".into(), instant(Some(event.at)));
    told
}

fn entities(shown: &[Event], attribute: &str) -> Result<Vec<Attribute>, ReaderError> {
    let names: BTreeSet<&String> = shown.iter().map(|event| &event.entity).collect();
    if names.len() > PAIRS_MAX {
        let message = format!(
            "is told of {PAIRS_MAX} entities at most, and this answer has {}: write limit={PAIRS_MAX}",
            names.len()
        );
        return Err(ReaderError::question("previous", message));
    }
    Ok(names.into_iter().map(|entity| Attribute { entity: entity.clone(), name: attribute.to_string() }).collect())
}

/// `told` are those of `day` from `skipped` on; what is before them, of the day or of older ones, tells what each changed.
fn tell_previous(told: &mut [Map<String, Value>], older: Option<&Found>, day: &[Event], skipped: usize) {
    let mut last: HashMap<&str, &Event> = HashMap::new();
    for event in older.into_iter().flat_map(|older| &older.events).chain(&day[..skipped]) {
        last.insert(&event.entity, event);
    }
    for (told, event) in told.iter_mut().zip(&day[skipped..]) {
        let earlier = last.insert(&event.entity, event);
        told.insert("previous".into(), previous(earlier.map(before).as_ref()));
        told.insert("repeats".into(), json!(earlier.is_some_and(|earlier| earlier.says_the_same(event))));
    }
}
