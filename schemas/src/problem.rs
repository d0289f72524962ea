//! What is wrong with something a person wrote (a config, a table spec, a key program), where, and what to write instead; and
//! how an error of a library is told.

use std::error::Error;
use std::fmt;

/// One problem: `file:line: what is wrong; what to write instead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File the text came from, as the user named it.
    pub file: String,
    /// 1-based line, where known.
    pub line: Option<usize>,
    /// What is wrong and what to write instead. Lower case, no full stop.
    pub message: String,
}

impl Problem {
    pub fn new(file: &str, line: Option<usize>, message: impl Into<String>) -> Self {
        Problem { file: file.to_string(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// An error with its causes: the `Display` of most libraries stops at "dispatch failure". Wrappers often repeat what they wrap; that
/// is told once.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let told = inner.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = inner.source();
    }
    text
}

/// [`causes`] in one line: stores answer with documents of many.
pub fn one_line(error: &dyn Error) -> String {
    causes(error).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The 1-based line of a byte offset in `text`.
pub fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// The candidate nearest to `typed`, if one is near enough to be what was meant.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates.into_iter().map(|c| (distance(typed, c), c)).min().filter(|(d, c)| *d <= 1 + c.len() / 3).map(|(_, c)| c)
}

/// Levenshtein distance over bytes; names are short ASCII words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_offered_and_nonsense_is_not() {
        assert_eq!(nearest("compresion", ["compression", "level"]), Some("compression"));
        assert_eq!(nearest("sise", ["size", "age", "idle"]), Some("size"));
        assert_eq!(nearest("zzzzzzzz", ["size", "age"]), None);
    }

    #[derive(Debug)]
    struct Wrapper(&'static str, Option<Box<Wrapper>>);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|inner| inner as _)
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_once_each() {
        let wrap = |text, inner| Wrapper(text, Some(Box::new(inner)));
        let error = wrap("dispatch failure", wrap("io: refused", wrap("refused", Wrapper("by\n  peer", None))));
        assert_eq!(causes(&error), "dispatch failure: io: refused: by\n  peer");
        assert_eq!(one_line(&error), "dispatch failure: io: refused: by peer");
    }
}
