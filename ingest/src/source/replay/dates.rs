//! `--from` and `--to`: which objects are of which days.

use schemas::instant::{format_days, parse_date};
use writer::objects::Listed;

/// Days in UTC, both ends included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Days {
    pub from: Option<Day>,
    pub to: Option<Day>,
}

/// Days since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i32);

impl std::str::FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = (text.len() == 10).then(|| parse_date(text)).flatten();
        day.map(Day).ok_or_else(|| "write a date as yyyy-mm-dd".into())
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format_days(self.0).unwrap_or(*b"----------");
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl Days {
    pub fn has(&self, object: &Listed) -> bool {
        let day = day_of(object);
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// The first date in the object's name, `yyyy-mm-dd` or `yyyy/mm/dd` (`date=2024-01-31/...`, Firehose's `2024/01/31/23/...`,
/// `name-1-2024-01-31-23-59-59-...`); without one, the day on which it was last modified.
pub fn day_of(object: &Listed) -> Day {
    let modified = i32::try_from(object.modified.div_euclid(86_400_000)).unwrap_or(i32::MAX);
    in_name(&object.path).unwrap_or(Day(modified))
}

fn in_name(path: &str) -> Option<Day> {
    path.as_bytes().windows(10).enumerate().find_map(|(at, window)| {
        let before = at.checked_sub(1).and_then(|at| path.as_bytes().get(at));
        let after = path.as_bytes().get(at + 10);
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let separated = window[4] == window[7] && matches!(window[4], b'-' | b'/');
        let digits = (0..10).filter(|i| ![4, 7].contains(i)).all(|i| window[i].is_ascii_digit());
        if !separated || !digits || is_digit(before) || is_digit(after) {
            return None;
        }
        parse_date(&String::from_utf8_lossy(window).replace('/', "-")).map(Day)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> String {
        let object = Listed { path: path.into(), size: 0, etag: String::new(), modified: 1_700_000_000_000 };
        day_of(&object).to_string()
    }

    #[test]
    fn the_first_date_of_a_name_counts_and_else_the_last_change() {
        assert_eq!(of("raw/date=2024-01-31/w-1.ndjson.zst"), "2024-01-31");
        assert_eq!(of("backup/2024/02/29/23/s-1-2024-03-01-00-00-01-uuid.gz"), "2024-02-29");
        assert_eq!(of("AWSLogs/1234/CloudTrail/eu/2023/12/01/x_20231201T0005Z.json.gz"), "2023-12-01");
        for path in ["raw/x.json", "raw/12024-01-31", "raw/2024-13-01", "raw/2024-01/31", "raw/2024-01-311"] {
            assert_eq!(of(path), "2023-11-14", "{path}");
        }
    }

    #[test]
    fn both_ends_are_included() {
        let day = |text: &str| text.parse::<Day>().expect(text);
        let days = Days { from: Some(day("2024-01-30")), to: Some(day("2024-01-31")) };
        let has = |name: &str| days.has(&Listed { path: name.into(), size: 0, etag: String::new(), modified: 0 });
        assert!(has("2024-01-30") && has("2024-01-31") && !has("2024-01-29") && !has("2024-02-01") && !has("x"));
        assert!("2024-1-30".parse::<Day>().is_err() && "yesterday".parse::<Day>().is_err());
    }
}
