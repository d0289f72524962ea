//! Instants and days as the API writes them. Reading them is `schemas::instant`'s.

use schemas::instant::{DAY_MS, format_date, format_days};

/// `2026-05-17T19:12:54.594Z`; milliseconds only where there are any. Outside the years 0001 to 9999 the number itself.
pub fn instant_text(millis: i64) -> String {
    let Some(date) = format_date(millis) else { return millis.to_string() };
    let of_day = millis.rem_euclid(DAY_MS);
    let (second, fraction) = (of_day / 1000, of_day % 1000);
    let date = String::from_utf8_lossy(&date);
    let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    if fraction == 0 { format!("{date}T{time}Z") } else { format!("{date}T{time}.{fraction:03}Z") }
}

/// `2026-05-17`; outside the years 0001 to 9999 the number itself.
pub fn day_text(day: i32) -> String {
    format_days(day).map_or_else(|| day.to_string(), |text| String::from_utf8_lossy(&text).into_owned())
}

/// The day an instant lies in, as far as days are counted.
pub fn day_of(millis: i64) -> i32 {
    let day = millis.div_euclid(DAY_MS);
    i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_come_back_as_they_were_read() {
        for text in ["2026-05-17T19:12:54.594Z", "1969-12-31T23:59:59.001Z", "2000-01-01T00:00:00Z"] {
            let at = schemas::instant::parse_instant(text).expect("an instant");
            assert_eq!(instant_text(at), text);
        }
        assert_eq!((instant_text(i64::MAX), day_of(-1)), (i64::MAX.to_string(), -1));
    }
}
