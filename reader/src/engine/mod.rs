//! Engines: what turns a question into rows. Everything above them is the same whichever answers.

pub mod athena;
pub mod datafusion;
mod rows;
mod walk;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::error::ReaderError;
use crate::question::{DryRun, Found, Question};

/// Reads the rows a question wants.
#[async_trait]
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// What replies call it.
    fn name(&self) -> &'static str;

    /// The rows that match, in order. May end early where [`Question::stop`] allows; dropped, it stops reading.
    async fn events(&self, question: &Question) -> Result<Found, ReaderError>;

    /// What [`Engine::events`] would read if nothing stopped it early.
    async fn plan(&self, question: &Question) -> Result<DryRun, ReaderError>;
}

/// Milliseconds since then, to the microsecond.
fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_micros() as f64 / 1000.0
}

fn too_many_rows(limit: u64) -> ReaderError {
    let instead = "ask for less at a time, with `limit`, or a narrower range of time";
    ReaderError::TooMuch { what: "rows to hold", limit, instead }
}

fn too_many_bytes(limit: u64) -> ReaderError {
    let instead = "add a predicate, or a narrower range of time";
    ReaderError::TooMuch { what: "bytes of the files to read", limit, instead }
}
