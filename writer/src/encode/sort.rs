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
use super::rows::{Decoder, Found};
use crate::error::WriterError;

fn failed(error: ArrowError) -> WriterError {
    WriterError::Config(format!("rows cannot be sorted: {error}"))
}

/// The indexes of `rows`, ascending by the columns of `keys`, nulls first; rows that compare equal stay in the order they came.
/// Rows whose keys do not fit their columns come last: whoever decodes them whole rejects them.
///
/// Afterwards `events` holds the last of the rows; all of them, if they are few.
pub(super) fn order<'a>(rows: &[Row<'a>], keys: &Plan, events: &mut Events<'a>) -> Result<Vec<usize>, WriterError> {
    let mut sorter = Sorter::new(keys)?;
    let mut decoder = Decoder::new(keys, rows.len());
    let (mut order, mut misfits) = (Vec::with_capacity(rows.len()), vec![]);
    let mut begin = 0;
    while begin < rows.len() {
        let count = events.fill(rows[begin..].iter().copied());
        let mut found = Found::default();
        for offset in 0..count {
            let index = begin + offset;
            match decoder.push(rows[index], events.get(offset), &mut found) {
                Ok(()) => order.push((order.len(), index)),
                Err(_) => misfits.push(index),
            }
            if decoder.is_full() {
                sorter.add(&decoder.take()?)?;
            }
        }
        begin += count;
    }
    sorter.add(&decoder.take()?)?;
    order.sort_by(|(a, _), (b, _)| sorter.keys.row(*a).cmp(&sorter.keys.row(*b)));
    Ok(order.into_iter().map(|(_, index)| index).chain(misfits).collect())
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
}
