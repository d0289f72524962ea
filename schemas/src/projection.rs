//! Partition projection: which partition values a table's readers will ever look for.
//!
//! Athena lists only what the rules produce; a file outside them is invisible without any error. So the writer asks the same
//! rules before it writes, and the reader prunes by them. Semantics: Athena user guide, "partition projection", restricted to
//! the subset Trino agrees on where the lints say so.

mod civil;
mod date;
mod pattern;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::problem::nearest;

/// Most values [`Rule::expand`] gives: Athena reads no more partitions in one scan.
pub const EXPAND_MAX: usize = 1_000_000;

/// Largest interval of a date rule and largest `NOW` offset, in their units.
pub const STEPS_MAX: u64 = 1_000_000;

/// Longest value, in bytes, that is compared with an enum's to name the nearest.
const NEAREST_MAX: usize = 64;

/// The projection of one partition column.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    Enum {
        values: Vec<String>,
    },
    Integer {
        from: i64,
        to: i64,
        interval: u64,
        digits: Option<u32>,
    },
    Date(DateRule),
    /// Any value, but a query must name it.
    Injected,
}

/// A date rule: `format` (java.time pattern), range and step.
#[derive(Debug, Clone, PartialEq)]
pub struct DateRule {
    pub format: String,
    pub from: Bound,
    pub to: Bound,
    pub interval: u64,
    pub unit: Unit,
}

/// One end of a date range.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// Written in the rule's format; `text` as typed, `at` its meaning in milliseconds since the epoch (UTC).
    Fixed { text: String, at: i64 },
    /// `NOW`, `NOW+1DAYS`, `NOW-3YEARS`.
    Now { offset: i64, unit: Unit },
}

/// Unit of an interval or offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Years,
    Months,
    Weeks,
    Days,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Rule {
    /// Would a reader at `now` (milliseconds since the epoch, UTC) find this value? If not: why, in words that end a sentence
    /// beginning "value `x` ".
    ///
    /// Only the text that the rule itself would render is admitted: with `digits = 2` the month is `07`, never `7`.
    pub fn admits(&self, value: &str, now: i64) -> Result<(), String> {
        match self {
            Rule::Enum { values } => admits_member(values, value),
            Rule::Integer { from, to, interval, digits } => admits_integer(value, *from, *to, *interval, *digits),
            Rule::Date(rule) => rule.admits(value, now),
            Rule::Injected if value.is_empty() => Err("is empty: no query could name it".into()),
            Rule::Injected => Ok(()),
        }
    }

    /// How many values there are at `now`; `None` if the rule does not bound them. Exact up to [`EXPAND_MAX`].
    pub fn domain_size(&self, now: i64) -> Option<u64> {
        match self {
            Rule::Enum { values } => Some(values.len() as u64),
            Rule::Integer { from, to, interval, .. } => Some(integer_count(*from, *to, *interval)),
            Rule::Date(rule) => Some(rule.count(now)),
            Rule::Injected => None,
        }
    }

    /// The values at `now`, ascending (an enum's as listed), at most [`EXPAND_MAX`]; none for an injected column.
    pub fn expand(&self, now: i64) -> Box<dyn Iterator<Item = String> + '_> {
        match self {
            Rule::Enum { values } => Box::new(values.iter().take(EXPAND_MAX).cloned()),
            Rule::Integer { from, to, interval, digits } => {
                let step = usize::try_from((*interval).max(1)).unwrap_or(usize::MAX);
                let values = (i128::from(*from)..=i128::from(*to)).step_by(step);
                Box::new(values.take(EXPAND_MAX).map(|v| render_integer(v, *digits)))
            }
            Rule::Date(rule) => Box::new(rule.values(now).take(EXPAND_MAX)),
            Rule::Injected => Box::new(std::iter::empty()),
        }
    }

    /// The table properties that tell Athena of the rule, in the order of its user guide. Interval and unit are always written:
    /// engines disagree on what they are when left out.
    pub fn properties(&self, column: &str) -> Vec<(String, String)> {
        let mut properties = vec![("type", self.type_name().to_string())];
        match self {
            Rule::Enum { values } => properties.push(("values", values.join(","))),
            Rule::Integer { from, to, interval, digits } => {
                properties.push(("range", format!("{from},{to}")));
                properties.push(("interval", interval.to_string()));
                properties.extend(digits.map(|d| ("digits", d.to_string())));
            }
            Rule::Date(rule) => {
                properties.push(("format", rule.format.clone()));
                properties.push(("range", format!("{},{}", rule.from, rule.to)));
                properties.push(("interval", rule.interval.to_string()));
                properties.push(("interval.unit", rule.unit.as_str().to_string()));
            }
            Rule::Injected => {}
        }
        properties.into_iter().map(|(name, value)| (format!("projection.{column}.{name}"), value)).collect()
    }

    /// `enum`, `integer`, `date` or `injected`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Rule::Enum { .. } => "enum",
            Rule::Integer { .. } => "integer",
            Rule::Date(_) => "date",
            Rule::Injected => "injected",
        }
    }

    /// An integer rule's range as typed: `0,9`, `-1,8675309`, `0001,9999`; both ends inclusive.
    pub fn parse_integer_range(text: &str) -> Result<(i64, i64), String> {
        let want = "write two integers such as `0,9`, both inclusive";
        let (from, to) = text.split_once(',').ok_or_else(|| format!("integer range `{text}` has no comma: {want}"))?;
        let bound = |text: &str| text.trim().parse().map_err(|_| format!("`{}` is no integer: {want}", text.trim()));
        let (from, to): (i64, i64) = (bound(from)?, bound(to)?);
        if from > to {
            return Err(format!("integer range `{text}` ends before it begins: write `{to},{from}`"));
        }
        Ok((from, to))
    }
}

fn admits_member(values: &[String], value: &str) -> Result<(), String> {
    if values.iter().any(|v| v == value) {
        return Ok(());
    }
    let count = values.len();
    // Whole streams can be refused: only values of about the same length are worth comparing.
    let alike = |other: &&str| value.len() <= NEAREST_MAX && value.len().abs_diff(other.len()) <= 1 + other.len() / 3;
    Err(match nearest(value, values.iter().map(String::as_str).filter(alike)) {
        Some(near) => format!("is not one of the {count} values of the projection's enum; the nearest is `{near}`"),
        None => format!("is not one of the {count} values of the projection's enum"),
    })
}

fn admits_integer(value: &str, from: i64, to: i64, interval: u64, digits: Option<u32>) -> Result<(), String> {
    let number: i64 = value.parse().map_err(|_| "is no integer of 64 bits".to_string())?;
    let rendered = render_integer(i128::from(number), digits);
    if rendered != value {
        return Err(format!("is not written as the projection writes it: `{rendered}`"));
    }
    if number < from || number > to {
        return Err(format!("is outside the projection's range {from} to {to}"));
    }
    if (i128::from(number) - i128::from(from)) % i128::from(interval.max(1)) != 0 {
        return Err(format!("is between the steps of the projection: every {interval} from {from}"));
    }
    Ok(())
}

/// As Java's `%0nd`: the sign counts among the digits.
fn render_integer(value: i128, digits: Option<u32>) -> String {
    match digits {
        Some(digits) => format!("{value:0width$}", width = digits as usize),
        None => value.to_string(),
    }
}

fn integer_count(from: i64, to: i64, interval: u64) -> u64 {
    let steps = (i128::from(to) - i128::from(from)) / i128::from(interval.max(1));
    u64::try_from(steps.max(-1) + 1).unwrap_or(u64::MAX)
}

impl Unit {
    pub const ALL: [Unit; 8] = [
        Unit::Years,
        Unit::Months,
        Unit::Weeks,
        Unit::Days,
        Unit::Hours,
        Unit::Minutes,
        Unit::Seconds,
        Unit::Milliseconds,
    ];

    /// As Athena writes it: `DAYS`.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Years => "YEARS",
            Unit::Months => "MONTHS",
            Unit::Weeks => "WEEKS",
            Unit::Days => "DAYS",
            Unit::Hours => "HOURS",
            Unit::Minutes => "MINUTES",
            Unit::Seconds => "SECONDS",
            Unit::Milliseconds => "MILLISECONDS",
        }
    }

    /// Do both Athena and Trino take dates by this unit?
    pub fn is_portable(self) -> bool {
        matches!(self, Unit::Days | Unit::Hours | Unit::Minutes | Unit::Seconds)
    }

    /// `DAYS` or `DAY`, upper case.
    pub fn parse(text: &str) -> Result<Unit, String> {
        let names = Unit::ALL.map(Unit::as_str);
        let found = Unit::ALL.into_iter().find(|u| text == u.as_str() || Some(text) == u.as_str().strip_suffix('S'));
        found.ok_or_else(|| match nearest(&text.to_ascii_uppercase(), names) {
            Some(near) => format!("unknown unit `{text}`: write `{near}`"),
            None => format!("unknown unit `{text}`: write one of {}", names.join(", ")),
        })
    }
}

impl fmt::Display for Bound {
    /// As Athena reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Fixed { text, .. } => f.write_str(text),
            Bound::Now { offset: 0, .. } => f.write_str("NOW"),
            Bound::Now { offset, unit } => write!(f, "NOW{offset:+}{}", unit.as_str()),
        }
    }
}
