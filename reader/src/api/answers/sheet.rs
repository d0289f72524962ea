//! All attributes of an entity.

use serde_json::json;

use super::super::App;
use super::super::parameters::Asked;
use super::super::reply::Answer;
use super::{instant, rows, state_json};
use crate::error::ReaderError;

const COLUMNS: [&str; 8] = ["entity", "attribute", "state", "value", "since", "last_seen", "rule", "reference"];

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let (entity, moment, format) = (asked.required("entity")?, asked.moment()?, asked.format()?);
    let of = app.history.attributes_of(entity, asked.names("attributes")?.as_deref())?;
    let found = app.history.current(of.clone(), moment, asked.now).await?;
    let states: Vec<_> = of.iter().map(|of| state_json(of, &found.events, &app.history.columns)).collect();
    let body = json!({
        "entity": entity,
        "as_of": instant(moment.as_of),
        "known_as_of": instant(moment.known_as_of),
        "attributes": states,
    });
    Ok(Answer::list(body, || rows(&states, &COLUMNS), format).took(found.statistics))
}
