//! Batches of one file on their way out: opened with the first rows, sorted if the spec says so, and the count of what was
//! dropped.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use bytes::Bytes;
use schemas::reject::quote;

use super::parquet::{self, Size};
use super::rows::{CHUNK_ROWS, Decoder, Unread};
use super::sort::Sorted;
use super::{Encoder, UNKNOWN_NAMES_MAX};
use crate::error::WriterError;

/// Where names beyond [`UNKNOWN_NAMES_MAX`] are counted.
const OTHER_NAMES: &str = "...";

/// A file that is being filled.
#[derive(Debug)]
pub(super) struct File<'e> {
    encoder: &'e Encoder,
    size: Size,
    metadata: &'e [(String, String)],
    /// Open from the first batch on: what that batch holds decides about dictionaries.
    open: Option<parquet::File>,
    /// Batches that wait to be sorted.
    held: Vec<RecordBatch>,
}

fn failed(error: ArrowError) -> WriterError {
    WriterError::Config(format!("rows cannot be sorted: {error}"))
}

impl<'e> File<'e> {
    pub(super) fn new(encoder: &'e Encoder, size: Size, metadata: &'e [(String, String)]) -> Self {
        File { encoder, size, metadata, open: None, held: vec![] }
    }

    /// Takes over the rows decoded so far.
    pub(super) fn take(&mut self, decoder: &mut Decoder<'_, '_>) -> Result<(), WriterError> {
        if decoder.is_empty() {
            return Ok(());
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.encoder.layout.open(self.size, &decoder.repeats(), self.metadata)?,
        };
        let open = self.open.insert(open);
        let batch = decoder.take()?;
        if self.encoder.plan.sort.is_empty() {
            return open.write(&batch);
        }
        self.held.push(batch);
        Ok(())
    }

    /// The file's bytes; none if no row came.
    pub(super) fn finish(self) -> Result<Bytes, WriterError> {
        let Some(mut open) = self.open else { return Ok(Bytes::new()) };
        let sorted = Sorted::new(self.held, &self.encoder.plan.sort).map_err(failed)?;
        for batch in sorted.chunks(CHUNK_ROWS) {
            open.write(&batch.map_err(failed)?)?;
        }
        open.finish()
    }
}

/// Names of members that were dropped, and how often.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    counts: BTreeMap<String, u64>,
}

impl Dropped {
    pub(super) fn count(&mut self, members: &[Unread<'_>]) {
        for member in members {
            // The common case costs no allocation: a name without escapes that has been counted before.
            match member.plain_name().and_then(|name| self.counts.get_mut(name)) {
                Some(count) => *count += 1,
                None => self.count_name(quote(&member.name())),
            }
        }
    }

    fn count_name(&mut self, name: String) {
        let full = self.counts.len() >= UNKNOWN_NAMES_MAX && !self.counts.contains_key(&name);
        *self.counts.entry(if full { OTHER_NAMES.to_string() } else { name }).or_default() += 1;
    }

    pub(super) fn into_counts(self) -> BTreeMap<String, u64> {
        self.counts
    }
}
