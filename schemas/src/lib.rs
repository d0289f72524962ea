//! The contract of the bucket: what a table looks like, where its objects lie, what the log beside it says.
//!
//! Everything that is stored, and everything that two parts of the system must agree on, is defined here and nowhere else:
//! column types and table specs, projection rules, hive paths, the generated DDL, positions and spans, the writer log, the
//! errors output, the archive of raw records. Pure: no IO, no async, no clock; whoever needs the time passes it in as milliseconds since the epoch.

pub mod archive;
pub mod arrow;
pub mod bucket;
pub mod column;
pub mod ddl;
pub mod env;
pub mod hive;
pub mod instant;
pub mod layout;
pub mod lint;
pub mod log_entry;
pub mod place;
pub mod position;
pub mod problem;
pub mod projection;
pub mod quantity;
pub mod reject;
pub mod rules;
pub mod table;
pub mod target;
