//! Questions over the lake: why has this attribute of this entity this value, since when, on what evidence.
//!
//! Read-only. Life of a question:
//! 1. *access* (`api/access.rs`): who asks, and is there room for one more.
//! 2. *question* (`api/parameters.rs`, `history.rs`): path and query to typed values, checked before anything is read.
//! 3. *plan* (`plan/`): the filter's domains, what follows from them for partition columns, and the folders these come to by the
//!    table's own projection rules, newest first. Pure.
//! 4. *read* (`engine/`): wave after wave of folders is listed and its files are read, until the question needs no more.
//! 5. *fold* (`timeline.rs`): events in order, repetitions dropped, to what was so since when. Pure.
//! 6. *answer* (`api/`): JSON, CSV, NDJSON or Parquet, with the statistics of all this.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod error;
pub mod event;
pub mod history;
pub mod lake;
pub mod lambda;
pub mod page;
pub mod plan;
pub mod predicate;
pub mod question;
pub mod record;
pub mod reference;
pub mod time;
pub mod timeline;
