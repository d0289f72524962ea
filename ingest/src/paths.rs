//! The partition paths of key values that came before: most records go where one of the last thousands went.
//!
//! A date rule's range may move with `now`, and with it what the guard says, but only from one block of time to the next. So a
//! path is remembered for the block it was asked for in. Refusals are not remembered.

use std::sync::Arc;

use schemas::reject::Reject;

use crate::guard::Guard;

/// Paths remembered at most. A table with more partitions open than this asks the guard more often, and no worse.
const SLOTS: usize = 8192;

/// See the module's text.
#[derive(Debug)]
pub struct Paths {
    guard: Arc<Guard>,
    /// Milliseconds within which the guard says the same.
    steady: i64,
    /// Made at the first use. Each path has one place that it may stand in.
    slots: Vec<Slot>,
    /// How often counting began, and how many paths were numbered since.
    count: (u64, u32),
    /// Of the values at hand.
    key: Vec<u8>,
}

/// Empty if it has no key.
#[derive(Debug, Clone, Default)]
struct Slot {
    block: i64,
    /// The values with their lengths, see [`join`].
    key: Vec<u8>,
    path: String,
    /// In which count the path got which number.
    number: (u64, u32),
}

/// A path by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered<'p> {
    pub number: u32,
    /// The path, where the number was not given before.
    pub new: Option<&'p str>,
}

impl Paths {
    pub fn new(guard: Arc<Guard>) -> Paths {
        Paths { steady: guard.steady_millis(), guard, slots: Vec::new(), count: (1, 0), key: Vec::new() }
    }

    /// One that remembers nothing yet.
    pub fn another(&self) -> Paths {
        Paths::new(self.guard.clone())
    }

    /// What [`Guard::path`] says.
    pub fn path(&mut self, values: &[String], now: i64) -> Result<&str, Reject> {
        self.slot(values, now).map(|(slot, _)| &*slot.path)
    }

    /// What [`Guard::period_end`] says.
    pub fn period_end(&self, path: &str) -> Option<i64> {
        self.guard.period_end(path)
    }

    /// Numbers begin again at 0.
    pub fn begin_count(&mut self) {
        self.count = (self.count.0 + 1, 0);
    }

    /// The same by its number: who has many rows at hand need not compare their paths. A path may get several numbers, but no number
    /// several paths.
    pub fn number(&mut self, values: &[String], now: i64) -> Result<Numbered<'_>, Reject> {
        let (slot, count) = self.slot(values, now)?;
        let is_new = slot.number.0 != count.0;
        if is_new {
            slot.number = *count;
            count.1 += 1;
        }
        Ok(Numbered { number: slot.number.1, new: is_new.then_some(&slot.path) })
    }

    fn slot(&mut self, values: &[String], now: i64) -> Result<(&mut Slot, &mut (u64, u32)), Reject> {
        let block = now.div_euclid(self.steady);
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        join(values, &mut self.key);
        let slot = &mut self.slots[place(&self.key)];
        if slot.block != block || slot.key != self.key {
            // A refusal leaves half a path.
            slot.key.clear();
            self.guard.path(values, now, &mut slot.path)?;
            slot.key.extend_from_slice(&self.key);
            (slot.block, slot.number) = (block, (0, 0));
        }
        Ok((slot, &mut self.count))
    }
}

/// All values in one piece, other ones for other values.
fn join(values: &[String], key: &mut Vec<u8>) {
    key.clear();
    for value in values {
        key.extend_from_slice(&(value.len() as u64).to_le_bytes());
        key.extend_from_slice(value.as_bytes());
    }
}

/// Where the path of these values stands. Two that share a place take it from each other, which costs time and nothing else.
fn place(key: &[u8]) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, tail) = key.as_chunks::<8>();
    let last = tail.iter().fold(1, |sum, byte| sum << 8 | u64::from(*byte));
    let words = words.iter().map(|word| u64::from_le_bytes(*word)).chain([last]);
    let state = words.fold(0u64, |state, word| (state.rotate_left(23) ^ word).wrapping_mul(MIX));
    (state >> 32) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schemas::table::TableSpec;

    const SPEC: &str = r#"
version = 1
name = "t"
database = "d"
location = "s3://b/t/"
[[column]]
name = "x"
type = "string"
[[partition]]
name = "day"
type = "string"
projection = { type = "date", format = "yyyy-MM-dd", range = "2026-01-01,NOW+1DAYS", interval = 1, unit = "DAYS" }
[[partition]]
name = "kind"
type = "string"
"#;

    fn paths(spec: &str) -> (Guard, Paths) {
        let spec = TableSpec::parse(spec, "t.toml").unwrap_or_else(|p| panic!("{p:?}"));
        (Guard::new(&spec), Paths::new(Arc::new(Guard::new(&spec))))
    }

    fn asked(guard: &Guard, values: &[String], now: i64) -> Result<String, Reject> {
        let mut path = String::new();
        guard.path(values, now, &mut path).map(|()| path)
    }

    #[test]
    fn a_day_that_comes_into_the_range_is_found_and_one_that_left_it_is_not() {
        let (_, mut paths) = paths(SPEC);
        let values = ["2026-03-05".to_string(), "a".to_string()];
        let day = |n: i64| 1_772_323_200_000 + n * 86_400_000; // 2026-03-01
        for (now, admitted) in
            [(day(2), false), (day(3), true), (day(3) + 5, true), (day(2) + 86_399_999, false), (day(9), true)]
        {
            assert_eq!(paths.path(&values, now).is_ok(), admitted, "{now}");
        }
    }

    #[test]
    fn values_that_share_a_place_keep_their_own_paths() {
        let (guard, mut paths) = paths(SPEC);
        for round in 0..2 {
            for number in 0..3 * SLOTS {
                let values = ["2026-01-02".to_string(), format!("kind {number}")];
                let known = paths.path(&values, 1_772_323_200_000).map(str::to_string);
                assert_eq!(known, asked(&guard, &values, 1_772_323_200_000), "round {round}");
            }
        }
    }

    #[test]
    fn a_number_stands_for_one_path_and_begins_with_each_count() {
        let (_, mut paths) = paths(SPEC);
        for _ in 0..2 {
            paths.begin_count();
            let mut known: Vec<String> = Vec::new();
            for number in (0..3 * SLOTS).chain(0..3 * SLOTS) {
                let values = ["2026-01-02".to_string(), format!("kind {}", number / 2)];
                let Numbered { number, new } = paths.number(&values, 1_772_323_200_000).expect("admitted");
                if let Some(new) = new {
                    assert_eq!(number as usize, known.len());
                    known.push(new.to_string());
                }
                assert_eq!(known[number as usize], paths.path(&values, 1_772_323_200_000).expect("admitted"));
            }
            assert!(known.len() < 6 * SLOTS);
        }
    }

    proptest! {
        /// Whatever was asked before, the answer is the guard's.
        #[test]
        fn says_what_the_guard_says(
            units in prop::sample::select(vec![("DAYS", "yyyy-MM-dd"), ("MONTHS", "yyyy-MM"), ("HOURS", "yyyy-MM-dd-HH")]),
            offset in -40i64..40, unit in prop::sample::select(vec!["DAYS", "MONTHS", "HOURS", "MINUTES", "WEEKS", "YEARS"]),
            asks in prop::collection::vec((0i64..200_000_000, 0usize..4), 1..40),
        ) {
            let range = format!("NOW-2YEARS,NOW{offset:+}{unit}");
            let spec = SPEC.replace("2026-01-01,NOW+1DAYS", &range).replace("yyyy-MM-dd", units.1).replace("unit = \"DAYS\"", &format!("unit = \"{}\"", units.0));
            let (guard, mut paths) = paths(&spec);
            for (later, value) in asks {
                // Around the end of a month, and around the offset from there.
                let now = 1_772_150_400_000 + later;
                let at = now + (value as i64 - 2) * 1_800_000 + offset * 86_400_000;
                let text = schemas::instant::format_date(at).map(|date| String::from_utf8_lossy(&date).into_owned()).expect("a date");
                let text = match units.0 { "MONTHS" => text[..7].to_string(), "HOURS" => format!("{text}-{:02}", at / 3_600_000 % 24), _ => text };
                let values = [text, "a".to_string()];
                prop_assert_eq!(paths.path(&values, now).map(str::to_string), asked(&guard, &values, now));
            }
        }
    }
}
