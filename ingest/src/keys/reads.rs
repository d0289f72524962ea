//! Which parts of a record a program reads: decides what has to be parsed for it, and tells a missing field from a null one.

use std::sync::Arc;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::path::{Opt, Part};

use super::check::{Node, children, is_update};
use super::scan;

/// Paths from the record's top, and whether the program looks at the record as a whole.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) paths: Vec<Vec<Arc<str>>>,
    pub(crate) whole: bool,
}

/// Where a value comes from: a path from the record's top, or (`None`) something worked out.
type Origin = Option<Vec<Arc<str>>>;

impl Reads {
    pub(crate) fn of(term: &Node<'_>) -> Reads {
        let mut reads = Reads::default();
        let output = reads.walk(term, Some(Vec::new()));
        reads.consume(output);
        reads
    }

    /// The first path that is not in the record, as it is written in a program.
    pub(crate) fn missing(&self, record: &str) -> Option<String> {
        let absent =
            |path: &&Vec<Arc<str>>| path.iter().try_fold(record, |json, name| scan::member(json, name)).is_none();
        self.paths.iter().find(absent).map(|path| path.iter().map(|name| segment(name)).collect())
    }

    fn consume(&mut self, origin: Origin) {
        match origin {
            None => {}
            Some(path) if path.is_empty() => self.whole = true,
            Some(path) if self.paths.contains(&path) => {}
            Some(path) => self.paths.push(path),
        }
    }

    /// A constant makes nothing of its input. But the way there may fail, and then there is no constant.
    fn drop(&mut self, input: Origin) -> Origin {
        self.consume(input.filter(|path| path.len() > 1));
        None
    }

    /// Notes what the term reads of its input and says where its output comes from.
    fn walk(&mut self, term: &Node<'_>, input: Origin) -> Origin {
        match term {
            Term::Id => input,
            Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => self.drop(input),
            Term::Str(..) if children(term).is_empty() => self.drop(input),
            Term::Path(of, path) => self.walk_path(of, &path.0, input),
            Term::BinOp(left, BinaryOp::Pipe(None), right) => {
                let middle = self.walk(left, input);
                self.walk(right, middle)
            }
            Term::TryCatch(body, handler) => {
                let output = self.walk(body, input);
                if let Some(handler) = handler {
                    let caught = self.walk(handler, None);
                    self.consume(caught);
                }
                output
            }
            Term::BinOp(..) | Term::Str(..) | Term::Neg(_) | Term::Arr(Some(_)) | Term::IfThenElse(..) => {
                // What an update gives is all of its input, with something changed.
                if matches!(term, Term::IfThenElse(_, None)) || is_update(term) {
                    self.consume(input.clone());
                }
                for child in children(term) {
                    let output = self.walk(child, input.clone());
                    self.consume(output);
                }
                None
            }
            // Whatever these do with their input, it may be anything. Their parts read nothing that the input does not hold,
            // except below a `|` that the input was not consumed for.
            Term::Obj(_) | Term::Call(..) | Term::Recurse | Term::Label(..) | Term::Def(..) | Term::Fold(..) => {
                self.consume(input.clone());
                for child in children(term) {
                    let output = self.walk(child, input.clone());
                    self.consume(output);
                }
                None
            }
        }
    }

    fn walk_path(&mut self, of: &Node<'_>, parts: &[(Part<Node<'_>>, Opt)], input: Origin) -> Origin {
        let mut origin = self.walk(of, input.clone());
        for (part, _) in parts {
            match (part, &mut origin) {
                (Part::Index(index), Some(path)) if literal(index).is_some() => {
                    path.extend(literal(index).map(Arc::from))
                }
                (Part::Index(index), _) => {
                    let end = origin.take();
                    self.consume(end);
                    let inner = self.walk(index, input.clone());
                    self.consume(inner);
                }
                (Part::Range(from, to), _) => {
                    let end = origin.take();
                    self.consume(end);
                    for bound in from.iter().chain(to) {
                        let inner = self.walk(bound, input.clone());
                        self.consume(inner);
                    }
                }
            }
        }
        origin
    }
}

/// The text of a string without interpolation.
pub(crate) fn literal(term: &Node<'_>) -> Option<String> {
    let Term::Str(None, parts) = term else {
        return None;
    };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(s) => text.push_str(s),
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}

fn segment(name: &str) -> String {
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if word { format!(".{name}") } else { format!(".{name:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(program: &str) -> (Vec<String>, bool) {
        let reads = Reads::of(&super::super::check::parse(program).expect(program));
        (reads.paths.iter().map(|path| path.join("/")).collect(), reads.whole)
    }

    #[test]
    fn paths_are_followed_to_where_a_value_is_used() {
        let paths = |all: &[&str]| (all.iter().map(ToString::to_string).collect::<Vec<_>>(), false);
        assert_eq!(reads(".a.b"), paths(&["a/b"]));
        assert_eq!(reads(".a | .b | utc_date"), paths(&["a/b"]));
        assert_eq!(reads(".a.b | 1"), paths(&["a/b"]));
        assert_eq!(reads(".a.b | \"x\""), paths(&["a/b"]));
        assert_eq!(reads(".a[0:10] + .\"x y\".z"), paths(&["a", "x y/z"]));
        assert_eq!(reads(".a[0].b // \"none\""), paths(&["a"]));
        assert_eq!(reads("\"\\(.a)-\\(.b.c)\""), paths(&["a", "b/c"]));
        assert_eq!(reads("if .a then .b else .c end"), paths(&["a", "b", "c"]));
        assert_eq!(reads(".a as $x | .b + $x"), paths(&["a", "b"]));
        assert!(reads(".[.k]").1);
        for whole in
            [".", "..", "keys[0]", "to_entries[0].key", "reduce .a as $x (.; .b)", "if .a then .b end", "hive_null"]
        {
            assert!(reads(whole).1, "{whole}");
        }
        for update in [".a = 1 | .b", ".a |= 1 | .b", ".a += 1 | .b", ".a //= 1 | .b"] {
            assert!(reads(update).1, "{update}");
        }
    }

    #[test]
    fn the_first_missing_path_is_named() {
        let reads = Reads::of(&super::super::check::parse(".a.b + .\"c d\"").expect("program"));
        assert_eq!(reads.missing(r#"{"a":{"b":null},"c d":1}"#), None);
        assert_eq!(reads.missing(r#"{"a":{},"c d":1}"#).as_deref(), Some(".a.b"));
        assert_eq!(reads.missing(r#"{"a":{"b":1}}"#).as_deref(), Some(".\"c d\""));
    }
}
