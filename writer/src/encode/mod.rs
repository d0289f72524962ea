//! Rows to one Parquet file: JSON text to Arrow columns by the table's spec, then pages.
//!
//! A value that does not fit its column rejects that row alone; the rest of the file is written. The bytes are a function of the
//! rows, their order, the spec and the settings: no clock, no randomness, a fixed `created_by`.
//!
//! The way of a row: [`events`] takes it apart, [`cursor`] walks it, and [`names`] finds which members are wanted by the [`plan`]; [`rows`] hands each
//! column its value; [`columns`], [`nested`] and [`scalars`] turn values into buffers with the rules of [`number`] and [`time`], or give
//! a [`misfit`]; every few thousand rows they go through [`file`] to the leaves of [`parquet`]: [`leaf`] makes pages of them, [`codec`]
//! compresses those. If the spec asks for an order, [`sort`] finds it first.
//! How a column's pages are written depends on a [`survey`] of its first values.
//!
//! # What becomes of a value
//! | column | takes |
//! | --- | --- |
//! | boolean | `true`, `false`, also as strings in any case |
//! | tinyint .. bigint | whole numbers in range, also `1.0`, `1e3` and as strings; never rounded |
//! | float, double | numbers, also as strings; the nearest value, never infinite |
//! | decimal | numbers, also as strings; exact: more digits than the type has are no fit |
//! | string | strings; any other value as its JSON text, as received |
//! | binary | strings of base64 with padding |
//! | date | `yyyy-[M]M-[d]d`, or an instant's UTC date; no numbers |
//! | timestamp | see [`schemas::instant`]; numbers too, seconds below 1e12 and milliseconds from there on |
//! | array, map, struct | arrays; objects; objects |
//!
//! Null and what is absent are null. A member belongs to the column or field of exactly its name, else to the one that has its
//! name ASCII case aside. Of members with the same name the last counts.

mod codec;
mod columns;
mod cursor;
mod events;
mod file;
mod leaf;
mod misfit;
mod names;
mod nested;
mod number;
mod parquet;
mod plan;
mod rows;
mod scalars;
mod sort;
mod spare;
mod survey;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::reject::Reject;
use schemas::rules::ParquetSettings;
use schemas::table::TableSpec;

use self::columns::Column;
use self::events::Events;
use self::file::Filling;
use self::parquet::{Layout, Size};
use self::plan::Plans;
use self::rows::{Decoder, Found, Kept, find_members};
use self::spare::Spare;
use crate::error::WriterError;
use crate::tape::Node;

/// One row on its way into a file.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub shard: &'a str,
    /// Decimal digits, see [`schemas::position::Position`].
    pub sequence: &'a str,
    pub sub: u64,
    pub document: u32,
    /// Milliseconds since the epoch.
    pub arrived_at: i64,
    /// The event: one strict JSON object in UTF-8, nested at most [`crate::encode::DEPTH_MAX`] deep (the pipeline has checked).
    pub data: &'a [u8],
    /// Of the event, see [`crate::tape::outline`]; empty if it is not known.
    pub outline: &'a [u8],
}

/// Deepest nesting of an event, in levels of objects and arrays.
pub const DEPTH_MAX: usize = 128;

/// A finished file.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The file. Empty if every row was rejected.
    pub bytes: Bytes,
    /// Rows in it.
    pub rows: u64,
    /// Rows that do not fit, by index into the input, ascending.
    pub rejects: Vec<(usize, Reject)>,
    /// Top-level members that no column reads and that were dropped: name and count. At most
    /// [`UNKNOWN_NAMES_MAX`] names, the rest under `...`.
    pub dropped: BTreeMap<String, u64>,
}

/// Most names of unknown members that are counted apart.
pub const UNKNOWN_NAMES_MAX: usize = 100;

/// What becomes of one event's members, for `explain`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explained {
    /// Columns (of the event) that will be null.
    pub nulls: Vec<String>,
    /// Top-level members that no column reads.
    pub unread: Vec<String>,
}

/// Turns rows of one table into files. Cheap to share between threads; each file is encoded on the thread that asks.
#[derive(Debug)]
pub struct Encoder {
    plans: Plans,
    layout: Layout,
    nodes: Spare<Vec<Node>>,
    columns: Spare<Vec<Column>>,
    key_columns: Spare<Vec<Column>>,
}

/// What files of more text have used is given back to the system: they are few, and it is much.
const SPARE_TEXT_MAX: usize = 8 << 20;

impl Encoder {
    /// Fails if the spec asks for something Parquet or Arrow cannot do.
    pub fn new(spec: &TableSpec, settings: &ParquetSettings) -> Result<Encoder, WriterError> {
        let plans = Plans::new(spec)?;
        let layout = Layout::new(&plans, settings)?;
        Ok(Encoder { plans, layout, nodes: Spare::default(), columns: Spare::default(), key_columns: Spare::default() })
    }

    /// One file from `rows` in the order given (then sorted, stably, by the spec's sort columns: ascending, nulls first).
    /// `metadata` goes into the file's key-value metadata.
    ///
    /// Beside `rows` it needs memory for the file, one batch of a few thousand rows and, if it sorts, the sort columns.
    pub fn encode(&self, rows: &[Row<'_>], metadata: &[(String, String)]) -> Result<Encoded, WriterError> {
        let size = Size { rows: rows.len(), text_bytes: rows.iter().map(|row| row.data.len()).sum() };
        let slots = self.plans.keys.as_ref().map(|keys| keys.slots);
        let mut events = Events::new(self.nodes.take(), slots);
        let mut kept = Kept::default();
        let order = self.order(rows, &mut events, &mut kept);
        let mut filling = Filling::new(self, size, metadata);
        if events.len() == rows.len() {
            // The search for the order has taken all of them apart.
            filling.push(&order, rows, |_, index| events.get(index), &kept)?;
        } else {
            let mut rest = order.as_slice();
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at(events.fill(rest.iter().map(|index| rows[*index])));
                filling.push(chunk, rows, |number, _| events.get(number), &Kept::default())?;
                rest = behind;
            }
        }
        self.nodes.give_back(events.into_nodes());
        filling.finish(rows.len())
    }

    /// The indexes of `rows` in the order they stand in the file.
    fn order<'a>(&self, rows: &[Row<'a>], events: &mut Events<'a>, kept: &mut Kept) -> Vec<usize> {
        match &self.plans.keys {
            Some(keys) => sort::order(rows, keys, &self.key_columns, events, kept),
            None => (0..rows.len()).collect(),
        }
    }

    /// What would become of one event.
    pub fn explain(&self, row: Row<'_>) -> Result<Explained, Reject> {
        let mut decoder = Decoder::new(&self.plans.file, 1);
        let (mut events, mut found) = (Events::default(), Found::default());
        events.fill(std::iter::once(row));
        let event = find_members(&self.plans.file, row, events.get(0), &mut found)?;
        decoder.push(row, event, &found)?;
        Ok(decoder.explain(event, &found))
    }
}
