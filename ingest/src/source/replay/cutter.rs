//! Where one record ends and the next begins in the text of a raw object: pure, and the same however the text comes in.
//!
//! Documents may follow each other with nothing between them, on lines of their own, or spread over lines. As within a record
//! ([`crate::documents`]), a line goes on in the next one if it ends behind one of `{ [ , :` or the next begins with one of
//! `} ] , :`. Lines that belong together are one piece; a piece of several objects is cut into them, and what is broken in it is a
//! record that ends with the piece.

use std::ops::Range;

/// Longest record, in bytes: longer ones are cut here, and rejected. A Kinesis record has at most 10 MiB.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// A piece that is longer has its objects cut out before its end is known.
const PIECE_BYTES: usize = 256 << 10;
/// Longest beginning of `{"Records":[`, with the space that may be in it.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How records stand in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One a line.
    Lines,
    /// JSON objects, see the module's text.
    Documents,
    /// `{"Records":[...]}`, once or more: the items.
    Records,
}

/// Where in its shape the text was left.
#[derive(Debug)]
pub struct Cutter {
    shape: Shape,
    /// For [`Shape::Records`]: between the brackets.
    inside: bool,
    piece_bytes: usize,
    record_bytes_max: usize,
}

/// What was found: records, and how many bytes need not be looked at again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    pub records: Vec<Range<usize>>,
    pub done: usize,
}

impl Cutter {
    pub fn new(shape: Shape) -> Self {
        Cutter::with_limits(shape, PIECE_BYTES, RECORD_BYTES_MAX)
    }

    /// With other limits, for tests.
    pub fn with_limits(shape: Shape, piece_bytes: usize, record_bytes_max: usize) -> Self {
        Cutter { shape, inside: false, piece_bytes, record_bytes_max }
    }

    /// The records that `text` surely holds. It goes on where the last cut was done; `ended`: nothing comes behind it.
    pub fn cut(&mut self, text: &[u8], ended: bool) -> Cuts {
        let mut cuts = Cuts::default();
        loop {
            cuts.done += space(&text[cuts.done..]);
            let rest = &text[cuts.done..];
            if rest.is_empty() || !self.next(rest, ended, &mut cuts) {
                return cuts;
            }
        }
    }

    /// The next record or records, with `rest` not empty; `false`: more text is needed.
    fn next(&mut self, rest: &[u8], ended: bool, cuts: &mut Cuts) -> bool {
        let at = cuts.done;
        let found = match self.shape {
            Shape::Lines => memchr::memchr(b'\n', rest).map(|end| cuts.take(at, rest, end)),
            Shape::Documents => {
                piece(rest).map(|end| cuts.objects(at, rest, end)).or_else(|| self.early(rest, at, cuts))
            }
            Shape::Records => return self.item(rest, ended, cuts),
        };
        match found {
            Some(()) => true,
            None if ended => {
                match self.shape {
                    Shape::Lines => cuts.take(at, rest, rest.len()),
                    _ => cuts.objects(at, rest, rest.len()),
                }
                true
            }
            None => self.forced(rest, at, cuts),
        }
    }

    /// The next item of an array, or a step to it.
    fn item(&mut self, rest: &[u8], ended: bool, cuts: &mut Cuts) -> bool {
        let at = cuts.done;
        if !self.inside {
            return match head(rest) {
                Head::Is(length) => {
                    self.inside = true;
                    cuts.done += length;
                    true
                }
                Head::May if !ended => false,
                _ => {
                    cuts.done += 1;
                    true
                }
            };
        }
        match rest[0] {
            b']' => self.inside = false,
            b',' => {}
            b'{' => {
                return match object_end(rest) {
                    Some(end) => {
                        cuts.take(at, rest, end);
                        true
                    }
                    None if ended => {
                        cuts.take(at, rest, rest.len());
                        true
                    }
                    None => self.forced(rest, at, cuts),
                };
            }
            _ => match memchr::memchr2(b',', b']', rest) {
                Some(end) => {
                    cuts.take(at, rest, end);
                    return true;
                }
                None if ended => {
                    cuts.take(at, rest, rest.len());
                    return true;
                }
                None => return self.forced(rest, at, cuts),
            },
        }
        cuts.done += 1;
        true
    }

    /// The objects of a long piece whose end is not known yet: all that are there, for each look at it costs its whole length.
    fn early(&self, rest: &[u8], at: usize, cuts: &mut Cuts) -> Option<()> {
        if rest.len() < self.piece_bytes {
            return None;
        }
        let mut from = 0;
        while let Some(length) = object_end(&rest[from..]) {
            cuts.take(at + from, &rest[from..], length);
            from += length;
            from += space(&rest[from..]);
        }
        (from > 0).then_some(())
    }

    /// What has no end within the limit is cut there.
    fn forced(&self, rest: &[u8], at: usize, cuts: &mut Cuts) -> bool {
        let is_long = rest.len() >= self.record_bytes_max;
        if is_long {
            cuts.take(at, rest, self.record_bytes_max);
        }
        is_long
    }
}

impl Cuts {
    /// One record, `rest[..end]` without the space at its end.
    fn take(&mut self, at: usize, rest: &[u8], end: usize) {
        // JSON's space alone: a form feed, which `trim_ascii_end` takes too, makes a record something else.
        let length = rest[..end].iter().rposition(|b| !is_space(*b)).map_or(0, |last| last + 1);
        if length > 0 {
            self.records.push(at..at + length);
        }
        self.done = at + end;
    }

    /// The objects of a piece that ends at `end`, and what is broken in it.
    fn objects(&mut self, at: usize, rest: &[u8], end: usize) {
        let mut from = 0;
        if holds_several(&rest[..end]) {
            while let Some(length) = object_end(&rest[from..end]) {
                self.take(at + from, &rest[from..], length);
                from += length;
                from += space(&rest[from..end]);
            }
        }
        self.take(at + from, &rest[from..], end - from);
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn space(text: &[u8]) -> usize {
    text.iter().take_while(|b| is_space(**b)).count()
}

/// The end of the lines that belong together, as far as it is sure.
fn piece(rest: &[u8]) -> Option<usize> {
    let goes_on = |end: usize| {
        let last = rest[..end].trim_ascii_end().last();
        let next = rest[end..].get(space(&rest[end..]))?;
        Some(last.is_some_and(|b| b"{[,:".contains(b)) || b"}],:".contains(next))
    };
    for end in memchr::memchr_iter(b'\n', rest) {
        match goes_on(end) {
            Some(true) => {}
            Some(false) => return Some(end),
            None => return None,
        }
    }
    None
}

/// Whether an object may begin behind the end of another one. Within strings it may seem so; then the cut finds none.
fn holds_several(piece: &[u8]) -> bool {
    memchr::memchr_iter(b'{', piece).skip(1).any(|at| piece[..at].trim_ascii_end().last() == Some(&b'}'))
}

/// Behind the closing brace of the object that the text begins with. Whether it is JSON is seen later.
pub fn object_end(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'{') {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(found) = memchr::memchr3(b'"', b'{', b'}', &text[at..]) {
        at += found + 1;
        match text[at - 1] {
            b'"' => at += string_end(&text[at..])?,
            b'{' => depth += 1,
            _ => depth -= 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Behind the closing quote of a string whose inside begins here.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &text[at..])? + 1;
        if text[at - 1] == b'"' {
            return Some(at);
        }
        at += 1;
        if at > text.len() {
            return None;
        }
    }
}

/// Whether a text begins with `{"Records":[`.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// So many bytes of it.
    Is(usize),
    /// It ends too early to tell.
    May,
    IsNot,
}

/// See [`Head`]. There may be space between the parts, but not without end: what may still be a head is kept in memory.
pub fn head(text: &[u8]) -> Head {
    match head_of(&text[..text.len().min(HEAD_BYTES_MAX)]) {
        Head::May if text.len() >= HEAD_BYTES_MAX => Head::IsNot,
        told => told,
    }
}

fn head_of(text: &[u8]) -> Head {
    let mut at = 0;
    for part in ["{", "\"Records\"", ":", "["] {
        at += space(&text[at..]);
        let rest = &text[at..];
        if !rest.starts_with(part.as_bytes()) {
            return if part.as_bytes().starts_with(rest) { Head::May } else { Head::IsNot };
        }
        at += part.len();
    }
    Head::Is(at)
}

#[cfg(test)]
#[path = "tests/cutter.rs"]
mod tests;
