//! The one place that reads the wall clock; everything else is handed the result.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since the epoch (UTC). A clock before 1970 reads 0.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the wall clock")]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
