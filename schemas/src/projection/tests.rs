//! Projection rules against generated values, dates and windows.

use proptest::prelude::*;

use super::*;

/// 2026-11-22T05:30:00Z.
const NOW: i64 = 1_795_325_400_000;

fn date(format: &str, range: &str, interval: u64, unit: &str) -> Rule {
    let unit = Unit::parse(unit).expect("a unit");
    Rule::Date(DateRule::parse(format, range, Some(interval), Some(unit)).expect("a rule"))
}

fn integer(from: i64, to: i64, interval: u64, digits: Option<u32>) -> Rule {
    Rule::Integer { from, to, interval, digits }
}

fn values(rule: &Rule) -> Vec<String> {
    rule.expand(NOW).collect()
}

fn parse_error(format: &str, range: &str) -> String {
    DateRule::parse(format, range, None, None).expect_err("no rule")
}

#[test]
fn enum_admits_members_as_written_and_names_the_nearest() {
    let rule = Rule::Enum { values: vec!["industry".into(), "name".into()] };
    assert_eq!(rule.admits("name", NOW), Ok(()));
    for value in ["Name", " name", "", "names"] {
        assert!(rule.admits(value, NOW).is_err(), "{value}");
    }
    let why = rule.admits("industri", NOW).expect_err("no member");
    assert_eq!(why, "is not one of the 2 values of the projection's enum; the nearest is `industry`");
}

#[test]
fn integer_admits_only_the_text_it_renders() {
    let month = integer(1, 12, 1, Some(2));
    assert_eq!(month.admits("07", NOW), Ok(()));
    assert_eq!(month.admits("7", NOW), Err("is not written as the projection writes it: `07`".into()));
    assert!(month.admits("13", NOW).is_err() && month.admits("00", NOW).is_err());
    let bucket = integer(0, 9, 1, None);
    assert_eq!(bucket.admits("7", NOW), Ok(()));
    for value in ["07", "+7", "7.0", " 7", "", "-0", "10", "-1", "9223372036854775808"] {
        assert!(bucket.admits(value, NOW).is_err(), "{value}");
    }
}

#[test]
fn integer_steps_from_the_start_of_its_range() {
    assert_eq!(values(&integer(1, 3, 2, None)), ["1", "3"]);
    assert_eq!(values(&integer(1, 3, 1, Some(2))), ["01", "02", "03"]);
    assert_eq!(values(&integer(-5, 0, 5, Some(3))), ["-05", "000"]);
    assert!(integer(1, 9, 2, None).admits("2", NOW).expect_err("no step").contains("every 2 from 1"));
    assert_eq!(integer(i64::MIN, i64::MAX, 1, None).domain_size(NOW), Some(u64::MAX));
    assert_eq!(integer(i64::MAX - 1, i64::MAX, 1, None).expand(NOW).count(), 2);
}

#[test]
fn integer_range_is_two_ordered_integers() {
    assert_eq!(Rule::parse_integer_range(" -1 , 8675309"), Ok((-1, 8_675_309)));
    assert_eq!(Rule::parse_integer_range("0001,9999"), Ok((1, 9999)));
    assert!(Rule::parse_integer_range("9,0").expect_err("backwards").contains("write `0,9`"));
    assert!(Rule::parse_integer_range("0").is_err() && Rule::parse_integer_range("0,x").is_err());
}

#[test]
fn date_admits_a_day_of_its_window_and_tomorrow_by_offset() {
    let rule = date("yyyy-MM-dd", "2012-01-01,NOW+1DAYS", 1, "DAYS");
    for value in ["2012-01-01", "2024-02-29", "2026-11-22", "2026-11-23"] {
        assert_eq!(rule.admits(value, NOW), Ok(()), "{value}");
    }
    for value in
        ["2011-12-31", "2026-11-24", "2023-02-29", "2024-2-9", "2024-02-29 ", "24-02-29", "+2024-02-29", "٢٠٢٤-02-29"]
    {
        assert!(rule.admits(value, NOW).is_err(), "{value}");
    }
    assert_eq!(
        rule.admits("2026-11-24", NOW),
        Err("is outside the projection's range `2012-01-01,NOW+1DAYS`, now 2012-01-01 to 2026-11-23".into())
    );
}

#[test]
fn now_moves_at_midnight_utc() {
    let rule = date("yyyy-MM-dd", "2012-01-01,NOW", 1, "DAYS");
    let midnight = NOW - NOW % 86_400_000 + 86_400_000;
    assert!(rule.admits("2026-11-23", midnight - 1).is_err());
    assert_eq!(rule.admits("2026-11-23", midnight), Ok(()));
}

#[test]
fn date_steps_coarser_than_the_format_leave_gaps() {
    let rule = date("yyyy-MM", "2017-01,2018-12", 2, "MONTHS");
    assert_eq!(values(&rule)[..3], ["2017-01", "2017-03", "2017-05"]);
    assert_eq!(rule.domain_size(NOW), Some(12));
    assert!(rule.admits("2017-02", NOW).expect_err("no step").contains("every 2 MONTHS from 2017-01"));
    assert_eq!(
        values(&date("yyyy-MM-dd", "2024-02-20,2024-03-10", 1, "WEEKS")),
        ["2024-02-20", "2024-02-27", "2024-03-05"]
    );
}

#[test]
fn date_steps_finer_than_the_format_give_each_period_once() {
    let rule = date("yyyy-MM", "2023-11,2024-02", 1, "DAYS");
    assert_eq!(values(&rule), ["2023-11", "2023-12", "2024-01", "2024-02"]);
    assert_eq!(rule.admits("2024-01", NOW), Ok(()));
    assert_eq!(date("yyyy-MM-dd", "2024-01-01,2024-01-02", 1, "HOURS").domain_size(NOW), Some(2));
}

#[test]
fn hours_in_a_path_like_format_and_quoted_literals() {
    let rule = date("yyyy/MM/dd/HH", "2026/11/22/00,NOW", 1, "HOURS");
    assert_eq!(values(&rule).last().map(String::as_str), Some("2026/11/22/05"));
    assert!(rule.admits("2026/11/22/06", NOW).is_err());
    let quoted = date("yyyy-MM-dd'T'HH", "2026-11-22T00,NOW", 6, "HOURS");
    assert_eq!(values(&quoted), ["2026-11-22T00"]);
}

#[test]
fn the_last_month_there_is_stands_once_and_is_admitted() {
    let rule = date("yyyy-MM", "9999-11,9999-12", 1, "MONTHS");
    assert_eq!((values(&rule), rule.domain_size(NOW)), (vec!["9999-11".to_string(), "9999-12".to_string()], Some(2)));
    assert_eq!(rule.admits("9999-12", NOW), Ok(()));
}

#[test]
fn a_window_that_has_not_begun_is_empty() {
    let rule = date("yyyy", "2030,NOW", 1, "YEARS");
    assert_eq!((values(&rule).len(), rule.domain_size(NOW)), (0, Some(0)));
    assert!(rule.admits("2030", NOW).is_err());
}

#[test]
fn injected_admits_any_text_but_none() {
    assert_eq!(Rule::Injected.admits("x/../y", NOW), Ok(()));
    assert!(Rule::Injected.admits("", NOW).is_err());
    assert_eq!(Rule::Injected.domain_size(NOW), None);
}

#[test]
fn properties_are_athenas() {
    let rule = date("yyyy-MM-dd", "2012-01-01, NOW - 3 YEARS", 1, "DAY");
    let properties: Vec<String> = rule.properties("d").into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        properties,
        [
            "projection.d.type=date",
            "projection.d.format=yyyy-MM-dd",
            "projection.d.range=2012-01-01,NOW-3YEARS",
            "projection.d.interval=1",
            "projection.d.interval.unit=DAYS",
        ]
    );
    assert_eq!(integer(1, 12, 1, Some(2)).properties("m").last().map(|p| p.1.as_str()), Some("2"));
}

#[test]
fn broken_date_rules_say_what_to_write() {
    assert!(parse_error("yyyy-mm-dd", "2012-01-01,NOW").contains("has no `MM`"));
    assert!(parse_error("YYYY-MM-dd", "2012-01-01,NOW").contains("`YYYY`"));
    assert!(parse_error("yyyy-MM-dd yyyy", "2012-01-01,NOW").contains("`yyyy` stands twice"));
    assert!(parse_error("yyyy-MM-dd'T", "2012-01-01,NOW").contains("is not understood"));
    assert!(parse_error("", "2012-01-01,NOW").contains("has no `yyyy`"));
    assert!(parse_error("yyyy-MM-dd", "2012-01-01").contains("has no comma"));
    assert!(parse_error("yyyy-MM-dd", "2012-1-1,NOW").contains("such as `2012-01-01`"));
    assert!(parse_error("yyyy-MM-dd", "2013-01-01,2012-01-01").contains("write `2012-01-01,2013-01-01`"));
    assert!(parse_error("yyyy-MM-dd", "2012-01-01,NOW+1DAZE").contains("write `DAYS`"));
    assert!(parse_error("yyyy-MM-dd", "2012-01-01,NOW+DAYS").contains("NOW+1DAYS"));
    assert!(parse_error("yyyy-MM-dd", "2012-01-01,NOW+1MILLISECONDS").contains("MILLISECONDS"));
    assert!(parse_error("yyyy-MM-dd-HH", "2012-01-01-00,NOW").contains("unit = \"HOURS\""));
}

proptest! {
    #[test]
    fn expand_and_admits_agree(
        start in 0i64..20_000, days in 0i64..200, interval in 1u64..40, unit in 1usize..5, precision in 1usize..4, probe in 0i64..220,
    ) {
        let format = ["yyyy", "yyyy-MM", "yyyy-MM-dd", "yyyy-MM-dd-HH"][precision];
        let unit = Unit::ALL[unit];
        let from = start * civil::DAY;
        let range = format!("{},{}", pattern::render(format, from), pattern::render(format, from + days * civil::DAY));
        let Ok(rule) = DateRule::parse(format, &range, Some(interval), Some(unit)) else { return Ok(()) };
        let rule = Rule::Date(rule);
        let all: Vec<String> = rule.expand(NOW).collect();
        prop_assert_eq!(Some(all.len() as u64), rule.domain_size(NOW));
        for value in &all {
            prop_assert_eq!(rule.admits(value, NOW), Ok(()), "{}", value);
        }
        let other = pattern::render(format, from + probe * civil::DAY);
        prop_assert_eq!(rule.admits(&other, NOW).is_ok(), all.contains(&other), "{}", other);
    }

    #[test]
    fn no_value_panics(value in any::<String>()) {
        for rule in [date("yyyy-MM-dd", "2012-01-01,NOW", 1, "DAYS"), integer(0, 9, 1, None)] {
            if rule.admits(&value, NOW).is_ok() {
                prop_assert!(rule.expand(NOW).any(|v| v == value));
            }
        }
    }
}
