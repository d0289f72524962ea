//! The set of values that a filter leaves a column: disjoint ranges in order, as Trino's `Domain`.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::predicate::{Comparison, Scalar};

/// A range of values; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub low: Bound<Scalar>,
    pub high: Bound<Scalar>,
}

/// Disjoint ranges, ascending. No range: no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(Vec<Range>);

impl Range {
    fn point(value: Scalar) -> Range {
        Range { low: Bound::Included(value.clone()), high: Bound::Included(value) }
    }

    /// The one value it holds, if it holds one.
    fn single(&self) -> Option<&Scalar> {
        match (&self.low, &self.high) {
            (Bound::Included(low), Bound::Included(high)) if low == high => Some(low),
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        let (Some(low), Some(high)) = (value(&self.low), value(&self.high)) else { return false };
        let closed = matches!((&self.low, &self.high), (Bound::Included(_), Bound::Included(_)));
        if closed { low > high } else { low >= high }
    }

    fn contains(&self, at: &Scalar) -> bool {
        let above = match &self.low {
            Bound::Included(low) => at >= low,
            Bound::Excluded(low) => at > low,
            Bound::Unbounded => true,
        };
        above
            && match &self.high {
                Bound::Included(high) => at <= high,
                Bound::Excluded(high) => at < high,
                Bound::Unbounded => true,
            }
    }
}

fn value(bound: &Bound<Scalar>) -> Option<&Scalar> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

/// Which lower end begins first.
fn by_low(a: &Bound<Scalar>, b: &Bound<Scalar>) -> Ordering {
    match (value(a), value(b)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(x), Some(y)) => {
            x.cmp(y).then_with(|| matches!(a, Bound::Excluded(_)).cmp(&matches!(b, Bound::Excluded(_))))
        }
    }
}

/// Which upper end comes first.
fn by_high(a: &Bound<Scalar>, b: &Bound<Scalar>) -> Ordering {
    match (value(a), value(b)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(x), Some(y)) => {
            x.cmp(y).then_with(|| matches!(b, Bound::Excluded(_)).cmp(&matches!(a, Bound::Excluded(_))))
        }
    }
}

/// Whether a range that ends at `high` and one that begins at `low`, not before it, have no gap between them.
fn touch(high: &Bound<Scalar>, low: &Bound<Scalar>) -> bool {
    match (value(high), value(low)) {
        (Some(high_at), Some(low_at)) => match high_at.cmp(low_at) {
            Ordering::Greater => true,
            Ordering::Equal => !matches!((high, low), (Bound::Excluded(_), Bound::Excluded(_))),
            Ordering::Less => false,
        },
        _ => true,
    }
}

impl Domain {
    /// Every value.
    pub fn all() -> Domain {
        Domain(vec![Range { low: Bound::Unbounded, high: Bound::Unbounded }])
    }

    /// No value.
    pub fn none() -> Domain {
        Domain(Vec::new())
    }

    pub fn of(values: impl IntoIterator<Item = Scalar>) -> Domain {
        Domain::merged(values.into_iter().map(Range::point).collect())
    }

    pub fn range(low: Bound<Scalar>, high: Bound<Scalar>) -> Domain {
        Domain::merged(vec![Range { low, high }])
    }

    /// The values that stand so to this one.
    pub fn compared(is: Comparison, to: &Scalar) -> Domain {
        let to = to.clone();
        match is {
            Comparison::Equal => Domain::of([to]),
            Comparison::Less => Domain::range(Bound::Unbounded, Bound::Excluded(to)),
            Comparison::LessOrEqual => Domain::range(Bound::Unbounded, Bound::Included(to)),
            Comparison::Greater => Domain::range(Bound::Excluded(to), Bound::Unbounded),
            Comparison::GreaterOrEqual => Domain::range(Bound::Included(to), Bound::Unbounded),
        }
    }

    fn merged(mut ranges: Vec<Range>) -> Domain {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_by(|a, b| by_low(&a.low, &b.low));
        let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if touch(&last.high, &range.low) => {
                    if by_high(&last.high, &range.high) == Ordering::Less {
                        last.high = range.high;
                    }
                }
                _ => merged.push(range),
            }
        }
        Domain(merged)
    }

    pub fn union(mut self, other: Domain) -> Domain {
        self.0.extend(other.0);
        Domain::merged(self.0)
    }

    /// The values in both. Both lists are in order: one walk over them.
    pub fn intersect(&self, other: &Domain) -> Domain {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut common = Vec::new();
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let low = if by_low(&x.low, &y.low) == Ordering::Less { &y.low } else { &x.low };
            let x_ends_first = by_high(&x.high, &y.high) == Ordering::Less;
            let high = if x_ends_first { &x.high } else { &y.high };
            common.push(Range { low: low.clone(), high: high.clone() });
            if x_ends_first {
                a.next()
            } else {
                b.next()
            };
        }
        Domain::merged(common)
    }

    pub fn is_all(&self) -> bool {
        matches!(self.0.as_slice(), [Range { low: Bound::Unbounded, high: Bound::Unbounded }])
    }

    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, at: &Scalar) -> bool {
        // The first range that does not end before the value: ranges are in order.
        let first = self.0.partition_point(|range| match &range.high {
            Bound::Included(high) => high < at,
            Bound::Excluded(high) => high <= at,
            Bound::Unbounded => false,
        });
        self.0.get(first).is_some_and(|range| range.contains(at))
    }

    /// Whether it holds a value from `low` to `high`, both included.
    pub fn meets(&self, low: &Scalar, high: &Scalar) -> bool {
        let first = self.0.partition_point(|range| match &range.high {
            Bound::Included(end) => end < low,
            Bound::Excluded(end) => end <= low,
            Bound::Unbounded => false,
        });
        self.0.get(first).is_some_and(|range| match &range.low {
            Bound::Included(begin) => begin <= high,
            Bound::Excluded(begin) => begin < high,
            Bound::Unbounded => true,
        })
    }

    /// Its values, if it names each of them.
    pub fn points(&self) -> Option<Vec<&Scalar>> {
        self.0.iter().map(Range::single).collect()
    }

    pub fn ranges(&self) -> &[Range] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn domain() -> impl Strategy<Value = Domain> {
        let bound = prop_oneof![
            Just(Bound::Unbounded),
            (0i64..12).prop_map(|v| Bound::Included(Scalar::Int(v))),
            (0i64..12).prop_map(|v| Bound::Excluded(Scalar::Int(v))),
        ];
        let range = (bound.clone(), bound).prop_map(|(low, high)| Domain::range(low, high));
        proptest::collection::vec(range, 0..4).prop_map(|all| all.into_iter().fold(Domain::none(), Domain::union))
    }

    proptest! {
        /// What sets are: union is or, intersection is and, of whether a value is in them.
        #[test]
        fn union_and_intersection_are_those_of_sets(a in domain(), b in domain(), at in -1i64..14) {
            let at = Scalar::Int(at);
            prop_assert_eq!(a.clone().union(b.clone()).contains(&at), a.contains(&at) || b.contains(&at));
            prop_assert_eq!(a.intersect(&b).contains(&at), a.contains(&at) && b.contains(&at));
            let (low, high) = (at.clone(), Scalar::Int(3));
            let between = Domain::range(Bound::Included(low.clone()), Bound::Included(high.clone()));
            prop_assert!(between.is_none() || a.meets(&low, &high) != a.intersect(&between).is_none());
            prop_assert_eq!(a.intersect(&Domain::all()), a.clone());
            prop_assert!(a.0.windows(2).all(|w| by_low(&w[0].low, &w[1].low) == Ordering::Less));
        }
    }

    #[test]
    fn points_are_told_only_where_each_is_named() {
        let named = Domain::of([Scalar::Int(3), Scalar::Int(1), Scalar::Int(3)]);
        assert_eq!(named.points(), Some(vec![&Scalar::Int(1), &Scalar::Int(3)]));
        assert_eq!(Domain::compared(Comparison::Less, &Scalar::Int(3)).points(), None);
        assert_eq!(Domain::none().points(), Some(Vec::new()));
        assert!(
            Domain::compared(Comparison::Less, &Scalar::Int(3))
                .union(Domain::compared(Comparison::GreaterOrEqual, &Scalar::Int(3)))
                .is_all()
        );
    }
}
