//! How values are spread: counts in buckets whose width grows with the value, so that any number of values takes a few kilobytes.

/// Buckets for each power of two: a quantile is off by less than a hundredth.
const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// See the module's text.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    /// Counts a value as often as `weight` says.
    pub fn add(&mut self, value: u64, weight: u64) {
        if weight == 0 {
            return;
        }
        let at = bucket(value);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += weight;
        self.total += weight;
        self.sum += u128::from(value) * u128::from(weight);
        self.max = self.max.max(value);
    }

    pub fn count(&self) -> u64 {
        self.total
    }

    pub fn sum(&self) -> u128 {
        self.sum
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    pub fn mean(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.sum as f64 / self.total as f64 }
    }

    /// The value that so many percent of all values do not exceed; 0 if there are none.
    pub fn percentile(&self, percent: u64) -> u64 {
        let rank = (u128::from(self.total) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return middle(at).min(self.max);
            }
        }
        0
    }

    /// For each power of two that has values, `from..2 * from` and how many; what is below 1 is with 1.
    pub fn octaves(&self) -> Vec<(u64, u64)> {
        let mut octaves: Vec<(u64, u64)> = Vec::new();
        for (at, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let from = 1 << middle(at).max(1).ilog2();
            match octaves.last_mut() {
                Some((last, sum)) if *last == from => *sum += count,
                _ => octaves.push((from, *count)),
            }
        }
        octaves
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let exponent = value.ilog2();
    let within = (value >> (exponent - STEP_BITS)) - STEPS;
    (u64::from(exponent - STEP_BITS) * STEPS + STEPS + within) as usize
}

/// The value in the middle of a bucket.
fn middle(at: usize) -> u64 {
    let at = at as u64;
    if at < STEPS {
        return at;
    }
    let (shift, within) = (at / STEPS - 1, at % STEPS);
    let low = (STEPS + within) << shift;
    low + ((1u64 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_hundredth() {
        let mut histogram = Histogram::default();
        (1..=100_000u64).for_each(|n| histogram.add(n * 977, 1));
        for percent in [1, 25, 50, 75, 99, 100] {
            let (want, got) = ((percent * 1_000 * 977) as f64, histogram.percentile(percent) as f64);
            assert!((got / want - 1.0).abs() < 0.01, "{percent}: {got}, not {want}");
        }
        assert_eq!((histogram.count(), histogram.max()), (100_000, 97_700_000));
        assert!((histogram.mean() - 48_850_488.5).abs() < 1.0);
    }

    #[test]
    fn every_value_has_a_bucket_that_it_is_near_to() {
        for value in [0, 1, 127, 128, 129, 255, 256, 257, 1 << 40, u64::MAX] {
            let (near, off) = (middle(bucket(value)), value / 128);
            assert!(near.abs_diff(value) <= off, "{value}: {near}");
        }
        assert_eq!(Histogram::default().percentile(50), 0);
    }

    #[test]
    fn octaves_hold_all_values_once() {
        let mut histogram = Histogram::default();
        [0, 1, 2, 3, 1023, 1024, 2047].iter().for_each(|value| histogram.add(*value, 2));
        assert_eq!(histogram.octaves(), [(1, 4), (2, 4), (512, 2), (1024, 4)]);
    }
}
