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
    /// Which of the nodes it is.
    node: u32,
    /// Of the event; none if it is not taken apart. Then `event` is the text of this value alone.
    nodes: &'a [Node],
    event: &'a str,
}

impl<'a> Value<'a> {
    /// An event.
    pub(super) fn of(tape: Tape<'a>) -> Self {
        Value { kind: Kind::Object, node: 0, nodes: tape.nodes(), event: tape.text() }
    }

    /// A value of which only the text is known.
    pub(super) fn of_text(kind: Kind, text: &'a str) -> Self {
        Value { kind, node: 0, nodes: &[], event: text }
    }

    /// As received, quotes and brackets included.
    #[inline]
    pub(super) fn text(self) -> &'a str {
        match self.nodes.get(self.node as usize) {
            Some(node) => &self.event[node.start as usize..node.end as usize],
            None => self.event,
        }
    }

    /// Between the quotes of a string; anything else as it is.
    #[inline]
    pub(super) fn inner(self) -> &'a str {
        let text = self.text();
        match self.kind {
            Kind::String | Kind::EscapedString => &text[1..text.len() - 1],
            _ => text,
        }
    }

    pub(super) fn is_null(self) -> bool {
        self.kind == Kind::Null
    }

    /// The value at a place inside this one.
    #[inline]
    pub(super) fn inside(self, place: Place) -> Value<'a> {
        match place {
            Place::Node(node) => Value { kind: self.nodes[node as usize].kind, node, ..self },
            Place::Text { start, end, kind } => Value::of_text(kind, &self.event[start..end]),
        }
    }
}

/// Where a value stands inside another. Unlike [`Value`] it borrows nothing, so a column can keep its list of places from row to
/// row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Node(u32),
    Text { start: usize, end: usize, kind: Kind },
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    /// A string.
    pub(super) name: Value<'a>,
    pub(super) value: Value<'a>,
    pub(super) name_place: Place,
    pub(super) value_place: Place,
}

/// Position in a text.
#[derive(Debug)]
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
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
        Ok(Place::Text { start, end: self.at, kind })
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

/// Inside of a container.
#[derive(Debug)]
enum Walk<'a> {
    /// From node to node: the next one, and the first behind the container.
    Nodes(u32, u32),
    Text {
        cursor: Cursor<'a>,
        first: bool,
    },
}

impl<'a> Walk<'a> {
    fn into(container: Value<'a>, open: u8) -> Result<Self, Broken> {
        if let Some(node) = container.nodes.get(container.node as usize) {
            return Ok(Walk::Nodes(container.node + 1, container.node + node.span));
        }
        let mut cursor = Cursor { text: container.event, at: 0 };
        cursor.expect(open)?;
        Ok(Walk::Text { cursor, first: true })
    }
}

/// The members of an object, in order, duplicates included.
#[derive(Debug)]
pub(super) struct Members<'a> {
    object: Value<'a>,
    walk: Walk<'a>,
}

impl<'a> Members<'a> {
    pub(super) fn of(object: Value<'a>) -> Result<Self, Broken> {
        Ok(Members { walk: Walk::into(object, b'{')?, object })
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Member<'a>>, Broken> {
        let (name_place, value_place) = match &mut self.walk {
            Walk::Nodes(at, end) if at == end => return Ok(None),
            Walk::Nodes(at, _) => {
                let name = *at;
                *at += 1 + self.object.nodes[name as usize + 1].span;
                (Place::Node(name), Place::Node(name + 1))
            }
            Walk::Text { cursor, first } => match next_member(cursor, first)? {
                Some(places) => places,
                None => return Ok(None),
            },
        };
        let (name, value) = (self.object.inside(name_place), self.object.inside(value_place));
        Ok(Some(Member { name, value, name_place, value_place }))
    }
}

fn next_member(cursor: &mut Cursor<'_>, first: &mut bool) -> Result<Option<(Place, Place)>, Broken> {
    if !cursor.another(std::mem::replace(first, false), b'}')? {
        return Ok(None);
    }
    let name = cursor.place()?;
    if !matches!(name, Place::Text { kind: Kind::String | Kind::EscapedString, .. }) {
        return Err(Broken);
    }
    cursor.expect(b':')?;
    Ok(Some((name, cursor.place()?)))
}

/// The items of an array.
#[derive(Debug)]
pub(super) struct Items<'a> {
    array: Value<'a>,
    walk: Walk<'a>,
}

impl<'a> Items<'a> {
    pub(super) fn of(array: Value<'a>) -> Result<Self, Broken> {
        Ok(Items { walk: Walk::into(array, b'[')?, array })
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Value<'a>>, Broken> {
        let place = match &mut self.walk {
            Walk::Nodes(at, end) if at == end => return Ok(None),
            Walk::Nodes(at, _) => {
                let item = *at;
                *at += self.array.nodes[item as usize].span;
                Place::Node(item)
            }
            Walk::Text { cursor, first } => {
                if !cursor.another(std::mem::replace(first, false), b']')? {
                    return Ok(None);
                }
                cursor.place()?
            }
        };
        Ok(Some(self.array.inside(place)))
    }
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
        let mut members = Members::of(Value::of_text(Kind::Object, text))?;
        let mut found = vec![];
        while let Some(m) = members.next()? {
            found.push((readable(m.name), m.value.kind, m.value.text().to_string()));
        }
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
