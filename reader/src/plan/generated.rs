//! Partition columns whose value follows from a column of the row: `entity_id = k` leaves one bucket, a range of time leaves days.
//!
//! What follows from what is read off the configuration's own `[keys]`: `'.created_at | utc_date'`, `'.entity_id | bucket(10)'`
//! and a bare path such as `'.attribute_name'`. Any other program says nothing here, and its partition column has to be named by
//! the question itself.

use std::ops::Bound;

use schemas::bucket::{bucket_i64, bucket_number, bucket_str};
use schemas::column::DataType;
use schemas::table::TableSpec;

use super::constraint::Constraint;
use super::domain::Domain;
use crate::predicate::Scalar;
use crate::time::{day_of, day_text};

/// How a partition's value comes from a column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivation {
    UtcDate,
    Bucket(u32),
    Same,
}

/// A partition column that follows from a stored column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    pub partition: String,
    pub column: String,
    pub how: Derivation,
}

/// Most values of a column that buckets are worked out for; beyond it all buckets are as likely.
const BUCKETS_OF_MAX: usize = 100_000;

/// Those of the keys that say how their partition follows from a column of the table.
pub fn generated(keys: &[(String, String)], spec: &TableSpec) -> Vec<Generated> {
    keys.iter().filter_map(|(partition, program)| read(partition, program, spec)).collect()
}

fn read(partition: &str, program: &str, spec: &TableSpec) -> Option<Generated> {
    let (path, how) = match program.split_once('|') {
        None => (program.trim(), Derivation::Same),
        Some((path, then)) => (path.trim(), derivation(then.trim())?),
    };
    let path: Vec<&str> = path.strip_prefix('.')?.split('.').collect();
    let plain = |member: &&str| !member.is_empty() && member.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !path.iter().all(plain) {
        return None;
    }
    let column = spec.columns.iter().find(|column| column.path == path)?;
    let fits = match how {
        Derivation::UtcDate => column.data_type == DataType::Timestamp,
        Derivation::Bucket(_) => matches!(column.data_type, DataType::String | DataType::Int | DataType::BigInt),
        Derivation::Same => column.data_type == DataType::String,
    };
    fits.then(|| Generated { partition: partition.to_string(), column: column.name.clone(), how })
}

fn derivation(then: &str) -> Option<Derivation> {
    if then == "utc_date" {
        return Some(Derivation::UtcDate);
    }
    let count = then.strip_prefix("bucket(")?.strip_suffix(')')?.trim();
    count.parse().ok().filter(|n| *n > 0).map(Derivation::Bucket)
}

/// The constraint, with what follows from it for partition columns.
pub fn imply(generated: &[Generated], spec: &TableSpec, mut constraint: Constraint) -> Constraint {
    for rule in generated {
        let Some(domain) = constraint.of_column(&rule.column) else { continue };
        let Some(partition) = spec.partitions.iter().find(|p| p.name == rule.partition) else { continue };
        let follows = match rule.how {
            Derivation::UtcDate => dates(domain, &partition.data_type),
            Derivation::Bucket(n) => buckets(domain, n, &partition.data_type),
            Derivation::Same => Some(domain.clone()).filter(|_| partition.data_type == DataType::String),
        };
        if let Some(follows) = follows {
            constraint = constraint.with(&rule.partition, follows);
        }
    }
    constraint
}

fn dates(instants: &Domain, data_type: &DataType) -> Option<Domain> {
    let day = |bound: &Bound<Scalar>| match bound {
        Bound::Unbounded => Some(Bound::Unbounded),
        // An excluded end may lie within a day whose other instants are meant.
        Bound::Included(Scalar::Instant(at)) | Bound::Excluded(Scalar::Instant(at)) => match data_type {
            DataType::Date => Some(Bound::Included(Scalar::Day(day_of(*at)))),
            DataType::String => Some(Bound::Included(Scalar::Text(day_text(day_of(*at))))),
            _ => None,
        },
        _ => None,
    };
    let ranges = instants.ranges().iter().map(|range| Some(Domain::range(day(&range.low)?, day(&range.high)?)));
    ranges.into_iter().try_fold(Domain::none(), |all, range| Some(all.union(range?)))
}

fn buckets(ids: &Domain, n: u32, data_type: &DataType) -> Option<Domain> {
    let ids = ids.points().filter(|ids| ids.len() <= BUCKETS_OF_MAX)?;
    let mut of: Vec<u32> = ids.into_iter().flat_map(|id| buckets_of(id, n)).collect();
    of.sort_unstable();
    of.dedup();
    let value = |bucket: u32| match data_type {
        DataType::String => Scalar::Text(bucket.to_string()),
        _ => Scalar::Int(i64::from(bucket)),
    };
    Some(Domain::of(of.into_iter().map(value)))
}

/// A column of text holds numbers too, and one of numbers holds those that came as text: an id that can be both has the bucket of
/// either.
fn buckets_of(id: &Scalar, n: u32) -> Vec<u32> {
    match id {
        Scalar::Text(text) => std::iter::once(bucket_str(text, n)).chain(bucket_number(text, n)).collect(),
        Scalar::Int(value) => vec![bucket_i64(*value, n), bucket_str(&value.to_string(), n)],
        Scalar::Day(_) | Scalar::Instant(_) => (0..n).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::{Comparison, Predicate};

    const TABLE: &str = include_str!("../../../schemas/tables/attribute_events.toml");

    fn spec() -> TableSpec {
        TableSpec::parse(TABLE, "attribute_events.toml").expect("the table of the repository")
    }

    fn rules(keys: &[(&str, &str)]) -> Vec<Generated> {
        let keys: Vec<_> = keys.iter().map(|(name, program)| (name.to_string(), program.to_string())).collect();
        generated(&keys, &spec())
    }

    fn all_rules() -> Vec<Generated> {
        rules(&[
            ("created_date", ".created_at | utc_date"),
            ("attribute_name", ".attribute_name"),
            ("entity_id_mod", " .entity_id|bucket( 10 )"),
        ])
    }

    fn implied(predicate: &Predicate) -> Constraint {
        imply(&all_rules(), &spec(), Constraint::of(predicate))
    }

    #[test]
    fn only_programs_that_are_understood_imply_anything() {
        let found: Vec<_> = all_rules().into_iter().map(|rule| (rule.column, rule.how)).collect();
        assert_eq!(
            found,
            [("created_at".to_string(), Derivation::UtcDate), ("entity_id".to_string(), Derivation::Bucket(10))]
        );
        for program in [
            ".created_at | utc_date | .[0:4]",
            ".entity_id | bucket(0)",
            ".entity_id // \"x\" | bucket(10)",
            ".entity_id | utc_date",
            ".nothing | bucket(3)",
            "\"a\"",
            ".",
        ] {
            assert_eq!(rules(&[("entity_id_mod", program)]), [], "{program}");
        }
    }

    #[test]
    fn an_id_leaves_its_bucket_and_a_number_as_text_leaves_both() {
        let one = implied(&Predicate::text("entity_id", "us:AAPL"));
        let bucket = Scalar::Int(i64::from(bucket_str("us:AAPL", 10)));
        assert_eq!(one.of_column("entity_id_mod"), Some(&Domain::of([bucket])));
        let number = implied(&Predicate::text("entity_id", "17"));
        let either = [bucket_str("17", 10), 7].map(|b| Scalar::Int(i64::from(b)));
        assert_eq!(number.of_column("entity_id_mod"), Some(&Domain::of(either)));
        let range =
            Predicate::Compare { column: "entity_id".into(), is: Comparison::Less, value: Scalar::Text("us:B".into()) };
        assert_eq!(implied(&range).of_column("entity_id_mod"), None, "a range of ids is in every bucket");
    }

    #[test]
    fn a_range_of_time_leaves_its_days_and_both_ends_count() {
        let at = |text: &str| Some(Scalar::Instant(schemas::instant::parse_instant(text).expect("an instant")));
        let range = Predicate::between("created_at", at("2020-02-29T23:59:59.999Z"), at("2020-03-01T00:00:00Z"));
        let text = |day: &str| Bound::Included(Scalar::Text(day.into()));
        let days = Domain::range(text("2020-02-29"), text("2020-03-01"));
        assert_eq!(implied(&range).of_column("created_date"), Some(&days));
        let open = Predicate::between("created_at", None, at("2020-03-01T00:00:00Z"));
        assert_eq!(
            implied(&open).of_column("created_date"),
            Some(&Domain::range(Bound::Unbounded, text("2020-03-01")))
        );
    }
}
