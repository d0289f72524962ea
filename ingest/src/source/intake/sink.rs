//! Where accepted records go: the local journal, or a Kinesis stream.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::counters::Refusal;
use super::journal::{Appended, Journal, JournalError};

/// One record that was not taken although others of the same request were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutFailure {
    /// Firehose's per-record code: `ServiceUnavailableException` or `InternalFailure`.
    pub code: &'static str,
    pub message: String,
}

/// Nothing of a request was taken.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    pub refusal: Refusal,
    pub message: String,
}

/// What became of each record of a request. The answer to the client is made from this and nothing else.
#[derive(Debug)]
#[must_use]
pub enum Receipt {
    /// All are durable.
    Journal { journal: Arc<str>, appended: Appended },
    /// Per record, in order: the id it got, or why it was not taken.
    Stream(Vec<Result<String, PutFailure>>),
}

impl Receipt {
    pub fn len(&self) -> usize {
        match self {
            Receipt::Journal { appended, .. } => appended.ends.len(),
            Receipt::Stream(records) => records.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn failed(&self) -> usize {
        match self {
            Receipt::Journal { .. } => 0,
            Receipt::Stream(records) => records.iter().filter(|record| record.is_err()).count(),
        }
    }

    /// Ids or failures, in the order of the records. An id is unique: the journal's own, then the record's place in it.
    pub fn records(&self) -> Vec<Result<String, PutFailure>> {
        match self {
            Receipt::Journal { journal, appended } => {
                let id = |end: &u64| Ok(format!("{journal}{:016x}{end:016x}", appended.segment));
                appended.ends.iter().map(id).collect()
            }
            Receipt::Stream(records) => records.clone(),
        }
    }
}

/// Takes records. Returns only when they are durable.
#[async_trait]
pub trait Sink: Send + Sync + std::fmt::Debug + 'static {
    /// `arrived_at` in milliseconds since the epoch. Each record is at most 1,024,000 bytes long.
    async fn put(&self, records: Vec<Bytes>, arrived_at: i64) -> Result<Receipt, SinkError>;
}

/// Whether the same records may be taken later.
fn refusal(error: &JournalError) -> Refusal {
    match error {
        JournalError::AppendTooLong { .. } | JournalError::RecordTooLong(_) => Refusal::TooLarge,
        _ => Refusal::Journal,
    }
}

/// Puts into the local journal: all records of a request or none.
#[derive(Debug)]
pub struct JournalSink {
    journal: Arc<Journal>,
    id: Arc<str>,
}

impl JournalSink {
    pub fn new(journal: Arc<Journal>) -> JournalSink {
        let id = journal.id().into();
        JournalSink { journal, id }
    }
}

#[async_trait]
impl Sink for JournalSink {
    async fn put(&self, records: Vec<Bytes>, arrived_at: i64) -> Result<Receipt, SinkError> {
        match self.journal.append(records, arrived_at).await {
            Ok(appended) => Ok(Receipt::Journal { journal: self.id.clone(), appended }),
            Err(error) => Err(SinkError { refusal: refusal(&error), message: error.to_string() }),
        }
    }
}
