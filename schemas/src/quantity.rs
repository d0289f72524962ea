//! Sizes and durations as people write them in a configuration: a whole number and a unit.

use std::time::Duration;

const SIZE_UNITS: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Bytes: a whole number and a unit, `128 MiB`. KiB, MiB, GiB and TiB are powers of 1024; kB, MB, GB and TB of 1000.
pub fn size(text: &str) -> Result<u64, String> {
    let want =
        "is no size; write a whole number and a unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB) such as \"128 MiB\"";
    with_unit(text, &SIZE_UNITS).ok_or_else(|| want.to_string())
}

const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];

/// A duration: a whole number and a unit, `300 s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let want = "is no duration; write a whole number and a unit (ms, s, min, h) such as \"300 s\"";
    with_unit(text, &TIME_UNITS).map(Duration::from_millis).ok_or_else(|| want.to_string())
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_')?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.replace('_', "").parse().ok()?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.checked_mul(*factor)
}
