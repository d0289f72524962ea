//! First step: what was typed. TOML text to checked values with their lines, by the table of fields. No IO.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use schemas::problem::{Problem, line_of, nearest};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fields::{Fallback, Field, Kind, Need, SECTIONS, Section, VERSION, section};
use super::value::{self, Value};
use schemas::env::{self, Lookup};

/// What was typed, as far as it is right.
#[derive(Debug, Default)]
pub struct Typed {
    /// By name; those of a named section as `section.<name>`.
    sections: BTreeMap<String, Given>,
    /// In the order of the file.
    pub keys: Vec<Key>,
    /// Names of keys that are there, but wrong.
    pub wrong_keys: Vec<String>,
}

/// A section that is there.
#[derive(Debug, Default)]
struct Given {
    line: usize,
    values: BTreeMap<&'static str, Entry>,
    /// Whether a field was there that is wrong.
    broken: bool,
}

/// A field that is there.
#[derive(Debug)]
struct Entry {
    line: usize,
    value: Value,
    /// Before the environment was looked at: what may be shown.
    typed: String,
}

/// A line of `[keys]`.
#[derive(Debug, Clone)]
pub struct Key {
    pub name: String,
    pub program: String,
    pub line: usize,
    /// Before the environment was looked at: what may be shown.
    pub typed: String,
}

impl Typed {
    pub fn has(&self, section: &str) -> bool {
        self.sections.contains_key(section)
    }

    /// The sections `[section.<name>]`, by their full names.
    pub fn named(&self, section: &str) -> impl Iterator<Item = &str> {
        let of = move |name: &&str| name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
        self.sections.keys().map(String::as_str).filter(of)
    }

    /// Whether all that stands in a section is right.
    pub fn is_whole(&self, section: &str) -> bool {
        self.sections.get(section).is_some_and(|given| !given.broken)
    }

    /// Line of a section's header.
    pub fn section_line(&self, section: &str) -> Option<usize> {
        self.sections.get(section).map(|s| s.line)
    }

    /// Line of a field.
    pub fn line(&self, section: &str, field: &str) -> Option<usize> {
        self.sections.get(section)?.values.get(field).map(|e| e.line)
    }

    /// The field's text as it may be shown: environment not expanded, or the default.
    pub fn shown(&self, section: &str, field: &Field) -> Option<String> {
        let given = self.sections.get(section).and_then(|s| s.values.get(field.name)).map(|e| e.typed.clone());
        given.or(match field.fallback {
            Fallback::Default(text) => Some(text.to_string()),
            _ => None,
        })
    }

    /// The field's value or its default.
    pub fn value(&self, name: &str, field: &str) -> Option<Value> {
        if let Some(entry) = self.sections.get(name).and_then(|s| s.values.get(field)) {
            return Some(entry.value.clone());
        }
        let field = section(name)?.field(field)?;
        match field.fallback {
            Fallback::Default(text) => value::parse(field.kind, text, Path::new("/")).ok(),
            _ => None,
        }
    }

    pub fn text(&self, section: &str, field: &str) -> Option<String> {
        match self.value(section, field)? {
            Value::Text(text) | Value::Place(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self, section: &str, field: &str) -> Option<u64> {
        match self.value(section, field)? {
            Value::Count(number) | Value::Size(number) => Some(number),
            _ => None,
        }
    }

    pub fn time(&self, section: &str, field: &str) -> Option<Duration> {
        match self.value(section, field)? {
            Value::Time(time) => Some(time),
            _ => None,
        }
    }

    pub fn flag(&self, section: &str, field: &str) -> bool {
        matches!(self.value(section, field), Some(Value::Flag(true)))
    }

    pub fn names(&self, section: &str, field: &str) -> Vec<String> {
        match self.value(section, field) {
            Some(Value::Names(names)) => names,
            _ => Vec::new(),
        }
    }

    pub fn address(&self, section: &str, field: &str) -> Option<SocketAddr> {
        match self.value(section, field)? {
            Value::Address(address) => address,
            _ => None,
        }
    }
}

/// Reads the whole text; every problem found. `file` is what messages call it, `folder` what relative places are resolved
/// against (absolute). After a syntax error only the syntax errors are told: the rest would be guesses.
pub fn read(text: &str, file: &str, folder: &Path, lookup: Lookup<'_>) -> (Typed, Vec<Problem>) {
    let mut reader = Reader { text, file, folder, lookup, problems: Vec::new() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map(|span| line_of(text, span.start));
        let message = format!("not TOML: {}", error.message().trim().replace('\n', ", "));
        reader.problems.push(Problem::new(file, line, message));
    }
    let mut typed = Typed::default();
    if errors.is_empty() {
        reader.root(root.get_ref(), &mut typed);
    }
    reader.problems.sort_by_key(|p| p.line);
    (typed, reader.problems)
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    folder: &'a Path,
    lookup: Lookup<'a>,
    problems: Vec<Problem>,
}

type Name<'i> = Spanned<DeString<'i>>;
type Item<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
    fn problem(&mut self, line: impl Into<Option<usize>>, message: impl Into<String>) {
        self.problems.push(Problem::new(self.file, line.into(), message));
    }

    fn line<T>(&self, item: &Spanned<T>) -> usize {
        line_of(self.text, item.span().start)
    }

    fn root(&mut self, root: &DeTable<'_>, typed: &mut Typed) {
        self.version(root);
        for (name, item) in root.iter() {
            match name.get_ref().as_ref() {
                "version" => {}
                "source" => self.sources(name, item, typed),
                known if section(known).is_some_and(|s| s.need == Need::Named) => self.named(known, name, item, typed),
                known if section(known).is_some() => self.section(known, name, item, typed),
                unknown => self.unknown_root(unknown, name),
            }
        }
        self.one_source(typed);
        for wanted in SECTIONS.iter().filter(|s| s.need == Need::Required && !typed.has(s.name)) {
            // Named in the file but no table: that has been said.
            if !root.iter().any(|(name, _)| name.get_ref() == wanted.name) {
                self.problem(None, format!("section [{}] is missing; write {}", wanted.name, start_of(wanted)));
            }
        }
    }

    fn version(&mut self, root: &DeTable<'_>) {
        let Some((_, item)) = root.iter().find(|(name, _)| name.get_ref() == "version") else {
            return self.problem(None, format!("`version` is missing; write version = {VERSION} as the first line"));
        };
        let right = item.get_ref().as_integer().is_some_and(|i| i.radix() == 10 && i.as_str() == VERSION.to_string());
        if !right {
            let message =
                format!("this program reads version {VERSION} of the configuration; write version = {VERSION}");
            self.problem(self.line(item), message);
        }
    }

    fn sources(&mut self, name: &Name<'_>, item: &Item<'_>, typed: &mut Typed) {
        let names = ["kinesis", "kcl", "intake", "replay"];
        let Some(table) = item.get_ref().as_table() else {
            return self.problem(self.line(name), "`source` is a section; write [source.kinesis] or [source.intake]");
        };
        for (kind, item) in table.iter() {
            let full = format!("source.{}", kind.get_ref());
            match section(&full) {
                Some(known) => self.section(known.name, kind, item, typed),
                None => {
                    let message = format!("unknown source `{}`{}", kind.get_ref(), meant(kind.get_ref(), &names));
                    self.problem(self.line(kind), message);
                }
            }
        }
    }

    /// `[section.<name>]`, any number of them.
    fn named(&mut self, section: &str, name: &Name<'_>, item: &Item<'_>, typed: &mut Typed) {
        let Some(table) = item.get_ref().as_table() else {
            return self.problem(self.line(name), format!("`{section}` is a section; write [{section}.<name>]"));
        };
        for (name, item) in table.iter() {
            let given = name.get_ref().as_ref();
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if item.get_ref().as_table().is_none() {
                let message = format!("`{given}` stands right below [{section}]; write it below [{section}.<name>]");
                self.problem(self.line(name), message);
            } else if !(1..=64).contains(&given.len()) || !given.bytes().all(good) {
                let message = format!("[{section}.<name>]: a name has 1 to 64 letters, digits, `_` and `-`");
                self.problem(self.line(name), message);
            } else {
                self.section(&format!("{section}.{given}"), name, item, typed);
            }
        }
    }

    fn one_source(&mut self, typed: &Typed) {
        let of_source = |s: &&Section| s.need == Need::Source && typed.has(s.name);
        let given: Vec<&Section> = SECTIONS.iter().filter(of_source).collect();
        let told = self.problems.iter().any(|p| p.message.contains("source"));
        match given.as_slice() {
            [] if !told => self.problem(None, "no source; write [source.kinesis] or [source.intake]"),
            [first, others @ ..] => {
                for other in others {
                    let message = format!("a second source [{}] beside [{}]; keep exactly one", other.name, first.name);
                    self.problem(typed.section_line(other.name), message);
                }
            }
            [] => {}
        }
    }

    fn unknown_root(&mut self, unknown: &str, name: &Name<'_>) {
        let mut names: Vec<&str> = SECTIONS.iter().map(|s| s.name).filter(|n| !n.contains('.')).collect();
        names.extend(["version", "source"]);
        self.problem(self.line(name), format!("unknown section `{unknown}`{}", meant(unknown, &names)));
    }

    fn section(&mut self, full: &str, name: &Name<'_>, item: &Item<'_>, typed: &mut Typed) {
        let known = section(full).expect("asked for by a name from the table");
        let line = self.line(name);
        let Some(table) = item.get_ref().as_table() else {
            return self.problem(line, format!("`{full}` is a section; write [{full}] on a line of its own"));
        };
        if let Need::NotYet(message) = known.need {
            typed.sections.insert(full.to_string(), Given { line, ..Given::default() });
            return self.problem(line, message);
        }
        let given = if full == "keys" { self.keys(line, table, typed) } else { self.fields(full, known, line, table) };
        typed.sections.insert(full.to_string(), given);
    }

    fn keys(&mut self, line: usize, table: &DeTable<'_>, typed: &mut Typed) -> Given {
        for (name, item) in table.iter() {
            let at = self.line(name);
            let Some(text) = item.get_ref().as_str() else {
                let message = format!("key `{0}` is no text; write {0} = '.{0}'", name.get_ref());
                typed.wrong_keys.push(name.get_ref().to_string());
                self.problem(at, message);
                continue;
            };
            match env::expand(text, self.lookup) {
                Ok(program) => {
                    let (name, typed_text) = (name.get_ref().to_string(), text.to_string());
                    typed.keys.push(Key { name, program, line: at, typed: typed_text });
                }
                Err(message) => {
                    typed.wrong_keys.push(name.get_ref().to_string());
                    self.problem(at, format!("key `{}` {message}", name.get_ref()));
                }
            }
        }
        typed.keys.sort_by_key(|k| k.line);
        Given { line, ..Given::default() }
    }

    fn fields(&mut self, full: &str, known: &'static Section, line: usize, table: &DeTable<'_>) -> Given {
        let mut given = Given { line, ..Given::default() };
        for (name, item) in table.iter() {
            let typed = name.get_ref().as_ref();
            let Some(field) = known.field(typed) else {
                let names: Vec<&str> = known.fields.iter().map(|f| f.name).collect();
                self.problem(self.line(name), format!("unknown field `{typed}` in [{full}]{}", meant(typed, &names)));
                given.broken = true;
                continue;
            };
            match self.field(field, self.line(name), item) {
                Some(entry) => _ = given.values.insert(field.name, entry),
                None => given.broken = true,
            }
        }
        for field in known.fields.iter().filter(|f| f.fallback == Fallback::Required) {
            if !table.iter().any(|(name, _)| name.get_ref() == field.name) {
                self.problem(line, format!("[{full}] needs `{}`; write {}", field.name, assignment(field)));
            }
        }
        given
    }

    fn field(&mut self, field: &Field, line: usize, item: &Item<'_>) -> Option<Entry> {
        if let Fallback::NotYet(message) = field.fallback {
            self.problem(line, message);
            return None;
        }
        let wrong_type = || format!("`{}` is {}; write {}", field.name, type_name(item.get_ref()), assignment(field));
        let outcome = match (field.kind, item.get_ref()) {
            (Kind::Names, DeValue::Array(_)) => self.list(item).ok_or_else(wrong_type),
            (Kind::Flag, DeValue::Boolean(flag)) => Ok((flag.to_string(), flag.to_string())),
            (Kind::Count { .. }, DeValue::Integer(i)) if i.radix() == 10 => Ok((i.as_str().into(), i.as_str().into())),
            (Kind::Start, DeValue::Datetime(at)) => Ok((at.to_string(), at.to_string())),
            (Kind::Flag | Kind::Count { .. } | Kind::Names, _) => Err(wrong_type()),
            (_, DeValue::String(text)) => self.expanded(field, text),
            _ => Err(wrong_type()),
        };
        let parsed = outcome.and_then(|(typed, text)| self.parsed(field, typed, &text));
        match parsed {
            Ok((typed, value)) => Some(Entry { line, value, typed }),
            Err(message) => {
                self.problem(line, message);
                None
            }
        }
    }

    fn expanded(&self, field: &Field, text: &str) -> Result<(String, String), String> {
        let value = env::expand(text, self.lookup).map_err(|message| format!("`{}` {message}", field.name))?;
        // A secret that stands in the file itself is not shown; where it comes from may be.
        let reference = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
        let shown = if field.kind == Kind::Secret && !reference { "(secret)" } else { text };
        Ok((shown.to_string(), value))
    }

    /// Quotes what was typed, never what a variable held: that may be a secret.
    fn parsed(&self, field: &Field, typed: String, text: &str) -> Result<(String, Value), String> {
        let value = value::parse(field.kind, text, self.folder).map_err(|message| {
            let shown = schemas::reject::quote(&typed);
            if text.is_empty() || field.kind == Kind::Secret {
                format!("`{}` {message}", field.name)
            } else {
                format!("`{}`: `{shown}` {message}", field.name)
            }
        })?;
        Ok((typed, value))
    }

    fn list(&self, item: &Item<'_>) -> Option<(String, String)> {
        let items = item.get_ref().as_array()?;
        let texts: Option<Vec<&str>> = items.iter().map(|i| i.get_ref().as_str()).collect();
        let joined = texts?.join(",");
        Some((joined.clone(), joined))
    }
}

/// `; did you mean ...?` or `; write one of ...`.
fn meant(typed: &str, names: &[&str]) -> String {
    match nearest(typed, names.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; write one of {}", names.join(", ")),
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The field as it could stand in the file.
pub fn assignment(field: &Field) -> String {
    format!("{} = {}", field.name, literal(field.kind, field.example))
}

/// A value as TOML.
pub fn literal(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Flag | Kind::Count { .. } => text.to_string(),
        Kind::Names => format!("[{}]", value::quoted(&text.split(',').collect::<Vec<_>>())),
        _ => format!("\"{text}\""),
    }
}

fn start_of(section: &Section) -> String {
    let needed = section.fields.iter().filter(|f| f.fallback == Fallback::Required).map(assignment);
    let lines: Vec<String> = needed.collect();
    match lines.is_empty() {
        true => format!("[{}] with one line for each partition column", section.name),
        false => format!("[{}] with {}", section.name, lines.join(", ")),
    }
}
