//! The one place that reads the wall clock and the system's randomness; everything else is handed the result.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since the epoch (UTC). A clock before 1970 reads 0.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A seed nobody can guess, for jitter and names.
pub fn random_seed() -> u64 {
    rand::random()
}

/// A new writer's name: sorts by its start, unique by 64 random bits. Hex, 28 characters.
pub fn new_writer_name() -> String {
    format!("{:012x}{:016x}", now_ms(), random_seed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writer_names_are_one_length_and_differ() {
        let (a, b) = (new_writer_name(), new_writer_name());
        assert_eq!(a.len(), 28);
        assert_ne!(a, b);
    }
}
