//! Why an attribute has its value.

use serde_json::{Value, json};

use super::super::App;
use super::super::parameters::Asked;
use super::super::reply::Answer;
use super::{instant, state_json};
use crate::error::ReaderError;

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let (of, moment) = (asked.attribute()?, asked.moment()?);
    let found = app.history.explain(&of, moment, asked.now).await?;
    let mut state = state_json(&of, &found.events, &app.history.columns);
    state.insert("as_of".into(), instant(moment.as_of));
    state.insert("known_as_of".into(), instant(moment.known_as_of));
    let seen = found.events.iter().rev().find_map(|event| event.arrived_at);
    let age = seen.map(|arrived_at| (asked.now - arrived_at).max(0) / 1000);
    state.insert("freshness".into(), json!({"last_arrived_at": instant(seen), "seconds": age}));
    Ok(Answer::json(Value::Object(state)).took(found.statistics))
}
