//! What can go wrong, by what whoever asked should do about it.

use std::fmt::Display;

use schemas::problem::Problem;

use crate::plan::columns::Refusal;

/// An error of the reader.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The configuration is wrong: the operator corrects it. One problem a line.
    #[error("{}", lines(.0))]
    Config(Vec<Problem>),
    /// The question is wrong: the asker corrects this part of it.
    #[error("`{parameter}` {message}")]
    Question { parameter: String, message: String },
    /// There is no such thing; asking again gives the same.
    #[error("{0}")]
    Unknown(String),
    /// The table's rules list its attributes, and this is none of them.
    #[error("unknown attribute `{name}`{}", nearest.as_ref().map(|near| format!("; the nearest is `{near}`")).unwrap_or_default())]
    UnknownAttribute { name: String, nearest: Option<String> },
    /// A time that no folder of the table can hold: not the same as never having had a value.
    #[error("{at} lies {} the table's range, which goes from {first} to {last}", if at < first { "before" } else { "behind" })]
    OutsideRange { at: String, first: String, last: String },
    /// The question reads more than one question may: the asker narrows it.
    #[error(transparent)]
    TooWide(#[from] Refusal),
    /// As [`ReaderError::TooWide`], found out while reading.
    #[error("{what} come to more than {limit}: {instead}")]
    TooMuch { what: &'static str, limit: u64, instead: &'static str },
    /// Too many questions at once: the asker waits.
    #[error("{0} questions wait already: ask again in a second")]
    Busy(usize),
    /// It took longer than a question may.
    #[error("no answer within {0} s: narrow the question, or ask again")]
    Late(u64),
    /// A store or a socket does not do what it should: the operator looks after it; asking again may help.
    #[error("cannot {doing}: {why}")]
    Environment { doing: String, why: String },
    /// Something stored is not what it should be.
    #[error("{object} cannot be understood: {why}")]
    Corrupt { object: String, why: String },
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl ReaderError {
    pub fn environment(doing: impl Into<String>, why: impl Display) -> Self {
        let why = why.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        ReaderError::Environment { doing: doing.into(), why }
    }

    pub fn question(parameter: &str, message: impl Into<String>) -> Self {
        ReaderError::Question { parameter: parameter.to_string(), message: message.into() }
    }

    /// The exit code of a process that ends with it: 1 the configuration, 3 the environment.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, ReaderError::Config(_)) { 1 } else { 3 }
    }
}
