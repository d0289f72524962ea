//! What becomes of each setting of a stream: the same, better, different or nothing, each with why.

use serde::Serialize;

use super::node::shorten;

/// Findings and problems of one description at most; a hostile one has no more to say.
const NOTES_MAX: usize = 5_000;

/// How a setting fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Unsupported,
    Different,
    Better,
    Same,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Unsupported => "unsupported",
            Verdict::Different => "different",
            Verdict::Better => "better",
            Verdict::Same => "same",
        }
    }
}

/// What becomes of one setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub verdict: Verdict,
    /// Where it stands in the description.
    pub setting: String,
    pub value: String,
    /// Where it is in the result; empty if nowhere.
    pub becomes: String,
    pub why: String,
}

/// Why a stream cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub setting: String,
    pub why: String,
}

/// What is noted while a description is read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) findings: Vec<Finding>,
    pub(super) problems: Vec<Problem>,
}

impl Notes {
    pub(super) fn note(
        &mut self,
        verdict: Verdict,
        setting: &str,
        value: impl AsRef<str>,
        becomes: impl Into<String>,
        why: impl Into<String>,
    ) {
        if self.findings.len() < NOTES_MAX {
            let (setting, value) = (setting.to_string(), shorten(value.as_ref()));
            self.findings.push(Finding { verdict, setting, value, becomes: becomes.into(), why: why.into() });
        }
    }

    pub(super) fn same(&mut self, setting: &str, value: impl AsRef<str>, becomes: &str, why: &str) {
        self.note(Verdict::Same, setting, value, becomes, why);
    }

    pub(super) fn better(&mut self, setting: &str, value: impl AsRef<str>, becomes: &str, why: impl Into<String>) {
        self.note(Verdict::Better, setting, value, becomes, why);
    }

    pub(super) fn different(&mut self, setting: &str, value: impl AsRef<str>, becomes: &str, why: impl Into<String>) {
        self.note(Verdict::Different, setting, value, becomes, why);
    }

    pub(super) fn unsupported(&mut self, setting: &str, value: impl AsRef<str>, why: impl Into<String>) {
        self.note(Verdict::Unsupported, setting, value, "", why);
    }

    /// Without this there is nothing to import.
    pub(super) fn block(&mut self, setting: &str, why: impl Into<String>) {
        if self.problems.len() < NOTES_MAX {
            self.problems.push(Problem { setting: setting.to_string(), why: why.into() });
        }
    }

    /// The findings, what needs attention first, in the order of the description otherwise.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| finding.verdict);
        self.findings
    }
}
