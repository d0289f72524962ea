//! When a shard was last seen to hold nothing more, from the daemon's messages. Pure.
//!
//! A message says how far from the tip its read was, but not when that was: the daemon reads ahead. But it holds few reads, so
//! what it gives now was read after the message so many places before was taken from it.

use std::collections::VecDeque;

/// Reads that the daemon may hold at most: `maxPendingProcessRecordsInput` of its properties, which is 3 unless written otherwise,
/// and one under way.
const READ_AHEAD_MAX: usize = 16;

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
        let known: Vec<_> = (0..20).map(|now| tip.taken(now)).collect();
        assert!(known[..16].iter().all(Option::is_none));
        assert_eq!(known[16..], [Some(0), Some(1), Some(2), Some(3)]);
    }
}
