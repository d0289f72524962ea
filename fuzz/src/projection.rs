//! Projection rules: what a rule lists it admits, and what it admits comes back the same.
//!
//! Lines: type, `now`, range, format or digits, interval, unit, then values to try.

use schemas::bucket;
use schemas::instant;
use schemas::projection::{DateRule, Rule, Unit};

use super::input::text;

/// Values of a rule that are looked at.
const VALUES: usize = 40;
/// Values that may be counted one by one in a short time.
const COUNTED: usize = 2_000;

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let kind = line();
    let now: i64 = line().parse().unwrap_or(1_779_045_174_594);
    let (range, format, interval, unit) = (line(), line(), line().parse::<u64>().ok(), Unit::parse(line()).ok());
    let rule = match kind {
        "date" => DateRule::parse(format, range, interval, unit).ok().map(Rule::Date),
        "integer" => Rule::parse_integer_range(range).ok().map(|(from, to)| {
            let digits = format.parse().ok().filter(|digits| (1..=20).contains(digits));
            Rule::Integer { from, to, interval: interval.unwrap_or(1).max(1), digits }
        }),
        "enum" => Some(Rule::Enum { values: range.split(',').map(str::to_string).collect() }),
        _ => Some(Rule::Injected),
    };
    if let Some(rule) = rule {
        lists_what_it_admits(&rule, now);
        lines.take(VALUES).for_each(|value| admits_what_it_lists(&rule, value, now));
    }
    text.lines().take(VALUES).for_each(dates_agree);
}

fn lists_what_it_admits(rule: &Rule, now: i64) {
    let listed: Vec<String> = rule.expand(now).take(COUNTED).collect();
    for value in listed.iter().take(VALUES) {
        assert_eq!(rule.admits(value, now), Ok(()), "{value} of {rule:?} at {now}");
    }
    if listed.len() < COUNTED && !matches!(rule, Rule::Injected) {
        assert_eq!(rule.domain_size(now), Some(listed.len() as u64), "{rule:?} at {now}");
    }
    assert!(rule.properties("c").iter().all(|(name, _)| name.starts_with("projection.c.")));
}

/// One way only where the list is short enough to be looked through.
fn admits_what_it_lists(rule: &Rule, value: &str, now: i64) {
    let admitted = rule.admits(value, now);
    if matches!(rule, Rule::Injected) {
        return assert_eq!(admitted.is_ok(), !value.is_empty());
    }
    let mut listed = rule.expand(now).take(COUNTED);
    let found = listed.any(|known| known == value);
    if admitted.is_err() {
        assert!(!found, "{value} of {rule:?} at {now}: {admitted:?}");
    } else if listed.next().is_none() && rule.expand(now).nth(COUNTED - 1).is_none() {
        assert!(found, "{value} of {rule:?} at {now}");
    }
}

/// The day of a key and the day of a column are one.
fn dates_agree(text: &str) {
    if let Some(at) = instant::parse_instant(text) {
        let day = instant::format_date(at).expect("in the years 0001 to 9999");
        let day = std::str::from_utf8(&day).expect("digits");
        let days = instant::parse_date(day).expect("a date");
        assert_eq!(i64::from(days), at.div_euclid(instant::DAY_MS), "{text}");
        assert_eq!(instant::parse_instant(day), Some(i64::from(days) * instant::DAY_MS));
    }
    if let Some(days) = instant::parse_date(text) {
        assert_eq!(instant::format_days(days).as_ref().map(<[u8; 10]>::as_slice), Some(text.as_bytes()));
    }
    for n in [1, 10, u32::MAX] {
        assert!(bucket::bucket_str(text, n) < n);
        assert!(bucket::bucket_number(text, n).is_none_or(|bucket| bucket < n));
    }
    if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
        assert_eq!(bucket::bucket_number(text, 10), Some(bucket::bucket_i64(number, 10)), "{text}");
    }
}
