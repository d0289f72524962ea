//! The section `[reader]`: where it listens, who may ask, how much one question may take, and which columns tell a history.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use schemas::problem::nearest;
use schemas::quantity::{duration, size};
use schemas::table::TableSpec;

use super::columns::{self, Columns};
use super::text::Text;

/// Every field of `[reader]`. `alluvium check` documents and checks them too; a test compares the two.
pub const FIELDS: [&str; 24] = [
    "listen",
    "token",
    "trusted_header",
    "folders",
    "bytes",
    "rows",
    "span_days",
    "at_once",
    "timeout",
    "entity",
    "attribute",
    "at",
    "value",
    "operation",
    "event",
    "rule",
    "evidence",
    "engine",
    "athena_workgroup",
    "athena_database",
    "athena_catalog",
    "athena_output",
    "athena_reuse",
    "athena_endpoint_url",
];

/// Fewest characters of a token.
pub(super) const TOKEN_CHARS_MIN: usize = 16;

/// Where it listens unless told otherwise.
pub const LISTEN: &str = "127.0.0.1:9470";

/// What `[reader]` comes to.
#[derive(Debug, Clone)]
pub struct ReaderSettings {
    pub listen: SocketAddr,
    pub access: Access,
    pub limits: Limits,
    pub columns: Columns,
}

/// Who may ask.
#[derive(Clone)]
pub enum Access {
    /// Whoever reaches the socket, which is on loopback.
    Open,
    /// `Authorization: Bearer <token>`.
    Token(String),
    /// A proxy in front that has checked who it is says so in this header, and nobody else reaches the socket.
    TrustedHeader(String),
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Access::Open => f.write_str("Open"),
            Access::Token(_) => f.write_str("Token(..)"),
            Access::TrustedHeader(name) => write!(f, "TrustedHeader({name})"),
        }
    }
}

/// What one question may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Folders that are listed.
    pub folders: u64,
    /// Bytes of the files that are opened.
    pub bytes: u64,
    /// Rows that are held in memory.
    pub rows: u64,
    /// Days between `from` and `to`.
    pub span_days: u64,
    /// Questions that are answered at the same time; sixteen times as many may wait.
    pub at_once: usize,
    /// How long one may take.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            folders: 100_000,
            bytes: 4 << 30,
            rows: 200_000,
            span_days: 36_600,
            at_once: 16,
            timeout: Duration::from_secs(60),
        }
    }
}

/// `None` only where a problem has been said.
pub(super) fn read(typed: &mut Text<'_>, spec: Option<&TableSpec>) -> Option<ReaderSettings> {
    refuse_unknown(typed);
    let listen = listen(typed);
    let access = access(typed, listen);
    let limits = limits(typed);
    let columns = columns::read(typed, spec?);
    Some(ReaderSettings { listen: listen?, access: access?, limits, columns: columns? })
}

fn refuse_unknown(typed: &mut Text<'_>) {
    for name in typed.names("reader") {
        if FIELDS.contains(&name.as_str()) {
            continue;
        }
        let instead = match nearest(&name, FIELDS) {
            Some(near) => format!("write `{near}`"),
            None => format!("known are {}", FIELDS.join(", ")),
        };
        typed.say("reader", &name, format!("unknown field `{name}` in [reader]; {instead}"));
    }
}

fn listen(typed: &mut Text<'_>) -> Option<SocketAddr> {
    let text = typed.string("reader", "listen").unwrap_or_else(|| LISTEN.into());
    let address = text.parse().ok();
    if address.is_none() {
        typed.say("reader", "listen", format!("`listen` is no address; write ip:port such as \"{LISTEN}\""));
    }
    address
}

fn access(typed: &mut Text<'_>, listen: Option<SocketAddr>) -> Option<Access> {
    let token = typed.string("reader", "token");
    let header = typed.string("reader", "trusted_header");
    let named = |header: &String| axum::http::HeaderName::try_from(header.as_str()).is_ok();
    let (field, wrong) = match (token, header) {
        (Some(_), Some(_)) => ("trusted_header", "and `token` exclude each other; keep one".to_string()),
        (Some(token), None) if token.len() >= TOKEN_CHARS_MIN => return Some(Access::Token(token)),
        (Some(_), None) => {
            ("token", format!("is shorter than {TOKEN_CHARS_MIN} characters; write one that cannot be guessed"))
        }
        (None, Some(header)) if named(&header) => return Some(Access::TrustedHeader(header)),
        (None, Some(_)) => ("trusted_header", "is no name of a header; write one such as \"x-forwarded-user\"".into()),
        (None, None) if listen.is_some_and(|address| !address.ip().is_loopback()) => (
            "listen",
            "is open to other machines, and nobody is asked who they are; write token = \"${TOKEN}\" or \
                trusted_header = \"x-forwarded-user\" beside it, or listen on 127.0.0.1"
                .into(),
        ),
        (None, None) => return Some(Access::Open),
    };
    typed.say("reader", field, format!("`{field}` {wrong}"));
    None
}

fn limits(typed: &mut Text<'_>) -> Limits {
    let default = Limits::default();
    Limits {
        folders: count(typed, "folders", default.folders, 1_000_000),
        rows: count(typed, "rows", default.rows, 10_000_000),
        span_days: count(typed, "span_days", default.span_days, 3_660_000),
        at_once: count(typed, "at_once", default.at_once as u64, 1024) as usize,
        bytes: within(typed, "bytes", default.bytes, size, "1 KiB", "1 TiB"),
        timeout: within(typed, "timeout", default.timeout, duration, "100 ms", "15 min"),
    }
}

fn count(typed: &mut Text<'_>, field: &str, default: u64, max: u64) -> u64 {
    let Some(number) = typed.whole("reader", field) else { return default };
    if !(1..=max).contains(&number) {
        typed.say("reader", field, format!("`{field}` is out of range; write 1 to {max}"));
    }
    number
}

/// A quantity between two that are written as people write them.
fn within<T: PartialOrd + Copy>(
    typed: &mut Text<'_>,
    field: &str,
    default: T,
    read: fn(&str) -> Result<T, String>,
    min: &str,
    max: &str,
) -> T {
    let Some(text) = typed.string("reader", field) else { return default };
    let wrong = match (read(&text), read(min), read(max)) {
        (Ok(value), Ok(least), _) if value < least => format!("is too small; write \"{min}\" or more"),
        (Ok(value), _, Ok(most)) if value > most => format!("is too large; write \"{max}\" or less"),
        (Ok(value), ..) => return value,
        (Err(message), ..) => message,
    };
    typed.say("reader", field, format!("`{field}` {wrong}"));
    default
}
