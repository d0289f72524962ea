//! The proleptic Gregorian calendar in UTC, on milliseconds since the epoch. No leap seconds, as in java.time.

use super::Unit;

pub(super) const DAY: i64 = 86_400_000;

/// 0001-01-01T00:00:00Z and the last millisecond of 9999: what four digits of a year can say.
const FIRST: i64 = -62_135_596_800_000;
const LAST: i64 = 253_402_300_799_999;

/// An instant, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl Civil {
    pub(super) fn new(at: i64) -> Civil {
        let (days, millis) = (at.div_euclid(DAY), at.rem_euclid(DAY));
        let (year, month, day) = civil_from_days(days);
        Civil { year, month, day, hour: millis / 3_600_000, minute: millis / 60_000 % 60, second: millis / 1000 % 60 }
    }

    /// `None` if there is no such date or time of day.
    pub(super) fn instant(self) -> Option<i64> {
        let real = (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second);
        let seconds = (self.hour * 60 + self.minute) * 60 + self.second;
        real.then(|| days_from_civil(self.year, self.month, self.day) * DAY + seconds * 1000)
    }

    /// Months since year 0.
    pub(super) fn months(self) -> i64 {
        self.year * 12 + self.month - 1
    }
}

/// `count` units on; the end of a shorter month stands in for a day it does not have. Ends at the years 1 and 9999.
pub(super) fn plus(at: i64, count: i64, unit: Unit) -> i64 {
    let moved = match unit {
        Unit::Years => plus_months(at, count.saturating_mul(12)),
        Unit::Months => plus_months(at, count),
        _ => at.saturating_add(count.saturating_mul(millis(unit))),
    };
    moved.clamp(FIRST, LAST)
}

/// Beyond the years that four digits can say: the farthest instant that way. A month of its own would be one already passed.
fn plus_months(at: i64, count: i64) -> i64 {
    let civil = Civil::new(at);
    let months = civil.months().saturating_add(count);
    if !(12..12 * 10_000).contains(&months) {
        return if months < 12 { FIRST } else { LAST };
    }
    let (year, month) = (months / 12, months % 12 + 1);
    let day = civil.day.min(days_in_month(year, month));
    days_from_civil(year, month, day) * DAY + at.rem_euclid(DAY)
}

/// Length of a unit; of a month or year the shortest, which only estimates use.
pub(super) fn millis(unit: Unit) -> i64 {
    match unit {
        Unit::Years => 365 * DAY,
        Unit::Months => 28 * DAY,
        Unit::Weeks => 7 * DAY,
        Unit::Days => DAY,
        Unit::Hours => 3_600_000,
        Unit::Minutes => 60_000,
        Unit::Seconds => 1000,
        Unit::Milliseconds => 1,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(year: i64, month: i64, day: i64) -> i64 {
        Civil { year, month, day, hour: 0, minute: 0, second: 0 }.instant().expect("a date")
    }

    #[test]
    fn known_days() {
        assert_eq!(at(1970, 1, 1), 0);
        assert_eq!(at(2000, 3, 1), 11_017 * DAY);
        assert_eq!((at(1, 1, 1), at(9999, 12, 31) + DAY - 1), (FIRST, LAST));
        assert_eq!(Civil { year: 1900, month: 2, day: 29, hour: 0, minute: 0, second: 0 }.instant(), None);
    }

    #[test]
    fn a_month_on_from_the_31st_is_the_last_of_a_shorter_month() {
        assert_eq!(plus(at(2024, 1, 31), 1, Unit::Months), at(2024, 2, 29));
        assert_eq!(plus(at(2024, 2, 29), -1, Unit::Years), at(2023, 2, 28));
        assert_eq!(plus(at(2024, 1, 1), i64::MAX, Unit::Years), LAST);
        assert_eq!(plus(at(2024, 1, 1), i64::MIN, Unit::Months), FIRST);
    }

    proptest! {
        #[test]
        fn an_instant_comes_back(at in FIRST..=LAST) {
            prop_assert_eq!(Civil::new(at).instant(), Some(at.div_euclid(1000) * 1000));
        }
    }
}
