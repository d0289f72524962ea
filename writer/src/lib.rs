//! Keyed rows in, committed Parquet objects out: buffers, flush policy, encode, the writer log, recovery.
//!
//! Knows Arrow, Parquet and the object store; knows neither where rows come from nor how their keys were found.

pub mod encode;
pub mod error;
pub mod metrics;
pub mod settings;
