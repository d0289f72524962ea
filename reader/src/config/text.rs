//! TOML text to values with their lines: every problem is collected, with what to write instead.

use schemas::env::{Lookup, expand};
use schemas::problem::{Problem, line_of};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A parsed file.
pub(super) struct Text<'t> {
    text: &'t str,
    file: &'t str,
    lookup: Lookup<'t>,
    root: DeTable<'t>,
    problems: Vec<Problem>,
}

impl<'t> Text<'t> {
    pub(super) fn parse(text: &'t str, file: &'t str, lookup: Lookup<'t>) -> Result<Text<'t>, Vec<Problem>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let problem = |error: &toml::de::Error| {
            let line = error.span().map(|span| line_of(text, span.start));
            Problem::new(file, line, format!("not TOML: {}", error.message().trim().replace('\n', ", ")))
        };
        if !errors.is_empty() {
            return Err(errors.iter().map(problem).collect());
        }
        Ok(Text { text, file, lookup, root: root.into_inner(), problems: Vec::new() })
    }

    /// All that was said, by line.
    pub(super) fn problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems.dedup();
        self.problems
    }

    /// Says what is wrong with a field, a section (`field` empty) or the file (both empty).
    pub(super) fn say(&mut self, section: &str, field: &str, message: impl Into<String>) {
        let line = self.line(section, field);
        self.problems.push(Problem::new(self.file, line, message));
    }

    pub(super) fn say_all(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    fn line(&self, section: &str, field: &str) -> Option<usize> {
        let (name, item) = self.root.iter().find(|(name, _)| name.get_ref() == section)?;
        let within = item.get_ref().as_table().and_then(|table| table.iter().find(|(name, _)| name.get_ref() == field));
        Some(line_of(self.text, within.map_or(name.span().start, |(name, _)| name.span().start)))
    }

    pub(super) fn has(&self, section: &str) -> bool {
        self.section(section).is_some()
    }

    fn section(&self, section: &str) -> Option<&DeTable<'t>> {
        self.root.get(section)?.get_ref().as_table()
    }

    /// Names of all that stands at the root.
    pub(super) fn roots(&self) -> Vec<String> {
        self.root.keys().map(|name| name.get_ref().to_string()).collect()
    }

    /// An integer at the root, as typed.
    pub(super) fn root_integer(&self, name: &str) -> Option<String> {
        self.root.get(name)?.get_ref().as_integer().map(|integer| integer.as_str().to_string())
    }

    /// Names of a section's members.
    pub(super) fn names(&self, section: &str) -> Vec<String> {
        self.section(section).map(|t| t.keys().map(|name| name.get_ref().to_string()).collect()).unwrap_or_default()
    }

    /// The members of a section that are text.
    pub(super) fn members(&mut self, section: &str) -> Vec<(String, String)> {
        let names = self.names(section);
        names.into_iter().filter_map(|name| Some((name.clone(), self.string(section, &name)?))).collect()
    }

    /// A text, environment expanded.
    pub(super) fn string(&mut self, section: &str, field: &str) -> Option<String> {
        let text = self.typed(section, field, "text in quotes", |value| value.as_str().map(str::to_string))?;
        match expand(&text, self.lookup) {
            Ok(text) => Some(text),
            Err(message) => {
                self.say(section, field, format!("`{field}` {message}"));
                None
            }
        }
    }

    pub(super) fn flag(&mut self, section: &str, field: &str) -> bool {
        self.typed(section, field, "true or false", |value| value.as_bool()).unwrap_or(false)
    }

    /// A whole number, 0 or more.
    pub(super) fn whole(&mut self, section: &str, field: &str) -> Option<u64> {
        self.typed(section, field, "a whole number", |value| {
            let integer = value.as_integer()?;
            u64::from_str_radix(integer.as_str(), integer.radix()).ok()
        })
    }

    fn typed<T>(
        &mut self,
        section: &str,
        field: &str,
        want: &str,
        read: impl Fn(&DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let item: &Spanned<DeValue<'t>> = self.section(section)?.get(field)?;
        let value = read(item.get_ref());
        if value.is_none() {
            self.say(section, field, format!("`{field}` in [{section}] wants {want}"));
        }
        value
    }
}
