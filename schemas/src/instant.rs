//! Instants and dates as text and as numbers: everything that reads or writes one goes through here, so that a partition key and
//! a column never disagree about the day of an event.
//!
//! An instant is milliseconds since 1970-01-01T00:00:00Z (`i64`), a date is days since that day (`i32`), both in the proleptic
//! Gregorian calendar and only in the years 0001 to 9999 (what every engine can read back). Finer fractions are cut off, towards
//! the past.
//!
//! Forms taken, those of RFC 3339 and those Amazon Data Firehose takes:
//! - `2026-05-17T19:12:54.594+02:00`: any offset (`+0200` too), `t` and `z` in either case, a space instead of `T`, 1 to 9 digits
//!   of fraction;
//! - the same without a zone, which means UTC; with a space the fields may have one digit (`java.sql.Timestamp.valueOf`);
//! - `2026-05-17`: midnight UTC;
//! - a number, also as text: below 1e12 (absolute) seconds with fraction, from there on milliseconds.
//!
//! A leap second (`23:59:60` UTC) is the last millisecond of its day.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// From this absolute value on a number is milliseconds, below it seconds (Firehose's rule).
pub const EPOCH_MILLIS_FROM: i64 = 1_000_000_000_000;

/// 0001-01-01 in days since the epoch.
const FIRST_DAY: i64 = -719_162;
/// 9999-12-31 in days since the epoch.
const LAST_DAY: i64 = 2_932_896;

/// Days since the epoch of a civil date; the date is not checked. (H. Hinnant, "chrono-compatible low-level date algorithms".)
pub fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_from_march = (month as i32 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i32 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day since the epoch. (Same source.)
pub fn civil_from_days(days: i32) -> (i32, u32, u32) {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month, day)
}

/// `yyyy-MM-dd` of a day since the epoch; `None` outside the years 0001 to 9999.
pub fn format_days(days: i32) -> Option<[u8; 10]> {
    if !(FIRST_DAY..=LAST_DAY).contains(&i64::from(days)) {
        return None;
    }
    let (year, month, day) = civil_from_days(days);
    let digit = |value: u32, place: u32| b'0' + (value / place % 10) as u8;
    let y = year as u32;
    Some([
        digit(y, 1000),
        digit(y, 100),
        digit(y, 10),
        digit(y, 1),
        b'-',
        digit(month, 10),
        digit(month, 1),
        b'-',
        digit(day, 10),
        digit(day, 1),
    ])
}

/// The UTC date of an instant as `yyyy-MM-dd`; `None` outside the years 0001 to 9999.
pub fn format_date(millis: i64) -> Option<[u8; 10]> {
    format_days(i32::try_from(millis.div_euclid(DAY_MS)).ok()?)
}

/// The instant in any of the forms above.
pub fn parse_instant(text: &str) -> Option<i64> {
    if let Some(millis) = usual(text) {
        return Some(millis);
    }
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') {
        return from_epoch_text(text);
    }
    let (days, rest) = take_date(bytes)?;
    if rest.is_empty() {
        return if bytes.len() == 10 { Some(i64::from(days) * DAY_MS) } else { None };
    }
    let lenient = rest[0] == b' ';
    if !lenient && (bytes.len() - rest.len() != 10 || !matches!(rest[0], b'T' | b't')) {
        return None;
    }
    let time = take_time(&rest[1..], lenient)?;
    let offset = offset_minutes(time.rest)?;
    instant(days, &time, offset)
}

/// The UTC day of an instant that says it itself: `yyyy-MM-ddTHH:mm:ss[.S]Z`, as nearly all are written. None says nothing of
/// other texts, nor of this form where it takes a calendar: a month's last days, the years before 1000.
pub fn utc_day(text: &str) -> Option<&str> {
    let (_, tail) = usual_digits(text.as_bytes())?;
    let is_utc = match tail {
        [b'Z'] | [b'.', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'Z'] => true,
        [b'.', fraction @ .., b'Z'] => (1..10).contains(&fraction.len()) && fraction.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_utc.then(|| &text[..10])
}

/// The digits of `yyyy-MM-ddTHH:mm:ss` (zero for what stands between them), and what follows; none where it takes a calendar.
#[inline]
fn usual_digits(text: &[u8]) -> Option<([u8; 19], &[u8])> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    let mut digits = [0; 19];
    digits.iter_mut().zip(head.iter().zip(b"0000-00-00T00:00:00")).for_each(|(digit, (a, b))| *digit = a ^ b);
    let two = |at: usize| digits[at] * 10 + digits[at + 1];
    // What is no digit exceeds 9; what is between them must be nothing.
    let written = digits.iter().fold(true, |all, digit| all & (*digit < 10));
    let marks = digits[4] | digits[7] | digits[10] | digits[13] | digits[16] == 0;
    let usual = written && marks && digits[0] > 0 && (1..13).contains(&two(5)) && (1..29).contains(&two(8));
    (usual && two(11) < 24 && two(14) < 60 && two(17) < 60).then_some((digits, tail))
}

/// What [`utc_day`] says something of, to the second or the millisecond.
#[inline]
fn usual(text: &str) -> Option<i64> {
    let (digits, tail) = usual_digits(text.as_bytes())?;
    let two = |at: usize| i32::from(digits[at]) * 10 + i32::from(digits[at + 1]);
    let millis = match tail {
        [b'Z'] => 0,
        [b'.', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'Z'] => {
            [a, b, c].iter().fold(0, |sum, digit| sum * 10 + i64::from(**digit - b'0'))
        }
        _ => return None,
    };
    let days = days_from_civil(two(0) * 100 + two(2), two(5) as u32, two(8) as u32);
    let seconds = (two(11) * 60 + two(14)) * 60 + two(17);
    in_range(i64::from(days) * DAY_MS + i64::from(seconds) * 1000 + millis)
}

/// `yyyy-MM-dd`, and nothing else, as days since the epoch.
pub fn parse_date(text: &str) -> Option<i32> {
    match take_date(text.as_bytes())? {
        (days, []) if text.len() == 10 => Some(days),
        _ => None,
    }
}

/// The instant a number means: seconds below [`EPOCH_MILLIS_FROM`] (absolute), else milliseconds.
pub fn from_epoch_number(value: f64) -> Option<i64> {
    if !value.is_finite() || value.abs() >= 1e18 {
        return None;
    }
    // Through the shortest decimal text, so that 1700000000.123 is 123 ms however binary rounds it.
    from_epoch_text(&format!("{value}"))
}

/// The instant an integer means, by the same rule.
pub fn from_epoch_integer(value: i64) -> Option<i64> {
    let millis = if value.unsigned_abs() < EPOCH_MILLIS_FROM as u64 { value.checked_mul(1000)? } else { value };
    in_range(millis)
}

/// The instant that a number written as JSON means: `-?digits[.digits][e[+-]digits]`.
pub fn from_epoch_text(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse::<i64>() {
        return if text.starts_with('+') { None } else { from_epoch_integer(value) };
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if digits.bytes().any(|b| matches!(b, b'e' | b'E')) {
        let plain = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'e' | b'E' | b'.' | b'+' | b'-'));
        return if plain && digits.starts_with(|c: char| c.is_ascii_digit()) {
            from_epoch_number(text.parse().ok()?)
        } else {
            None
        };
    }
    let (whole, fraction) = digits.split_once('.')?;
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let (per_unit, keep) = if whole < EPOCH_MILLIS_FROM { (1000, 3) } else { (1, 0) };
    let kept = &fraction[..fraction.len().min(keep)];
    let cut_off = fraction[kept.len()..].bytes().any(|b| b != b'0');
    let part = fraction_of(kept.as_bytes(), keep);
    let magnitude = whole.checked_mul(per_unit)?.checked_add(part)?;
    in_range(if negative { -magnitude - i64::from(cut_off) } else { magnitude })
}

fn in_range(millis: i64) -> Option<i64> {
    (FIRST_DAY..=LAST_DAY).contains(&millis.div_euclid(DAY_MS)).then_some(millis)
}

/// Digits as a number, filled up to `places`.
fn fraction_of(digits: &[u8], places: usize) -> i64 {
    (0..places).fold(0, |sum, i| sum * 10 + digits.get(i).map_or(0, |b| i64::from(b - b'0')))
}

/// One or two digits; exactly two unless lenient.
fn take_field(bytes: &[u8], lenient: bool) -> Option<(u32, &[u8])> {
    match bytes {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] => Some((u32::from(a - b'0') * 10 + u32::from(b - b'0'), rest)),
        [a @ b'0'..=b'9', rest @ ..] if lenient => Some((u32::from(a - b'0'), rest)),
        _ => None,
    }
}

fn expect(bytes: &[u8], byte: u8) -> Option<&[u8]> {
    bytes.split_first().filter(|(first, _)| **first == byte).map(|(_, rest)| rest)
}

/// The date at the beginning, checked against the calendar, and what follows. Month and day may have one digit: the callers
/// look at the length where they may not.
fn take_date(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (century, rest) = take_field(bytes, false)?;
    let (year_of_century, rest) = take_field(rest, false)?;
    let (month, rest) = take_field(expect(rest, b'-')?, true)?;
    let (day, rest) = take_field(expect(rest, b'-')?, true)?;
    let year = (century * 100 + year_of_century) as i32;
    let valid = year >= 1 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    valid.then(|| (days_from_civil(year, month, day), rest))
}

fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

struct Time<'a> {
    hour: u32,
    minute: u32,
    second: u32,
    millis: i64,
    rest: &'a [u8],
}

fn take_time(bytes: &[u8], lenient: bool) -> Option<Time<'_>> {
    let (hour, rest) = take_field(bytes, lenient)?;
    let (minute, rest) = take_field(expect(rest, b':')?, lenient)?;
    let (second, rest) = take_field(expect(rest, b':')?, lenient)?;
    let (millis, rest) = match rest.split_first() {
        Some((b'.', digits)) => {
            let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
            if !(1..=9).contains(&length) {
                return None;
            }
            (fraction_of(&digits[..length], 3), &digits[length..])
        }
        _ => (0, rest),
    };
    (hour <= 23 && minute <= 59 && second <= 60).then_some(Time { hour, minute, second, millis, rest })
}

/// Minutes east of UTC; nothing means UTC.
fn offset_minutes(bytes: &[u8]) -> Option<i64> {
    let (sign, rest) = match bytes {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = take_field(rest, false)?;
    let (minutes, rest) = take_field(expect(rest, b':').unwrap_or(rest), false)?;
    (rest.is_empty() && hours <= 23 && minutes <= 59).then_some(sign * i64::from(hours * 60 + minutes))
}

fn instant(days: i32, time: &Time<'_>, offset: i64) -> Option<i64> {
    let minute = i64::from(days) * 1440 + i64::from(time.hour * 60 + time.minute) - offset;
    if time.second == 60 {
        return if minute.rem_euclid(1440) == 1439 { in_range(minute * 60_000 + 59_999) } else { None };
    }
    in_range(minute * 60_000 + i64::from(time.second) * 1000 + time.millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(millis: i64) -> String {
        String::from_utf8(format_date(millis).expect("in range").to_vec()).expect("digits")
    }

    #[test]
    fn every_form_of_one_instant_is_the_same_instant() {
        for text in [
            "2026-05-17T19:12:54.594Z",
            "2026-05-17t19:12:54.594z",
            "2026-05-17T21:12:54.594+02:00",
            "2026-05-17T21:12:54.594999999+0200",
            "2026-05-17 19:12:54.594",
            "2026-05-17T19:12:54.594",
            "2026-5-17 19:12:54.594",
            "2026-05-18T04:42:54.594+09:30",
            "1779045174.594",
            "1779045174594",
            "1.779045174594e12",
        ] {
            assert_eq!(parse_instant(text), Some(1_779_045_174_594), "{text}");
        }
        assert_eq!(parse_instant("2026-05-17"), Some(1_778_976_000_000));
        assert_eq!(parse_instant("2026-1-2 3:4:5"), parse_instant("2026-01-02T03:04:05Z"));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "-",
            "x",
            "2026",
            "2026-",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-04-31",
            "0000-01-01",
            "2026-05-17T24:00:00Z",
            "2026-05-17T23:60:00Z",
            "2026-05-17T23:59:61Z",
            "2026-05-17T12:59:60Z",
            "2026-05-17T1:02:03Z",
            "2026-5-17T01:02:03Z",
            "2026-5-17",
            "2026-05-17T01:02:03.Z",
            "2026-05-17T01:02:03.1234567890Z",
            "2026-05-17T01:02Z",
            "2026-05-17T01:02:03+24:00",
            "2026-05-17T01:02:03+2:00",
            "2026-05-17T01:02:03 Z",
            "2026-05-17T01:02:03Zx",
            "+1700000000",
            "1700000000.",
            ".5",
            "0x10",
            "NaN",
            "inf",
            "1e400",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "99999999999999999999",
            "１７",
            "2026-05-17T01:02:0é",
        ] {
            if text == "2026" {
                assert_eq!(parse_instant(text), Some(2_026_000), "a number is a number");
            } else {
                assert_eq!(parse_instant(text), None, "{text}");
            }
        }
    }

    #[test]
    fn numbers_below_1e12_are_seconds_and_from_there_on_milliseconds() {
        assert_eq!(from_epoch_integer(999_999_999_999), None, "seconds beyond the year 9999");
        assert_eq!(from_epoch_integer(1_000_000_000_000), Some(1_000_000_000_000));
        assert_eq!(from_epoch_integer(1_700_000_000), Some(1_700_000_000_000));
        assert_eq!(from_epoch_number(1_700_000_000.123), Some(1_700_000_000_123));
        assert_eq!(from_epoch_number(-0.0001), Some(-1), "towards the past");
        assert_eq!(from_epoch_number(f64::NAN), None);
        assert_eq!(from_epoch_integer(i64::MIN), None);
    }

    #[test]
    fn leap_second_stays_in_its_day() {
        assert_eq!(date(parse_instant("2016-12-31T23:59:60Z").expect("leap second")), "2016-12-31");
        assert_eq!(date(parse_instant("2017-01-01T00:59:60+01:00").expect("leap second")), "2016-12-31");
    }

    #[test]
    fn the_first_and_the_last_day_are_formatted_and_no_other() {
        assert_eq!(date(FIRST_DAY * DAY_MS), "0001-01-01");
        assert_eq!(date(LAST_DAY * DAY_MS + DAY_MS - 1), "9999-12-31");
        assert_eq!(format_date(FIRST_DAY * DAY_MS - 1), None);
        assert_eq!(format_date((LAST_DAY + 1) * DAY_MS), None);
        assert_eq!(format_date(i64::MIN), None);
    }

    #[test]
    fn a_day_that_is_written_is_taken_from_the_text() {
        for text in ["2026-05-17T19:12:54Z", "2026-05-17T19:12:54.594Z", "2026-05-17T00:00:00.123456789Z"] {
            assert_eq!(utc_day(text), Some("2026-05-17"), "{text}");
        }
        // Others have a day, or none: this does not say.
        for text in [
            "2026-05-17T19:12:54+02:00",
            "2026-05-17",
            "2026-05-31T19:12:54Z",
            "2026-05-17T19:12:54.Z",
            "2026-05-17T24:12:54Z",
        ] {
            assert_eq!(utc_day(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_usual_form_means_what_any_other_does(
            year in 990i32..3000, month in 0u32..14, day in 0u32..33, hour in 0u32..26, rest in 0u32..62, millis in 0u32..1000,
        ) {
            let whole = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{:02}:{rest:02}", 61 - rest);
            for text in [format!("{whole}.{millis:03}"), format!("{whole}.{}", millis % 100), whole] {
                prop_assert_eq!(parse_instant(&format!("{text}Z")), parse_instant(&format!("{text}+00:00")), "{}", text);
            }
        }

        #[test]
        fn dates_round_trip(days in FIRST_DAY as i32..=LAST_DAY as i32) {
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
            let text = String::from_utf8(format_days(days).expect("in range").to_vec()).expect("digits");
            prop_assert_eq!(parse_date(&text), Some(days));
        }

        #[test]
        fn an_offset_moves_the_text_and_not_the_instant(
            millis in (FIRST_DAY + 2) * DAY_MS..(LAST_DAY - 2) * DAY_MS, minutes in -1439i64..1440,
        ) {
            let local = millis + minutes * 60_000;
            let of_day = local.rem_euclid(DAY_MS);
            let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
            let sign = if minutes < 0 { '-' } else { '+' };
            let text = format!(
                "{}T{hour:02}:{minute:02}:{second:02}.{:03}{sign}{:02}:{:02}",
                date(local), of_day % 1000, minutes.abs() / 60, minutes.abs() % 60
            );
            prop_assert_eq!(parse_instant(&text), Some(millis));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let instant = parse_instant(&text);
            prop_assert!(instant.is_none_or(|millis| format_date(millis).is_some()));
        }

        /// What it says is what the instant says.
        #[test]
        fn a_written_day_is_the_day_of_the_instant(
            text in "[0-2][0-9]{3}[-5][0-3][0-9]-[0-4][0-9]T[0-3][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?[Z0]?",
        ) {
            if let Some(day) = utc_day(&text) {
                prop_assert_eq!(date(parse_instant(&text).expect("an instant")), day);
            }
        }
    }
}
