//! One row of the history: a change of an attribute of an entity.

use std::cmp::Ordering;

use schemas::position::Position;
use serde_json::{Map, Value};

/// What happened to the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Set,
    /// The attribute has no value from here on.
    Unset,
}

impl Operation {
    /// The words that end a value; all others set one. A row without the word sets, unless it has no value.
    pub const UNSETTING: [&str; 4] = ["unset", "delete", "deleted", "remove"];

    pub fn of(word: Option<&str>, has_value: bool) -> Operation {
        match word {
            Some(word) if Operation::UNSETTING.iter().any(|unset| word.eq_ignore_ascii_case(unset)) => Operation::Unset,
            Some(_) => Operation::Set,
            None if has_value => Operation::Set,
            None => Operation::Unset,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Set => "set",
            Operation::Unset => "unset",
        }
    }
}

/// A change, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub entity: String,
    pub attribute: String,
    pub operation: Operation,
    /// Text whatever its type in the event; `None` where the attribute was unset, or set to null.
    pub value: Option<String>,
    /// When it took effect, milliseconds since the epoch.
    pub at: i64,
    /// When the source took the record, where the table says so.
    pub arrived_at: Option<i64>,
    pub id: Option<String>,
    /// Where its record stands, where the table says so.
    pub place: Option<EventPlace>,
    /// The object the row lies in, below the table's place.
    pub file: String,
    /// Every column of the row and of its partition, by name.
    pub columns: Map<String, Value>,
}

/// Shard and position of an event's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPlace {
    pub shard: String,
    pub position: Position,
}

impl Event {
    /// The order of events: by when they took effect, then by where they stand. Shards of one stream are numbered as they come
    /// to be, so that a child's events come after its parent's. Ids and files settle what is left: no two rows are equal.
    pub fn in_order(&self, other: &Event) -> Ordering {
        let place = |event: &Event| event.place.as_ref().map(|p| (p.shard.clone(), p.position.clone()));
        self.at
            .cmp(&other.at)
            .then_with(|| place(self).cmp(&place(other)))
            .then_with(|| self.id.cmp(&other.id))
            .then_with(|| self.file.cmp(&other.file))
    }

    /// Whether this and the other leave the attribute the same.
    pub fn says_the_same(&self, other: &Event) -> bool {
        self.operation == other.operation && self.state() == other.state()
    }

    /// What the attribute is after it.
    pub fn state(&self) -> Option<&str> {
        match self.operation {
            Operation::Set => self.value.as_deref(),
            Operation::Unset => None,
        }
    }
}
