//! Finds members in the text of a record without parsing the rest of it, and turns text into values.
//!
//! The text is strict JSON: the decode stage has checked. Should it be something else after all, the answers are wrong or null,
//! but nothing here panics or recurses deeper than the text nests.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::{memchr, memchr2};
use schemas::reject::{Reason, Reject};
use writer::tape::{Kind, Tape};

use super::number::Num;
use super::value::{Map, Value};

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The end of the string that begins at `at` (its opening quote), behind the closing one.
#[inline]
fn skip_string(bytes: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    // Most strings are short: a search set up for long ones costs more than it saves.
    for _ in 0..SHORT {
        match bytes.get(next) {
            Some(b'"') => return next + 1,
            Some(b'\\') => next += 2,
            Some(_) => next += 1,
            None => return bytes.len(),
        }
    }
    while let Some(found) = bytes.get(next..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        next += found;
        if bytes[next] == b'"' {
            return next + 1;
        }
        next += 2;
    }
    bytes.len()
}

/// Bytes of a string that are looked at one by one.
const SHORT: usize = 16;

/// The end of the value that begins at `at`.
fn skip_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => skip_string(bytes, at),
        Some(b'{' | b'[') => skip_nested(bytes, at),
        _ => {
            let end = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            bytes.get(at..).and_then(|rest| rest.iter().position(end)).map_or(bytes.len(), |n| at + n)
        }
    }
}

fn skip_nested(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = skip_string(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Calls `visit` with name (raw, between its quotes) and text of every member of the object in `json`.
#[inline]
fn members<'a>(json: &'a str, mut visit: impl FnMut(&'a str, &'a str)) {
    let bytes = json.as_bytes();
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return;
    }
    loop {
        at = skip_space(bytes, at + 1);
        if bytes.get(at) != Some(&b'"') {
            return;
        }
        let name_end = skip_string(bytes, at);
        let name = json.get(at + 1..name_end.saturating_sub(1)).unwrap_or_default();
        let start = skip_space(bytes, skip_space(bytes, name_end) + 1);
        let end = skip_value(bytes, start);
        visit(name, json.get(start..end).unwrap_or_default());
        at = skip_space(bytes, end);
        if bytes.get(at) != Some(&b',') {
            return;
        }
    }
}

/// Refuses a record with the first half of a pair of surrogates alone in it, as jq 1.6 does. The second half alone is U+FFFD there.
pub(crate) fn whole_surrogates(record: &str) -> Result<(), Reject> {
    let bytes = record.as_bytes();
    let unit = |at: usize| {
        let text = record.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(text, 16).ok()
    };
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        at += found;
        at += match (unit(at), unit(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDBFF), _) => {
                let message =
                    format!("record is not json to jq 1.6: the first half of a pair of surrogates alone at byte {at}");
                return Err(Reject::new(Reason::NotJson, message));
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
    }
    Ok(())
}

/// The text of each of the fields in a record, in the order of `names`; the last one wins, as in jq.
pub(crate) fn fields<'a>(record: &'a str, names: &[Arc<str>], found: &mut [Option<&'a str>]) {
    members(record, |raw, value| {
        let unescaped = unescape(raw);
        for (name, slot) in names.iter().zip(found.iter_mut()) {
            if *unescaped == **name {
                *slot = Some(value);
            }
        }
    });
}

/// The same for a record that is taken apart.
pub(crate) fn fields_apart<'a>(record: Tape<'a>, names: &[Arc<str>], found: &mut [Option<&'a str>]) {
    let bytes = record.text().as_bytes();
    for (name, value) in record.members() {
        let mut found_as = |name: &[u8]| {
            for (wanted, slot) in names.iter().zip(found.iter_mut()) {
                if name == wanted.as_bytes() {
                    *slot = Some(record.text_of(value));
                }
            }
        };
        match name.kind {
            Kind::String => found_as(&bytes[name.start as usize + 1..name.end as usize - 1]),
            _ => found_as(unescape(&record.text()[name.start as usize + 1..name.end as usize - 1]).as_bytes()),
        }
    }
}

/// The text of one member of an object; the last one wins.
pub(crate) fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    members(json, |raw, value| {
        if unescape(raw) == name {
            found = Some(value);
        }
    });
    found
}

/// The text between the quotes of a string that needs no unescaping.
pub(crate) fn plain_str(json: &str) -> Option<&str> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    memchr(b'\\', inner.as_bytes()).is_none().then_some(inner)
}

/// The text of a string from what stands between its quotes. Half of a surrogate pair becomes U+FFFD, as in jq 1.7.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (c, length) = escaped(escape);
        out.push(c);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character an escape stands for and the length of the escape behind its backslash.
fn escaped(escape: &str) -> (char, usize) {
    let simple = match escape.as_bytes().first() {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return escaped_unit(escape),
        _ => return escape.chars().next().map_or((char::REPLACEMENT_CHARACTER, 0), |c| (c, c.len_utf8())),
    };
    (simple, 1)
}

fn escaped_unit(escape: &str) -> (char, usize) {
    let unit = |at: usize| escape.get(at..at + 4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let high = unit(1).unwrap_or(0xFFFD);
    let paired = (0xD800..0xDC00).contains(&high) && escape.get(5..7) == Some("\\u");
    let low = unit(7).filter(|low| paired && (0xDC00..0xE000).contains(low));
    if let Some(low) = low {
        let point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 11);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 5)
}

/// The value of a JSON text.
pub(crate) fn parse(json: &str) -> Value {
    value_at(json, skip_space(json.as_bytes(), 0)).0
}

fn value_at(json: &str, at: usize) -> (Value, usize) {
    let bytes = json.as_bytes();
    match bytes.get(at) {
        Some(b'{') => object_at(json, at),
        Some(b'[') => array_at(json, at),
        _ => {
            let end = skip_value(bytes, at);
            (scalar(json.get(at..end).unwrap_or_default()), end)
        }
    }
}

/// The value of a text that is no object and no array.
fn scalar(text: &str) -> Value {
    match text.as_bytes().first() {
        Some(b'"') => Value::str(&unescape(text.get(1..text.len() - 1).unwrap_or_default())),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Null,
        Some(_) => Value::Num(Num::parse(text)),
    }
}

fn array_at(json: &str, at: usize) -> (Value, usize) {
    let bytes = json.as_bytes();
    let mut items = Vec::new();
    let mut at = skip_space(bytes, at + 1);
    while !matches!(bytes.get(at), Some(b']') | None) {
        let (item, end) = value_at(json, at);
        if end == at {
            break; // No JSON after all.
        }
        items.push(item);
        at = skip_space(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
    }
    (Value::array(items), at + 1)
}

fn object_at(json: &str, at: usize) -> (Value, usize) {
    let bytes = json.as_bytes();
    let mut members = Map::default();
    let mut at = skip_space(bytes, at + 1);
    while bytes.get(at) == Some(&b'"') {
        let name_end = skip_string(bytes, at);
        let name = unescape(json.get(at + 1..name_end.saturating_sub(1)).unwrap_or_default());
        let (value, end) = value_at(json, skip_space(bytes, skip_space(bytes, name_end) + 1));
        members.insert(Arc::from(name.as_ref()), value);
        at = skip_space(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
    }
    (Value::object(members), at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_found_wherever_they_stand_and_the_last_one_wins() {
        let record = r#" { "x\"a" : {"a":[1,"}"]} , "a":1,"b" : [ {"a":2} ],"\u0061" : "\\" ,"c":null } "#;
        let names: Vec<Arc<str>> = ["a", "b", "c", "d", "x\"a"].map(Arc::from).to_vec();
        let mut found = [None; 5];
        fields(record, &names, &mut found);
        assert_eq!(found, [Some(r#""\\""#), Some(r#"[ {"a":2} ]"#), Some("null"), None, Some(r#"{"a":[1,"}"]}"#)]);
    }

    #[test]
    fn escapes_are_undone_and_half_a_pair_is_replaced() {
        assert_eq!(unescape(r"a\n\u00e9\ud83d\ude00\/\\"), "a\né😀/\\");
        assert_eq!(unescape(r"\ud800x\udc00\ud800\u0041"), "\u{FFFD}x\u{FFFD}\u{FFFD}A");
    }

    proptest! {
        #[test]
        fn parsing_agrees_with_serde(seed in "[a-z\"\\\\é😀]{0,6}", n: i64, eighths in -1_000_000i32..1_000_000) {
            // serde_json does not read every double back exactly; eighths it does.
            let f = f64::from(eighths) / 8.0;
            let json = serde_json::json!({"s": seed, "n": [n, {"f": f, "t": true}, [], {}, null], format!("k{seed}"): "v"});
            let ours: serde_json::Value = serde_json::from_str(&parse(&json.to_string()).to_json()).expect("rendered JSON");
            prop_assert_eq!(ours["n"][0].as_i64(), Some(n));
            prop_assert_eq!(&ours["s"], &json["s"]);
            prop_assert_eq!(ours["n"][1]["f"].as_f64(), json["n"][1]["f"].as_f64());
            prop_assert_eq!(ours.as_object().map(|o| o.len()), json.as_object().map(|o| o.len()));
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{}\",:\\\\a1 ué]{0,40}") {
            let _ = parse(&text).to_json();
            let _ = member(&text, "a");
        }
    }
}
