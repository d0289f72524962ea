//! Functions of one value that key programs may call, for both ways of running: the three of this service, and those of jq that
//! are worth running without jaq or that jaq does differently from jq 1.6.
//!
//! | function | gives | SQL twin |
//! | --- | --- | --- |
//! | `utc_date` | the UTC day `yyyy-MM-dd` of RFC 3339 text with any offset, the other forms of [`schemas::instant`], or epoch seconds or millis | Athena: `date_format(from_iso8601_timestamp(ts) AT TIME ZONE 'UTC', '%Y-%m-%d')` |
//! | `bucket(n)` | the bucket of an integer or a string, see [`schemas::bucket`] | there |
//! | `hive_null` | `__HIVE_DEFAULT_PARTITION__` for null and the empty string, else the value | `coalesce(nullif(x, ''), '__HIVE_DEFAULT_PARTITION__')` |

use schemas::hive::HIVE_NULL;
use schemas::instant;

use super::budget::charge_bytes;
use super::number::Num;
use super::scan;
use super::value::{Outcome, Value, split};

/// A function of its input alone.
pub(crate) type Function = fn(Value) -> Outcome;
/// A function of its input and one argument.
pub(crate) type Function1 = fn(Value, &Value) -> Outcome;

/// By name. What stands here takes the place of jaq's function of that name.
pub(crate) const FUNCTIONS: &[(&str, Function)] = &[
    ("utc_date", utc_date),
    ("hive_null", |v| Ok(hive_null(v))),
    ("ascii_downcase", |v| map_str("ascii_downcase", v, |s| s.to_ascii_lowercase())),
    ("ascii_upcase", |v| map_str("ascii_upcase", v, |s| s.to_ascii_uppercase())),
    ("tostring", |v| Ok(v.into_text())),
    ("tojson", |v| Ok(Value::str(&v.to_json()))),
    ("tonumber", to_number),
    ("length", length),
    ("not", |v| Ok(Value::Bool(!v.is_true()))),
    ("type", |v| Ok(Value::str(v.kind()))),
    ("floor", |v| round(v, f64::floor)),
    ("ceil", |v| round(v, f64::ceil)),
    ("round", |v| round(v, f64::round)),
];

/// By name, with one argument.
pub(crate) const FUNCTIONS1: &[(&str, Function1)] = &[
    ("bucket", bucket),
    ("ltrimstr", |v, fix| Ok(strip(v, fix, |s, fix| s.strip_prefix(fix)))),
    ("rtrimstr", |v, fix| Ok(strip(v, fix, |s, fix| s.strip_suffix(fix)))),
    ("startswith", |v, fix| test_str("startswith", &v, fix, |s, fix| s.starts_with(fix))),
    ("endswith", |v, fix| test_str("endswith", &v, fix, |s, fix| s.ends_with(fix))),
    ("split", split_by),
    ("has", has),
];

pub(crate) fn function(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

pub(crate) fn function1(name: &str) -> Option<Function1> {
    FUNCTIONS1.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

fn map_str(name: &str, value: Value, f: fn(&str) -> String) -> Outcome {
    match value {
        Value::Str(text) => Ok(Value::str(&f(&text))),
        other => Err(format!("{name} takes a string, not {}", other.kind())),
    }
}

/// The UTC day of text.
pub(crate) fn date_of_str(text: &str) -> Result<[u8; 10], String> {
    instant::parse_instant(text).and_then(instant::format_date).ok_or_else(|| {
        format!(
            "`{}` is no instant: want RFC 3339, yyyy-MM-dd[ HH:mm:ss[.S]], or epoch seconds or millis",
            schemas::reject::quote(text)
        )
    })
}

/// The UTC day of a number.
pub(crate) fn date_of_number(number: &Num) -> Result<[u8; 10], String> {
    let millis = match number {
        Num::Int(value) => i64::try_from(*value).ok().and_then(instant::from_epoch_integer),
        other => instant::from_epoch_number(other.as_f64()),
    };
    millis
        .and_then(instant::format_date)
        .ok_or_else(|| format!("{} is no epoch seconds or millis of the years 0001 to 9999", number.text()))
}

pub(crate) fn date_value(date: [u8; 10]) -> Value {
    Value::str(std::str::from_utf8(&date).expect("digits and dashes"))
}

fn utc_date(value: Value) -> Outcome {
    match &value {
        Value::Str(text) => date_of_str(text).map(date_value),
        Value::Num(number) => date_of_number(number).map(date_value),
        other => Err(format!("utc_date takes a string or a number, not {}", other.kind())),
    }
}

/// The bucket count a program gives.
pub(crate) fn bucket_count(count: &Value) -> Result<u32, String> {
    match count {
        Value::Num(Num::Int(n)) if (1..=i128::from(i32::MAX)).contains(n) => Ok(*n as u32),
        other => Err(format!("bucket({}): the count is an integer from 1 to {}", other.to_json(), i32::MAX)),
    }
}

/// The bucket of a number.
pub(crate) fn bucket_of_number(number: &Num, n: u32) -> Result<u32, String> {
    let bucket = match number {
        Num::Int(value) => Some(schemas::bucket::bucket_i128(*value, n)),
        Num::Big(digits) => schemas::bucket::bucket_number(digits, n),
        Num::Float(value) if value.fract() == 0.0 && value.abs() < 1e38 => {
            Some(schemas::bucket::bucket_i128(*value as i128, n))
        }
        Num::Float(_) => None,
    };
    bucket.ok_or_else(|| format!("{} has no bucket: want an integer or a string", number.text()))
}

fn bucket(value: Value, count: &Value) -> Outcome {
    let n = bucket_count(count)?;
    let bucket = match &value {
        Value::Num(number) => bucket_of_number(number, n)?,
        Value::Str(text) => {
            charge_bytes(text.len());
            schemas::bucket::bucket_str(text, n)
        }
        other => return Err(format!("{} has no bucket: want an integer or a string", other.kind())),
    };
    Ok(Value::int(bucket as usize))
}

fn hive_null(value: Value) -> Value {
    match &value {
        Value::Null => Value::str(HIVE_NULL),
        Value::Str(text) if text.is_empty() => Value::str(HIVE_NULL),
        _ => value,
    }
}

fn to_number(value: Value) -> Outcome {
    match &value {
        Value::Num(_) => Ok(value),
        Value::Str(text) => {
            charge_bytes(text.len());
            let trimmed = text.trim_matches([' ', '\t', '\n', '\r']);
            let number: Result<serde_json::Number, _> = serde_json::from_str(trimmed);
            // serde_json refuses what does not fit a double; that is a number here.
            match number {
                Ok(_) => Ok(Value::Num(Num::parse(trimmed))),
                Err(e) if e.to_string().starts_with("number out of range") => Ok(Value::Num(Num::parse(trimmed))),
                Err(_) => Err(format!("`{}` is no number", schemas::reject::quote(text))),
            }
        }
        other => Err(format!("tonumber takes a string or a number, not {}", other.kind())),
    }
}

fn length(value: Value) -> Outcome {
    match &value {
        Value::Null => Ok(Value::int(0)),
        Value::Bool(_) => Err("a boolean has no length".to_string()),
        Value::Num(n) => Ok(Value::Num(if n.as_f64() < 0.0 { n.neg() } else { n.clone() })),
        Value::Str(text) => {
            charge_bytes(text.len());
            Ok(Value::int(text.chars().count()))
        }
        Value::Arr(array) => Ok(Value::int(array.items.len())),
        Value::Obj(object) => Ok(Value::int(object.members.len())),
    }
}

fn round(value: Value, f: fn(f64) -> f64) -> Outcome {
    match value {
        Value::Num(Num::Float(x)) => Ok(Value::Num(Num::from_f64(f(x)))),
        Value::Num(integer) => Ok(Value::Num(integer)),
        other => Err(format!("{} is no number", other.kind())),
    }
}

/// As jq: what is no string stays as it is.
fn strip(value: Value, fix: &Value, f: for<'a> fn(&'a str, &str) -> Option<&'a str>) -> Value {
    match (&value, fix) {
        (Value::Str(text), Value::Str(fix)) => f(text, fix).map(Value::str).unwrap_or(value),
        _ => value,
    }
}

fn test_str(name: &str, value: &Value, fix: &Value, f: fn(&str, &str) -> bool) -> Outcome {
    match (value, fix) {
        (Value::Str(text), Value::Str(fix)) => Ok(Value::Bool(f(text, fix))),
        _ => Err(format!("{name} takes strings")),
    }
}

fn split_by(value: Value, separator: &Value) -> Outcome {
    match (&value, separator) {
        (Value::Str(text), Value::Str(separator)) => Ok(split(text, separator)),
        _ => Err("split takes strings".to_string()),
    }
}

fn has(value: Value, key: &Value) -> Outcome {
    match (&value, key) {
        (Value::Obj(object), Value::Str(name)) => Ok(Value::Bool(object.members.contains_key(name))),
        (Value::Arr(array), Value::Num(at)) => Ok(Value::Bool(at.as_f64() >= 0.0 && array.at(at).is_some())),
        _ => Err(format!("cannot look for {} in {}", key.kind(), value.kind())),
    }
}

/// The value of JSON in a string (`fromjson`): one strict text.
pub(crate) fn from_json(value: &Value) -> Outcome {
    let Value::Str(text) = value else {
        return Err(format!("fromjson takes a string, not {}", value.kind()));
    };
    charge_bytes(text.len());
    crate::decode::check(text.as_bytes()).map_err(|reject| format!("fromjson: {}", reject.message))?;
    Ok(scan::parse(text))
}

/// `join`: null is the empty string, numbers and booleans their text, as in jq 1.6.
pub(crate) fn join(value: &Value, separator: &Value) -> Outcome {
    let (Value::Arr(array), Value::Str(separator)) = (value, separator) else {
        return Err("join takes an array and a string".to_string());
    };
    let mut out = String::new();
    for (i, item) in array.items.iter().enumerate() {
        charge_bytes(separator.len());
        out.push_str(if i == 0 { "" } else { separator });
        match item {
            Value::Null => {}
            Value::Arr(_) | Value::Obj(_) => return Err(format!("join takes scalars, not {}", item.kind())),
            scalar => out.push_str(&text_of(scalar)),
        }
    }
    Ok(Value::str(&out))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Str(text) => {
            charge_bytes(text.len());
            text.to_string()
        }
        other => other.to_json(),
    }
}
