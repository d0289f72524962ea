//! A text to an event: one strict JSON object (RFC 8259) in UTF-8, nested no deeper than the writer goes.
//!
//! Everything behind this stage may trust the text. Nothing here recurses: a record of a million brackets is a reject, not a
//! stack overflow. A good record is looked at once, by [`take_apart`]; what that does not take is looked at again, to say why, or
//! because it is good but large.

use memchr::memchr2_iter;
use schemas::reject::{Reason, Reject};
use serde::de::IgnoredAny;
use writer::encode::DEPTH_MAX;
use writer::tape::{self, Node};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Checks one document. `Ok` means: UTF-8, exactly one JSON text, an object, at most [`DEPTH_MAX`] levels deep.
pub fn decode(data: &[u8]) -> Result<(), Reject> {
    check(data)?;
    match data.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => Ok(()),
        first => Err(Reject::new(Reason::NotObject, format!("record is {}, not an object", kind(first.copied())))),
    }
}

/// The text of a document, if it is UTF-8 and can be taken apart, which says all that [`decode`] says. `nodes` and `outline` are cleared
/// and filled.
pub fn take_apart<'a>(data: &'a [u8], nodes: &mut Vec<Node>, outline: &mut Vec<u8>) -> Option<&'a str> {
    let text = simdutf8::basic::from_utf8(data).ok()?;
    tape::read_with_outline(text, nodes, outline).ok().map(|()| text)
}

/// Checks one JSON text of any kind.
pub(crate) fn check(data: &[u8]) -> Result<(), Reject> {
    if data.starts_with(BYTE_ORDER_MARK) {
        return Err(not_json("begins with a byte order mark: send UTF-8 without one".to_string()));
    }
    let text = simdutf8::compat::from_utf8(data)
        .map_err(|e| not_json(format!("not UTF-8: invalid byte at offset {}", e.valid_up_to())))?;
    if text.trim_ascii().is_empty() {
        return Err(not_json("is empty".to_string()));
    }
    // IgnoredAny looks at everything and builds nothing, with a stack of its own.
    if let Err(e) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(syntax(&e));
    }
    check_depth(data)
}

/// Checks how deep one JSON text nests.
pub(crate) fn check_depth(json: &[u8]) -> Result<(), Reject> {
    if nested_deeper_than(json, DEPTH_MAX) {
        return Err(Reject::new(Reason::TooDeep, format!("record is nested deeper than {DEPTH_MAX} levels")));
    }
    Ok(())
}

fn not_json(what: String) -> Reject {
    Reject::new(Reason::NotJson, format!("record is not json: {what}"))
}

/// serde_json's message ends in ` at line L column C`; ours says it in front.
fn syntax(error: &serde_json::Error) -> Reject {
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    not_json(format!("line {} column {}: {what}", error.line(), error.column()))
}

fn kind(first: Option<u8>) -> &'static str {
    match first {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Whether valid JSON nests deeper than `limit`.
fn nested_deeper_than(json: &[u8], limit: usize) -> bool {
    // Fewer opening brackets than levels (even counting those in strings): the common case, found without looking at strings.
    if memchr2_iter(b'{', b'[', json).take(limit + 1).count() <= limit {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn reason(data: &[u8]) -> Option<Reason> {
        decode(data).err().map(|reject| reject.reason)
    }

    #[test]
    fn only_one_strict_object_passes() {
        assert_eq!(reason(br#" {"a":[1,"\ud800",1e1000]} "#), None);
        assert_eq!(reason(b"[{}]"), Some(Reason::NotObject));
        for text in [
            "",
            " \n",
            "{",
            "{}{}",
            "{} x",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":1,}",
            "\u{FEFF}{}",
            "{\"a\":\"\n\"}",
            "{\"a\":NaN}",
        ] {
            assert_eq!(reason(text.as_bytes()), Some(Reason::NotJson), "{text}");
        }
        assert_eq!(reason(b"{\"a\":\"\xff\"}"), Some(Reason::NotJson));
    }

    #[test]
    fn message_names_line_and_column() {
        let reject = decode(b"{\n \"a\": x}").expect_err("not json");
        assert_eq!(reject.message, "record is not json: line 2 column 7: expected value");
    }

    #[test]
    fn nesting_up_to_the_limit_passes_and_one_more_does_not() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert_eq!(reason(nested(DEPTH_MAX).as_bytes()), None);
        assert_eq!(reason(nested(DEPTH_MAX + 1).as_bytes()), Some(Reason::TooDeep));
        assert_eq!(reason(nested(1_000_000).as_bytes()), Some(Reason::TooDeep));
        let flat = format!("{{\"a\":\"{}\",\"b\":[{}]}}", "[\\\"".repeat(500), vec!["[]"; 500].join(","));
        assert_eq!(reason(flat.as_bytes()), None);
    }

    #[test]
    fn json_test_suite_is_told_apart() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/JSONTestSuite/test_parsing");
        let mut seen = [0; 3];
        for entry in std::fs::read_dir(folder).expect("corpus") {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("file").to_string_lossy().into_owned();
            let reason = reason(&std::fs::read(&path).expect("file"));
            let (kind, right) = match name.as_bytes()[0] {
                b'y' => (0, matches!(reason, None | Some(Reason::NotObject))),
                b'n' => (1, matches!(reason, Some(Reason::NotJson | Reason::TooDeep))),
                _ => (2, true),
            };
            seen[kind] += 1;
            assert!(right, "{name}: {reason:?}");
        }
        assert!(seen[0] >= 90 && seen[1] >= 180 && seen[2] >= 30, "{seen:?}");
    }
}
