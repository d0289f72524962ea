//! The service: events in, keyed Parquet out.
//!
//! # Life of one record
//! 1. **read** ([`source`]): a source hands a [`record::Batch`] `{shard, span (from, to], records}`; the whole span is in
//!    flight before anything comes of a record.
//! 2. **decode** ([`documents`], [`decode`]): bytes, decompressed, to one or several strict JSON objects, or a reject with its
//!    reason.
//! 3. **keys** ([`keys`]): compiled jq over the event, one scalar per key, or a reject.
//! 4. **guard** ([`guard`]): the key values against the table's projection rules. A value that no query would ever see is a
//!    reject, never a silent file.
//! 5. **buffer** (`writer::buffer`): the row joins the open buffer of its partition; a reject is a row of the errors output.
//! 6. **decide** (`writer::buffer::policy`): size, rows, age, idleness, memory: flush or not, always with the reason.
//! 7. **cut** (`writer::commit`): what will be stored is encoded and written down first.
//! 8. **store**: one PUT per file, at a name that is a function of the cut.
//! 9. **release**: the watermark moves; the source may forget.
//!
//! [`pipeline`] calls them in this order; [`routing`] does 2 to 4 for several batches at once.

pub mod admin;
pub mod archive;
pub mod assemble;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decode;
pub mod documents;
pub mod error;
#[cfg(test)]
mod golden;
pub mod guard;
pub mod import;
pub mod inflate;
pub mod keys;
pub mod late;
pub mod logs;
pub mod metrics;
pub mod paths;
pub mod pipeline;
pub mod place;
pub mod rebuild;
pub mod record;
pub mod reload;
pub mod route;
pub mod routing;
pub mod settle;
pub mod source;
pub mod tune;
