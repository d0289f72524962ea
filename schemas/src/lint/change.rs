//! P011: what a new version of a spec does to the rows that are stored under the old one.
//!
//! Engines read columns by name: adding, removing and reordering them is safe; a type may only widen. Partition columns and the
//! rules that made the stored paths may only grow.

use super::{Lint, Severity};
use crate::column::{DataType, Field};
use crate::projection::{Bound, DateRule, Rule};
use crate::table::{PartitionColumn, TableSpec};

const CODE: &str = "P011";

/// The changes from `old` to `new` that stored rows do not survive (errors) or not in every engine (warnings). Lines are the new
/// spec's.
pub fn compare(old: &TableSpec, new: &TableSpec) -> Vec<Lint> {
    let mut lints = Vec::new();
    let names = |spec: &TableSpec| spec.partitions.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    if names(old) != names(new) {
        let message = format!(
            "partition columns were {} and are {}: stored paths would not be found; make it a new table",
            names(old).join(", "),
            names(new).join(", ")
        );
        lints.push(Lint { code: CODE, severity: Severity::Error, message, line: None });
    } else {
        for (before, after) in old.partitions.iter().zip(&new.partitions) {
            let found = compare_partition(before, after);
            lints.extend(found.map(|(severity, message)| lint(new, &after.name, severity, message)));
        }
    }
    if old.layout != new.layout {
        let message =
            "the folders' layout has changed: stored rows would not be found; make it a new table".to_string();
        lints.push(Lint { code: CODE, severity: Severity::Error, message, line: None });
    }
    for before in old.stored_columns() {
        let Some(after) = new.stored_columns().into_iter().find(|c| c.name == before.name) else {
            let message = format!("column `{}` is gone: its stored values can no longer be queried", before.name);
            lints.push(Lint { code: CODE, severity: Severity::Warn, message, line: None });
            continue;
        };
        let found = compare_type(&before.name, &before.data_type, &after.data_type);
        lints.extend(found.map(|(severity, message)| lint(new, &before.name, severity, message)));
    }
    lints
}

fn lint(spec: &TableSpec, column: &str, severity: Severity, message: String) -> Lint {
    Lint { code: CODE, severity, message, line: spec.line_of(column) }
}

type Finding = (Severity, String);

fn compare_partition(old: &PartitionColumn, new: &PartitionColumn) -> Option<Finding> {
    let name = &new.name;
    if old.data_type != new.data_type {
        let message = format!(
            "partition column `{name}` was `{}` and is `{}`: make it a new table",
            old.data_type, new.data_type
        );
        return Some((Severity::Error, message));
    }
    let what = match (old.projection.as_ref()?, new.projection.as_ref()?) {
        (Rule::Enum { values: before }, Rule::Enum { values: after }) => {
            let gone = before.iter().find(|value| !after.contains(value))?;
            format!("enum value `{}` of `{name}` is gone: its rows would be invisible", gone.escape_debug())
        }
        (Rule::Date(before), Rule::Date(after)) => compare_dates(name, before, after)?,
        (Rule::Integer { .. }, Rule::Integer { .. }) => compare_integers(new, old)?,
        (before, after) if before == after => return None,
        (_, Rule::Injected) => return None,
        (before, after) => {
            format!(
                "projection of `{name}` was {} and is {}: stored rows may be invisible",
                before.type_name(),
                after.type_name()
            )
        }
    };
    Some((Severity::Error, what))
}

fn compare_integers(new: &PartitionColumn, old: &PartitionColumn) -> Option<String> {
    let (
        Some(Rule::Integer { from: from_before, to: to_before, interval: step_before, digits: digits_before }),
        Some(Rule::Integer { from, to, interval, digits }),
    ) = (&old.projection, &new.projection)
    else {
        return None;
    };
    let name = &new.name;
    if digits != digits_before || interval != step_before || (from - from_before) % (*interval).max(1) as i64 != 0 {
        return Some(format!("digits or steps of `{name}` have changed: stored rows would be invisible"));
    }
    if from > from_before || to < to_before {
        return Some(format!(
            "range of `{name}` was {from_before},{to_before} and is {from},{to}: rows outside would be invisible"
        ));
    }
    // A range from 0 is taken for a bucket's: with another count the same entity falls into another bucket.
    if *from_before == 0 && to != to_before {
        return Some(format!(
            "range of `{name}` was 0,{to_before} and is {from},{to}: if it is a bucket, stored rows are in the old buckets; make it a new table"
        ));
    }
    None
}

fn compare_dates(name: &str, old: &DateRule, new: &DateRule) -> Option<String> {
    if old.format != new.format {
        return Some(format!(
            "format of `{name}` was `{}` and is `{}`: stored rows would be invisible",
            old.format, new.format
        ));
    }
    if (old.interval, old.unit) != (new.interval, new.unit) {
        return Some(format!("steps of `{name}` have changed: stored rows between them would be invisible"));
    }
    let (first, last) = ((&old.from, &new.from), (&old.to, &new.to));
    let later = matches!(first, (Bound::Fixed { at: before, .. }, Bound::Fixed { at: after, .. }) if after > before);
    let earlier = matches!(last, (Bound::Fixed { at: before, .. }, Bound::Fixed { at: after, .. }) if after < before);
    let moving = matches!(first, (Bound::Fixed { .. }, Bound::Now { .. }));
    (later || earlier || moving).then(|| {
        format!("range of `{name}` is shorter than it was, `{},{}`: rows outside would be invisible", old.from, old.to)
    })
}

fn compare_type(name: &str, old: &DataType, new: &DataType) -> Option<Finding> {
    match (old, new) {
        _ if old == new || widens(old, new) => None,
        (DataType::Decimal { precision: p, scale: s }, DataType::Decimal { precision, scale })
            if s == scale && p < precision =>
        {
            Some((
                Severity::Warn,
                format!(
                    "column `{name}` widens from `{old}` to `{new}`, which athena does not list: query an old file"
                ),
            ))
        }
        (DataType::Array(before), DataType::Array(after)) => compare_type(&format!("{name}[]"), before, after),
        (DataType::Map(key, before), DataType::Map(same, after)) if key == same => {
            compare_type(&format!("{name}{{}}"), before, after)
        }
        (DataType::Struct(before), DataType::Struct(after)) => compare_members(name, before, after),
        _ => Some((
            Severity::Error,
            format!("column `{name}` was `{old}` and is `{new}`: stored files cannot be read; add a new column"),
        )),
    }
}

/// Worst finding of the members both have.
fn compare_members(name: &str, old: &[Field], new: &[Field]) -> Option<Finding> {
    let pairs = old.iter().filter_map(|before| Some((before, new.iter().find(|after| after.name == before.name)?)));
    pairs
        .filter_map(|(before, after)| {
            compare_type(&format!("{name}.{}", before.name), &before.data_type, &after.data_type)
        })
        .max_by_key(|(severity, _)| *severity)
}

/// Every engine reads the narrower type from old files: Athena user guide, "handling schema updates".
fn widens(old: &DataType, new: &DataType) -> bool {
    use DataType::{BigInt, Double, Float, Int, SmallInt, TinyInt};
    matches!(
        (old, new),
        (TinyInt, SmallInt | Int | BigInt) | (SmallInt, Int | BigInt) | (Int, BigInt) | (Float, Double)
    )
}
