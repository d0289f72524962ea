//! The distinct values of a leaf, each once, in the order they came.

use super::super::survey::hash;
use super::page::LENGTH;

/// Values by number and numbers by value.
#[derive(Debug)]
pub(super) struct Dictionary {
    /// As its page has them.
    page: Vec<u8>,
    /// Where each value begins in the page, behind its length; and where the next one would.
    starts: Vec<usize>,
    /// Bytes of a length in front of each value.
    prefix: usize,
    /// Open addressing, no more than half full: the upper half of a value's hash, and its number + 1; 0 is empty.
    table: Vec<(u32, u32)>,
}

/// Numbers for a start; more make the table grow.
const TABLE_FIRST: usize = 64;

impl Dictionary {
    /// `lengths` says whether values differ in length.
    pub(super) fn new(lengths: bool) -> Dictionary {
        let prefix = if lengths { LENGTH } else { 0 };
        Dictionary { page: vec![], starts: vec![prefix], prefix, table: vec![(0, 0); TABLE_FIRST] }
    }

    /// Without values again.
    pub(super) fn clear(&mut self) {
        self.page.clear();
        self.starts.truncate(1);
        self.table.fill((0, 0));
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// As [`super`] writes it.
    pub(super) fn page(&self) -> &[u8] {
        &self.page
    }

    fn value(&self, number: usize) -> &[u8] {
        &self.page[self.starts[number]..self.starts[number + 1] - self.prefix]
    }

    /// The number of a value, and whether it is new.
    #[inline]
    pub(super) fn number_of(&mut self, value: &[u8]) -> (u32, bool) {
        let hash = hash(value);
        let (tag, mask) = (hash as u32, self.table.len() - 1);
        let mut at = (hash >> 32) as usize & mask;
        loop {
            match self.table[at] {
                (_, 0) => return (self.add(value, tag, at), true),
                (other, number) if other == tag && self.value(number as usize - 1) == value => {
                    return (number - 1, false);
                }
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn add(&mut self, value: &[u8], tag: u32, at: usize) -> u32 {
        let number = self.len() as u32;
        if self.prefix > 0 {
            self.page.extend_from_slice(&(value.len() as u32).to_le_bytes());
        }
        self.page.extend_from_slice(value);
        self.starts.push(self.page.len() + self.prefix);
        self.table[at] = (tag, number + 1);
        if self.len() * 2 > self.table.len() {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let mask = self.table.len() * 2 - 1;
        let mut table = vec![(0, 0); mask + 1];
        for number in 0..self.len() {
            let hash = hash(self.value(number));
            let mut at = (hash >> 32) as usize & mask;
            while table[at].1 != 0 {
                at = (at + 1) & mask;
            }
            table[at] = (hash as u32, number as u32 + 1);
        }
        self.table = table;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_number_and_the_page_has_each_once() {
        for lengths in [true, false] {
            let mut dictionary = Dictionary::new(lengths);
            for round in 0..2 {
                for n in 0..1000u32 {
                    assert_eq!(dictionary.number_of(&(n * n).to_le_bytes()), (n, round == 0));
                }
            }
            assert_eq!(dictionary.len(), 1000);
            assert_eq!(dictionary.page().len(), 1000 * if lengths { 8 } else { 4 });
        }
    }

    #[test]
    fn the_empty_value_is_a_value() {
        let mut dictionary = Dictionary::new(true);
        assert_eq!([b"".as_slice(), b"\0", b""].map(|value| dictionary.number_of(value).0), [0, 1, 0]);
        assert_eq!(dictionary.page(), [0, 0, 0, 0, 1, 0, 0, 0, 0]);
    }
}
