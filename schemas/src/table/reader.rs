//! Reads members out of TOML tables and collects every problem with its line, so that one run shows them all.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Problem, line_of, nearest};

/// A TOML table, and what messages call it.
pub(super) struct Section<'d> {
    pub(super) table: &'d DeTable<'d>,
    /// Empty for the document itself.
    pub(super) what: String,
    /// Where it begins.
    pub(super) at: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

pub(super) struct Reader<'t> {
    text: &'t str,
    file: &'t str,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, file: &'t str) -> Self {
        Reader { text, file, problems: Vec::new() }
    }

    /// A problem at a byte offset.
    pub(super) fn problem(&mut self, at: usize, message: impl Into<String>) {
        self.problems.push(Problem::new(self.file, Some(line_of(self.text, at)), message));
    }

    /// `value`, or the problems found, by line.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                self.problems.sort_by_key(|p| p.line);
                Err(self.problems)
            }
        }
    }

    /// Refuses members that are not in `known`.
    pub(super) fn refuse_unknown(&mut self, section: &Section<'_>, known: &[&str]) {
        for key in section.table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let place = section.place();
            let message = match nearest(name, known.iter().copied()) {
                Some(near) => format!("unknown field `{name}`{place}: write `{near}`"),
                None => format!("unknown field `{name}`{place}: remove it; known are {}", known.join(", ")),
            };
            self.problem(key.span().start, message);
        }
    }

    pub(super) fn string<'d>(&mut self, section: &Section<'d>, name: &str) -> Option<At<&'d str>> {
        self.typed(section, name, "a string in quotes", |value| value.as_str())
    }

    /// As [`Reader::string`], but it must be there. `example` ends the sentence "write ".
    pub(super) fn required_string<'d>(
        &mut self,
        section: &Section<'d>,
        name: &str,
        example: &str,
    ) -> Option<At<&'d str>> {
        if !section.table.contains_key(name) {
            self.problem(section.at, format!("`{name}`{} is missing: write {example}", section.place()));
        }
        self.string(section, name)
    }

    pub(super) fn boolean(&mut self, section: &Section<'_>, name: &str) -> Option<bool> {
        self.typed(section, name, "true or false", |value| value.as_bool()).map(|found| found.value)
    }

    /// A whole number, 0 or more.
    pub(super) fn whole(&mut self, section: &Section<'_>, name: &str) -> Option<At<u64>> {
        self.typed(section, name, "a whole number", |value| {
            let integer = value.as_integer()?;
            u64::from_str_radix(integer.as_str(), integer.radix()).ok()
        })
    }

    /// A list of strings; empty if it is not there.
    pub(super) fn strings<'d>(&mut self, section: &Section<'d>, name: &str) -> Vec<At<&'d str>> {
        let Some(list) = self.typed(section, name, "a list of strings", |value| value.as_array()) else {
            return Vec::new();
        };
        let mut strings = Vec::new();
        for item in list.value.iter() {
            match item.get_ref().as_str() {
                Some(value) => strings.push(At { value, at: item.span().start }),
                None => self.problem(item.span().start, format!("`{name}` wants strings in quotes{}", section.place())),
            }
        }
        strings
    }

    /// The tables of a `[[name]]`; empty if there is none.
    pub(super) fn sections<'d>(&mut self, section: &Section<'d>, name: &str) -> Vec<Section<'d>> {
        let want = format!("tables: write `[[{name}]]`");
        let Some(list) = self.typed(section, name, &want, |value| value.as_array()) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in list.value.iter() {
            match item.get_ref().as_table() {
                Some(table) => {
                    let own = table.get("name").and_then(|found| found.get_ref().as_str());
                    let own = own.map(|own| format!(" `{own}`")).unwrap_or_default();
                    sections.push(Section { table, what: format!("[[{name}]]{own}"), at: item.span().start });
                }
                None => self.problem(item.span().start, format!("`{name}` wants {want}")),
            }
        }
        sections
    }

    /// A `[name]` or an inline table.
    pub(super) fn section<'d>(&mut self, section: &Section<'d>, name: &str, what: String) -> Option<Section<'d>> {
        let found = self.typed(section, name, "a table", |value| value.as_table())?;
        Some(Section { table: found.value, what, at: found.at })
    }

    fn typed<'d, T>(
        &mut self,
        section: &Section<'d>,
        name: &str,
        want: &str,
        read: impl Fn(&'d DeValue<'d>) -> Option<T>,
    ) -> Option<At<T>> {
        let found: &'d Spanned<DeValue<'d>> = section.table.get(name)?;
        let at = found.span().start;
        let value = read(found.get_ref());
        if value.is_none() {
            let (place, kind) = (section.place(), found.get_ref().type_str());
            self.problem(at, format!("`{name}`{place} wants {want}, found {kind}"));
        }
        value.map(|value| At { value, at })
    }
}

impl Section<'_> {
    /// ` of [[column]]`, to stand behind a member's name.
    fn place(&self) -> String {
        if self.what.is_empty() { String::new() } else { format!(" of {}", self.what) }
    }
}

/// The line of the `name = "..."` of an item of one of these `[[kinds]]`.
pub(super) fn line_of_item(text: &str, kinds: &[&str], name: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let items = kinds.iter().filter_map(|kind| document.get_ref().get(*kind)?.get_ref().as_array());
    items
        .flat_map(|list| list.iter())
        .filter_map(|item| item.get_ref().as_table()?.get("name"))
        .find(|value| value.get_ref().as_str() == Some(name))
        .map(|value| line_of(text, value.span().start))
}
