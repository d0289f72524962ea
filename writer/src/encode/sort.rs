//! The order of a file's rows by its sort columns.
//!
//! Only the sort columns are decoded to find it; then the rows are decoded in that order. So a file is never held decoded as a
//! whole, at the price of walking each event twice.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, SortOptions};

use super::Row;
use super::events::Events;
use super::plan::Plan;
use super::rows::{Decoder, Found, Kept, find_members};
use crate::error::WriterError;

fn failed(error: ArrowError) -> WriterError {
    WriterError::Config(format!("rows cannot be sorted: {error}"))
}

/// The indexes of `rows`, ascending by the columns of `keys`, nulls first; rows that compare equal stay in the order they came.
/// Rows whose keys do not fit their columns come last: whoever decodes them whole rejects them.
///
/// Afterwards `events` holds the last of the rows; all of them, if they are few, and then `kept` what was found in them.
pub(super) fn order<'a>(
    rows: &[Row<'a>],
    keys: &Plan,
    events: &mut Events<'a>,
    kept: &mut Kept,
) -> Result<Vec<usize>, WriterError> {
    let mut sorter = Sorter::new(keys)?;
    let mut decoder = Decoder::new(keys, rows.len());
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
                sorter.add(&decoder.take()?)?;
            }
        }
        begin += count;
    }
    sorter.add(&decoder.take()?)?;
    Ok(sorter.sorted().into_iter().map(|place| fitting[place]).chain(misfits).collect())
}

/// Sort keys in a form that compares byte by byte.
struct Sorter {
    converter: RowConverter,
    keys: Rows,
}

impl Sorter {
    fn new(plan: &Plan) -> Result<Sorter, WriterError> {
        let options = SortOptions { descending: false, nulls_first: true };
        let fields = plan.schema.fields().iter();
        let fields = fields.map(|field| SortField::new_with_options(field.data_type().clone(), options));
        let converter = RowConverter::new(fields.collect()).map_err(failed)?;
        let keys = converter.empty_rows(0, 0);
        Ok(Sorter { converter, keys })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), WriterError> {
        let columns: Vec<ArrayRef> = batch.columns().to_vec();
        self.converter.append(&mut self.keys, &columns).map_err(failed)
    }

    /// The places of the keys in ascending order. Most keys differ in their first bytes, which are compared as a number.
    fn sorted(&self) -> Vec<usize> {
        let mut order: Vec<(u128, usize)> = self.keys.iter().map(first_bytes).zip(0..).collect();
        order.sort_unstable();
        for alike in order.chunk_by_mut(|(a, _), (b, _)| a == b).filter(|alike| alike.len() > 1) {
            alike.sort_by(|(_, a), (_, b)| self.keys.row(*a).cmp(&self.keys.row(*b)));
        }
        order.into_iter().map(|(_, place)| place).collect()
    }
}

fn first_bytes(key: arrow_row::Row<'_>) -> u128 {
    let key = key.as_ref();
    let mut first = [0; 16];
    let count = key.len().min(first.len());
    first[..count].copy_from_slice(&key[..count]);
    u128::from_be_bytes(first)
}
