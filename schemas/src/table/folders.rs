//! Folders that are not `name=value`: a spec's `layout`, such as `events/{kind}/{year}-{month}` or `{app}/{*day}`.
//!
//! Values stand in such a path as they are, since that is how Athena and Trino put them into `storage.location.template`: what
//! Hive's escapes would have made harmless has to be refused instead. A value may hold a slash only where the layout says so, with
//! `{*name}`, and nowhere can it make a segment that is empty, `.` or `..`, or one that engines pass over (`_` or `.` first).

use crate::hive;

/// A layout, checked against the table's partition columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A partition column by its place, and whether its values may hold slashes.
    Value {
        column: usize,
        slashes: bool,
    },
}

/// A value that cannot stand in a path: of which partition column, if it is one's alone, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    pub column: Option<usize>,
    pub why: String,
}

impl Folders {
    /// Reads a layout over these partition columns; each of them stands in it once. The error says what to write instead.
    pub fn parse(text: &str, columns: &[&str]) -> Result<Folders, String> {
        let parts = parts(text, columns)?;
        for (at, name) in columns.iter().enumerate() {
            match parts.iter().filter(|part| matches!(part, Part::Value { column, .. } if *column == at)).count() {
                1 => {}
                0 => return Err(format!("layout has no `{{{name}}}`: every partition column stands in it, add it")),
                _ => return Err(format!("layout has `{{{name}}}` twice: write it once")),
            }
        }
        if parts.iter().filter(|part| matches!(part, Part::Value { slashes: true, .. })).count() > 1 {
            return Err("layout has two `{*...}`: nothing would tell where one ends, write one".into());
        }
        let apart = |pair: &[Part]| !matches!(pair, [Part::Value { .. }, Part::Value { .. }]);
        if !parts.windows(2).all(apart) {
            return Err(
                "layout has two values with nothing between them: write a `/` or another character there".into()
            );
        }
        let folders = Folders { text: text.to_string(), parts };
        let mut example = String::new();
        match folders.path(&vec!["x"; columns.len()], &mut example) {
            Ok(()) => Ok(folders),
            Err(misfit) => Err(format!("layout `{text}` gives `{example}`, which {}", misfit.why)),
        }
    }

    /// As it stands in the spec.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path of these values, one for each partition column, without a slash at either end, appended to `out`.
    pub fn path<V: AsRef<str>>(&self, values: &[V], out: &mut String) -> Result<(), Misfit> {
        let begin = out.len();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { column, slashes } => {
                    let value = values.get(*column).map_or("", AsRef::as_ref);
                    let misfit = |why: &str| Err(Misfit { column: Some(*column), why: why.into() });
                    if value.contains('/') && !slashes {
                        return misfit("has a slash, which the layout does not allow here");
                    }
                    if value.chars().any(|c| c.is_ascii_control()) {
                        return misfit("has a control character, which no path holds");
                    }
                    out.push_str(value);
                    if let Some(why) = value.split('/').find_map(|segment| outside(segment, value)) {
                        return misfit(why);
                    }
                }
            }
        }
        let whole = out[begin..].split('/').find_map(unfit);
        whole.map_or(Ok(()), |why| Err(Misfit { column: None, why }))
    }

    /// `storage.location.template` of a table that lies at `location` (which ends in `/`).
    pub fn template(&self, location: &str, columns: &[&str]) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value { column, .. } => format!("${{{}}}", columns.get(*column).copied().unwrap_or_default()),
        };
        format!("{location}{}/", self.parts.iter().map(part).collect::<String>())
    }

    /// A regular expression over the name of a file of a table that lies at `location` (which ends in `/`), with a group for each
    /// partition column in turn: its number, counted from 1, is in the second value.
    pub fn pattern(&self, location: &str, columns: usize) -> (String, Vec<usize>) {
        let mut groups = vec![0; columns];
        let mut pattern = format!("^{}", literally(location));
        let mut group = 0;
        for part in &self.parts {
            match part {
                Part::Text(text) => pattern.push_str(&literally(text)),
                Part::Value { column, slashes } => {
                    group += 1;
                    groups[*column] = group;
                    pattern.push_str(if *slashes { "(.+)" } else { "([^/]+)" });
                }
            }
        }
        (pattern + "/[^/]+$", groups)
    }
}

/// A text as a regular expression of itself.
fn literally(text: &str) -> String {
    let special = |c: char| c.is_ascii_punctuation() && !matches!(c, '/' | '_' | '=');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Why this piece of a value would leave its place.
fn outside(piece: &str, value: &str) -> Option<&'static str> {
    if value.is_empty() {
        return Some("is empty");
    }
    (piece.is_empty() || piece == "." || piece == "..")
        .then_some("has an empty segment, `.` or `..`, which leaves its folder")
}

/// Why engines or stores would not find a segment.
fn unfit(segment: &str) -> Option<String> {
    if segment.is_empty() {
        return Some("has an empty segment: two slashes, or one at an end".into());
    }
    if segment.starts_with(['.', '_']) {
        return Some(format!("has the segment `{segment}`: engines pass over names that begin with `.` or `_`"));
    }
    let long = segment.len() > hive::SEGMENT_MAX;
    long.then(|| format!("has a segment of {} bytes, more than {}", segment.len(), hive::SEGMENT_MAX))
}

fn parts(text: &str, columns: &[&str]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(open) = rest.find(['{', '}']) else {
            parts.push(Part::Text(rest.to_string()));
            break;
        };
        let (before, from) = rest.split_at(open);
        if !before.is_empty() {
            parts.push(Part::Text(before.to_string()));
        }
        let close = from.find('}').filter(|_| from.starts_with('{'));
        let close =
            close.ok_or_else(|| format!("layout has a brace without its other one at `{from}`: write `{{column}}`"))?;
        let (slashes, name) = match from[1..close].strip_prefix('*') {
            Some(name) => (true, name),
            None => (false, &from[1..close]),
        };
        let column = columns.iter().position(|column| *column == name).ok_or_else(|| {
            format!("layout names `{name}`, which is no partition column: it has {}", columns.join(", "))
        })?;
        parts.push(Part::Value { column, slashes });
        rest = &from[close + 1..];
    }
    let odd = |c: char| c.is_ascii_control() || matches!(c, '*' | '?' | '"' | '\'' | '`' | '\\' | '$');
    if parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(odd))) {
        return Err("layout has a wildcard, a quote, `$`, a backslash or a control character: remove it".into());
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(layout: &str, columns: &[&str], values: &[&str]) -> Result<String, Misfit> {
        let folders = Folders::parse(layout, columns).unwrap_or_else(|e| panic!("{layout}: {e}"));
        let mut out = String::new();
        folders.path(values, &mut out).map(|()| out)
    }

    #[test]
    fn values_stand_where_the_layout_names_them() {
        assert_eq!(
            path("TABLE_{t}/{y}/{m}", &["t", "y", "m"], &["Orders", "2024", "05"]),
            Ok("TABLE_Orders/2024/05".into())
        );
        assert_eq!(path("{a}/{*d}", &["a", "d"], &["login", "2022/07/25"]), Ok("login/2022/07/25".into()));
        assert_eq!(path("é/dt={y}-{m}", &["m", "y"], &["05", "2024"]), Ok("é/dt=2024-05".into()));
    }

    #[test]
    fn hostile_values_do_not_leave_their_folder() {
        for value in ["", ".", "..", "../x", "a/b", "a//b", "/a", "a/", "a\0", "a\n", "_a", ".a", &"x".repeat(256)] {
            assert!(path("{v}", &["v"], &[value]).is_err(), "{value:?}");
        }
        for value in ["a//b", "/a", "a/", "a/../b", "a/./b", "a/_b", ".."] {
            assert!(path("{*v}", &["v"], &[value]).is_err(), "{value:?}");
        }
        assert_eq!(path("v-{v}", &["v"], &["_a"]), Ok("v-_a".into()));
        assert_eq!(path("{v}", &["v"], &["lesson:started %2F é=1"]), Ok("lesson:started %2F é=1".into()));
    }

    #[test]
    fn wrong_layouts_are_refused_with_what_to_write() {
        for (layout, says) in [
            ("", "no `{a}`"),
            ("{a}", "no `{b}`"),
            ("{a}/{b}/{a}", "twice"),
            ("{a}{b}", "nothing between"),
            ("{*a}/{*b}", "two `{*...}`"),
            ("{a}/{b}/{c}", "no partition column"),
            ("{a}/{b", "brace"),
            ("{a}/}{b}", "brace"),
            ("{a}//{b}", "empty segment"),
            ("/{a}/{b}", "empty segment"),
            ("{a}/{b}/", "empty segment"),
            ("_x/{a}/{b}", "pass over"),
            ("{a}/../{b}", "pass over"),
            ("x*/{a}/{b}", "wildcard"),
            ("${a}/{b}", "wildcard"),
        ] {
            let message = Folders::parse(layout, &["a", "b"]).expect_err(layout);
            assert!(message.contains(says), "{layout}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_layout_or_an_error_and_paths_stay_inside(text in "[{}*a-c/=._é-]{0,24}", values in prop::collection::vec(".{0,12}", 2)) {
            if let Ok(folders) = Folders::parse(&text, &["a", "b"]) {
                let mut out = String::new();
                if folders.path(&values, &mut out).is_ok() {
                    prop_assert!(out.split('/').all(|s| !s.is_empty() && s != "." && s != ".." && s.len() <= hive::SEGMENT_MAX));
                    prop_assert!(!out.chars().any(|c| c.is_ascii_control()));
                }
            }
        }
    }
}
