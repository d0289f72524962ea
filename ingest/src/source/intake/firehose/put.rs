//! PutRecord and PutRecordBatch. One record is one event.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::validate::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, BATCH_TOO_LARGE, Violations};
use super::{ApiError, Asked, encode, parse};
use crate::source::intake::body::Loan;
use crate::source::intake::counters::Refusal;
use crate::source::intake::server::Intake;
use crate::source::intake::sink::{PutFailure, Receipt};

/// Text that is borrowed from the body unless JSON escapes it.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordIn<'a> {
    #[serde(borrow)]
    data: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordIn<'a> {
    #[serde(borrow)]
    delivery_stream_name: Option<Text<'a>>,
    record: Option<RecordIn<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordBatchIn<'a> {
    #[serde(borrow)]
    delivery_stream_name: Option<Text<'a>>,
    records: Option<Vec<Option<RecordIn<'a>>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordOut {
    record_id: String,
    encrypted: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordBatchOut {
    failed_put_count: usize,
    encrypted: bool,
    request_responses: Vec<RecordOut>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum RecordOut {
    #[serde(rename_all = "PascalCase")]
    Taken { record_id: String },
    #[serde(rename_all = "PascalCase")]
    Failed { error_code: &'static str, error_message: String },
}

impl From<Result<String, PutFailure>> for RecordOut {
    fn from(record: Result<String, PutFailure>) -> RecordOut {
        match record {
            Ok(record_id) => RecordOut::Taken { record_id },
            Err(failure) => RecordOut::Failed { error_code: failure.code, error_message: failure.message },
        }
    }
}

pub(super) async fn record(asked: Asked<'_>, body: &[u8], loan: &mut Loan) -> Result<Vec<u8>, ApiError> {
    let request: PutRecordIn<'_> = parse(body)?;
    let mut violations = Violations::default();
    let name = name_of(request.delivery_stream_name.as_ref(), &mut violations);
    let mut data = Bytes::new();
    match request.record {
        None => violations.missing("record"),
        Some(record) => data = decode(record.data.as_ref(), "record.data", &mut violations, loan)?,
    }
    violations.finish()?;
    asked.find(name)?;
    let receipt = put(asked.intake, vec![data]).await?;
    match receipt.records().pop() {
        Some(Ok(record_id)) => Ok(encode(&PutRecordOut { record_id, encrypted: false })),
        Some(Err(_)) | None => Err(ApiError::unavailable(Refusal::Forward)),
    }
}

pub(super) async fn batch(asked: Asked<'_>, body: &[u8], loan: &mut Loan) -> Result<Vec<u8>, ApiError> {
    let request: PutRecordBatchIn<'_> = parse(body)?;
    let mut violations = Violations::default();
    let name = name_of(request.delivery_stream_name.as_ref(), &mut violations);
    match &request.records {
        None => violations.missing("records"),
        Some(records) => violations.batch_length(records.len()),
    }
    let records = decode_all(request.records.as_deref().unwrap_or_default(), &mut violations, loan)?;
    violations.finish()?;
    if records.iter().map(Bytes::len).sum::<usize>() > BATCH_BYTES_MAX {
        return Err(ApiError::invalid_argument(BATCH_TOO_LARGE));
    }
    asked.find(name)?;
    let receipt = put(asked.intake, records).await?;
    Ok(encode(&PutRecordBatchOut {
        failed_put_count: receipt.failed(),
        encrypted: false,
        request_responses: receipt.records().into_iter().map(RecordOut::from).collect(),
    }))
}

async fn put(intake: &Intake, records: Vec<Bytes>) -> Result<Receipt, ApiError> {
    let lengths: Vec<usize> = records.iter().map(Bytes::len).collect();
    let receipt = intake.sink.put(records, intake.clock.now()).await?;
    let taken = lengths.iter().sum::<usize>() as u64;
    match &receipt {
        Receipt::Journal { .. } => intake.counters.accept(lengths.len() as u64, taken),
        Receipt::Stream(outcomes) => {
            let taken = outcomes.iter().zip(&lengths).filter(|(outcome, _)| outcome.is_ok());
            let (count, bytes) = taken.fold((0, 0), |(count, bytes), (_, length)| (count + 1, bytes + *length as u64));
            intake.counters.accept(count, bytes);
        }
    }
    Ok(receipt)
}

fn name_of<'a>(name: Option<&'a Text<'_>>, violations: &mut Violations) -> &'a str {
    let name = name.map(|Text(name)| &**name);
    violations.stream_name(name);
    name.unwrap_or_default()
}

/// Decodes what the request may hold at most; the rest is violations already.
fn decode_all(
    records: &[Option<RecordIn<'_>>],
    violations: &mut Violations,
    loan: &mut Loan,
) -> Result<Vec<Bytes>, ApiError> {
    let decode_one = |(index, record): (usize, &Option<RecordIn<'_>>)| {
        let place = format!("records.{}.member", index + 1);
        match record {
            None => {
                violations.missing(&place);
                Ok(Bytes::new())
            }
            Some(record) => decode(record.data.as_ref(), &format!("{place}.data"), violations, loan),
        }
    };
    records.iter().take(BATCH_RECORDS_MAX).enumerate().map(decode_one).collect()
}

fn decode(
    data: Option<&Text<'_>>,
    place: &str,
    violations: &mut Violations,
    loan: &mut Loan,
) -> Result<Bytes, ApiError> {
    let Some(Text(text)) = data else {
        violations.missing(place);
        return Ok(Bytes::new());
    };
    // Decoded, and framed once more on its way to the disk.
    loan.grow(text.len() * 2)?;
    let data = STANDARD
        .decode(text.as_bytes())
        .map_err(|error| ApiError::serialization(format!("Value at '{place}' is not base64: {error}")))?;
    violations.data_length(data.len(), place);
    Ok(data.into())
}
