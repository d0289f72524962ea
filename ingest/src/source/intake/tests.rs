//! The endpoint as real clients see it, and the journal as a source.

mod http;
mod source;

use std::path::Path;

use super::*;

/// A port that is free, no delivery stream but `events`, and the time 1,000.
fn settings(journal: &Path) -> IntakeSettings {
    let endpoint = EndpointSettings {
        listen: "127.0.0.1:0".parse().expect("address"),
        delivery_streams: vec!["events".to_string(), "audit".to_string()],
        ..EndpointSettings::default()
    };
    IntakeSettings { endpoint, ..IntakeSettings::new(journal) }
}

fn clock() -> Clock {
    Clock::new(|| 1_000)
}

fn open(settings: IntakeSettings) -> Result<IntakeSource, SourceError> {
    IntakeSource::open(settings, [5; 16], clock(), Arc::default())
}

#[test]
fn settings_that_cannot_work_say_what_to_write() {
    let with = |change: fn(&mut IntakeSettings)| {
        let mut settings = settings(Path::new("journal"));
        change(&mut settings);
        settings.check().expect_err("cannot work")
    };
    assert!(with(|s| s.endpoint.delivery_streams.clear()).contains("name at least one"));
    assert!(with(|s| s.endpoint.delivery_streams.push("a b".to_string())).contains("`a b`"));
    assert!(with(|s| s.journal_max_bytes = 1).contains("16777216"));
}
