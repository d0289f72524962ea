//! What a question says of a table's columns: comparisons of one column with typed values, joined by AND and OR.
//!
//! Both engines take their filters from it, and so does the planner: what is asked and what is read are told apart by one tree.

use std::fmt;

/// A value that a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scalar {
    Int(i64),
    /// Days since the epoch.
    Day(i32),
    /// Milliseconds since the epoch.
    Instant(i64),
    Text(String),
}

/// How a column's value stands to the one it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A filter over rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    Compare {
        column: String,
        is: Comparison,
        value: Scalar,
    },
    In {
        column: String,
        values: Vec<Scalar>,
    },
    /// True of every row if empty.
    And(Vec<Predicate>),
    /// True of no row if empty.
    Or(Vec<Predicate>),
    /// Something that says nothing a planner could use.
    Other,
}

impl Predicate {
    pub fn equal(column: &str, value: Scalar) -> Predicate {
        Predicate::Compare { column: column.into(), is: Comparison::Equal, value }
    }

    /// `from <= column <= to`, each end only where it is given.
    pub fn between(column: &str, from: Option<Scalar>, to: Option<Scalar>) -> Predicate {
        let end =
            |is, value: Option<Scalar>| value.map(|value| Predicate::Compare { column: column.into(), is, value });
        let ends = [end(Comparison::GreaterOrEqual, from), end(Comparison::LessOrEqual, to)];
        Predicate::And(ends.into_iter().flatten().collect())
    }

    pub fn any_of(column: &str, values: impl IntoIterator<Item = Scalar>) -> Predicate {
        Predicate::In { column: column.into(), values: values.into_iter().collect() }
    }

    pub fn text(column: &str, value: &str) -> Predicate {
        Predicate::equal(column, Scalar::Text(value.into()))
    }

    /// The columns it looks at.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Predicate::Compare { column, .. } | Predicate::In { column, .. } => vec![column],
            Predicate::And(all) | Predicate::Or(all) => all.iter().flat_map(Predicate::columns).collect(),
            Predicate::Other => Vec::new(),
        }
    }
}

impl fmt::Display for Scalar {
    /// As people write it; not for statements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Int(value) => write!(f, "{value}"),
            Scalar::Day(day) => f.write_str(&crate::time::day_text(*day)),
            Scalar::Instant(at) => f.write_str(&crate::time::instant_text(*at)),
            Scalar::Text(text) => f.write_str(text),
        }
    }
}
