//! References: where one event stands, as text that a URL can hold. With entity and attribute beside it, it leads to one folder
//! without an index. The same text is the cursor of a list: what comes after this event.
//!
//! It is not signed. It says nothing that is not in the answer, and whoever makes one up asks another question, within the same
//! limits.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::position::Position;

use crate::error::ReaderError;
use crate::event::{Event, EventPlace};

/// Longest reference that is read, in bytes.
pub const REFERENCE_BYTES_MAX: usize = 4096;

/// An event's place in the order of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub at: i64,
    pub place: Option<EventPlace>,
    pub id: Option<String>,
}

type Members = (i64, Option<(String, Position)>, Option<String>);

impl Reference {
    pub fn of(event: &Event) -> Reference {
        Reference { at: event.at, place: event.place.clone(), id: event.id.clone() }
    }

    pub fn text(&self) -> String {
        let place = self.place.as_ref().map(|place| (place.shard.clone(), place.position.clone()));
        let members: Members = (self.at, place, self.id.clone());
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&members).expect("numbers and text serialise"))
    }

    /// `parameter` is what the text was given as.
    pub fn parse(text: &str, parameter: &str) -> Result<Reference, ReaderError> {
        let wrong = || ReaderError::question(parameter, "is none that this reader gave");
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(wrong());
        }
        let members = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let (at, place, id): Members = serde_json::from_slice(&members).map_err(|_| wrong())?;
        Ok(Reference { at, place: place.map(|(shard, position)| EventPlace { shard, position }), id })
    }

    pub fn is_of(&self, event: &Event) -> bool {
        *self == Reference::of(event)
    }

    /// Whether an event comes before it.
    pub fn is_after(&self, event: &Event) -> bool {
        let place = |place: &Option<EventPlace>| place.as_ref().map(|p| (p.shard.clone(), p.position.clone()));
        let order = event.at.cmp(&self.at).then_with(|| place(&event.place).cmp(&place(&self.place)));
        order.then_with(|| event.id.cmp(&self.id)) == Ordering::Less
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn references_come_back(at: i64, place in proptest::option::of((".*", 0u64..9, 0u64..9)), id in proptest::option::of(".*")) {
            let place = place.map(|(shard, a, b)| EventPlace { shard, position: Position::from_numbers(a, b) });
            let reference = Reference { at, place, id };
            let text = reference.text();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
            prop_assert_eq!(Reference::parse(&text, "cursor").expect("ours"), reference);
        }

        #[test]
        fn what_is_no_reference_is_refused_and_nothing_more(text in "\\PC*") {
            let refused = |error| matches!(error, ReaderError::Question { .. });
            match Reference::parse(&text, "cursor") {
                Ok(reference) => prop_assert_eq!(Reference::parse(&reference.text(), "cursor").ok(), Some(reference)),
                Err(error) => prop_assert!(refused(error)),
            }
        }
    }
}
