//! JSONTestSuite: what is no JSON goes to the errors output with its raw bytes, what is JSON is never called otherwise, and nothing
//! is lost or brings the process down.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tests::alluvium::{Lake, Running, attribute_events, loopback};
use tests::corpus;
use tests::firehose::Firehose;

use crate::clients::{STREAM, intake_source};

#[test]
fn each_text_of_the_suite_is_judged_rightly_and_none_is_lost() {
    let suite = corpus::json_test_suite();
    assert!(suite.len() > 300, "the suite is not whole: {} files", suite.len());
    let (lake, listen) = (Lake::local(), loopback());
    let sections = format!(
        "{}\n{}\n[buffer]\nage = \"1 s\"\nidle = \"500 ms\"\n",
        intake_source(&lake, &listen),
        attribute_events()
    );
    let mut running = Running::start(&lake, &sections);
    let texts: Vec<Vec<u8>> = suite.iter().map(|(_, bytes)| bytes.clone()).collect();
    for few in texts.chunks(50) {
        Firehose::new(&listen, STREAM).put(few);
    }
    lake.until_cut(suite.len());
    assert!(running.is_alive());
    running.stop();

    let rejects = reasons(&lake);
    assert_eq!(rejects.values().map(Vec::len).sum::<usize>(), suite.len(), "one reject for each text");
    let mut wrong = Vec::new();
    for (name, bytes) in &suite {
        let found = rejects.get(&STANDARD.encode(bytes)).cloned().unwrap_or_default();
        let bad = |reason: &String| reason == "not_json" || reason == "too_deep";
        let right = match &name[..2] {
            "n_" => !found.is_empty() && found.iter().all(bad),
            "y_" => !found.is_empty() && !found.iter().any(bad),
            _ => !found.is_empty(),
        };
        if !right {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Raw bytes in base64, and the reasons they were rejected with. Some texts of the suite are the same.
fn reasons(lake: &Lake) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for reject in lake.rejects() {
        let text = |member: &str| reject[member].as_str().expect("a string").to_string();
        found.entry(text("rawData")).or_default().push(text("reason"));
    }
    found
}
