//! Finds the member a name stands for: exactly, else ASCII case aside.
//!
//! One small open-addressing table over a hash that ignores case: a hit costs one comparison, a miss usually none.

/// A name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) index: usize,
    /// The name is the same byte for byte, not only case aside.
    pub(super) exact: bool,
}

/// An immutable set of names, looked up by their bytes.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<Box<str>>,
    /// Of each name.
    marks: Vec<Mark>,
    /// 0 is empty, else index + 1. The length is a power of two, at least twice the number of names.
    table: Vec<u32>,
    longest: usize,
}

/// The order in which an object's names came the last time: events of one source have the same members in the same order.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Indexes of the names that were found.
    before: Vec<u32>,
    turn: usize,
}

impl Order {
    /// Members of an object that are remembered.
    const REMEMBERED: usize = 256;

    /// Another object begins.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.turn = 0;
    }

    fn remember(&mut self, turn: usize, index: usize) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        match self.before.get_mut(turn) {
            Some(before) => *before = index,
            None if turn < Self::REMEMBERED => self.before.push(index),
            None => {}
        }
    }
}

/// What a name is told by: all of it, up to [`Mark::WHOLE`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    ends: (u64, u64),
    length: usize,
}

impl Mark {
    const WHOLE: usize = 16;

    #[inline]
    fn of(name: &[u8]) -> Mark {
        Mark { ends: ends(name), length: name.len() }
    }
}

/// Odd numbers with well-mixed bits.
const MIX: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9];
/// Sets the bit by which ASCII letters' cases differ.
const CASE: u64 = 0x2020_2020_2020_2020;

impl Names {
    pub(super) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Names {
        let names: Vec<Box<str>> = names.into_iter().map(Box::from).collect();
        let mut table = vec![0; (names.len() * 4).next_power_of_two().max(4)];
        for (index, name) in names.iter().enumerate() {
            let mut at = start(name.as_bytes(), table.len());
            while table[at] != 0 {
                at = (at + 1) & (table.len() - 1);
            }
            table[at] = u32::try_from(index + 1).expect("a spec has fewer than 2^32 columns");
        }
        let longest = names.iter().map(|n| n.len()).max().unwrap_or(0);
        let marks = names.iter().map(|name| Mark::of(name.as_bytes())).collect();
        Names { names, marks, table, longest }
    }

    /// What [`Names::find`] says, for names that mostly come in the order they came in before.
    #[inline]
    pub(super) fn find_next(&self, name: &[u8], order: &mut Order) -> Option<Found> {
        let turn = order.turn;
        order.turn += 1;
        if let Some(index) = order.before.get(turn).map(|index| *index as usize)
            && self.is(index, name)
        {
            return Some(Found { index, exact: true });
        }
        let found = self.find(name);
        order.remember(turn, found.filter(|found| found.exact).map_or(usize::MAX, |found| found.index));
        found
    }

    #[inline]
    fn is(&self, index: usize, name: &[u8]) -> bool {
        self.marks.get(index).is_some_and(|mark| *mark == Mark::of(name))
            && (name.len() <= Mark::WHOLE || self.names[index].as_bytes() == name)
    }

    /// The name that is `name` exactly, else the one that is it case aside. Several that are it case aside were told apart by
    /// case on purpose: then only the exact one counts.
    pub(super) fn find(&self, name: &[u8]) -> Option<Found> {
        if name.len() > self.longest {
            return None;
        }
        let mut at = start(name, self.table.len());
        let mut folded = None;
        let mut alike = 0;
        while self.table[at] != 0 {
            let index = self.table[at] as usize - 1;
            let candidate = self.names[index].as_bytes();
            if candidate == name {
                return Some(Found { index, exact: true });
            }
            if candidate.eq_ignore_ascii_case(name) {
                alike += 1;
                folded = Some(Found { index, exact: false });
            }
            at = (at + 1) & (self.table.len() - 1);
        }
        folded.filter(|_| alike == 1)
    }
}

fn start(name: &[u8], slots: usize) -> usize {
    let (head, tail) = ends(name);
    let mixed = ((head | CASE).wrapping_mul(MIX[0]) ^ (tail | CASE).wrapping_mul(MIX[1]) ^ name.len() as u64)
        .wrapping_mul(MIX[2]);
    (mixed >> 32) as usize & (slots - 1)
}

/// The first and the last eight bytes, overlapping in short names. With the length they are the name if it has 16 bytes or fewer.
#[inline]
fn ends(name: &[u8]) -> (u64, u64) {
    match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(head), Some(tail)) => (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into()),
            _ => (name.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)), 0),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_first_then_case_aside() {
        let names = Names::new(["user_name", "id", "Id", "x", "created_at_timestamp"]);
        assert_eq!(names.find(b"user_name"), Some(Found { index: 0, exact: true }));
        assert_eq!(names.find(b"User_Name"), Some(Found { index: 0, exact: false }));
        assert_eq!(names.find(b"X"), Some(Found { index: 3, exact: false }));
        assert_eq!(names.find(b"CREATED_AT_timestamp"), Some(Found { index: 4, exact: false }));
        assert_eq!(
            (names.find(b"id"), names.find(b"Id")),
            (Some(Found { index: 1, exact: true }), Some(Found { index: 2, exact: true }),)
        );
        for unknown in ["ID", "iD", "", "user_nam", "user_name_", "user-name", "created_at_timestamq"] {
            assert_eq!(names.find(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn names_in_any_order_are_found_as_without_memory() {
        let list = [
            "a",
            "ab",
            "abc",
            "abcd",
            "abcde",
            "b234567",
            "b2345678",
            "b23456789",
            "c23456789012345_",
            "c23456789012345_7",
            "C",
        ];
        let names = Names::new(list);
        let mut order = Order::default();
        for round in 0..3 * list.len() {
            order.begin();
            for turn in 0..300 {
                // Mostly as before, now and then another name, one that is too long, or one in another case.
                let name = match (turn * 7 + round * 5) % 11 {
                    0 => "unknown".to_string(),
                    1 => format!("{}_", list[(turn + round) % list.len()]),
                    2 => list[turn % list.len()].to_ascii_uppercase(),
                    _ => list[(turn + round / 3) % list.len()].to_string(),
                };
                assert_eq!(names.find_next(name.as_bytes(), &mut order), names.find(name.as_bytes()), "{name}");
            }
        }
        assert_eq!(order.before.len(), Order::REMEMBERED);
    }

    #[test]
    fn many_names_are_all_found() {
        let list: Vec<String> = (0..1000).map(|i| format!("column_{i}")).collect();
        let names = Names::new(list.iter().map(String::as_str));
        for (index, name) in list.iter().enumerate() {
            assert_eq!(names.find(name.as_bytes()), Some(Found { index, exact: true }));
        }
        assert_eq!(Names::new([]).find(b"a"), None);
    }
}
