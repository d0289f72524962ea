//! Where an event stands, and what its row or reject tells of that: a replay's tell where the record was first taken.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::position::{Position, ShardId};
use schemas::reject::{Reject, error_line};
use writer::Given;

use crate::documents::Event;
use crate::record::Origin;

/// See the module's text.
#[derive(Debug)]
pub struct Place<'a> {
    /// Shard and position of the event's origin.
    origin: Option<(&'a str, Position)>,
}

impl<'a> Place<'a> {
    pub fn of(event: &Event<'_>, origin: Option<&Origin<'a>>) -> Self {
        Place { origin: origin.map(|origin| (origin.shard, origin.of(&event.position))) }
    }

    /// The event for the writer, with the row or the line that comes of it.
    pub fn given<'s>(&'s self, event: &'s Event<'_>, arrived_at: i64, data: &'s [u8], outline: &'s [u8]) -> Given<'s> {
        let origin = self.origin.as_ref().map(|(shard, position)| (*shard, position));
        Given { position: &event.position, arrived_at, data, outline, origin }
    }

    /// The line a rejected event of `shard` leaves in the errors output.
    pub fn reject_line(&self, shard: &ShardId, event: &Event<'_>, arrived_at: i64, reject: &Reject) -> Vec<u8> {
        let raw = STANDARD.encode(event.data);
        match &self.origin {
            Some((shard, position)) => error_line(reject, shard, position, arrived_at, &raw),
            None => error_line(reject, shard.as_str(), &event.position, arrived_at, &raw),
        }
    }
}
