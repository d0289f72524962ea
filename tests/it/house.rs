//! The house rules that a compiler does not check: which crate may know what, and how files begin and end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{root, tools};

/// Lines of a source file at most.
const FILE_LINES_MAX: usize = 500;

/// Longer files, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// What a crate must not reach, by any path of normal dependencies. A name that ends in `*` stands for all that begin so.
const UNREACHABLE: &[(&str, &[&str])] = &[
    // The contract of the bucket is pure: anyone may link it.
    ("schemas", &["tokio", "aws-*", "object_store", "parquet", "writer", "ingest", "reqwest", "hyper"]),
    // Rows to objects: where rows come from is not its business.
    ("writer", &["ingest", "aws-sdk-*", "jaq-*", "axum", "datafusion*"]),
    ("ingest", &["datafusion*", "reader"]),
    // Questions over what is stored: how it came there is not its business.
    ("reader", &["writer", "ingest", "jaq-*", "aws-sdk-kinesis", "aws-sdk-firehose", "aws-sdk-glue"]),
];

/// What a crate must not name itself: whatever it needs of it has a doorway elsewhere.
const NOT_NAMED: &[(&str, &[&str])] =
    &[("ingest", &["parquet", "arrow*", "object_store"]), ("schemas", &["arrow-array"])];

struct Packages {
    names: BTreeMap<String, String>,
    /// Normal dependencies, by id.
    edges: BTreeMap<String, Vec<String>>,
}

fn packages() -> Packages {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root());
    let metadata: Value = serde_json::from_str(&tools::output(&mut cargo)).expect("cargo metadata is JSON");
    let text = |v: &Value| v.as_str().expect("a string").to_string();
    let list = |v: &Value| v.as_array().cloned().expect("an array");
    let names = list(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let normal = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    let deps = |node: &Value| list(&node["deps"]).iter().filter(|d| normal(d)).map(|d| text(&d["pkg"])).collect();
    let edges = list(&metadata["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), deps(node))).collect();
    Packages { names, edges }
}

impl Packages {
    fn id(&self, name: &str) -> &str {
        let found = self.names.iter().find(|(id, n)| *n == name && id.contains("path+file"));
        found.unwrap_or_else(|| panic!("no crate {name}")).0
    }

    fn direct(&self, name: &str) -> BTreeSet<String> {
        self.edges[self.id(name)].iter().map(|id| self.names[id].clone()).collect()
    }

    fn reachable(&self, name: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = self.edges[self.id(name)].clone();
        while let Some(id) = open.pop() {
            if seen.insert(id.clone()) {
                open.extend(self.edges[&id].iter().cloned());
            }
        }
        seen.iter().map(|id| self.names[id].clone()).collect()
    }
}

fn matches(name: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start))
}

#[test]
fn no_crate_knows_what_it_must_not() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (rules, how) in [(UNREACHABLE, "reaches"), (NOT_NAMED, "names")] {
        for (name, forbidden) in rules {
            let known = if how == "names" { packages.direct(name) } else { packages.reachable(name) };
            let bad = known.iter().filter(|k| forbidden.iter().any(|pattern| matches(k, pattern)));
            wrong.extend(bad.map(|k| format!("{name} {how} {k}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rules above are worth nothing if they cannot be broken.
#[test]
fn the_edges_that_are_meant_are_seen() {
    let packages = packages();
    assert!(packages.reachable("ingest").contains("parquet") && packages.direct("writer").contains("schemas"));
    assert!(packages.direct("ingest").contains("aws-sdk-kinesis") && !packages.reachable("schemas").contains("ingest"));
    assert!(packages.direct("reader").contains("datafusion"));
}

/// Two arrows in one tree are two sets of types that do not fit each other.
#[test]
fn there_is_one_arrow() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("the lock file");
    let names: Vec<&str> = lock.lines().filter_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    for name in ["arrow-array", "arrow-buffer", "arrow-schema", "parquet", "object_store"] {
        assert_eq!(names.iter().filter(|n| **n == name).count(), 1, "versions of {name}");
    }
}

pub(crate) fn sources() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in ["schemas", "writer", "ingest", "reader", "tests", "fuzz"] {
        collect(&root().join(folder), &mut paths);
    }
    assert!(paths.len() > 30, "only {} sources found", paths.len());
    let name = |path: &Path| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).expect("a source is text"))).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a source folder").map(|e| e.expect("it lists").path()) {
        if entry.is_dir() && !entry.ends_with("target") {
            collect(&entry, paths);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            paths.push(entry);
        }
    }
}

#[test]
fn each_source_begins_with_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "no //! at the head of {silent:?}");
}

#[test]
fn no_source_is_longer_than_a_sitting() {
    let allowed = |name: &str| LONGER.iter().any(|(long, _)| *long == name);
    let long = sources().into_iter().map(|(name, text)| (name, text.lines().count()));
    let long: Vec<_> = long.filter(|(name, lines)| *lines > FILE_LINES_MAX && !allowed(name)).collect();
    assert!(long.is_empty(), "longer than {FILE_LINES_MAX} lines: {long:?}");
}

/// An exception that is no longer needed goes.
#[test]
fn exceptions_are_needed() {
    let sources: BTreeMap<_, _> = sources().into_iter().collect();
    for (name, _) in LONGER {
        assert!(sources.get(*name).is_some_and(|text| text.lines().count() > FILE_LINES_MAX), "{name} is short now");
    }
}

/// What is tested is what is released.
#[test]
fn no_part_of_the_program_can_be_left_out() {
    for name in ["schemas", "writer", "ingest", "reader"] {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a crate's manifest");
        let switch = manifest.lines().find(|line| line.contains("[features]") || line.contains("optional = true"));
        assert_eq!(switch, None, "{name}");
    }
}

/// Parts of an unfinished upload are removed by lifecycle rules, and paid for until then: a file is one PUT.
#[test]
fn nothing_is_uploaded_in_parts() {
    let in_parts =
        |text: &str| ["put_multipart(", "WriteMultipart", "buffered::"].iter().any(|call| text.contains(call));
    let uploads = sources().into_iter().filter(|(name, text)| name.starts_with("writer/src") && in_parts(text));
    let uploads: Vec<_> = uploads.map(|(name, _)| name).collect();
    assert!(uploads.is_empty(), "{uploads:?}");
}

#[test]
fn no_test_is_switched_off() {
    let marks = [concat!("#[", "ignore")];
    let off = sources().into_iter().filter(|(_, text)| marks.iter().any(|m| text.contains(m)));
    let off: Vec<_> = off.map(|(name, _)| name).collect();
    assert!(off.is_empty(), "{off:?}");
}
