//! Batches of one file on their way out, and the count of what was dropped.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::reject::{Reject, quote};

use super::cursor::Value;
use super::parquet::{self, Size};
use super::plan::Plan;
use super::rows::{Decoder, Found, Kept, Unread, find_members};
use super::{Encoded, Encoder, Row, SPARE_TEXT_MAX, UNKNOWN_NAMES_MAX};
use crate::error::WriterError;

/// Where names beyond [`UNKNOWN_NAMES_MAX`] are counted.
const OTHER_NAMES: &str = "...";

/// A file that is being filled.
#[derive(Debug)]
pub(super) struct File<'e> {
    encoder: &'e Encoder,
    size: Size,
    metadata: &'e [(String, String)],
    /// Open from the first batch on: what that batch holds decides how columns are written.
    open: Option<parquet::File<'e>>,
}

impl<'e> File<'e> {
    pub(super) fn new(encoder: &'e Encoder, size: Size, metadata: &'e [(String, String)]) -> Self {
        File { encoder, size, metadata, open: None }
    }

    /// Takes over the rows decoded so far.
    pub(super) fn take(&mut self, decoder: &mut Decoder<'_>) -> Result<(), WriterError> {
        if decoder.is_empty() {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.encoder.layout.open(self.size, &decoder.survey(), self.metadata)?,
        };
        open.write(decoder.columns(), decoder.rows())?;
        decoder.clear(open.room());
        self.open = Some(open);
        Ok(())
    }

    /// The file's bytes; none if no row came.
    pub(super) fn finish(self) -> Result<Bytes, WriterError> {
        self.open.map_or(Ok(Bytes::new()), parquet::File::finish)
    }
}

/// A file and all that is known of the rows on their way into it.
#[derive(Debug)]
pub(super) struct Filling<'e> {
    file: File<'e>,
    plan: &'e Plan,
    decoder: Decoder<'e>,
    keeps_rest: bool,
    rejects: Vec<(usize, Reject)>,
    dropped: Dropped,
}

impl<'e> Filling<'e> {
    pub(super) fn new(encoder: &'e Encoder, size: Size, metadata: &'e [(String, String)]) -> Self {
        Filling {
            file: File::new(encoder, size, metadata),
            plan: &encoder.plans.file,
            decoder: Decoder::again(
                &encoder.plans.file,
                size.rows.min(encoder.layout.row_group_rows()),
                &encoder.columns,
            ),
            keeps_rest: encoder.plans.file.keeps_rest(),
            rejects: vec![],
            dropped: Dropped::default(),
        }
    }

    /// Adds the rows of these indexes; `event` gives a row's event by its number in `indexes` and its index. What was `kept` of a
    /// row is not looked for again.
    pub(super) fn push<'a>(
        &mut self,
        indexes: &[usize],
        rows: &[Row<'a>],
        event: impl Fn(usize, usize) -> Option<Value<'a>>,
        kept: &Kept,
    ) -> Result<(), WriterError> {
        let mut found = Found::default();
        for (number, index) in indexes.iter().enumerate() {
            match self.push_row(rows[*index], event(number, *index), found.recall(kept, *index), &mut found) {
                Ok(()) if self.keeps_rest => {}
                Ok(()) => self.dropped.count(found.unread()),
                Err(reject) => self.rejects.push((*index, reject)),
            }
            if self.decoder.is_full() {
                self.file.take(&mut self.decoder)?;
            }
        }
        Ok(())
    }

    fn push_row<'a>(
        &mut self,
        row: Row<'_>,
        event: Option<Value<'a>>,
        is_found: bool,
        found: &mut Found<'a>,
    ) -> Result<(), Reject> {
        let event = match event {
            Some(event) if is_found => event,
            event => find_members(self.plan, row, event, found)?,
        };
        self.decoder.push(row, event, found)
    }

    /// The file of so many rows that came.
    pub(super) fn finish(mut self, rows: usize) -> Result<Encoded, WriterError> {
        self.file.take(&mut self.decoder)?;
        self.rejects.sort_unstable_by_key(|(index, _)| *index);
        let rows = (rows - self.rejects.len()) as u64;
        if self.file.size.text_bytes <= SPARE_TEXT_MAX {
            self.decoder.leave(&self.file.encoder.columns);
        }
        let (bytes, dropped) = (self.file.finish()?, self.dropped.into_counts());
        Ok(Encoded { bytes, rows, rejects: self.rejects, dropped })
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
