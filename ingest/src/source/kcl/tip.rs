//! When a shard was last seen to hold nothing more, from the daemon's messages. Pure.
//!
//! A message says how far from the tip its read was, but not when that was: the daemon reads ahead. But it holds few reads, so
//! what it gives now was read after the message so many places before was taken from it.

use std::collections::VecDeque;

/// More reads than the daemon holds (3.1.3): 3 by polling (`SimpleRecordsFetcherFactory`; its properties have no name for it) or
/// 11 by fan-out (`FanOutRecordsPublisher`), and some between publisher and consumer (8, `ShardConsumer`).
const READ_AHEAD_MAX: usize = 32;

/// When the last messages were taken, milliseconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct Tip(VecDeque<i64>);

impl Tip {
    /// A message was taken. Returns an instant before its read began, once enough came to know one.
    pub(super) fn taken(&mut self, now: i64) -> Option<i64> {
        let before = if self.0.len() == READ_AHEAD_MAX { self.0.pop_front() } else { None };
        self.0.push_back(now);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_as_old_as_the_message_it_waited_behind() {
        let mut tip = Tip::default();
        let known: Vec<_> = (0..36).map(|now| tip.taken(now)).collect();
        assert!(known[..32].iter().all(Option::is_none));
        assert_eq!(known[32..], [Some(0), Some(1), Some(2), Some(3)]);
    }
}
