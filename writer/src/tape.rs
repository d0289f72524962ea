//! One strict JSON object to the places of its values, in one pass.
//!
//! Everything behind decode wants to know where members stand: keys, columns, sort columns. Each that looks for itself walks the
//! text again, and skips what is nested only to walk it once more. So the text is checked and taken apart together; what is left
//! is a list of nodes in the order of the text, each knowing how many of those behind it are inside.
//!
//! What is taken is strict JSON (RFC 8259), so `Ok` needs no second check. The reverse does not hold: what nests deeper than
//! [`DEPTH_MAX`] or has more than [`NODES_MAX`] nodes is not taken either. Who must tell these apart, or say what is wrong, asks
//! a slower reader. Nothing here recurses, and nothing reads past the end of the text.

pub mod outline;
mod specials;

use self::specials::Specials;
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
    outline: &'a [u8],
}

impl<'a> Tape<'a> {
    /// Takes `text` apart; whitespace around the object is fine. `nodes` is cleared and filled.
    pub fn read(text: &'a str, nodes: &'a mut Vec<Node>) -> Result<Tape<'a>, NotTaken> {
        read(text, nodes)?;
        Ok(Tape::of(text, nodes))
    }

    /// The object that [`read`] has taken apart into these nodes.
    pub fn of(text: &'a str, nodes: &'a [Node]) -> Tape<'a> {
        Tape { text, nodes, outline: &[] }
    }

    /// The object that [`read_with_outline`] has taken apart.
    pub fn with_outline(text: &'a str, nodes: &'a [Node], outline: &'a [u8]) -> Tape<'a> {
        Tape { text, nodes, outline }
    }

    /// See [`outline`]; empty if it is not known.
    pub fn outline(&self) -> &'a [u8] {
        self.outline
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

/// The same; `outline` is cleared and filled too, and stays empty if there is none.
pub fn read_with_outline(text: &str, nodes: &mut Vec<Node>, outline: &mut Vec<u8>) -> Result<(), NotTaken> {
    nodes.clear();
    outline.clear();
    Reader::<true>::read(text, nodes, outline)
}

/// Takes one object apart into nodes behind those that are there; if it is not taken, they are as before.
pub fn append(text: &str, nodes: &mut Vec<Node>) -> Result<(), NotTaken> {
    let before = nodes.len();
    let result = Reader::<false>::read(text, nodes, &mut Vec::new());
    if result.is_err() {
        nodes.truncate(before);
    }
    result
}

struct Reader<'t, const OUTLINE: bool> {
    bytes: &'t [u8],
    specials: Specials<'t>,
    nodes: &'t mut Vec<Node>,
    outline: &'t mut Vec<u8>,
    /// No space was met.
    is_compact: bool,
    nodes_max: usize,
    /// Number of the innermost container that is open. Its span is the number of the one around it.
    open: u32,
    /// Which it is.
    kind: Kind,
    depth: usize,
}

/// No container.
const NONE: u32 = u32::MAX;

impl<'t, const OUTLINE: bool> Reader<'t, OUTLINE> {
    fn read(text: &'t str, nodes: &'t mut Vec<Node>, outline: &'t mut Vec<u8>) -> Result<(), NotTaken> {
        // Nodes tell places, and while they are open their containers, in 32 bits.
        if u32::try_from(text.len().max(nodes.len() + NODES_MAX)).is_err() {
            return Err(NotTaken);
        }
        let (bytes, nodes_max) = (text.as_bytes(), nodes.len() + NODES_MAX);
        let specials = Specials::of(bytes);
        let (open, kind, depth, is_compact) = (NONE, Kind::Null, 0, true);
        let mut reader =
            Reader::<OUTLINE> { bytes, specials, nodes, outline, is_compact, nodes_max, open, kind, depth };
        let at = reader.skip_space(0);
        if bytes.get(at) != Some(&b'{') {
            return Err(NotTaken);
        }
        let end = reader.value(at)?;
        if reader.skip_space(end) != bytes.len() {
            return Err(NotTaken);
        }
        let is_empty = reader.nodes[nodes_max - NODES_MAX].span == 1;
        if OUTLINE && (is_empty || !reader.is_compact) {
            reader.outline.clear();
        }
        Ok(())
    }

    /// Reads the value at `at` with all that is in it; gives where it ends.
    #[inline(always)]
    fn value(&mut self, mut at: usize) -> Result<usize, NotTaken> {
        loop {
            let mut end = match self.bytes.get(at) {
                Some(b'"') => self.string(at)?,
                Some(open @ (b'{' | b'[')) => {
                    let kind = if *open == b'{' { Kind::Object } else { Kind::Array };
                    let inside = self.skip_space(at + 1);
                    // In ASCII a closing bracket stands two behind its opening one.
                    if self.bytes.get(inside) != Some(&(open + 2)) {
                        self.enter(at, kind)?;
                        at = if kind == Kind::Object { self.name(inside)? } else { inside };
                        continue;
                    }
                    if self.depth == DEPTH_MAX {
                        return Err(NotTaken);
                    }
                    self.push(at, inside + 1, kind)
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
            // What follows a value: closing brackets, then a comma, or the end of all.
            loop {
                if self.open == NONE {
                    return Ok(end);
                }
                end = self.skip_space(end);
                if self.bytes.get(end) == Some(&b',') {
                    break;
                }
                end = self.leave(end)?;
            }
            at = self.skip_space(end + 1);
            if self.kind == Kind::Object {
                at = self.name(at)?;
            }
        }
    }

    /// Opens a container with something inside.
    #[inline(always)]
    fn enter(&mut self, at: usize, kind: Kind) -> Result<(), NotTaken> {
        if self.depth == DEPTH_MAX {
            return Err(NotTaken);
        }
        self.depth += 1;
        let number = self.nodes.len() as u32;
        self.nodes.push(Node { start: at as u32, end: at as u32, span: self.open, kind });
        (self.open, self.kind) = (number, kind);
        if OUTLINE {
            outline::open(kind, self.outline);
        }
        Ok(())
    }

    /// Closes the innermost container, whose bracket has to stand at `at`; gives where it ends.
    #[inline(always)]
    fn leave(&mut self, at: usize) -> Result<usize, NotTaken> {
        let close = if self.kind == Kind::Object { b'}' } else { b']' };
        if self.bytes.get(at) != Some(&close) {
            return Err(NotTaken);
        }
        let span = self.nodes.len() as u32 - self.open;
        let container = &mut self.nodes[self.open as usize];
        container.end = (at + 1) as u32;
        self.open = std::mem::replace(&mut container.span, span);
        self.depth -= 1;
        self.kind = self.nodes.get(self.open as usize).map_or(Kind::Null, |around| around.kind);
        if OUTLINE {
            outline::close(self.outline);
        }
        Ok(at + 1)
    }

    /// A member's name and colon; gives where the value begins.
    #[inline(always)]
    fn name(&mut self, at: usize) -> Result<usize, NotTaken> {
        if self.bytes.get(at) != Some(&b'"') {
            return Err(NotTaken);
        }
        let end = self.string(at)?;
        let colon = self.skip_space(end);
        if self.bytes.get(colon) != Some(&b':') {
            return Err(NotTaken);
        }
        Ok(self.skip_space(colon + 1))
    }

    /// The string whose opening quote stands at `start`.
    #[inline(always)]
    fn string(&mut self, start: usize) -> Result<usize, NotTaken> {
        // What is passed by is space between values.
        while self.specials.next() < start {}
        let end = self.specials.next();
        if self.bytes.get(end) == Some(&b'"') {
            return Ok(self.push(start, end + 1, Kind::String));
        }
        let (end, specials) = escaped(self.bytes, end, self.specials)?;
        self.specials = specials;
        Ok(self.push(start, end, Kind::EscapedString))
    }

    #[inline(always)]
    fn skip_space(&mut self, at: usize) -> usize {
        // There is none in what programs write.
        if self.bytes.get(at).is_some_and(|byte| *byte > b' ') {
            return at;
        }
        let space = self.bytes.get(at..).unwrap_or_default().iter();
        let length = space.take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        if length > 0 {
            self.is_compact = false;
        }
        at + length
    }

    #[inline(always)]
    fn number(&mut self, start: usize) -> Result<usize, NotTaken> {
        Ok(self.push(start, number_end(self.bytes, start)?, Kind::Number))
    }

    #[inline(always)]
    fn literal(&mut self, at: usize, word: &[u8], kind: Kind) -> Result<usize, NotTaken> {
        if self.bytes[at..].starts_with(word) { Ok(self.push(at, at + word.len(), kind)) } else { Err(NotTaken) }
    }

    #[inline(always)]
    fn push(&mut self, start: usize, end: usize, kind: Kind) -> usize {
        self.nodes.push(Node { start: start as u32, end: end as u32, span: 1, kind });
        if OUTLINE {
            outline::push(kind, end - start, self.outline);
        }
        end
    }
}

/// Behind the string whose first special byte inside it stands at `at`, and the special bytes behind it.
#[cold]
fn escaped<'t>(bytes: &[u8], mut at: usize, mut specials: Specials<'t>) -> Result<(usize, Specials<'t>), NotTaken> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, specials)),
            Some(b'\\') => {
                let behind = escape_end(bytes, at)?;
                at = specials.next();
                while at < behind {
                    at = specials.next();
                }
            }
            _ => return Err(NotTaken),
        }
    }
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
