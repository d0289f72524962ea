//! What each fuzz target does with its bytes. A module is a target but for `input`, `json` and `http`, which they share.
//!
//! Plain functions of the bytes, so that the tests of the main workspace can run them over the committed corpus with the stable
//! compiler (`tests/it/fuzz_corpus.rs` includes this file): no dependency that `tests` does not have.
#![forbid(unsafe_code)]

pub mod config;
pub mod cutter;
pub mod decode;
pub mod documents;
pub mod encode;
pub mod events;
pub mod firehose;
pub mod hive;
pub mod http;
pub mod import;
pub mod input;
pub mod journal;
pub mod jq;
pub mod json;
pub mod kpl;
pub mod log_entry;
pub mod position;
pub mod projection;
pub mod table_spec;
