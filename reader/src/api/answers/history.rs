//! What an attribute has been.

use serde_json::json;

use super::super::App;
use super::super::parameters::{Asked, DayEnd};
use super::super::reply::Answer;
use super::super::routes::{PAGE, PAGE_MAX};
use super::{rows, version_json};
use crate::error::ReaderError;
use crate::history::Page;
use crate::reference::Reference;

const COLUMNS: [&str; 9] =
    ["operation", "value", "since", "until", "confirmations", "last_seen", "rule", "event", "reference"];

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let (of, format, cursor) = (asked.attribute()?, asked.format()?, asked.cursor()?);
    let page = Page {
        from: asked.instant("from", DayEnd::First)?,
        to: asked.instant("to", DayEnd::Last)?,
        known_as_of: asked.instant("known_as_of", DayEnd::Last)?,
        changes_only: asked.flag("changes_only", true)?,
        limit: asked.count("limit", PAGE, PAGE_MAX)?,
        after: cursor.as_ref(),
    };
    let (mut versions, found) = app.history.page(&of, page, asked.now).await?;
    let more = versions.len() > page.limit;
    versions.truncate(page.limit);
    let next = versions.last().filter(|_| more).map(|last| Reference::of(&last.event).text());
    let versions: Vec<_> = versions.iter().map(|version| version_json(version, &app.history.columns)).collect();
    let body = json!({
        "entity": of.entity,
        "attribute": of.name,
        "changes_only": page.changes_only,
        "versions": versions,
        "next": next,
    });
    Ok(Answer::list(body, || rows(&versions, &COLUMNS), format).took(found.statistics))
}
