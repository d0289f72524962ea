//! Engines: what turns a question into rows. Everything above them is the same whichever answers.

pub mod datafusion;

use async_trait::async_trait;

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
