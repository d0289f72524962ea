//! An attribute's events of a day.

use serde_json::json;

use super::super::App;
use super::super::parameters::{Asked, DayEnd};
use super::super::reply::Answer;
use super::super::routes::{PAGE, PAGE_MAX};
use super::{instant, rows, told};
use crate::error::ReaderError;
use crate::reference::Reference;
use crate::time::day_text;

const COLUMNS: [&str; 8] = ["entity", "attribute", "operation", "value", "at", "arrived_at", "event", "reference"];

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let (attribute, day) = (asked.required("attribute")?, asked.day("date")?);
    let (limit, cursor, format) = (asked.count("limit", PAGE, PAGE_MAX)?, asked.cursor()?, asked.format()?);
    let known = asked.instant("known_as_of", DayEnd::Last)?;
    let mut found = app.history.day(attribute, day, known, asked.now).await?;
    if let Some(after) = &cursor {
        found.events.retain(|event| after.is_after(event));
    }
    found.events.reverse();
    let more = found.events.len() > limit;
    found.events.truncate(limit);
    let next = found.events.last().filter(|_| more).map(|last| Reference::of(last).text());
    let mut events = Vec::with_capacity(found.events.len());
    for event in &found.events {
        let mut told = told(event, &app.history.columns);
        told.insert("entity".into(), json!(event.entity));
        told.insert("attribute".into(), json!(event.attribute));
        told.insert("at".into(), instant(Some(event.at)));
        events.push(told);
    }
    let body = json!({"attribute": attribute, "date": day_text(day), "events": events, "next": next});
    Ok(Answer::list(body, || rows(&events, &COLUMNS), format).took(found.statistics))
}
