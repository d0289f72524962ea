//! What a question would read.

use serde_json::json;

use super::super::App;
use super::super::parameters::{Asked, DayEnd};
use super::super::reply::Answer;
use crate::error::ReaderError;
use crate::history::Planned;

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let names = asked.names("attributes")?;
    let planned = Planned {
        entity: asked.text("entity"),
        attributes: names.as_deref(),
        from: asked.instant("from", DayEnd::First)?,
        to: asked.instant("to", DayEnd::Last)?,
    };
    let dry = app.history.plan(&planned, asked.now).await?;
    let limits = &app.history.limits;
    let body = json!({
        "folders": dry.folders,
        "athena_usd": dry.athena_usd,
        "limits": {"folders": limits.folders, "bytes": limits.bytes},
    });
    Ok(Answer::json(body).took(dry.statistics))
}
