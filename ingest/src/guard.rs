//! Key values against the table's projection rules: what passes becomes a partition path, what no query would ever see a reject.
//!
//! A date rule depends on `now`, so who remembers a path ([`crate::paths`]) must ask again once in a while.

use std::collections::HashSet;

use schemas::column::DataType;
use schemas::hive;
use schemas::instant;
use schemas::projection::Rule;
use schemas::reject::{Reason, Reject, quote};
use schemas::table::{Folders, PartitionColumn, TableSpec};

/// The rules of a table's partition columns.
#[derive(Debug)]
pub struct Guard {
    columns: Vec<Column>,
    layout: Option<Folders>,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// `name=`, escaped.
    segment: String,
    data_type: DataType,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// Any value that the type can have.
    Typed,
    /// The values of an enum rule, and the rule for its words.
    OneOf(HashSet<String>, Rule),
    Rule(Rule),
}

impl Guard {
    pub fn new(spec: &TableSpec) -> Guard {
        Guard { columns: spec.partitions.iter().map(Column::new).collect(), layout: spec.layout.clone() }
    }

    /// Length of the blocks of time, counted from the epoch, within each of which [`Guard::path`] says the same of the same values.
    pub fn steady_millis(&self) -> i64 {
        let of = |column: &Column| match &column.check {
            Check::Rule(Rule::Date(rule)) => Some(rule.steady_millis()),
            _ => None,
        };
        self.columns.iter().filter_map(of).min().unwrap_or(i64::MAX)
    }

    /// When the period of a partition is over, by its first column of time; none if it has none.
    pub fn period_end(&self, path: &str) -> Option<i64> {
        path.split('/').zip(&self.columns).find_map(|(segment, column)| {
            let value = hive::unescape(segment.strip_prefix(&column.segment)?);
            match &column.check {
                Check::Rule(Rule::Date(rule)) => rule.end_of(&value),
                _ if column.data_type == DataType::Date => {
                    instant::parse_date(&value).map(|day| (i64::from(day) + 1) * instant::DAY_MS)
                }
                _ => None,
            }
        })
    }

    /// The partition path of these key values (one for each partition column, in order) at `now`, milliseconds since the epoch:
    /// hive-escaped (or as the table's layout has it), no slash at either end. `out` is cleared and filled; after a reject it holds nothing of use.
    pub fn path(&self, values: &[String], now: i64, out: &mut String) -> Result<(), Reject> {
        debug_assert_eq!(
            values.len(),
            self.columns.len(),
            "keys and partition columns are matched when the config is read"
        );
        out.clear();
        if let Some(layout) = &self.layout {
            return self.laid_out(layout, values, now, out);
        }
        for (column, value) in self.columns.iter().zip(values) {
            column.admit(value, now)?;
            if !out.is_empty() {
                out.push('/');
            }
            let begin = out.len();
            out.push_str(&column.segment);
            hive::escape(value, out);
            column.fits(&out[begin..], hive::SEGMENT_MAX, "path segment")?;
        }
        match self.columns.last() {
            Some(last) => last.fits(out, hive::PATH_MAX, "partition path"),
            None => Ok(()),
        }
    }

    fn laid_out(&self, layout: &Folders, values: &[String], now: i64, out: &mut String) -> Result<(), Reject> {
        for (column, value) in self.columns.iter().zip(values) {
            column.admit(value, now)?;
        }
        let Some(last) = self.columns.last() else { return Ok(()) };
        match layout.path(values, out) {
            Ok(()) => last.fits(out, hive::PATH_MAX, "partition path"),
            Err(misfit) => {
                let place = misfit.column.filter(|at| *at < self.columns.len());
                let (what, name, value) = match place {
                    Some(at) => ("value", &self.columns[at].name, values[at].as_str()),
                    None => ("path", &last.name, out.as_str()),
                };
                let message = format!("key `{name}`: {what} `{}` {}", quote(value), misfit.why);
                Err(Reject::key(Reason::OutsideLayout, name, message))
            }
        }
    }
}

impl Column {
    fn new(partition: &PartitionColumn) -> Column {
        let mut segment = String::new();
        hive::escape(&partition.name, &mut segment);
        segment.push('=');
        let check = match &partition.projection {
            None => Check::Typed,
            Some(rule @ Rule::Enum { values }) => Check::OneOf(values.iter().cloned().collect(), rule.clone()),
            Some(rule) => Check::Rule(rule.clone()),
        };
        Column { name: partition.name.clone(), segment, data_type: partition.data_type.clone(), check }
    }

    fn admit(&self, value: &str, now: i64) -> Result<(), Reject> {
        if value.is_empty() {
            return Err(Reject::key(Reason::KeyEmpty, &self.name, format!("key `{}` is empty", self.name)));
        }
        let outcome = match &self.check {
            Check::Typed => self.typed(value),
            Check::OneOf(values, _) if values.contains(value) => Ok(()),
            Check::OneOf(_, rule) => {
                rule.admits(value, now).and_then(|()| Err("is not one of the enum's values".into()))
            }
            Check::Rule(rule) => rule.admits(value, now),
        };
        outcome.map_err(|why| {
            let message = format!("key `{}`: value `{}` {why}", self.name, quote(value));
            Reject::key(Reason::OutsideProjection, &self.name, message)
        })
    }

    /// Without projection the value has to be one that the column's type reads back as itself: `07` and `7` would be two folders
    /// of one partition value.
    fn typed(&self, value: &str) -> Result<(), String> {
        let range = match self.data_type {
            _ if value == hive::HIVE_NULL => return Ok(()),
            DataType::Int => i64::from(i32::MIN)..=i64::from(i32::MAX),
            DataType::BigInt => i64::MIN..=i64::MAX,
            DataType::Date if instant::parse_date(value).is_none() => return Err("is no date yyyy-MM-dd".into()),
            _ => return Ok(()),
        };
        match value.parse::<i64>() {
            Ok(number) if !range.contains(&number) => Err(format!("does not fit the type {}", self.data_type)),
            Ok(number) if number.to_string() == value => Ok(()),
            Ok(number) => Err(format!("is not how an integer is written; want {number}")),
            Err(_) => Err(format!("is no {}", self.data_type)),
        }
    }

    fn fits(&self, text: &str, max: usize, what: &str) -> Result<(), Reject> {
        if text.len() <= max {
            return Ok(());
        }
        let message = format!("key `{}`: {what} has {} bytes, more than {max}", self.name, text.len());
        Err(Reject::key(Reason::KeyTooLong, &self.name, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guard of string partition columns, or of what the text says of each.
    fn guard(partitions: &[(&str, &str)]) -> Guard {
        let mut text = "version = 1\nname = \"t\"\ndatabase = \"d\"\nlocation = \"s3://b/t/\"\n".to_string();
        text += "[[column]]\nname = \"x\"\ntype = \"string\"\n";
        for (name, rest) in partitions {
            text += &format!("[[partition]]\nname = \"{name}\"\n{rest}\n");
        }
        Guard::new(&TableSpec::parse(&text, "t.toml").unwrap_or_else(|p| panic!("{p:?}")))
    }

    fn path(guard: &Guard, values: &[&str]) -> Result<String, Reject> {
        let values: Vec<String> = values.iter().map(|v| (*v).to_string()).collect();
        let mut out = "left over".to_string();
        guard.path(&values, 1_767_225_600_000, &mut out).map(|()| out)
    }

    fn reason(guard: &Guard, values: &[&str]) -> Reason {
        path(guard, values).expect_err("has to be rejected").reason
    }

    #[test]
    fn a_value_outside_an_enum_names_key_and_value() {
        let rule = "projection = { type = \"enum\", values = [\"name\", \"industry\"] }";
        let guard = guard(&[("attribute_name", &format!("type = \"string\"\n{rule}"))]);
        assert_eq!(path(&guard, &["industry"]).as_deref(), Ok("attribute_name=industry"));
        let reject = path(&guard, &["ceo"]).expect_err("not in the enum");
        assert_eq!((reject.reason, reject.key.as_deref()), (Reason::OutsideProjection, Some("attribute_name")));
        assert!(reject.message.contains("`ceo`"), "{}", reject.message);
    }

    #[test]
    fn integers_without_projection_are_canonical() {
        let guard = guard(&[("n", "type = \"int\"")]);
        assert_eq!(path(&guard, &["-7"]).as_deref(), Ok("n=-7"));
        for wrong in ["07", "+7", "7.0", "seven", "2147483648", " 7", "-0"] {
            assert_eq!(reason(&guard, &[wrong]), Reason::OutsideProjection, "{wrong}");
        }
        assert!(path(&guard, &[hive::HIVE_NULL]).is_ok());
    }

    #[test]
    fn dates_without_projection_are_days() {
        let guard = guard(&[("d", "type = \"date\"")]);
        assert_eq!(path(&guard, &["2026-02-28"]).as_deref(), Ok("d=2026-02-28"));
        for wrong in ["2026-2-28", "2026-13-01", "2026-02-28T00:00:00Z", "today"] {
            assert_eq!(reason(&guard, &[wrong]), Reason::OutsideProjection, "{wrong}");
        }
    }

    #[test]
    fn a_partition_of_time_is_over_when_its_period_is() {
        let date = |format: &str, unit: &str| {
            format!(
                "type = \"string\"\nprojection = {{ type = \"date\", format = \"{format}\", range = \"2020,NOW\", \
                 interval = 1, unit = \"{unit}\" }}"
            )
            .replace("2020,NOW", if unit == "HOURS" { "2020-01-01-00,NOW" } else { "2020-01,NOW" })
        };
        let day = 1_767_225_600_000;
        let typed = guard(&[("n", "type = \"int\""), ("d", "type = \"date\"")]);
        assert_eq!(typed.period_end("n=1/d=2025-12-31"), Some(day));
        let hours = guard(&[("h", &date("yyyy-MM-dd-HH", "HOURS"))]);
        assert_eq!(hours.period_end("h=2025-12-31-23"), Some(day));
        let months = guard(&[("m", &date("yyyy-MM", "MONTHS"))]);
        assert_eq!(months.period_end("m=2025-12"), Some(day));
        assert_eq!(guard(&[("s", "type = \"string\"")]).period_end("s=2025-12-31"), None);
        assert_eq!(months.period_end("m=__HIVE_DEFAULT_PARTITION__"), None);
    }

    #[test]
    fn a_layout_takes_values_as_they_are_and_refuses_those_that_would_leave_it() {
        let text = "version = 1\nname = \"t\"\ndatabase = \"d\"\nlocation = \"s3://b/t/\"\nlayout = \"TABLE_{a}/{*day}\"\n\
                    unknown_fields = \"rest\"\n[[partition]]\nname = \"a\"\ntype = \"string\"\n\
                    [[partition]]\nname = \"day\"\ntype = \"string\"\n";
        let guard = Guard::new(&TableSpec::parse(text, "t.toml").unwrap_or_else(|p| panic!("{p:?}")));
        assert_eq!(path(&guard, &["Orders", "2026/03/01"]).as_deref(), Ok("TABLE_Orders/2026/03/01"));
        assert_eq!(path(&guard, &["lesson:started", "x=1"]).as_deref(), Ok("TABLE_lesson:started/x=1"));
        for hostile in [["a/b", "x"], ["a", "../x"], ["a", "x//y"], ["a", "_x"], ["a\n", "x"]] {
            assert_eq!(reason(&guard, &hostile), Reason::OutsideLayout, "{hostile:?}");
        }
        let reject = path(&guard, &["a/b", "x"]).expect_err("a slash");
        assert_eq!(reject.message, "key `a`: value `a/b` has a slash, which the layout does not allow here");
    }

    #[test]
    fn hostile_values_stay_in_their_segment() {
        let guard = guard(&[("a", "type = \"string\""), ("b", "type = \"string\"")]);
        for hostile in
            ["/", "..", "../../x", "a/b", "%2F", "=", "\0", "\n", ".", "\u{1F600}", "a=b/c=d", "\\", "\u{7f}"]
        {
            let path = path(&guard, &[hostile, "end"]).expect("escaped, not refused");
            assert_eq!(path.matches('/').count(), 1, "{path}");
            assert!(path.starts_with("a=") && path.ends_with("/b=end"), "{path}");
            assert!(!path.chars().any(|c| c.is_ascii_control()), "{path}");
        }
        assert_eq!(reason(&guard, &["", "end"]), Reason::KeyEmpty);
        assert_eq!(reason(&guard, &[&"x".repeat(1024), "end"]), Reason::KeyTooLong);
    }
}
