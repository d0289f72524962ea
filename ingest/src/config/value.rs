//! Text to a value of a field's kind: sizes, durations, addresses, places, instants. Pure.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use schemas::instant;
use schemas::place::place;
pub use schemas::quantity::{duration, size};
use schemas::table::Compression;
use url::Url;

use super::fields::Kind;
use crate::source::intake::access::{SECRET_BYTES_MIN, Secret};
use crate::source::kinesis::StartSetting;

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, choice, path, URL: as typed, environment expanded.
    Text(String),
    Secret(Secret),
    /// A place as a URL that ends in `/`.
    Place(String),
    Flag(bool),
    Count(u64),
    /// Bytes.
    Size(u64),
    Time(Duration),
    Names(Vec<String>),
    /// `None`: off.
    Address(Option<SocketAddr>),
    Start(StartSetting),
    Compression(Compression),
}

/// Reads `text` as a value of `kind`. Errors are ends of sentences that say what to write instead; they do not quote the text,
/// which may hold a secret. `folder` is what relative places are resolved against; absolute.
pub fn parse(kind: Kind, text: &str, folder: &Path) -> Result<Value, String> {
    match kind {
        Kind::Text | Kind::Path if text.is_empty() => Err("is empty".into()),
        Kind::Text | Kind::Path => Ok(Value::Text(text.to_string())),
        Kind::Secret if text.len() < SECRET_BYTES_MIN => {
            Err(format!("is shorter than {SECRET_BYTES_MIN} characters; write one that cannot be guessed"))
        }
        Kind::Secret => Ok(Value::Secret(Secret::new(text))),
        Kind::HttpUrl => http_url(text).map(Value::Text),
        Kind::Place => place(text, folder).map(Value::Place),
        Kind::Address { off: true } if text == "off" => Ok(Value::Address(None)),
        Kind::Address { off } => address(text, off).map(|a| Value::Address(Some(a))),
        Kind::Flag => text.parse().map(Value::Flag).map_err(|_| "is neither true nor false".into()),
        Kind::Count { min, max } => count(text, min, max).map(Value::Count),
        Kind::Size { min, max } => limited(size(text)?, size(min)?, size(max)?, (min, max)).map(Value::Size),
        Kind::Time { min, max } => {
            limited(duration(text)?, duration(min)?, duration(max)?, (min, max)).map(Value::Time)
        }
        Kind::Choice(choices) => choice(text, choices).map(Value::Text),
        Kind::Start => start(text).map(Value::Start),
        Kind::Names => names(text.split(',').map(|n| n.trim().to_string()).collect()),
        Kind::Compression => Compression::try_from(text.to_string()).map(Value::Compression).map_err(|_| {
            "is no codec; write zstd, zstd(1) to zstd(22), snappy, gzip, gzip(1) to gzip(9), lz4 or none".into()
        }),
    }
}

/// A list of delivery stream names. Firehose: 1 to 64 letters, digits, `_`, `.` and `-`.
pub fn names(names: Vec<String>) -> Result<Value, String> {
    let good = |n: &String| {
        (1..=64).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    };
    match names.iter().find(|n| !good(n)) {
        _ if names.is_empty() => Err("is empty; name at least one".into()),
        Some(_) => Err("holds a name that is not 1 to 64 letters, digits, `_`, `.` and `-`".into()),
        None => Ok(Value::Names(names)),
    }
}

fn choice(text: &str, choices: &[&str]) -> Result<String, String> {
    if choices.contains(&text) {
        return Ok(text.to_string());
    }
    Err(format!("is not one of {}{}", quoted(choices), hint(text, choices)))
}

/// `"a", "b"`, for messages.
pub fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")
}

fn hint(text: &str, choices: &[&str]) -> String {
    match schemas::problem::nearest(text, choices.iter().copied()) {
        Some(near) => format!("; did you mean \"{near}\"?"),
        None => String::new(),
    }
}

fn count(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let number: u64 = digits.parse().map_err(|_| format!("is no whole number; write one from {min} to {max}"))?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(format!("is out of range; write {min} to {max}")) }
}

fn limited<T: PartialOrd>(value: T, min: T, max: T, text: (&str, &str)) -> Result<T, String> {
    if value < min {
        return Err(format!("is too small; write \"{}\" or more", text.0));
    }
    if value > max {
        return Err(format!("is too large; write \"{}\" or less", text.1));
    }
    Ok(value)
}

fn address(text: &str, off: bool) -> Result<SocketAddr, String> {
    let or_off = if off { ", or \"off\"" } else { "" };
    text.parse().map_err(|_| format!("is no address; write ip:port such as \"127.0.0.1:4573\"{or_off}"))
}

fn http_url(text: &str) -> Result<String, String> {
    let want = "is no URL; write http://host:port or https://host:port";
    let url = Url::parse(text).map_err(|_| want.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(want.into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or fragment; write scheme, host, port and path only".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or password in it; credentials come from the environment or a role".into());
    }
    Ok(text.to_string())
}

fn start(text: &str) -> Result<StartSetting, String> {
    match text {
        "latest" => Ok(StartSetting::Latest),
        "trim-horizon" => Ok(StartSetting::TrimHorizon),
        text => rfc3339(text).map(StartSetting::At).ok_or_else(|| {
            let near = hint(text, &["latest", "trim-horizon"]);
            format!(
                "is no start; write \"latest\", \"trim-horizon\" or an instant such as \"2026-01-31T00:00:00Z\"{near}"
            )
        }),
    }
}

/// With an offset: without one it would not be an instant.
fn rfc3339(text: &str) -> Option<i64> {
    let time = text.split_once(['T', 't', ' '])?.1;
    let offset = time.ends_with(['Z', 'z']) || time.contains(['+', '-']);
    if offset { instant::parse_instant(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!(size("128 MiB"), Ok(128 << 20));
        assert_eq!(size("64KB"), Ok(64_000));
        assert_eq!(duration("5 min"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "128", "MiB", "1.5 GiB", "-1 MiB", "128 mib", "99999999999999 TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(duration("5 m").is_err());
    }

    #[test]
    fn start_takes_instants_with_any_offset() {
        assert_eq!(start("1970-01-01T00:00:01.5Z"), Ok(StartSetting::At(1_500)));
        assert_eq!(start("2026-03-01T01:00:00+02:00"), Ok(StartSetting::At(1_772_319_600_000)));
        assert!(start("2026-03-01").is_err());
        assert!(start("2026-03-01T01:00:00").is_err(), "no offset: no instant");
    }

    #[test]
    fn two_spellings_of_a_place_are_one() {
        let folder = Path::new("/etc/alluvium");
        for text in ["../lake", "/etc/lake/", "file:///etc/x/../lake"] {
            assert_eq!(place(text, folder).as_deref(), Ok("file:///etc/lake/"), "{text}");
        }
        assert_eq!(place("s3://b/p", folder).as_deref(), Ok("s3://b/p/"));
        assert!(place(&format!("s3://b/{}", "p".repeat(schemas::place::S3_PREFIX_MAX)), folder).is_ok());
        assert!(place(&format!("s3://b/{}", "p".repeat(schemas::place::S3_PREFIX_MAX + 1)), folder).is_err());
        for wrong in ["s3://", "s3://b//p", "s3://b/../p", "gs://b/p", "file://lake", "s3://b/p?x"] {
            assert!(place(wrong, folder).is_err(), "{wrong}");
        }
    }
}
