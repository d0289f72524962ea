//! What can end a run, by what the operator should do about it.

use schemas::problem::Problem;
use writer::error::WriterError;

use crate::source::SourceError;

/// Why a run ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The config or the input is wrong.
    #[error("{0}")]
    Input(String),
    /// The environment failed after retries: nothing is lost, start again once it is back.
    #[error("{0}")]
    Environment(String),
    /// Another process has taken over.
    #[error("{0}")]
    Fenced(String),
    /// Another process has taken over everything that was ours.
    #[error("{0}")]
    NothingLeft(String),
}

impl From<WriterError> for RunError {
    fn from(error: WriterError) -> Self {
        match &error {
            WriterError::Fenced { .. } => RunError::Fenced(error.to_string()),
            WriterError::Config(_) => RunError::Input(error.to_string()),
            WriterError::Environment { .. } | WriterError::Corrupt(_) => RunError::Environment(error.to_string()),
        }
    }
}

impl From<SourceError> for RunError {
    fn from(error: SourceError) -> Self {
        match &error {
            SourceError::Config(_) => RunError::Input(error.to_string()),
            SourceError::Taken { .. } => RunError::Fenced(error.to_string()),
            SourceError::Environment { .. } | SourceError::Lost { .. } | SourceError::Closed => {
                RunError::Environment(error.to_string())
            }
        }
    }
}

impl From<Vec<Problem>> for RunError {
    fn from(problems: Vec<Problem>) -> Self {
        RunError::Input(problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))
    }
}
