//! Values as they stand in a statement of Athena. Whatever a question brings goes through here, typed; there is no other way for it
//! into a statement.
//!
//! Athena's `ExecutionParameters` are no such way: they are pieces of SQL that whoever calls has to quote.

use schemas::column::DataType;
use schemas::instant::DAY_MS;

use crate::error::ReaderError;
use crate::predicate::Scalar;
use crate::time::{day_text, instant_text};

/// Longest text that a statement may hold, in bytes: longer ones are no ids and no names.
pub const TEXT_BYTES_MAX: usize = 4096;

/// First and last day that SQL has a literal for: 0001-01-01 and 9999-12-31, in days since the epoch.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// A value of a known type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literal<'v> {
    Int(i64),
    /// Days since the epoch.
    Day(i32),
    /// Milliseconds since the epoch.
    Instant(i64),
    /// One of the values that the table's own rules list.
    Listed(&'v str),
    /// Anybody's text.
    Text(&'v str),
}

impl<'v> Literal<'v> {
    /// A value as one of a column's type; nothing where the column cannot have it.
    pub fn of(value: &'v Scalar, data_type: &DataType) -> Option<Literal<'v>> {
        match (value, data_type) {
            (Scalar::Text(text), DataType::String) => Some(Literal::Text(text)),
            (Scalar::Int(value), DataType::Int) => i32::try_from(*value).ok().map(|_| Literal::Int(*value)),
            (Scalar::Int(value), DataType::BigInt) => Some(Literal::Int(*value)),
            (Scalar::Day(day), DataType::Date) => Some(Literal::Day(*day)),
            (Scalar::Instant(at), DataType::Timestamp) => Some(Literal::Instant(*at)),
            _ => None,
        }
    }

    /// Its SQL. `column`: what it is compared with, for messages.
    pub fn sql(self, column: &str) -> Result<String, ReaderError> {
        match self {
            Literal::Int(value) => Ok(value.to_string()),
            Literal::Day(day) if DAYS.contains(&day) => Ok(format!("DATE '{}'", day_text(day))),
            Literal::Instant(at) if DAYS.contains(&crate::time::day_of(at)) => Ok(timestamp(at)),
            Literal::Day(_) | Literal::Instant(_) => Err(ReaderError::question(
                column,
                "lies outside the years 0001 to 9999, which is all that Athena knows",
            )),
            Literal::Listed(text) | Literal::Text(text) => quoted(text, column),
        }
    }
}

/// Athena's timestamps have no zone: ours are UTC.
fn timestamp(at: i64) -> String {
    let whole = instant_text(at - at.rem_euclid(1000));
    let whole = whole.trim_end_matches('Z').replace('T', " ");
    format!("TIMESTAMP '{whole}.{:03}'", at.rem_euclid(DAY_MS) % 1000)
}

/// Between quotes, those in it doubled: a backslash means nothing in Athena's SQL. Control characters are refused, since not all that
/// stands between here and the engine leaves them as they are.
fn quoted(text: &str, column: &str) -> Result<String, ReaderError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ReaderError::question(column, format!("has more than {TEXT_BYTES_MAX} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(ReaderError::question(column, "holds a control character, which no question to Athena may"));
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

/// A name out of the table's definition, between quotes.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_type_has_its_literal() {
        let sql = |literal: Literal<'_>| literal.sql("c").expect("a literal");
        assert_eq!(sql(Literal::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(sql(Literal::Day(0)), "DATE '1970-01-01'");
        assert_eq!(sql(Literal::Instant(-1)), "TIMESTAMP '1969-12-31 23:59:59.999'");
        assert_eq!(sql(Literal::Instant(1_000)), "TIMESTAMP '1970-01-01 00:00:01.000'");
        assert_eq!(sql(Literal::Text("o'clock \\' -- ;")), "'o''clock \\'' -- ;'");
        assert_eq!((sql(Literal::Listed("")), identifier("a\"b")), ("''".into(), "\"a\"\"b\"".into()));
    }

    #[test]
    fn what_has_no_literal_is_refused_by_its_column() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let wrong = [
            Literal::Text("a\0b"),
            Literal::Text("a\nb"),
            Literal::Text("\u{85}"),
            Literal::Text(&long),
            Literal::Instant(i64::MAX),
            Literal::Day(i32::MIN),
        ];
        for literal in wrong {
            let refused = literal.sql("entity_id");
            assert!(
                matches!(&refused, Err(ReaderError::Question { parameter, .. }) if parameter == "entity_id"),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_value_of_another_type_is_none_of_the_column() {
        assert_eq!(Literal::of(&Scalar::Int(1 << 40), &DataType::Int), None);
        assert_eq!(Literal::of(&Scalar::Text("1".into()), &DataType::Int), None);
        assert_eq!(Literal::of(&Scalar::Int(1 << 40), &DataType::BigInt), Some(Literal::Int(1 << 40)));
    }

    proptest! {
        /// A reader of SQL that knows of nothing but doubled quotes finds the text, whole, and the literal ends where it ends.
        #[test]
        fn any_text_comes_back_or_is_refused(text in ".*") {
            match Literal::Text(&text).sql("c") {
                Ok(sql) => {
                    let inner = sql.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).expect("quotes");
                    prop_assert!(!inner.replace("''", "").contains('\''));
                    prop_assert_eq!(inner.replace("''", "'"), text);
                }
                Err(_) => prop_assert!(text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control)),
            }
        }
    }
}
