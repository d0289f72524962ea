//! One record to its events: decompressed, then told apart, a function of bytes and rules alone.
//!
//! A record is one JSON object, or several one after another with nothing or whitespace between them. What is broken among them
//! is a reject, and how far it reaches depends on whether lines delimit the documents. Inside a JSON text a line can only end
//! behind one of `{ [ , :` or before one of `} ] , :`. If no line of the record ends like this, no document goes on over the end
//! of a line: the record is newline-delimited, and a broken document ends with its line. Otherwise nothing tells where the next
//! one begins (an object inside the broken one might pass for it), and all that follows is one reject.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use schemas::position::Position;
use schemas::reject::{Reason, Reject};
use schemas::rules::DecodeSettings;
use serde::de::IgnoredAny;
use writer::tape::{self, Node, Tape};

use crate::decode::{check_depth, decode, take_apart};
use crate::inflate;

thread_local! {
    /// The nodes and the outline of the record before, for the next one: a record costs no allocation.
    static SPARE: Cell<(Vec<Node>, Vec<u8>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// What one record holds.
#[derive(Debug)]
pub struct Documents<'a> {
    /// As the source gave it.
    record: &'a [u8],
    text: Cow<'a, [u8]>,
    held: Held<'a>,
}

#[derive(Debug)]
enum Held<'a> {
    /// One event, and its text.
    Apart(Apart<'a>),
    /// One event: all of the text, which is too much to be taken apart.
    One,
    /// No event can be told apart.
    None(Reject),
    Several(Vec<Document>),
}

/// A text and its nodes.
#[derive(Debug)]
struct Apart<'a> {
    text: Cow<'a, str>,
    nodes: Vec<Node>,
    outline: Vec<u8>,
}

#[derive(Debug)]
struct Document {
    range: Range<usize>,
    outcome: Result<(), Reject>,
}

/// One document of a record at its place, a row or a reject to be.
#[derive(Debug)]
pub struct Event<'a> {
    /// The record's own if it holds no other document.
    pub position: Cow<'a, Position>,
    /// The document, or the record's bytes where no document can be told apart.
    pub data: &'a [u8],
    /// The document taken apart, if it was.
    pub tape: Option<Tape<'a>>,
    /// Why it is no JSON object.
    pub broken: Option<&'a Reject>,
}

impl<'a> Event<'a> {
    /// Of its nodes, see [`writer::tape::outline`]; empty if it is not known.
    pub fn outline(&self) -> &'a [u8] {
        self.tape.map_or(&[], |tape| tape.outline())
    }
}

impl<'a> Documents<'a> {
    /// Tells the documents of a record apart. At least one event comes of every record.
    pub fn of(record: &'a [u8], settings: &DecodeSettings) -> Documents<'a> {
        let text = match inflate::text(record, settings) {
            Ok(text) => text,
            Err(reject) => return Documents { record, text: Cow::Borrowed(record), held: Held::None(reject) },
        };
        // Nearly always there is one, and then it is looked at once.
        match Apart::of(text) {
            Ok(apart) => Documents { record, text: Cow::Borrowed(&[]), held: Held::Apart(apart) },
            Err(text) => {
                let held = decode(&text).map_or_else(|reject| several(&text, reject, settings), |()| Held::One);
                Documents { record, text, held }
            }
        }
    }

    /// How many events come of the record.
    pub fn count(&self) -> usize {
        match &self.held {
            Held::Apart(_) | Held::One | Held::None(_) => 1,
            Held::Several(documents) => documents.len(),
        }
    }

    /// Whether the record's bytes are one event as they are, not compressed.
    pub fn is_one_as_given(&self) -> bool {
        match &self.held {
            Held::Apart(apart) => matches!(apart.text, Cow::Borrowed(_)),
            Held::One => matches!(self.text, Cow::Borrowed(_)),
            Held::None(_) | Held::Several(_) => false,
        }
    }

    /// The record's text, where it is not the record itself.
    pub fn unfolded(&self) -> Option<&[u8]> {
        match (&self.held, &self.text) {
            (Held::Apart(Apart { text: Cow::Owned(text), .. }), _) => Some(text.as_bytes()),
            (_, Cow::Owned(text)) => Some(text),
            _ => None,
        }
    }

    /// The same, given away.
    pub fn into_unfolded(self) -> Option<Vec<u8>> {
        match (self.held, self.text) {
            (Held::Apart(mut apart), _) => match std::mem::take(&mut apart.text) {
                Cow::Owned(text) => Some(text.into_bytes()),
                Cow::Borrowed(_) => None,
            },
            (_, Cow::Owned(text)) => Some(text),
            _ => None,
        }
    }

    /// The events of a record that stands at `position`, in order.
    pub fn events<'s>(&'s self, position: &'s Position) -> impl Iterator<Item = Event<'s>> {
        let whole = |data, tape, broken| Event { position: Cow::Borrowed(position), data, tape, broken };
        let (one, several) = match &self.held {
            Held::Apart(apart) => (Some(whole(apart.text.as_bytes(), Some(apart.tape()), None)), [].as_slice()),
            Held::One => (Some(whole(&*self.text, None, None)), [].as_slice()),
            Held::None(reject) => (Some(whole(self.record, None, Some(reject))), [].as_slice()),
            Held::Several(documents) => (None, documents.as_slice()),
        };
        let numbered = several.iter().zip(1..).map(|(document, number)| Event {
            position: Cow::Owned(position.with_document(number)),
            data: &self.text[document.range.clone()],
            tape: None,
            broken: document.outcome.as_ref().err(),
        });
        one.into_iter().chain(numbered)
    }
}

impl<'a> Apart<'a> {
    /// Gives the text back if it is not one event, or too much of one.
    fn of(text: Cow<'a, [u8]>) -> Result<Apart<'a>, Cow<'a, [u8]>> {
        let (nodes, outline) = SPARE.take();
        let mut apart = Apart { text: Cow::Borrowed(""), nodes, outline };
        match text {
            Cow::Borrowed(data) => match take_apart(data, &mut apart.nodes, &mut apart.outline) {
                Some(text) => apart.text = Cow::Borrowed(text),
                None => return Err(Cow::Borrowed(data)),
            },
            Cow::Owned(data) => match String::from_utf8(data) {
                Ok(text) => match tape::read_with_outline(&text, &mut apart.nodes, &mut apart.outline) {
                    Ok(()) => apart.text = Cow::Owned(text),
                    Err(_) => return Err(Cow::Owned(text.into_bytes())),
                },
                Err(error) => return Err(Cow::Owned(error.into_bytes())),
            },
        }
        Ok(apart)
    }

    fn tape(&self) -> Tape<'_> {
        Tape::with_outline(&self.text, &self.nodes, &self.outline)
    }
}

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        SPARE.set((std::mem::take(&mut self.nodes), std::mem::take(&mut self.outline)));
    }
}

/// The documents of a text that is not one event; `reject` says why it is not.
fn several<'a>(text: &[u8], reject: Reject, settings: &DecodeSettings) -> Held<'a> {
    if reject.reason != Reason::NotJson {
        return Held::None(reject);
    }
    let limit = settings.documents as usize;
    match split(text, limit) {
        Some(documents) if documents.len() > 1 => Held::Several(documents),
        Some(_) => Held::None(reject),
        None => {
            let message = format!("record holds more than {limit} JSON documents (`documents`)");
            Held::None(Reject::new(Reason::TooManyDocuments, message))
        }
    }
}

/// All documents, or nothing if there are more than `limit`.
fn split(text: &[u8], limit: usize) -> Option<Vec<Document>> {
    let mut documents = Vec::new();
    if is_newline_delimited(text) {
        for line in lines(text) {
            split_part(text, line, limit, &mut documents)?;
        }
    } else {
        split_part(text, 0..text.len(), limit, &mut documents)?;
    }
    Some(documents)
}

/// The documents of a part, up to the first that is broken: the rest belongs to it.
fn split_part(text: &[u8], part: Range<usize>, limit: usize, documents: &mut Vec<Document>) -> Option<()> {
    let mut rest = trim(text, part);
    while !rest.is_empty() {
        if documents.len() == limit {
            return None;
        }
        let (length, outcome) = first(&text[rest.clone()]);
        let range = rest.start..rest.start + length;
        rest = trim(text, range.end..rest.end);
        documents.push(Document { range, outcome });
    }
    Some(())
}

/// The length of the first document, and whether it is an event. What begins with no JSON object is broken to its end.
fn first(rest: &[u8]) -> (usize, Result<(), Reject>) {
    match object_length(rest) {
        Some(length) => (length, check_depth(&rest[..length])),
        None => (rest.len(), decode(rest)),
    }
}

/// The length of the JSON object, in UTF-8, that the text begins with.
fn object_length(rest: &[u8]) -> Option<usize> {
    if rest.first() != Some(&b'{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let length = values.byte_offset();
    // What is ignored is not checked for UTF-8.
    simdutf8::basic::from_utf8(&rest[..length]).is_ok().then_some(length)
}

/// See the module's text.
fn is_newline_delimited(text: &[u8]) -> bool {
    let mut before = None;
    for line in lines(text).map(|line| trim(text, line)).filter(|line| !line.is_empty()) {
        let inside = before.is_some_and(|last| b"{[,:".contains(&last)) || b"}],:".contains(&text[line.start]);
        if inside && before.is_some() {
            return false;
        }
        before = Some(text[line.end - 1]);
    }
    true
}

fn lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', text).chain([text.len()]).map(move |end| std::mem::replace(&mut start, end + 1)..end)
}

/// The part without JSON whitespace at its ends.
fn trim(text: &[u8], part: Range<usize>) -> Range<usize> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let bytes = &text[part.clone()];
    let start = part.start + bytes.iter().take_while(|b| is_space(b)).count();
    let end = part.end - text[start..part.end].iter().rev().take_while(|b| is_space(b)).count();
    start..end
}

#[cfg(test)]
mod tests;
