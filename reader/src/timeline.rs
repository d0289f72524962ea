//! The events of one attribute of one entity, folded: what it was, since when, and what it had been before. Pure.
//!
//! Events are ordered as [`Event::in_order`] says. The same event taken twice (same id, same instant) counts once, as its first
//! record. Events that set what is set already confirm it; the others are changes. An event that came late stands where it took
//! effect, so that what follows it is a change from it, whatever the event itself believed to be the previous value.

use std::collections::HashSet;

use crate::event::{Event, Operation};

/// A change and what confirmed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The event that made it so.
    pub event: Event,
    /// Of the change before this one; `None`: there was none, or it is not known.
    pub previous: Option<Before>,
    /// When the next change took effect; `None`: it holds.
    pub until: Option<i64>,
    /// Events after it that said the same.
    pub confirmations: u64,
    /// The last of them, else the event itself.
    pub last_seen: i64,
}

/// What an attribute was before a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    pub operation: Operation,
    pub value: Option<String>,
}

/// Puts events in order and drops repetitions.
pub fn ordered(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by(Event::in_order);
    let mut seen = HashSet::new();
    events.retain(|event| match &event.id {
        Some(id) => seen.insert((event.entity.clone(), event.attribute.clone(), id.clone(), event.at)),
        None => true,
    });
    events
}

/// The changes that ordered events of one attribute come to, oldest first.
///
/// `changes_only` folds events that say what was so already into the change they confirm; otherwise each is a version of its own.
pub fn versions(events: &[Event], changes_only: bool) -> Vec<Version> {
    let mut versions: Vec<Version> = Vec::new();
    for event in events {
        let (before, until) = match versions.last_mut() {
            Some(last) if changes_only && last.event.says_the_same(event) => {
                last.confirmations += 1;
                last.last_seen = event.at;
                continue;
            }
            Some(last) => (Some(before(&last.event)), last),
            None => {
                versions.push(version(event, None));
                continue;
            }
        };
        until.until = Some(event.at);
        versions.push(version(event, before));
    }
    versions
}

fn version(event: &Event, previous: Option<Before>) -> Version {
    Version { event: event.clone(), previous, until: None, confirmations: 0, last_seen: event.at }
}

/// What an event leaves, to the one after it.
pub fn before(event: &Event) -> Before {
    Before { operation: event.operation, value: event.state().map(str::to_string) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::event::EventPlace;

    pub(crate) fn event(at: i64, position: u64, id: &str, value: Option<&str>) -> Event {
        Event {
            entity: "e".into(),
            attribute: "a".into(),
            operation: if value.is_some() { Operation::Set } else { Operation::Unset },
            value: value.map(str::to_string),
            at,
            arrived_at: Some(at),
            id: Some(id.into()),
            place: Some(EventPlace {
                shard: "s:0".into(),
                position: schemas::position::Position::from_numbers(1, position),
            }),
            file: "f".into(),
            columns: Map::new(),
        }
    }

    #[test]
    fn positions_settle_what_instants_do_not() {
        let folded = ordered(vec![event(5, 10, "b", Some("second")), event(5, 9, "a", Some("first"))]);
        assert_eq!(folded.last().and_then(Event::state), Some("second"), "as numbers, not as text");
    }

    #[test]
    fn an_event_taken_twice_counts_once_and_an_id_used_twice_does_not() {
        let twice =
            ordered(vec![event(1, 1, "x", Some("v")), event(1, 2, "x", Some("v")), event(2, 3, "x", Some("w"))]);
        assert_eq!(twice.iter().map(|e| e.at).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(versions(&twice, true)[0].confirmations, 0);
    }

    #[test]
    fn repeats_confirm_and_unsets_end() {
        let events = [
            event(1, 1, "a", Some("x")),
            event(2, 2, "b", Some("x")),
            event(3, 3, "c", None),
            event(4, 4, "d", Some("x")),
        ];
        let folded = versions(&events, true);
        let seen: Vec<_> = folded.iter().map(|v| (v.event.at, v.until, v.confirmations, v.last_seen)).collect();
        assert_eq!(seen, [(1, Some(3), 1, 2), (3, Some(4), 0, 3), (4, None, 0, 4)]);
        assert_eq!(folded[2].previous, Some(Before { operation: Operation::Unset, value: None }));
        assert_eq!((versions(&events, false).len(), folded.len()), (4, 3));
    }

    #[test]
    fn a_late_event_stands_where_it_took_effect() {
        let late = ordered(vec![event(1, 1, "a", Some("x")), event(9, 2, "c", Some("z")), event(5, 3, "b", Some("y"))]);
        let folded = versions(&late, true);
        assert_eq!(folded.iter().map(|v| v.event.state()).collect::<Vec<_>>(), [Some("x"), Some("y"), Some("z")]);
        assert_eq!(folded[2].previous.as_ref().and_then(|b| b.value.as_deref()), Some("y"));
    }

    proptest! {
        /// Whatever order rows are read in, and however often they were taken, they tell the same.
        #[test]
        fn the_order_of_reading_says_nothing(
            rows in proptest::collection::vec((0i64..5, 0u64..6, 0u8..6, 0u8..3), 0..12),
            seed in any::<u64>(),
        ) {
            let events: Vec<Event> = rows.iter().map(|(at, position, id, value)| {
                event(*at, *position, &format!("id{id}"), (*value > 0).then(|| format!("v{value}")).as_deref())
            }).collect();
            let mut shuffled = events.clone();
            let len = shuffled.len().max(1);
            for i in 0..shuffled.len() {
                shuffled.swap(i, ((seed >> (i % 8)) as usize + i * 7) % len);
            }
            let (a, b) = (ordered(events), ordered(shuffled));
            let told = |all: &[Event]| all.iter().map(|e| (e.at, e.id.clone(), e.place.clone())).collect::<Vec<_>>();
            prop_assert_eq!(told(&a), told(&b));
        }
    }
}
