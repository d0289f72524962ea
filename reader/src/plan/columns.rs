//! One partition column: its projection rule and what the filter leaves of it, to the values that folders are looked for with.
//!
//! Semantics are Trino's: the rule's values, as it renders them, that lie in the domain. A value outside the rule finds nothing,
//! also where such a folder is there: Athena would not see it either, and the writer puts nothing there.

use schemas::column::DataType;
use schemas::instant::parse_date;
use schemas::projection::{EXPAND_MAX, Rule};
use schemas::table::PartitionColumn;

use super::constraint::Constraint;
use super::domain::Domain;
use crate::predicate::Scalar;
use crate::time::day_text;

/// The values of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnValues {
    pub name: String,
    /// As they stand in a path, unescaped; a date's and an integer's descending.
    pub values: Vec<String>,
    /// Whether folders are gone through by it first.
    pub is_time: bool,
    /// Whether the filter says anything of it.
    pub named: bool,
}

/// Why a question is not planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the question names no value of `{column}`, which can have any: add a predicate with = or IN on it")]
    Unbounded { column: String },
    #[error("`{column}` has no value `{value}`: {why}")]
    BadValue { column: String, value: String, why: String },
    #[error(
        "the question needs {projected} folders and {limit} is the limit: add a predicate on `{column}`, of which {values} values are left"
    )]
    TooMany { projected: u64, limit: u64, column: String, values: usize },
}

/// The values of a column that its rule gives at `now` and the constraint admits.
pub fn values_of(column: &PartitionColumn, constraint: &Constraint, now: i64) -> Result<ColumnValues, Refusal> {
    let domain = constraint.of_column(&column.name);
    let is_time = matches!(column.projection, Some(Rule::Date(_)));
    let found = if constraint.is_none() {
        Vec::new()
    } else {
        match &column.projection {
            None | Some(Rule::Injected) => injected(column, domain)?,
            Some(rule) => projected(column, rule, domain, now),
        }
    };
    Ok(ColumnValues { name: column.name.clone(), values: found, is_time, named: domain.is_some() })
}

/// Without a rule, or with one that bounds nothing, the question itself has to name the values.
fn injected(column: &PartitionColumn, domain: Option<&Domain>) -> Result<Vec<String>, Refusal> {
    let unbounded = || Refusal::Unbounded { column: column.name.clone() };
    let points = domain.and_then(Domain::points).ok_or_else(unbounded)?;
    let mut values: Vec<String> =
        points.into_iter().filter_map(|point| render(point, &column.data_type, None)).collect();
    values.dedup();
    Ok(values)
}

fn projected(column: &PartitionColumn, rule: &Rule, domain: Option<&Domain>, now: i64) -> Vec<String> {
    let mut values = match domain.and_then(Domain::points) {
        // Few values that are named are asked for one by one: a rule of a million is not gone through for them.
        Some(points) if (points.len() as u64) < rule.domain_size(now).unwrap_or(u64::MAX) => {
            let digits = if let Rule::Integer { digits, .. } = rule { *digits } else { None };
            let texts = points.into_iter().filter_map(|point| render(point, &column.data_type, digits));
            texts.filter(|text| rule.admits(text, now).is_ok()).collect()
        }
        _ => {
            let admits = |text: &String| match domain {
                None => true,
                Some(domain) => scalar(text, &column.data_type).is_some_and(|value| domain.contains(&value)),
            };
            rule.expand(now).take(EXPAND_MAX).filter(admits).collect::<Vec<_>>()
        }
    };
    if !matches!(rule, Rule::Enum { .. }) {
        values.reverse();
    }
    values
}

/// A value as the column's folders spell it; nothing where the column cannot have it.
fn render(value: &Scalar, data_type: &DataType, digits: Option<u32>) -> Option<String> {
    match (value, data_type) {
        (Scalar::Text(text), DataType::String) => Some(text.clone()).filter(|text| !text.is_empty()),
        (Scalar::Int(number), DataType::Int | DataType::BigInt) => {
            Some(format!("{number:0width$}", width = digits.unwrap_or(0) as usize))
        }
        (Scalar::Day(day), DataType::Date) => Some(day_text(*day)),
        _ => None,
    }
}

/// The value that a folder's spelling means.
pub fn scalar(text: &str, data_type: &DataType) -> Option<Scalar> {
    match data_type {
        DataType::Int | DataType::BigInt => text.parse().ok().map(Scalar::Int),
        DataType::Date => parse_date(text).map(Scalar::Day),
        _ => Some(Scalar::Text(text.to_string())),
    }
}
