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
    assert_eq!(rejects.values().map(Vec::len).sum::<usize>(), suite.len(), "rejects of each text");
    let mut wrong = Vec::new();
    for (name, bytes) in &suite {
        let found = rejects.get(bytes).or_else(|| rejects.get(&solid(bytes))).cloned().unwrap_or_default();
        // Two texts, one behind the other: the second one is no object.
        let two = name == "n_structure_object_with_trailing_garbage.json";
        let bad = |reason: &String| reason == "not_json" || reason == "too_deep" || two && reason == "not_object";
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

/// Raw bytes and reason of each document of a record, by its number.
type Documents = BTreeMap<u64, (Vec<u8>, String)>;

/// Raw bytes of each record, and the reasons it was rejected with. A text that begins with an object and goes on is two rejects of
/// one record: an object without keys, and the rest. Some texts of the suite are the same.
fn reasons(lake: &Lake) -> BTreeMap<Vec<u8>, Vec<String>> {
    let mut records: BTreeMap<(u64, u64), Documents> = BTreeMap::new();
    for reject in lake.rejects() {
        let text = |member: &str| reject[member].as_str().expect("a string").to_string();
        let mut position = text("position").split('.').map(|n| n.parse().expect("a number")).collect::<Vec<u64>>();
        position.resize(3, 0);
        let raw = STANDARD.decode(text("rawData")).expect("base64");
        records.entry((position[0], position[1])).or_default().insert(position[2], (raw, text("reason")));
    }
    let mut found: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for documents in records.into_values() {
        let raw: Vec<u8> = documents.values().flat_map(|(raw, _)| raw.clone()).collect();
        let raw = if documents.len() > 1 { solid(&raw) } else { raw };
        // The last one is what the text is broken by; those before it are sound.
        let (_, reason) = documents.into_values().next_back().expect("at least one");
        found.entry(raw).or_default().push(reason);
    }
    found
}

/// Whitespace between documents is in none of them.
fn solid(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect()
}
