//! One event: its evidence, and the record it came in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::App;
use super::super::parameters::Asked;
use super::super::reply::Answer;
use super::{instant, told};
use crate::error::ReaderError;
use crate::event::Event;
use crate::question::Statistics;
use crate::record::{Kept, Record, of_event};
use crate::reference::Reference;

pub(in crate::api) async fn answer(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let (event, statistics) = event(app, asked).await?;
    let mut told = told(&event, &app.history.columns);
    let kept = of_event(&app.lake, &event).await?;
    told.insert("entity".into(), json!(event.entity));
    told.insert("attribute".into(), json!(event.attribute));
    told.insert("at".into(), instant(Some(event.at)));
    told.insert("file".into(), json!(event.file));
    let place = event.place.as_ref().map(|place| json!({"shard": place.shard, "position": place.position}));
    told.insert("place".into(), place.unwrap_or(Value::Null));
    told.insert("columns".into(), Value::Object(event.columns.clone()));
    told.insert("missing".into(), missing(&kept).map_or(Value::Null, |why| json!(why)));
    told.insert("record".into(), if let Kept::Here(record) = &kept { record_json(record) } else { Value::Null });
    Ok(Answer::json(Value::Object(told)).took(statistics))
}

/// The record's bytes.
pub(in crate::api) async fn record(app: &App, asked: &Asked) -> Result<Answer, ReaderError> {
    let (event, statistics) = event(app, asked).await?;
    match of_event(&app.lake, &event).await? {
        Kept::Here(record) => Ok(Answer::download(record.bytes, "record").took(statistics)),
        kept => Err(ReaderError::Unknown(missing(&kept).unwrap_or_default().to_string())),
    }
}

async fn event(app: &App, asked: &Asked) -> Result<(Event, Statistics), ReaderError> {
    let reference = Reference::parse(asked.required("reference")?, "reference")?;
    let mut found = app.history.version(&asked.attribute()?, &reference, asked.now).await?;
    let event = found.events.pop().ok_or_else(|| ReaderError::Unknown("there is no such version".into()))?;
    Ok((event, found.statistics))
}

fn missing(kept: &Kept) -> Option<&'static str> {
    match kept {
        Kept::Here(_) => None,
        Kept::NoArchive => Some("the lake keeps no archive: write `archive` under [lake]"),
        Kept::NoPosition => Some("the table does not say which record a row is from"),
        Kept::NotFound => Some("the archive does not hold the record: it is not stored yet, or was removed"),
    }
}

fn record_json(record: &Record) -> Value {
    let text = std::str::from_utf8(&record.bytes).ok();
    let hash: String = Sha256::digest(&record.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "text": text,
        "base64": text.is_none().then(|| STANDARD.encode(&record.bytes)),
        "bytes": record.bytes.len(),
        "sha256": hash,
        "object": record.object,
        "arrived_at": instant(Some(record.arrived_at)),
    })
}
