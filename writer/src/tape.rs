//! One strict JSON object to the places of its values, in one pass.
//!
//! Everything behind decode wants to know where members stand: keys, columns, sort columns. Each that looks for itself walks the
//! text again, and skips what is nested only to walk it once more. So the text is checked and taken apart together; what is left
//! is a list of nodes in the order of the text, each knowing how many of those behind it are inside.
//!
//! What is taken is strict JSON (RFC 8259), so `Ok` needs no second check. The reverse does not hold: what nests deeper than
//! [`DEPTH_MAX`] or has more than [`NODES_MAX`] nodes is not taken either. Who must tell these apart, or say what is wrong, asks
//! a slower reader. Nothing here recurses, and nothing reads past the end of the text.

use wide::u8x16;

use crate::encode::DEPTH_MAX;

/// Most nodes of one text: they would take many times its memory.
pub const NODES_MAX: usize = 1 << 16;

/// What a value's first byte says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    False,
    True,
    Number,
    /// Without escapes: the text between the quotes is the string.
    String,
    EscapedString,
    Object,
    Array,
}

/// A value, or the name of a member, which is a string in front of the member's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Quotes and brackets included.
    pub start: u32,
    pub end: u32,
    /// How many nodes it is, itself and all that is inside.
    pub span: u32,
    pub kind: Kind,
}

/// The text is not one object of strict JSON, or too much of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTaken;

/// An object taken apart. Node 0 is the object.
#[derive(Debug, Clone, Copy)]
pub struct Tape<'a> {
    text: &'a str,
    nodes: &'a [Node],
}

impl<'a> Tape<'a> {
    /// Takes `text` apart; whitespace around the object is fine. `nodes` is cleared and filled.
    pub fn read(text: &'a str, nodes: &'a mut Vec<Node>) -> Result<Tape<'a>, NotTaken> {
        read(text, nodes)?;
        Ok(Tape { text, nodes })
    }

    /// The object that [`read`] has taken apart into these nodes.
    pub fn of(text: &'a str, nodes: &'a [Node]) -> Tape<'a> {
        Tape { text, nodes }
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    pub fn nodes(&self) -> &'a [Node] {
        self.nodes
    }

    /// The text of a value, or of a name with its quotes.
    #[inline]
    pub fn text_of(&self, node: &Node) -> &'a str {
        &self.text[node.start as usize..node.end as usize]
    }

    /// Name and value of each member of the object, in order, duplicates included.
    pub fn members(&self) -> impl Iterator<Item = (&'a Node, &'a Node)> + use<'a> {
        let nodes = self.nodes;
        let mut at = 1;
        std::iter::from_fn(move || {
            let [name, value] = nodes.get(at..)?.first_chunk::<2>()?;
            at += 1 + value.span as usize;
            Some((name, value))
        })
    }
}

/// Takes one object apart; `nodes` is cleared and filled.
pub fn read(text: &str, nodes: &mut Vec<Node>) -> Result<(), NotTaken> {
    nodes.clear();
    append(text, nodes)
}

/// Takes one object apart into nodes behind those that are there; if it is not taken, they are as before.
pub fn append(text: &str, nodes: &mut Vec<Node>) -> Result<(), NotTaken> {
    let before = nodes.len();
    let result = read_behind(text, nodes);
    if result.is_err() {
        nodes.truncate(before);
    }
    result
}

fn read_behind(text: &str, nodes: &mut Vec<Node>) -> Result<(), NotTaken> {
    if u32::try_from(text.len()).is_err() {
        return Err(NotTaken);
    }
    let bytes = text.as_bytes();
    let at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return Err(NotTaken);
    }
    let nodes_max = nodes.len() + NODES_MAX;
    let mut reader = Reader { bytes, nodes, nodes_max, open: [0; DEPTH_MAX], depth: 0 };
    let end = reader.value(at)?;
    if skip_space(bytes, end) == bytes.len() { Ok(()) } else { Err(NotTaken) }
}

struct Reader<'t> {
    bytes: &'t [u8],
    nodes: &'t mut Vec<Node>,
    nodes_max: usize,
    /// Numbers of the containers that are open.
    open: [usize; DEPTH_MAX],
    depth: usize,
}

/// Where reading goes on.
enum Next {
    /// A value begins here.
    Value(usize),
    /// The object has ended here.
    End(usize),
}

impl Reader<'_> {
    /// Reads the value at `at` with all that is in it; gives where it ends.
    fn value(&mut self, mut at: usize) -> Result<usize, NotTaken> {
        loop {
            let end = match self.bytes.get(at) {
                Some(b'"') => self.string(at)?,
                Some(open @ (b'{' | b'[')) => {
                    let inside = self.enter(at, *open)?;
                    // In ASCII a closing bracket stands two behind its opening one.
                    if self.bytes.get(inside) != Some(&(open + 2)) {
                        at = if *open == b'{' { self.name(inside)? } else { inside };
                        continue;
                    }
                    inside
                }
                Some(b'-' | b'0'..=b'9') => self.number(at)?,
                Some(b'n') => self.literal(at, b"null", Kind::Null)?,
                Some(b't') => self.literal(at, b"true", Kind::True)?,
                Some(b'f') => self.literal(at, b"false", Kind::False)?,
                _ => return Err(NotTaken),
            };
            // Looked at once a value: by then there may be two more.
            if self.nodes.len() > self.nodes_max {
                return Err(NotTaken);
            }
            match self.behind(end)? {
                Next::Value(next) => at = next,
                Next::End(end) => return Ok(end),
            }
        }
    }

    /// What follows a value: closing brackets, then a comma, or the end of all.
    #[inline]
    fn behind(&mut self, mut at: usize) -> Result<Next, NotTaken> {
        while let Some(depth) = self.depth.checked_sub(1) {
            at = skip_space(self.bytes, at);
            let (open, nodes) = (self.open[depth], self.nodes.len());
            let container = &mut self.nodes[open];
            match (self.bytes.get(at), container.kind) {
                (Some(b','), Kind::Object) => {
                    let name = skip_space(self.bytes, at + 1);
                    return self.name(name).map(Next::Value);
                }
                (Some(b','), _) => return Ok(Next::Value(skip_space(self.bytes, at + 1))),
                (Some(b'}'), Kind::Object) | (Some(b']'), Kind::Array) => {
                    at += 1;
                    container.end = at as u32;
                    container.span = (nodes - open) as u32;
                    self.depth = depth;
                }
                _ => return Err(NotTaken),
            }
        }
        Ok(Next::End(at))
    }

    /// Opens a container; gives where its first item or its closing bracket stands.
    fn enter(&mut self, at: usize, open: u8) -> Result<usize, NotTaken> {
        *self.open.get_mut(self.depth).ok_or(NotTaken)? = self.nodes.len();
        self.depth += 1;
        let kind = if open == b'{' { Kind::Object } else { Kind::Array };
        self.push(at, at, kind);
        Ok(skip_space(self.bytes, at + 1))
    }

    /// A member's name and colon; gives where the value begins.
    #[inline]
    fn name(&mut self, at: usize) -> Result<usize, NotTaken> {
        if self.bytes.get(at) != Some(&b'"') {
            return Err(NotTaken);
        }
        let end = self.string(at)?;
        let colon = skip_space(self.bytes, end);
        if self.bytes.get(colon) != Some(&b':') {
            return Err(NotTaken);
        }
        Ok(skip_space(self.bytes, colon + 1))
    }

    #[inline]
    fn string(&mut self, start: usize) -> Result<usize, NotTaken> {
        if let Some(length) = short_string(self.bytes, start + 1) {
            return Ok(self.push(start, start + length + 2, Kind::String));
        }
        let (end, kind) = string_end(self.bytes, start + 1)?;
        Ok(self.push(start, end, kind))
    }

    fn number(&mut self, start: usize) -> Result<usize, NotTaken> {
        Ok(self.push(start, number_end(self.bytes, start)?, Kind::Number))
    }

    fn literal(&mut self, at: usize, word: &[u8], kind: Kind) -> Result<usize, NotTaken> {
        if self.bytes[at..].starts_with(word) { Ok(self.push(at, at + word.len(), kind)) } else { Err(NotTaken) }
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize, kind: Kind) -> usize {
        self.nodes.push(Node { start: start as u32, end: end as u32, span: 1, kind });
        end
    }
}

#[inline]
fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    // There is none in what programs write.
    if bytes.get(at).is_some_and(|byte| *byte > b' ') {
        return at;
    }
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Behind the closing quote of the string whose content begins at `at`.
#[inline]
fn string_end(bytes: &[u8], mut at: usize) -> Result<(usize, Kind), NotTaken> {
    let mut kind = Kind::String;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, kind)),
            Some(b'\\') => {
                kind = Kind::EscapedString;
                at = escape_end(bytes, at)?;
            }
            _ => return Err(NotTaken),
        }
    }
}

/// The length of a string of fewer than [`BLOCK`] bytes without escapes, as most are, whose content begins at `at`.
#[inline]
fn short_string(bytes: &[u8], at: usize) -> Option<usize> {
    let block = u8x16::new(*bytes.get(at..)?.first_chunk::<BLOCK>()?);
    let (special, quotes) = special(block);
    let first = special & special.wrapping_neg();
    (quotes & first != 0).then(|| first.trailing_zeros() as usize)
}

/// Which bytes cannot stand in a string by themselves (a quote, a backslash, a control character), and which are quotes.
#[inline]
fn special(block: u8x16) -> (u32, u32) {
    let control = block.min(u8x16::splat(0x1f)).simd_eq(block);
    let quotes = block.simd_eq(u8x16::splat(b'"'));
    let special = control | quotes | block.simd_eq(u8x16::splat(b'\\'));
    (special.to_bitmask(), quotes.to_bitmask())
}

/// Bytes of a string that are looked at together.
const BLOCK: usize = 16;

/// The first byte from `at` on that cannot stand in a string by itself: a quote, a backslash, a control character.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        let (special, _) = special(u8x16::new(*block));
        if special != 0 {
            return at + special.trailing_zeros() as usize;
        }
        at += BLOCK;
    }
    while bytes.get(at).is_some_and(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\')) {
        at += 1;
    }
    at
}

/// Behind the escape that begins at `at`.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, NotTaken> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let digits = bytes.get(at + 2..at + 6).ok_or(NotTaken)?;
            if digits.iter().all(u8::is_ascii_hexdigit) { Ok(at + 6) } else { Err(NotTaken) }
        }
        _ => Err(NotTaken),
    }
}

/// Behind `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`. A digit behind a leading zero is left for whoever wants a comma.
fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, NotTaken> {
    at += usize::from(bytes[at] == b'-');
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits_end(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits_end(bytes, at + 1 + sign)?;
    }
    Ok(at)
}

/// Behind one digit or more.
fn digits_end(bytes: &[u8], start: usize) -> Result<usize, NotTaken> {
    let count = bytes.get(start..).map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count());
    if count > 0 { Ok(start + count) } else { Err(NotTaken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The text that the nodes from `at` on stand for, put together from scalars alone.
    fn put_together(tape: Tape<'_>, at: &mut usize) -> String {
        let node = tape.nodes()[*at];
        *at += 1;
        let (open, close) = match node.kind {
            Kind::Object => ("{", "}"),
            Kind::Array => ("[", "]"),
            _ => return tape.text_of(&node).to_string(),
        };
        let end = *at - 1 + node.span as usize;
        let mut items = Vec::new();
        while *at < end {
            let first = put_together(tape, at);
            let named = node.kind == Kind::Object;
            items.push(if named { format!("{first}:{}", put_together(tape, at)) } else { first });
        }
        format!("{open}{}{close}", items.join(","))
    }

    /// Taken exactly if serde_json takes it as an object, and then its nodes say all that the text says.
    fn agrees_with_serde(text: &str) -> Result<(), TestCaseError> {
        let mut nodes = Vec::new();
        let tape = Tape::read(text, &mut nodes);
        let valid =
            serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() && text.trim_ascii_start().starts_with('{');
        prop_assert_eq!(tape.is_ok(), valid, "{}", text);
        if let (Ok(tape), Ok(value)) = (tape, serde_json::from_str::<Value>(text)) {
            let again: Value = serde_json::from_str(&put_together(tape, &mut 0)).expect("still JSON");
            prop_assert_eq!(again, value, "{}", text);
        }
        Ok(())
    }

    #[test]
    fn nodes_say_where_values_stand() {
        let text = r#" {"a" : {"b":[1, -0.5e+3],"c":{}} ,"d\n":null } "#;
        let mut nodes = Vec::new();
        let tape = Tape::read(text, &mut nodes).expect("strict");
        let members: Vec<_> = tape.members().map(|(name, value)| (tape.text_of(name), tape.text_of(value))).collect();
        assert_eq!(members, [("\"a\"", r#"{"b":[1, -0.5e+3],"c":{}}"#), ("\"d\\n\"", "null")]);
        let kinds: Vec<Kind> = tape.nodes().iter().map(|node| node.kind).collect();
        use Kind::*;
        assert_eq!(kinds, [Object, String, Object, String, Array, Number, Number, String, Object, EscapedString, Null]);
        assert_eq!(put_together(tape, &mut 0), r#"{"a":{"b":[1,-0.5e+3],"c":{}},"d\n":null}"#);
    }

    #[test]
    fn broken_text_is_not_taken() {
        let text = r#"{"a":[{"bcdefghijklmnopqrstuvwxyz":"c\"\u00e9"},true],"d":-1.5e3,"e":null}"#;
        agrees_with_serde(text).expect("strict");
        for end in 0..text.len() {
            assert_eq!(read(&text[..end], &mut Vec::new()), Err(NotTaken), "{}", &text[..end]);
        }
        for broken in [
            "[]",
            "{}{}",
            "{} x",
            "{,}",
            "{\"a\":1,}",
            "{\"a\":[1,]}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":nul}",
            "{a:1}",
            "{\"a\" 1}",
            "{\"a\":[1}",
            "{\"a\":1]",
            "{\"a\":{]}",
            "\u{feff}{}",
            "{\"a\":\"0123456789abcdef\n\"}",
            "{1:2}",
        ] {
            agrees_with_serde(broken).expect("not strict");
            assert_eq!(read(broken, &mut Vec::new()), Err(NotTaken), "{broken}");
        }
    }

    #[test]
    fn depth_and_nodes_are_bounded() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert_eq!(read(&nested(DEPTH_MAX), &mut Vec::new()), Ok(()));
        assert_eq!(read(&nested(DEPTH_MAX + 1), &mut Vec::new()), Err(NotTaken));
        assert_eq!(read(&nested(1_000_000), &mut Vec::new()), Err(NotTaken));
        // Object, name, array, then the items.
        let long = |items: usize| format!("{{\"a\":[{}]}}", vec!["1"; items].join(","));
        assert_eq!(read(&long(NODES_MAX - 3), &mut Vec::new()), Ok(()));
        assert_eq!(read(&long(NODES_MAX - 2), &mut Vec::new()), Err(NotTaken));
    }

    proptest! {
        #[test]
        fn takes_what_serde_takes(text in r#"\{("[a\\u0é\n]{0,20}" ?: ?)?[\[\]{}",:0-9.eE+\-tfnula \\]{0,24}\}?"#) {
            agrees_with_serde(&text)?;
        }

        /// One byte of good JSON changed: nearly always broken, sometimes not, and never taken for good when it is not.
        #[test]
        fn takes_what_serde_takes_of_damaged_text(at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:0-9.eE+\\-tfn \\\\\u{1}é]") {
            let good = r#"{"entity":{"id":-120.5e-3,"tags":["a\u00e9\\\"longer than sixteen bytes",[],{"x":null}]},"ok":true,"n":0}"#;
            let at = at.index(good.len());
            let text = format!("{}{with}{}", &good[..at], &good[at + 1..]);
            agrees_with_serde(&text)?;
        }
    }
}
