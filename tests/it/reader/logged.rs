//! What a log says, worked out by itself: events in the order of the file, folded by nothing but that order.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// One line of a log.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) id: String,
    pub(super) entity: String,
    pub(super) attribute: String,
    pub(super) op: String,
    /// The value as text; none where it is null.
    pub(super) value: Option<String>,
    pub(super) at: String,
    pub(super) line: &'static [u8],
}

/// Events by entity and attribute, in the order of the file.
pub(super) type Histories = BTreeMap<(String, String), Vec<Logged>>;

impl Logged {
    pub(super) fn read(line: &'static [u8]) -> Logged {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(line).expect("a log is JSON");
        let text = |name: &str| {
            let raw = members.get(name).unwrap_or_else(|| panic!("no {name}")).get();
            match serde_json::from_str(raw).expect("a member is JSON") {
                Value::Null => None,
                Value::String(text) => Some(text),
                _ => Some(raw.to_string()),
            }
        };
        let needed = |name: &str| text(name).unwrap_or_else(|| panic!("{name} is null"));
        Logged {
            id: needed("event_id"),
            entity: needed("entity_id"),
            attribute: needed("attribute_name"),
            op: needed("op"),
            value: text("value"),
            at: needed("created_at"),
            line,
        }
    }

    /// What the attribute is after it: `None` if it is unset.
    pub(super) fn state(&self) -> (&str, Option<&str>) {
        (&self.op, self.value.as_deref().filter(|_| self.op == "set"))
    }

    /// The instant as the reader writes it: these logs have whole seconds, and days.
    pub(super) fn instant(&self) -> String {
        if self.at.len() == 10 { format!("{}T00:00:00Z", self.at) } else { self.at.clone() }
    }
}

pub(super) fn histories(lines: &'static [Vec<u8>]) -> Histories {
    let mut histories = Histories::new();
    for event in lines.iter().map(|line| Logged::read(line)) {
        histories.entry((event.entity.clone(), event.attribute.clone())).or_default().push(event);
    }
    histories
}

/// The last event, and the first of those before it that said the same without interruption.
pub(super) fn current(events: &[Logged]) -> (&Logged, &Logged) {
    let last = events.last().expect("an attribute has events");
    let run = events.iter().rev().take_while(|event| event.state() == last.state());
    (last, run.last().expect("the last one itself"))
}
