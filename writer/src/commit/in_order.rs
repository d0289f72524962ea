//! Cuts are stored in any order and let go of in the order they were made.

use std::collections::BTreeSet;
use std::ops::Range;

/// Which cuts are stored. Recovery does again every cut from [`InOrder::below`] on, so nothing that any of those needs may be let
/// go of before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct InOrder {
    /// Cuts below this one are stored.
    below: u64,
    /// Cuts from `below` on that are stored already.
    ahead: BTreeSet<u64>,
}

impl InOrder {
    /// This cut is stored: the cuts that may be let go of now.
    pub fn add(&mut self, cut: u64) -> Range<u64> {
        let before = self.below;
        self.ahead.insert(cut);
        while self.ahead.remove(&self.below) {
            self.below += 1;
        }
        before..self.below
    }

    /// All cuts below this one are stored.
    pub fn below(&self) -> u64 {
        self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_waits_for_those_before_it() {
        let mut stored = InOrder::default();
        assert!(stored.add(1).is_empty() && stored.add(3).is_empty());
        assert_eq!((stored.add(0), stored.below()), (0..2, 2));
        assert_eq!((stored.add(2), stored.below()), (2..4, 4));
    }
}
