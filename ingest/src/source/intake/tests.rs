//! The endpoint as real clients see it, and the journal as a source.

mod http;
mod source;

use std::path::Path;

use super::*;

/// A port that is free, no delivery stream but `events`, and the time 1,000.
fn settings(journal: &Path) -> IntakeSettings {
    IntakeSettings {
        listen: "127.0.0.1:0".parse().expect("address"),
        delivery_streams: vec!["events".to_string(), "audit".to_string()],
        ..IntakeSettings::new(journal)
    }
}

fn clock() -> Clock {
    Clock::new(|| 1_000)
}

fn open(settings: IntakeSettings) -> Result<IntakeSource, SourceError> {
    IntakeSource::open(settings, [5; 16], clock(), Arc::default())
}

#[test]
fn an_address_that_others_reach_is_refused_unless_it_is_said() {
    let directory = tempfile::tempdir().expect("directory");
    let remote = IntakeSettings { listen: "0.0.0.0:4573".parse().expect("address"), ..settings(directory.path()) };
    let error = remote.check().expect_err("remote");
    assert!(error.contains("127.0.0.1:4573") && error.contains("insecure_allow_remote = true"), "{error}");
    assert_eq!(IntakeSettings { allow_remote: true, ..remote.clone() }.check(), Ok(()));
    assert!(matches!(open(remote), Err(SourceError::Config(_))));
    let loopback = IntakeSettings { listen: "[::1]:0".parse().expect("address"), ..settings(directory.path()) };
    assert_eq!(loopback.check(), Ok(()));
}

#[test]
fn settings_that_cannot_work_say_what_to_write() {
    let with = |change: fn(&mut IntakeSettings)| {
        let mut settings = settings(Path::new("journal"));
        change(&mut settings);
        settings.check().expect_err("cannot work")
    };
    assert!(with(|s| s.delivery_streams.clear()).contains("name at least one"));
    assert!(with(|s| s.delivery_streams.push("a b".to_string())).contains("`a b`"));
    assert!(with(|s| s.journal_max_bytes = 1).contains("16777216"));
}
