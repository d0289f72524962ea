//! A value that does not fit its column: where it stands, what it is, what the column wants instead.

use schemas::column::DataType;
use schemas::reject::{Reason, Reject, quote};

use super::cursor::{Broken, Kind, Value, readable};

/// Why a row cannot be stored.
#[derive(Debug)]
pub(super) enum Fault {
    /// The event is not the JSON it should be.
    Broken,
    /// Boxed: the way without faults carries a pointer, not five words.
    Misfit(Box<Misfit>),
}

/// A value and the column it does not fit.
#[derive(Debug)]
pub(super) struct Misfit {
    /// Built from the inside out while the fault travels up: `[].score`, then `source[].score`.
    place: String,
    column_type: String,
    value: String,
    wanted: String,
}

impl From<Broken> for Fault {
    fn from(_: Broken) -> Fault {
        Fault::Broken
    }
}

impl Fault {
    pub(super) fn misfit(data_type: &DataType, value: Value<'_>) -> Fault {
        Fault::Misfit(Box::new(Misfit {
            place: String::new(),
            column_type: data_type.to_string(),
            value: shown(value),
            wanted: wanted(data_type, value),
        }))
    }

    /// The same fault seen from one level further out; `step` is `.name`, `[]`, `{}` or `{key}`.
    pub(super) fn inside(mut self, step: &str) -> Fault {
        if let Fault::Misfit(misfit) = &mut self {
            misfit.place.insert_str(0, step);
        }
        self
    }

    pub(super) fn inside_member(self, name: &str) -> Fault {
        self.inside(name).inside(".")
    }

    /// What stands in the errors output.
    pub(super) fn reject(self, column: &str) -> Reject {
        match self.inside(column) {
            Fault::Broken => Reject::new(Reason::NotJson, "the event is not one strict JSON object in UTF-8"),
            Fault::Misfit(m) => {
                let message =
                    format!("column {} ({}) cannot hold {}; want {}", m.place, m.column_type, m.value, m.wanted);
                Reject::column(m.place, message)
            }
        }
    }
}

/// A string as what it means, anything else as received; shortened.
fn shown(value: Value<'_>) -> String {
    match value.kind {
        Kind::String | Kind::EscapedString => format!("\"{}\"", quote(&readable(value))),
        _ => quote(value.text()),
    }
}

/// What the column takes.
fn wanted(data_type: &DataType, value: Value<'_>) -> String {
    let integer = |min: i64, max: i64| format!("a whole number from {min} to {max}");
    match data_type {
        DataType::Boolean => "true or false".into(),
        DataType::TinyInt => integer(i8::MIN.into(), i8::MAX.into()),
        DataType::SmallInt => integer(i16::MIN.into(), i16::MAX.into()),
        DataType::Int => integer(i32::MIN.into(), i32::MAX.into()),
        DataType::BigInt => integer(i64::MIN, i64::MAX),
        DataType::Float | DataType::Double => "a finite number".into(),
        DataType::Decimal { precision, scale } => format!(
            "a number with at most {} digits before the point and {scale} after it",
            precision.saturating_sub(*scale)
        ),
        DataType::String if value.kind == Kind::EscapedString => {
            "text that UTF-8 can hold (half of a surrogate pair stands alone)".into()
        }
        DataType::String => "a string".into(),
        DataType::Binary => "a string of base64 with padding".into(),
        DataType::Date => "yyyy-MM-dd or an RFC 3339 instant, as a string".into(),
        DataType::Timestamp => {
            "RFC 3339, yyyy-MM-dd HH:mm:ss, or epoch seconds or milliseconds, in the years 1 to 9999".into()
        }
        DataType::Array(_) => "an array".into(),
        DataType::Map(_, _) | DataType::Struct(_) => "an object".into(),
    }
}
