//! The events of some rows, taken apart: as many at once as a file of usual size has, so that what is found in them once can be
//! used in any order.

use std::ops::Range;

use super::Row;
use super::cursor::{Kind, Value};
use crate::tape::{self, Node, Tape};

/// Nodes and slots after which no further event is taken. The list of nodes has at most as many again as one event may have.
const NODES: usize = 1 << 19;
/// The same where nothing is kept.
const NODES_IN_ORDER: usize = 1 << 13;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Events<'a> {
    /// Used again by the next file.
    nodes: Vec<Node>,
    events: Vec<Event<'a>>,
    /// That are kept of each event: what is found in it. None if events are looked at in order: then few are taken at once, which
    /// stay in the second-level cache.
    slots: Option<usize>,
}

#[derive(Debug)]
enum Event<'a> {
    Apart(&'a str, Range<usize>),
    /// Not taken apart: too large, or broken after all.
    Text(&'a str),
    NotUtf8,
}

impl<'a> Events<'a> {
    pub(super) fn new(nodes: Option<Vec<Node>>, slots: Option<usize>) -> Self {
        Events { nodes: nodes.unwrap_or_default(), events: vec![], slots }
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// Takes the first of these rows apart, in place of those before; gives how many.
    pub(super) fn fill(&mut self, rows: impl Iterator<Item = Row<'a>>) -> usize {
        self.nodes.clear();
        self.events.clear();
        for row in rows {
            let event = self.event(row);
            self.events.push(event);
            let is_enough = match self.slots {
                Some(slots) => self.nodes.len() + self.events.len() * slots >= NODES,
                None => self.nodes.len() >= NODES_IN_ORDER,
            };
            if is_enough {
                break;
            }
        }
        self.events.len()
    }

    fn event(&mut self, row: Row<'a>) -> Event<'a> {
        let Ok(text) = simdutf8::basic::from_utf8(row.data) else { return Event::NotUtf8 };
        let before = self.nodes.len();
        let known = tape::outline::append(row.outline, text.len(), &mut self.nodes);
        match known.or_else(|_| tape::append(text, &mut self.nodes)) {
            Ok(()) => Event::Apart(text, before..self.nodes.len()),
            Err(_) => Event::Text(text),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// One of them; none if it is not UTF-8.
    pub(super) fn get(&self, index: usize) -> Option<Value<'_>> {
        match &self.events[index] {
            Event::Apart(text, nodes) => Some(Value::of(Tape::of(text, &self.nodes[nodes.clone()]))),
            Event::Text(text) => Some(Value::of_text(Kind::Object, text)),
            Event::NotUtf8 => None,
        }
    }
}
