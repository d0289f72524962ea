//! What a filter leaves of each column, all columns together: Trino's `TupleDomain`.

use std::collections::BTreeMap;

use super::domain::Domain;
use crate::predicate::Predicate;

/// The rows a filter can be true of lie within these domains; a column that is not here may have any value.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// `None`: the filter is true of no row.
    columns: Option<BTreeMap<String, Domain>>,
}

impl Constraint {
    pub fn all() -> Constraint {
        Constraint { columns: Some(BTreeMap::new()) }
    }

    pub fn none() -> Constraint {
        Constraint { columns: None }
    }

    /// Never narrower than the filter; wider where it says what no domain can.
    pub fn of(predicate: &Predicate) -> Constraint {
        match predicate {
            Predicate::Compare { column, is, value } => Constraint::all().with(column, Domain::compared(*is, value)),
            Predicate::In { column, values } => Constraint::all().with(column, Domain::of(values.iter().cloned())),
            Predicate::And(all) => all.iter().map(Constraint::of).fold(Constraint::all(), Constraint::and),
            Predicate::Or(all) => all.iter().map(Constraint::of).fold(Constraint::none(), Constraint::or),
            Predicate::Other => Constraint::all(),
        }
    }

    /// One column more, or narrower.
    pub fn with(mut self, column: &str, domain: Domain) -> Constraint {
        let Some(columns) = &mut self.columns else { return self };
        let narrower = columns.get(column).map_or(domain.clone(), |there| there.intersect(&domain));
        if narrower.is_none() {
            return Constraint::none();
        }
        columns.insert(column.to_string(), narrower);
        self
    }

    fn and(self, other: Constraint) -> Constraint {
        let Some(columns) = other.columns else { return Constraint::none() };
        columns.into_iter().fold(self, |all, (column, domain)| all.with(&column, domain))
    }

    /// A column that only one side names may have any value on the other.
    fn or(self, other: Constraint) -> Constraint {
        let (mut mine, theirs) = match (self.columns, other.columns) {
            (None, columns) | (columns, None) => return Constraint { columns },
            (Some(mine), Some(theirs)) => (mine, theirs),
        };
        mine.retain(|column, _| theirs.contains_key(column));
        for (column, domain) in &mut mine {
            *domain = std::mem::replace(domain, Domain::none()).union(theirs[column].clone());
        }
        Constraint { columns: Some(mine) }
    }

    /// Whether no row can match.
    pub fn is_none(&self) -> bool {
        self.columns.is_none()
    }

    /// What a column is left; `None` if any value.
    pub fn of_column(&self, column: &str) -> Option<&Domain> {
        self.columns.as_ref()?.get(column).filter(|domain| !domain.is_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::{Comparison, Scalar};

    fn is(column: &str, value: i64) -> Predicate {
        Predicate::equal(column, Scalar::Int(value))
    }

    #[test]
    fn or_within_one_column_is_a_union_and_across_columns_says_nothing() {
        let within = Constraint::of(&Predicate::Or(vec![is("a", 1), is("a", 3)]));
        assert_eq!(within.of_column("a"), Some(&Domain::of([Scalar::Int(1), Scalar::Int(3)])));
        let across = Constraint::of(&Predicate::Or(vec![is("a", 1), is("b", 3)]));
        assert_eq!((across.of_column("a"), across.of_column("b"), across.is_none()), (None, None, false));
        let both = Predicate::Or(vec![
            Predicate::And(vec![is("a", 1), is("b", 1)]),
            Predicate::And(vec![is("a", 2), Predicate::Other]),
        ]);
        let both = Constraint::of(&both);
        assert_eq!(both.of_column("a"), Some(&Domain::of([Scalar::Int(1), Scalar::Int(2)])));
        assert_eq!(both.of_column("b"), None);
    }

    #[test]
    fn and_that_nothing_can_be_is_none_and_falls_out_of_or() {
        let never = Predicate::And(vec![is("a", 1), is("a", 2)]);
        assert!(Constraint::of(&never).is_none() && Constraint::of(&Predicate::Or(Vec::new())).is_none());
        let or = Constraint::of(&Predicate::Or(vec![never, is("a", 7)]));
        assert_eq!(or.of_column("a"), Some(&Domain::of([Scalar::Int(7)])));
        let below = Predicate::Compare { column: "a".into(), is: Comparison::Less, value: Scalar::Int(1) };
        assert!(Constraint::of(&Predicate::And(vec![below, is("a", 1)])).is_none());
    }
}
