//! How a command ends when it does not succeed.

use schemas::problem::Problem;
use writer::error::WriterError;

use crate::error::RunError;
use crate::source::SourceError;

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whoever wrote the input or the configuration.
    Input,
    /// Whoever runs store, network, disk or stream: retries did not help.
    Environment,
    /// Nobody: another writer has taken over.
    Fenced,
    /// Nobody: a signal came before the end.
    Stopped,
    /// Nobody: who read our stdout has seen enough.
    OutputClosed,
}

impl Kind {
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::OutputClosed => 0,
            Kind::Input => 1,
            Kind::Environment => 3,
            Kind::Fenced => 4,
            Kind::Stopped => 130,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Input => "input",
            Kind::Environment => "environment",
            Kind::Fenced => "fenced",
            Kind::Stopped => "stopped",
            Kind::OutputClosed => "output_closed",
        }
    }
}

/// A command that did not succeed. An empty message: everything has been said on stdout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    pub kind: Kind,
    pub message: String,
}

impl CliError {
    pub fn input(message: impl Into<String>) -> Self {
        CliError { kind: Kind::Input, message: message.into() }
    }

    pub fn environment(doing: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        CliError { kind: Kind::Environment, message: format!("{doing}: {cause}") }
    }

    /// Writing to stdout failed.
    pub(crate) fn output(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => CliError { kind: Kind::OutputClosed, message: String::new() },
            _ => CliError::environment("writing to stdout", error),
        }
    }
}

impl From<Vec<Problem>> for CliError {
    fn from(problems: Vec<Problem>) -> Self {
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        CliError::input(lines.join("\n"))
    }
}

impl From<WriterError> for CliError {
    fn from(error: WriterError) -> Self {
        let kind = match error {
            WriterError::Fenced { .. } => Kind::Fenced,
            WriterError::Config(_) => Kind::Input,
            WriterError::Environment { .. } | WriterError::Corrupt(_) => Kind::Environment,
        };
        CliError { kind, message: error.to_string() }
    }
}

impl From<SourceError> for CliError {
    fn from(error: SourceError) -> Self {
        let kind = match error {
            SourceError::Config(_) => Kind::Input,
            SourceError::Taken { .. } => Kind::Fenced,
            SourceError::Environment { .. } | SourceError::Lost { .. } | SourceError::Closed => Kind::Environment,
        };
        CliError { kind, message: error.to_string() }
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        let kind = match error {
            RunError::Input(_) => Kind::Input,
            RunError::Environment(_) => Kind::Environment,
            RunError::Fenced(_) | RunError::NothingLeft(_) => Kind::Fenced,
        };
        CliError { kind, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_say_who_has_to_act() {
        let fenced = WriterError::Fenced { writer: "a".into(), by: "b".into() };
        assert_eq!(CliError::from(fenced).kind.exit_code(), 4);
        assert_eq!(CliError::from(WriterError::Config("x".into())).kind.exit_code(), 1);
        assert_eq!(CliError::from(WriterError::Corrupt("x".into())).kind.exit_code(), 3);
        assert_eq!(CliError::from(SourceError::Config("x".into())).kind.exit_code(), 1);
        assert_eq!(CliError::from(SourceError::Closed).kind.exit_code(), 3);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = CliError::output(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!((error.kind.exit_code(), error.message.as_str()), (0, ""));
        assert_eq!(CliError::output(std::io::ErrorKind::StorageFull.into()).kind.exit_code(), 3);
    }
}
