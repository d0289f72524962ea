//! Where rows go: a partition of the table, a folder of the errors output, a folder of the archive.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One of the places that files go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    Table,
    Errors,
    Archive,
}

impl Output {
    pub const ALL: [Output; 3] = [Output::Table, Output::Errors, Output::Archive];

    pub fn as_str(self) -> &'static str {
        match self {
            Output::Table => "table",
            Output::Errors => "errors",
            Output::Archive => "archive",
        }
    }

    /// The folder or partition at `path` of this output.
    pub fn target(self, path: Arc<str>) -> Target {
        match self {
            Output::Table => Target::Table(path),
            Output::Errors => Target::Errors(path),
            Output::Archive => Target::Archive(path),
        }
    }
}

/// Which output a row belongs to: a partition of the table, a folder of the errors output, or a folder of the archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// Partition path, hive-escaped, no slash at either end.
    Table(Arc<str>),
    /// Folder below the errors URL.
    Errors(Arc<str>),
    /// Folder below the archive's URL.
    Archive(Arc<str>),
}

impl Target {
    pub fn is_table(&self) -> bool {
        self.output() == Output::Table
    }

    pub fn output(&self) -> Output {
        match self {
            Target::Table(_) => Output::Table,
            Target::Errors(_) => Output::Errors,
            Target::Archive(_) => Output::Archive,
        }
    }

    pub fn path(&self) -> &str {
        match self {
            Target::Table(path) | Target::Errors(path) | Target::Archive(path) => path,
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        format!("{}/{}", target.output().as_str(), target.path())
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let of = |(name, path): (&str, &str)| {
            let output = Output::ALL.into_iter().find(|output| output.as_str() == name)?;
            Some(output.target(path.into()))
        };
        text.split_once('/')
            .and_then(of)
            .ok_or_else(|| format!("`{text}` is no target: want table/..., errors/... or archive/..."))
    }
}
