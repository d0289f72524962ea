//! Dates and instants of the event's values.

use schemas::instant::{DAY_MS, from_epoch_text, parse_date, parse_instant};

/// Milliseconds since the epoch of a timestamp written as a string: any form of [`schemas::instant`], numbers included.
pub(super) fn timestamp_text(text: &str) -> Option<i64> {
    parse_instant(text)
}

/// Milliseconds since the epoch of a JSON number: seconds or milliseconds by size.
pub(super) fn timestamp_number(text: &str) -> Option<i64> {
    from_epoch_text(text)
}

/// Days since the epoch: `yyyy-[M]M-[d]d`, or the UTC date of an instant. Numbers, also as text, are refused: whether they
/// mean days, seconds or `yyyyMMdd` is anyone's guess.
pub(super) fn date_text(text: &str) -> Option<i32> {
    if let Some(days) = parse_date(text) {
        return Some(days);
    }
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let millis = match text.len() {
        // One-digit month or day: the lenient form of an instant takes it when a time follows.
        ..10 => parse_instant(&format!("{text} 00:00:00"))?,
        _ => parse_instant(text)?,
    };
    i32::try_from(millis.div_euclid(DAY_MS)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_taken_in_hive_form_and_as_instants() {
        let day = parse_date("2026-05-07").expect("a date");
        for text in ["2026-05-07", "2026-5-7", "2026-05-7", "2026-05-07T23:59:59Z", "2026-05-08T00:30:00+02:00"] {
            assert_eq!(date_text(text), Some(day), "{text}");
        }
        assert_eq!(date_text("1969-12-31T23:59:59.999Z"), Some(-1));
        for text in ["20260507", "1778112000", "2026-13-01", "2026-02-30", "2026-5-7 x", "2026-", "", "2026-5-7T"] {
            assert_eq!(date_text(text), None, "{text}");
        }
    }
}
