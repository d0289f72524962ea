//! What can go wrong in the writer, by what the caller should do about it.

/// A failure of the writer.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// Another writer has taken over: drop everything, exit, or start anew as a new writer.
    #[error("writer {writer} was sealed by {by}: another process has taken its shards over")]
    Fenced { writer: String, by: String },
    /// The environment failed after retries: the store or the disk. Nothing is lost; start again once it is back.
    #[error("{doing}: {message}")]
    Environment { doing: String, message: String },
    /// The configuration cannot work as it is.
    #[error("{0}")]
    Config(String),
    /// What is stored contradicts itself: a bug, or someone else's hand in the state folder. Stop, and look.
    #[error("{0}")]
    Corrupt(String),
}

impl WriterError {
    pub fn environment(doing: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        WriterError::Environment { doing: doing.into(), message: cause.to_string() }
    }
}
