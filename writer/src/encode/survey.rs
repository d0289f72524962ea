//! Looks at a column's first values to decide how its pages are written.
//!
//! A dictionary of values that hardly repeat costs 7 to 15 % of the encoder's time and 3 to 5 % of size, and then overflows
//! into plain pages anyway. The decision is a function of the values alone, so the same rows give the same file.

/// Values looked at, from the first on.
const SAMPLE: usize = 2048;

/// After so many values a column of which nearly all differ is not looked at any further.
const EARLY: usize = 256;

/// Whether among the first of `len` values that are not null, each occurs twice on average; `value` gives none for null.
pub(super) fn repeats<'v>(len: usize, value: impl Fn(usize) -> Option<&'v [u8]>) -> bool {
    let mut distinct = Distinct::new(len.min(SAMPLE));
    let mut seen = 0;
    for value in (0..len.min(SAMPLE)).filter_map(value) {
        seen += 1;
        distinct.insert(hash(value));
        if seen == EARLY && distinct.count * 16 > seen * 15 {
            return false;
        }
    }
    seen > 0 && distinct.count * 2 <= seen
}

/// Hashes seen: a table with open addressing, no more than half full. The hash is mixed well enough to be its own place.
struct Distinct {
    /// 0 is empty.
    table: Vec<u64>,
    count: usize,
}

impl Distinct {
    fn new(values: usize) -> Distinct {
        Distinct { table: vec![0; (values * 2).next_power_of_two().max(2)], count: 0 }
    }

    /// Whether it was not there.
    fn insert(&mut self, hash: u64) -> bool {
        let hash = hash.max(1);
        let mask = self.table.len() - 1;
        let mut at = (hash >> 32) as usize & mask;
        while self.table[at] != 0 {
            if self.table[at] == hash {
                return false;
            }
            at = (at + 1) & mask;
        }
        self.table[at] = hash;
        self.count += 1;
        true
    }
}

/// Good enough to count distinct values (a collision merges two of 2,048) and to find them.
#[inline]
pub(super) fn hash(bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, tail) = bytes.as_chunks::<8>();
    let mut state = bytes.len() as u64;
    for word in words {
        state = (state.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(MIX);
    }
    let last = tail.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (state.rotate_left(23) ^ last).wrapping_mul(MIX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of(values: &str) -> bool {
        let values: Vec<&str> = values.split_whitespace().collect();
        repeats(values.len(), |i| (values[i] != "-").then(|| values[i].as_bytes()))
    }

    #[test]
    fn repeated_values_want_a_dictionary_and_distinct_ones_do_not() {
        let cases =
            [("a b a b", true), ("a b c a", false), ("a", false), ("a a", true), ("", false), ("- - a -", false)];
        for (values, expected) in cases {
            assert_eq!(of(values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_look_at_the_first_is_enough_if_nearly_all_of_them_differ() {
        let values: Vec<String> = (0..2000).map(|n| if n < 250 { n.to_string() } else { "x".to_string() }).collect();
        let of = |values: &[String]| repeats(values.len(), |i| Some(values[i].as_bytes()));
        assert!(!of(&values) && of(&values[200..]));
    }

    #[test]
    fn distinct_values_are_counted_once() {
        let mut distinct = Distinct::new(1000);
        let mut known = HashSet::new();
        for n in 0..1000u64 {
            let value = hash(&(n * n % 613).to_le_bytes());
            assert_eq!(distinct.insert(value), known.insert(value));
        }
        assert_eq!(distinct.count, known.len());
    }

    #[test]
    fn hash_sees_length_and_every_byte() {
        let texts = ["", "\0", "\0\0", "abcdefgh", "abcdefgi", "abcdefgha", "abcdefghijklmnop", "abcdefghijklmnoq"];
        let hashes: HashSet<u64> = texts.iter().map(|t| hash(t.as_bytes())).collect();
        assert_eq!(hashes.len(), texts.len());
    }
}
