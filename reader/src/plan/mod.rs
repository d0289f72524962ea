//! Which folders a question needs, worked out from the table's projection rules alone. Pure: nothing is listed, `now` is given.
//!
//! [`constraint`] says what the filter leaves of each column, [`generated`] adds what follows for partition columns, [`columns`]
//! turns each column's rule and domain into the values that are looked for, and here their product becomes folders, newest first.
//! The work grows with the sum of the columns' values, not with their product.

pub mod columns;
pub mod constraint;
pub mod domain;
pub mod generated;
#[cfg(test)]
mod tests;

use schemas::hive;
use schemas::table::TableSpec;

use crate::predicate::Predicate;
use columns::{ColumnValues, Refusal, values_of};
use constraint::Constraint;
use generated::{Derivation, Generated};

/// What is planned for: a table and the rules of its keys.
#[derive(Debug, Clone)]
pub struct Layout {
    pub spec: TableSpec,
    pub generated: Vec<Generated>,
}

/// The values that each partition column is looked for with, in the order of the path.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    columns: Vec<ColumnValues>,
    /// Columns as they are gone through, the slowest first: time before all else.
    order: Vec<usize>,
    /// How many of the first of `order` tell the time.
    times: usize,
}

/// One folder of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Values in the order of the path.
    pub values: Vec<String>,
    /// Escaped, without slashes at its ends.
    pub path: String,
}

impl Layout {
    /// `keys` are the configuration's: column and program.
    pub fn new(spec: TableSpec, keys: &[(String, String)]) -> Layout {
        let generated = generated::generated(keys, &spec);
        Layout { spec, generated }
    }

    /// What a filter leaves of every column, stored and partition.
    pub fn constraint(&self, filter: &Predicate) -> Constraint {
        generated::imply(&self.generated, &self.spec, Constraint::of(filter))
    }

    /// The values to look for. Fails where a column's rule cannot be gone through without a predicate on it.
    pub fn plan(&self, filter: &Predicate, now: i64) -> Result<Plan, Refusal> {
        let constraint = self.constraint(filter);
        let columns: Result<Vec<_>, _> =
            self.spec.partitions.iter().map(|column| values_of(column, &constraint, now)).collect();
        let mut columns = columns?;
        if columns.iter().any(|column| column.values.is_empty()) {
            columns.iter_mut().for_each(|column| column.values.clear());
        }
        let is_time = |at: &usize| columns[*at].is_time;
        let times: Vec<usize> = (0..columns.len()).filter(is_time).collect();
        let others = (0..columns.len()).filter(|at| !is_time(at));
        Ok(Plan { order: times.iter().copied().chain(others).collect(), times: times.len(), columns })
    }

    /// The partition column that is the UTC day of this column, if one is: by it rows can be read newest first.
    pub fn day_of(&self, column: &str) -> Option<&str> {
        let of = |rule: &&Generated| rule.column == column && rule.how == Derivation::UtcDate;
        self.generated.iter().find(of).map(|rule| rule.partition.as_str())
    }
}

impl Plan {
    /// How many folders it comes to. Saturates.
    pub fn projected(&self) -> u64 {
        self.columns.iter().map(|column| column.values.len() as u64).fold(1, u64::saturating_mul)
    }

    /// Each column's values, in the order of the path.
    pub fn columns(&self) -> &[ColumnValues] {
        &self.columns
    }

    /// The first column of the path, with the values that are looked for.
    pub fn first(&self) -> Option<(&str, &[String])> {
        self.columns.first().map(|column| (column.name.as_str(), column.values.as_slice()))
    }

    /// Only those of the first column's values that there is a folder of.
    pub fn keep_first(&mut self, exists: impl Fn(&str) -> bool) {
        if let Some(first) = self.columns.first_mut() {
            first.values.retain(|value| exists(value));
        }
    }

    /// Refuses more folders than `limit`, naming the column whose predicate would help most.
    pub fn within(&self, limit: u64) -> Result<(), Refusal> {
        let projected = self.projected();
        if projected <= limit {
            return Ok(());
        }
        let widest = |named: bool| {
            let of = self.columns.iter().filter(|column| column.named == named && column.values.len() > 1);
            of.max_by_key(|column| column.values.len())
        };
        let column = widest(false).or_else(|| widest(true));
        let (column, values) = column.map_or((String::new(), 0), |c| (c.name.clone(), c.values.len()));
        Err(Refusal::TooMany { projected, limit, column, values })
    }

    /// The folders, newest first. Each step costs one folder's work: whoever stops early pays for no more.
    pub fn folders(&self) -> impl Iterator<Item = Folder> + '_ {
        (0..self.projected()).map(|number| self.folder(number))
    }

    /// One of the folders, by its number from 0 for the newest; it has to be below [`Plan::projected`].
    pub fn folder(&self, number: u64) -> Folder {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let values = self.numbered(number);
        let path = hive::partition_path(&names, &values);
        Folder { values: values.into_iter().map(str::to_string).collect(), path }
    }

    /// How many folders, one behind the other, are of one time: all rows of such a group come after all rows of the next.
    /// Without a column that tells the time, all folders are one group.
    pub fn group_size(&self) -> u64 {
        let others = self.order[self.times..].iter().map(|at| self.columns[*at].values.len() as u64);
        others.fold(1, u64::saturating_mul).max(1)
    }

    /// The values of one folder, counted through `order`.
    fn numbered(&self, mut number: u64) -> Vec<&str> {
        let mut values = vec![""; self.columns.len()];
        for at in self.order.iter().rev() {
            let of = &self.columns[*at].values;
            values[*at] = &of[(number % of.len() as u64) as usize];
            number /= of.len() as u64;
        }
        values
    }
}
