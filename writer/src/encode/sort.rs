//! The order of a file's rows by its sort columns.
//!
//! Only the sort columns are decoded to find it; then the rows are decoded in that order. So a file is never held decoded as a
//! whole, at the price of walking each event twice.

use super::Row;
use super::columns::Column;
use super::events::Events;
use super::plan::Plan;
use super::rows::{Decoder, Found, Kept, find_members};
use super::spare::Spare;

/// The indexes of `rows`, ascending by the columns of `keys`, nulls first; rows that compare equal stay in the order they came.
/// Rows whose keys do not fit their columns come last: whoever decodes them whole rejects them.
///
/// Afterwards `events` holds the last of the rows; all of them, if they are few, and then `kept` what was found in them.
pub(super) fn order<'a>(
    rows: &[Row<'a>],
    keys: &Plan,
    spare: &Spare<Vec<Column>>,
    events: &mut Events<'a>,
    kept: &mut Kept,
) -> Vec<usize> {
    let mut sorter = Sorter::default();
    let mut decoder = Decoder::again(keys, rows.len(), spare);
    let (mut fitting, mut misfits) = (Vec::with_capacity(rows.len()), vec![]);
    let mut begin = 0;
    while begin < rows.len() {
        let count = events.fill(rows[begin..].iter().copied());
        let whole = count == rows.len();
        let mut found = Found::default();
        for (offset, row) in rows[begin..begin + count].iter().enumerate() {
            let fits = find_members(keys, *row, events.get(offset), &mut found)
                .and_then(|event| decoder.push(*row, event, &found));
            if whole {
                found.keep(kept);
            }
            if fits.is_ok() {
                fitting.push(begin + offset)
            } else {
                misfits.push(begin + offset)
            }
            if decoder.is_full() {
                sorter.add(&mut decoder, rows.len());
            }
        }
        begin += count;
    }
    sorter.add(&mut decoder, rows.len());
    decoder.leave(spare);
    sorter.sorted().into_iter().map(|place| fitting[place]).chain(misfits).collect()
}

/// Sort keys in a form that compares byte by byte.
#[derive(Default)]
struct Sorter {
    keys: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Sorter {
    /// Takes over the rows decoded so far; `room` is for the next.
    fn add(&mut self, decoder: &mut Decoder<'_>, room: usize) {
        for row in 0..decoder.rows() {
            decoder.columns().iter().for_each(|column: &Column| column.write_key(row, &mut self.keys));
            self.ends.push(self.keys.len());
        }
        decoder.clear(room);
    }

    fn key(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.keys[start..self.ends[place]]
    }

    /// The places of the keys in ascending order. Most keys differ in their first bytes, which are compared as a number.
    fn sorted(&self) -> Vec<usize> {
        let mut order: Vec<(u128, usize)> =
            (0..self.ends.len()).map(|place| (first_bytes(self.key(place)), place)).collect();
        order.sort_unstable();
        for alike in order.chunk_by_mut(|(a, _), (b, _)| a == b).filter(|alike| alike.len() > 1) {
            alike.sort_by(|(_, a), (_, b)| self.key(*a).cmp(self.key(*b)));
        }
        order.into_iter().map(|(_, place)| place).collect()
    }
}

fn first_bytes(key: &[u8]) -> u128 {
    if let Some(first) = key.first_chunk::<16>() {
        return u128::from_be_bytes(*first);
    }
    let mut first = [0; 16];
    first[..key.len()].copy_from_slice(key);
    u128::from_be_bytes(first)
}
