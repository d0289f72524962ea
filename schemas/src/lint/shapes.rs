//! P007: how many partitions a query touches, by the predicates it names.

use super::{Findings, Severity};
use crate::projection::{Rule, Unit};
use crate::table::{PartitionColumn, TableSpec};

/// Most partitions Athena reads in one scan.
pub const PARTITIONS_MAX: u64 = 1_000_000;

/// Most shapes listed: the counts are for people.
const SHAPES_MAX: usize = 24;

/// Queries that name the same partition columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryShape {
    /// `created_date 30 days, attribute_name all, entity_id_mod 1`.
    pub text: String,
    /// Partitions they touch at most; `None` if they cannot be run (an injected column is not named).
    pub partitions: Option<u64>,
}

/// The shapes a table's queries can have: each column named or not, and days by one, 30 or all. Fewest partitions first; at most 24,
/// the most selective and the least selective ones.
pub fn query_shapes(spec: &TableSpec, now: i64) -> Vec<QueryShape> {
    let mut shapes = vec![QueryShape { text: String::new(), partitions: Some(1) }];
    for partition in &spec.partitions {
        let choices = choices(partition, now);
        let extend = |shape: &QueryShape| {
            let extended = choices.iter().map(|(text, count)| QueryShape {
                text: format!(
                    "{}{}{} {text}",
                    shape.text,
                    if shape.text.is_empty() { "" } else { ", " },
                    partition.name
                ),
                partitions: shape.partitions.zip(*count).map(|(a, b)| a.saturating_mul(b)),
            });
            extended.collect::<Vec<_>>()
        };
        shapes = shapes.iter().flat_map(extend).collect();
        shapes.sort_by_key(|shape| shape.partitions.unwrap_or(u64::MAX));
        if shapes.len() > SHAPES_MAX {
            shapes.drain(SHAPES_MAX / 2..shapes.len() - SHAPES_MAX / 2);
        }
    }
    shapes
}

/// How a query can narrow a column, and how many values are left.
fn choices(partition: &PartitionColumn, now: i64) -> Vec<(&'static str, Option<u64>)> {
    let Some(rule) = &partition.projection else {
        return vec![("1", Some(1))];
    };
    let all = rule.domain_size(now);
    let mut choices = vec![("1", Some(1))];
    if let Rule::Date(date) = rule
        && (date.unit, date.interval) == (Unit::Days, 1)
        && all > Some(30)
    {
        choices.push(("30 days", Some(30)));
    }
    choices.push(("all", all));
    choices
}

pub(super) fn lint_partitions(found: &mut Findings<'_>, now: i64) {
    let spec = found.spec;
    let free = spec.partitions.iter().filter(|p| !spec.required_predicates.contains(&p.name));
    let domains = free.filter_map(|p| p.projection.as_ref()?.domain_size(now));
    let product = domains.fold(1u64, u64::saturating_mul);
    if product > PARTITIONS_MAX {
        let message = format!(
            "a query without predicates touches {product} partitions, and athena reads at most {PARTITIONS_MAX}: \
             narrow a projection, or name in required_predicates what every query gives"
        );
        found.table("P007", Severity::Error, message);
    }
    let shapes: Vec<String> = query_shapes(spec, now).iter().map(describe).collect();
    if !shapes.is_empty() && spec.partitions.iter().any(|p| p.projection.is_some()) {
        found.table("P007", Severity::Info, format!("partitions by query: {}", shapes.join("; ")));
    }
}

fn describe(shape: &QueryShape) -> String {
    match shape.partitions {
        Some(count) => format!("{} = {count}", shape.text),
        None => format!("{} = refused", shape.text),
    }
}
