//! Walks JSON: members of objects, items of arrays, where values begin and end.
//!
//! An event is taken apart once ([`crate::tape`]), and then walking it is a step from node to node. What is too large for that is
//! walked as text, without building anything. The pipeline has checked that an event is strict JSON; what is only skipped here is not checked again. Text that is broken
//! after all is refused where it is met, and never read past its end. Nothing here recurses: depth costs no stack.

use memchr::{memchr, memchr2};

pub(super) use crate::tape::Kind;
use crate::tape::{Node, Tape};

/// The text is not the JSON it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// One value. Small, and made without looking at the text: most values are only passed by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) kind: Kind,
    start: u32,
    end: u32,
    /// Which of the nodes it is; [`NOT_APART`] if the event is not taken apart.
    node: u32,
    nodes: &'a [Node],
    event: &'a str,
}

/// No node: an event has [`crate::tape::NODES_MAX`] at most.
const NOT_APART: u32 = u32::MAX;

impl<'a> Value<'a> {
    /// An event.
    pub(super) fn of(tape: Tape<'a>) -> Self {
        let event = tape.nodes()[0];
        Value { kind: event.kind, start: event.start, end: event.end, node: 0, nodes: tape.nodes(), event: tape.text() }
    }

    /// An event, or anything else, of which only the text is known: less than 4 GiB.
    pub(super) fn of_text(kind: Kind, text: &'a str) -> Self {
        Value { kind, start: 0, end: text.len() as u32, node: NOT_APART, nodes: &[], event: text }
    }

    /// As received, quotes and brackets included.
    #[inline]
    pub(super) fn text(self) -> &'a str {
        &self.event[self.start as usize..self.end as usize]
    }

    /// Between the quotes of a string; anything else as it is.
    #[inline]
    pub(super) fn inner(self) -> &'a str {
        let quotes = self.quotes();
        &self.event[self.start as usize + quotes..self.end as usize - quotes]
    }

    /// The same as bytes: to cut text, both ends have to be looked at.
    #[inline]
    pub(super) fn inner_bytes(self) -> &'a [u8] {
        let quotes = self.quotes();
        &self.event.as_bytes()[self.start as usize + quotes..self.end as usize - quotes]
    }

    #[inline]
    fn quotes(self) -> usize {
        usize::from(matches!(self.kind, Kind::String | Kind::EscapedString))
    }

    #[inline]
    pub(super) fn is_null(self) -> bool {
        self.kind == Kind::Null
    }

    /// Another value of the same event.
    #[inline]
    pub(super) fn at(self, place: Place) -> Value<'a> {
        match place {
            Place::Node(node) => {
                let Node { start, end, kind, .. } = self.nodes[node as usize];
                Value { kind, start, end, node, ..self }
            }
            Place::Text { start, end, kind } => Value { kind, start, end, ..self },
        }
    }

    /// The nodes inside, if the event is taken apart: the first, and the first behind.
    #[inline]
    fn nodes_inside(self) -> Option<(u32, u32)> {
        let node = self.nodes.get(self.node as usize)?;
        Some((self.node + 1, self.node + node.span))
    }
}

/// Where a value stands in its event. Unlike [`Value`] it borrows nothing, so it can be kept from row to row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Node(u32),
    Text { start: u32, end: u32, kind: Kind },
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'m, 'a> {
    object: &'m Value<'a>,
    pub(super) name_place: Place,
    pub(super) value_place: Place,
}

impl<'a> Member<'_, 'a> {
    /// A string.
    #[inline]
    pub(super) fn name(&self) -> Value<'a> {
        self.object.at(self.name_place)
    }

    #[inline]
    pub(super) fn value(&self) -> Value<'a> {
        self.object.at(self.value_place)
    }

    /// The name, if it is written without escapes.
    #[inline]
    pub(super) fn plain_name(&self) -> Option<&'a [u8]> {
        let (kind, start, end) = match self.name_place {
            Place::Node(node) => {
                let node = &self.object.nodes[node as usize];
                (node.kind, node.start, node.end)
            }
            Place::Text { start, end, kind } => (kind, start, end),
        };
        (kind == Kind::String).then(|| &self.object.event.as_bytes()[start as usize + 1..end as usize - 1])
    }
}

/// Position in a text.
#[derive(Debug)]
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Behind the opening bracket of a container.
    fn inside(container: Value<'a>, open: u8) -> Result<Self, Broken> {
        let mut cursor = Cursor { text: &container.event[..container.end as usize], at: container.start as usize };
        cursor.expect(open)?;
        Ok(cursor)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        self.skip_space();
        if self.peek() != Some(byte) {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }

    fn place(&mut self) -> Result<Place, Broken> {
        self.skip_space();
        let start = self.at;
        let kind = match self.peek().ok_or(Broken)? {
            b'"' => self.string()?,
            b'{' => self.container(Kind::Object)?,
            b'[' => self.container(Kind::Array)?,
            b'-' | b'0'..=b'9' => self.number(),
            b'n' => self.literal("null", Kind::Null)?,
            b't' => self.literal("true", Kind::True)?,
            b'f' => self.literal("false", Kind::False)?,
            _ => return Err(Broken),
        };
        Ok(Place::Text { start: start as u32, end: self.at as u32, kind })
    }

    fn string(&mut self) -> Result<Kind, Broken> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        let mut kind = Kind::String;
        loop {
            let rest = bytes.get(self.at..).ok_or(Broken)?;
            let found = memchr2(b'"', b'\\', rest).ok_or(Broken)?;
            self.at += found + 1;
            if rest[found] == b'"' {
                return Ok(kind);
            }
            kind = Kind::EscapedString;
            self.at += 1;
        }
    }

    fn container(&mut self, kind: Kind) -> Result<Kind, Broken> {
        let mut depth = 0usize;
        loop {
            match self.peek().ok_or(Broken)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(kind);
            }
        }
    }

    fn number(&mut self) -> Kind {
        while matches!(self.peek(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        Kind::Number
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Result<Kind, Broken> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Broken);
        }
        self.at += word.len();
        Ok(kind)
    }

    /// Goes on behind a separator: false at the closing bracket, which must be the last thing in the text.
    fn another(&mut self, first: bool, close: u8) -> Result<bool, Broken> {
        self.skip_space();
        if self.peek() == Some(close) {
            self.at += 1;
            self.skip_space();
            return if self.at == self.text.len() { Ok(false) } else { Err(Broken) };
        }
        if !first {
            self.expect(b',')?;
        }
        Ok(true)
    }
}

/// Shows `each` the members of an object, in order, duplicates included.
#[inline]
pub(super) fn members<'a, E: From<Broken>>(
    object: Value<'a>,
    mut each: impl FnMut(&Member<'_, 'a>) -> Result<(), E>,
) -> Result<(), E> {
    let Some((mut name, end)) = object.nodes_inside() else { return members_of_text(object, &mut each) };
    while name < end {
        let value = name + 1;
        each(&Member { object: &object, name_place: Place::Node(name), value_place: Place::Node(value) })?;
        name = value + object.nodes[value as usize].span;
    }
    Ok(())
}

fn members_of_text<'a, E: From<Broken>>(
    object: Value<'a>,
    each: &mut dyn FnMut(&Member<'_, 'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = Cursor::inside(object, b'{')?;
    let mut first = true;
    while cursor.another(std::mem::replace(&mut first, false), b'}')? {
        let name_place = cursor.place()?;
        if !matches!(name_place, Place::Text { kind: Kind::String | Kind::EscapedString, .. }) {
            return Err(Broken.into());
        }
        cursor.expect(b':')?;
        each(&Member { object: &object, name_place, value_place: cursor.place()? })?;
    }
    Ok(())
}

/// Shows `each` the items of an array, in order.
#[inline]
pub(super) fn items<'a, E: From<Broken>>(
    array: Value<'a>,
    mut each: impl FnMut(Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let Some((mut item, end)) = array.nodes_inside() else { return items_of_text(array, &mut each) };
    while item < end {
        each(array.at(Place::Node(item)))?;
        item += array.nodes[item as usize].span;
    }
    Ok(())
}

fn items_of_text<'a, E: From<Broken>>(
    array: Value<'a>,
    each: &mut dyn FnMut(Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = Cursor::inside(array, b'[')?;
    let mut first = true;
    while cursor.another(std::mem::replace(&mut first, false), b']')? {
        each(array.at(cursor.place()?))?;
    }
    Ok(())
}

/// What to do with half a surrogate pair, which JSON can write and UTF-8 cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lone {
    Refuse,
    /// Put U+FFFD in its place: for names in messages and counts.
    Replace,
}

/// Why a string cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadString {
    LoneSurrogate,
    Broken,
}

/// Appends what the text between a string's quotes means. On an error, part of it may have been appended.
pub(super) fn unescape(inner: &str, lone: Lone, out: &mut Vec<u8>) -> Result<(), BadString> {
    let mut rest = inner;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = *rest.as_bytes().get(at + 1).ok_or(BadString::Broken)?;
        let (decoded, used) = match escape {
            b'"' | b'\\' | b'/' => (char::from(escape), 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => unicode(&rest[at..], lone)?,
            _ => return Err(BadString::Broken),
        };
        out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(at + used..).ok_or(BadString::Broken)?;
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// The character of `\uXXXX` or of a pair of them at the start of `text`, and how many bytes it takes.
fn unicode(text: &str, lone: Lone) -> Result<(char, usize), BadString> {
    let high = hex4(text).ok_or(BadString::Broken)?;
    if let Some(plain) = char::from_u32(high) {
        return Ok((plain, 6));
    }
    let low = text.get(6..).and_then(hex4).filter(|low| (0xdc00..0xe000).contains(low));
    match low {
        Some(low) if high < 0xdc00 => {
            let joined = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            Ok((char::from_u32(joined).ok_or(BadString::Broken)?, 12))
        }
        _ if lone == Lone::Replace => Ok((char::REPLACEMENT_CHARACTER, 6)),
        _ => Err(BadString::LoneSurrogate),
    }
}

fn hex4(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if digits.bytes().all(|b| b.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// The string a name or string value means, readable whatever it holds.
pub(super) fn readable(string: Value<'_>) -> String {
    if string.kind != Kind::EscapedString {
        return string.inner().to_string();
    }
    let mut out = Vec::new();
    match unescape(string.inner(), Lone::Replace, &mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => string.inner().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Result<Vec<(String, Kind, String)>, Broken> {
        let mut found = vec![];
        super::members(Value::of_text(Kind::Object, text), |m| {
            found.push((readable(m.name()), m.value().kind, m.value().text().to_string()));
            Ok::<_, Broken>(())
        })?;
        Ok(found)
    }

    fn decoded(inner: &str) -> Result<String, BadString> {
        let mut out = vec![];
        unescape(inner, Lone::Refuse, &mut out).map(|()| String::from_utf8(out).expect("utf-8"))
    }

    #[test]
    fn members_come_in_order_with_their_text() {
        let found = members(" { \"a\" : 1 ,\"b\\n\":[{\"x\":\"]}\\\"\"},2], \"c\":null,\"c\":\"é\" } ").expect("json");
        let texts: Vec<_> = found.iter().map(|(name, _, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(texts, [("a", "1"), ("b\n", "[{\"x\":\"]}\\\"\"},2]"), ("c", "null"), ("c", "\"é\"")],);
        assert_eq!(found[1].1, Kind::Array);
        assert_eq!(members("{}"), Ok(vec![]));
    }

    #[test]
    fn broken_text_is_refused_and_never_read_past() {
        for text in [
            "",
            "{",
            "[1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":\"x",
            "{\"a\":\"x\\",
            "{\"a\":[1}",
            "{}x",
            "{a:1}",
        ] {
            assert!(members(text).is_err() || text == "{\"a\":[1}", "{text}");
        }
        for end in 0..40 {
            let text = "{\"a\":[{\"b\":\"c\\\"\"},tru],\"d\":-1.5e3,\"e\":n}";
            assert_eq!(members(&text[..end.min(text.len() - 1)]), Err(Broken));
        }
    }

    #[test]
    fn deep_text_costs_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(members(&deep).expect("json").len(), 1);
    }

    #[test]
    fn escapes_mean_what_json_says() {
        assert_eq!(decoded(r#"a\"\\\/\b\f\n\r\t\u00e9\u0000z"#).expect("good"), "a\"\\/\u{8}\u{c}\n\r\té\0z");
        assert_eq!(decoded(r"\ud83d\ude00!").expect("pair"), "😀!");
        for lone in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\n", r"\ud83d\ud83d", r"\ude00\ud83d"] {
            assert_eq!(decoded(lone), Err(BadString::LoneSurrogate), "{lone}");
        }
        for broken in [r"\", r"\x", r"\u12", r"\u12g4", r"\u+123"] {
            assert_eq!(decoded(broken), Err(BadString::Broken), "{broken}");
        }
    }
}
