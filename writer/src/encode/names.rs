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
    /// 0 is empty, else index + 1. The length is a power of two, at least twice the number of names.
    table: Vec<u32>,
    longest: usize,
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
        Names { names, table, longest }
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

/// The first and the last eight bytes, overlapping in short names.
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
    fn many_names_are_all_found() {
        let list: Vec<String> = (0..1000).map(|i| format!("column_{i}")).collect();
        let names = Names::new(list.iter().map(String::as_str));
        for (index, name) in list.iter().enumerate() {
            assert_eq!(names.find(name.as_bytes()), Some(Found { index, exact: true }));
        }
        assert_eq!(Names::new([]).find(b"a"), None);
    }
}
