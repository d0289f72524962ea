//! The order of a file's rows by its sort columns.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, SortOptions};
use arrow_select::interleave::interleave_record_batch;

/// Rows of several batches in sorted order: ascending, nulls first, rows that compare equal in the order they came.
#[derive(Debug)]
pub(super) struct Sorted {
    batches: Vec<RecordBatch>,
    /// Batch and row in it.
    order: Vec<(usize, usize)>,
}

impl Sorted {
    /// `columns` are indexes into the batches' columns, the most significant first.
    pub(super) fn new(batches: Vec<RecordBatch>, columns: &[usize]) -> Result<Sorted, ArrowError> {
        let Some(first) = batches.first() else { return Ok(Sorted { batches, order: vec![] }) };
        let options = SortOptions { descending: false, nulls_first: true };
        let fields = columns.iter().map(|c| SortField::new_with_options(first.column(*c).data_type().clone(), options));
        let converter = RowConverter::new(fields.collect())?;
        let mut rows = converter.empty_rows(batches.iter().map(RecordBatch::num_rows).sum(), 0);
        for batch in &batches {
            let keys: Vec<ArrayRef> = columns.iter().map(|c| batch.column(*c).clone()).collect();
            converter.append(&mut rows, &keys)?;
        }
        let places = batches.iter().enumerate().flat_map(|(b, batch)| (0..batch.num_rows()).map(move |row| (b, row)));
        let mut order: Vec<(usize, (usize, usize))> = places.enumerate().collect();
        order.sort_by(|(a, _), (b, _)| rows.row(*a).cmp(&rows.row(*b)));
        Ok(Sorted { batches, order: order.into_iter().map(|(_, place)| place).collect() })
    }

    /// The rows in order, in batches of `rows` rows.
    pub(super) fn chunks(&self, rows: usize) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        self.order.chunks(rows).map(move |places| interleave_record_batch(&batches, places))
    }
}
