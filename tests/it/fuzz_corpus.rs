//! The fuzz targets over their committed corpus: what a run has once found stays right, without the nightly compiler.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use tests::file;

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, missing_debug_implementations, reason = "a library of its own, for cargo-fuzz")]
mod targets;

/// A target: what it is called, and what it does with an input.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("config", targets::config::run),
    ("cutter", targets::cutter::run),
    ("decode", targets::decode::run),
    ("documents", targets::documents::run),
    ("encode", targets::encode::run),
    ("events", targets::events::run),
    ("firehose", targets::firehose::run),
    ("hive", targets::hive::run),
    ("import", targets::import::run),
    ("journal", targets::journal::run),
    ("jq", targets::jq::run),
    ("kpl", targets::kpl::run),
    ("log_entry", targets::log_entry::run),
    ("position", targets::position::run),
    ("projection", targets::projection::run),
    ("table_spec", targets::table_spec::run),
];

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("it lists").path()).collect()
}

#[test]
fn each_input_passes() {
    for (name, run) in TARGETS {
        let inputs = entries(&file("fuzz/corpus").join(name));
        assert!(inputs.len() >= 10, "{name} has {} inputs", inputs.len());
        for input in inputs {
            let bytes = std::fs::read(&input).expect("it reads");
            assert!(catch_unwind(|| run(&bytes)).is_ok(), "{} fails: its panic is above", input.display());
        }
    }
}

#[test]
fn each_target_is_among_them() {
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let there: BTreeSet<String> = entries(&file("fuzz/fuzz_targets")).into_iter().map(stem).collect();
    let replayed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(there, replayed);
}
