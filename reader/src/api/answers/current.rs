//! Values of many attributes at once.

use schemas::instant::parse_instant;
use serde::Deserialize;
use serde_json::json;

use super::super::App;
use super::super::parameters::{Asked, VALUE_BYTES_MAX};
use super::super::reply::Answer;
use super::{instant, state_json};
use crate::error::ReaderError;
use crate::history::Moment;
use crate::question::Attribute;

/// Pairs of one question at most.
pub(in crate::api) const PAIRS_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    of: Vec<Pair>,
    as_of: Option<String>,
    known_as_of: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    entity: String,
    attribute: String,
}

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let body: Body = serde_json::from_slice(&asked.body).map_err(|e| {
        let want = r#"write {"of": [{"entity": "us:AAPL", "attribute": "name"}]}"#;
        ReaderError::question("body", format!("is not what is asked for: {e}; {want}"))
    })?;
    let of = pairs(body.of)?;
    let moment = Moment { as_of: at("as_of", body.as_of)?, known_as_of: at("known_as_of", body.known_as_of)? };
    let found = app.history.current(of.clone(), moment, asked.now).await?;
    let values: Vec<_> = of.iter().map(|of| state_json(of, &found.events, &app.history.columns)).collect();
    let body = json!({
        "as_of": instant(moment.as_of),
        "known_as_of": instant(moment.known_as_of),
        "values": values,
    });
    Ok(Answer::json(body).took(found.statistics))
}

fn pairs(of: Vec<Pair>) -> Result<Vec<Attribute>, ReaderError> {
    if of.is_empty() || of.len() > PAIRS_MAX {
        return Err(ReaderError::question("of", format!("names {} pairs: write 1 to {PAIRS_MAX}", of.len())));
    }
    let good = |text: &str| !text.is_empty() && text.len() <= VALUE_BYTES_MAX && !text.contains('\0');
    if !of.iter().all(|pair| good(&pair.entity) && good(&pair.attribute)) {
        return Err(ReaderError::question(
            "of",
            format!("holds a name that is empty or longer than {VALUE_BYTES_MAX} bytes"),
        ));
    }
    Ok(of.into_iter().map(|pair| Attribute { entity: pair.entity, name: pair.attribute }).collect())
}

fn at(name: &str, text: Option<String>) -> Result<Option<i64>, ReaderError> {
    let wrong = || ReaderError::question(name, "is no instant: write one such as 2026-05-17T19:12:54Z");
    text.map(|text| parse_instant(&text).filter(|_| text.contains('-')).ok_or_else(wrong)).transpose()
}
