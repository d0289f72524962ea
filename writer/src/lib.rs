//! Keyed rows in, committed Parquet objects out: buffers, flush policy, encode, the writer log, recovery.
//!
//! Knows Arrow, Parquet and the object store; knows neither where rows come from nor how their keys were found.

pub mod buffer;
pub mod commit;
pub mod encode;
pub mod error;
pub mod inventory;
pub mod lag;
pub mod metrics;
pub mod objects;
pub mod progress;
pub mod settings;
pub mod shared;
pub mod store;
pub mod store_local;
pub mod stored;
pub mod tape;
pub mod verify;
mod writer;

pub use buffer::Open;
pub use writer::{Given, Intake, Opened, Scope, Taken, Writer, is_cut};
