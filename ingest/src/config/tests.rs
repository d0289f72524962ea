//! Message texts of wrong configurations (`tests/golden/errors/*.toml`, each with its `.txt`), and the generated documents.

use std::path::{Path, PathBuf};

use super::fields::{Fallback, SECTIONS};
use super::{SourceConfig, docs, load, typed, value};
use crate::golden;
use crate::source::kinesis::ReaderSetting;

const FOLDER: &str = "../tests/golden/errors/";

fn environment(name: &str) -> Option<String> {
    match name {
        "BUCKET" => Some("lake".into()),
        "SECRET" => Some("hunter2".into()),
        "UPLOADER_SECRET" | "UPLOADER_TOKEN" | "READER_TOKEN" => Some("hunter2hunter2hunter2".into()),
        _ => None,
    }
}

fn problems_of(file: &Path) -> String {
    let problems = load(file, &environment).expect_err("a configuration of this folder is wrong");
    problems.iter().map(|p| format!("{p}\n").replace(FOLDER, "")).collect()
}

fn wrong_configs() -> Vec<PathBuf> {
    let files = std::fs::read_dir(FOLDER).expect("folder of golden files").map(|e| e.expect("readable").path());
    let mut files: Vec<PathBuf> = files.filter(|f| f.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

#[test]
fn every_wrong_config_is_told_in_the_committed_words() {
    let files = wrong_configs();
    assert!(files.len() >= 15, "{files:?}");
    for file in files {
        golden::check(&file.with_extension("txt").display().to_string(), &problems_of(&file));
    }
}

#[test]
fn every_problem_is_a_line_in_lower_case_that_names_its_file() {
    for file in wrong_configs() {
        for line in problems_of(&file).lines() {
            let (place, message) = line.split_once(": ").expect("file: message");
            assert!(place.contains(".toml"), "{line}");
            assert!(!message.ends_with('.') && !message.starts_with(|c: char| c.is_uppercase() && c != 'P'), "{line}");
        }
    }
}

#[test]
fn what_a_variable_holds_is_never_told() {
    for (file, says) in [("secret_in_variable.toml", "${SECRET}"), ("secret_in_program.toml", "its variables")] {
        let told = problems_of(&Path::new(FOLDER).join(file));
        assert!(told.contains(says) && !told.contains("hunter2"), "{told}");
    }
}

/// A device says that it has no bytes, and has them without end.
#[test]
fn a_file_is_read_up_to_its_bound_whatever_length_it_claims() {
    let problems = load(Path::new("/dev/zero"), &environment).expect_err("no configuration");
    assert_eq!(problems[0].to_string(), "/dev/zero: has more than 4194304 bytes; name an existing file");
}

#[test]
fn a_missing_file_is_a_problem() {
    let problems = load(Path::new("nowhere.toml"), &environment).expect_err("not there");
    assert_eq!(problems[0].to_string(), "nowhere.toml: cannot be read: no such file; name an existing file");
}

#[test]
fn a_right_config_is_read_whole() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let table = std::fs::read_to_string(Path::new(FOLDER).join("tables/things.toml")).expect("readable");
    std::fs::write(folder.path().join("things.toml"), table).expect("writable");
    let file = folder.path().join("a.toml");
    std::fs::write(&file, RIGHT).expect("writable");
    let config = load(&file, &environment).unwrap_or_else(|p| panic!("{p:?}"));
    let names: Vec<&str> = config.keys.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["day", "bucket"], "in the table's order, not the file's");
    assert_eq!(config.lake.url, format!("file://{}/lake/", folder.path().display()));
    assert_eq!(config.lake.state, "s3://lake/state/");
    assert_eq!((config.buffer.size, config.buffer.rows), (1_500_000, 10_000_000));
    assert_eq!(config.admin, None);
    let shown = config.shown().to_string();
    assert!(shown.contains("s3://${BUCKET}/state") && shown.contains("\"idle\":\"60 s\""), "{shown}");
}

const RIGHT: &str = r#"
version = 1
[source.intake]
journal = "journal"
[keys]
bucket = '.id | bucket(10)'
day = '.at | utc_date'
[table]
spec = "things.toml"
[lake]
url = "./lake"
errors = "errors/"
state = "s3://${BUCKET}/state"
[buffer]
size = "1500 kB"
[admin]
listen = "off"
"#;

/// Who reads the stream where the config says no more than that it is by fan-out.
fn reader_of(state: &str, more: &str) -> ReaderSetting {
    let folder = tempfile::tempdir().expect("temporary folder");
    let table = std::fs::read_to_string(Path::new(FOLDER).join("tables/things.toml")).expect("readable");
    std::fs::write(folder.path().join("things.toml"), table).expect("writable");
    let source = format!("[source.kinesis]\nstream = \"things\"\nreader = \"fan-out\"\n{more}");
    let text = RIGHT.replace("[source.intake]\njournal = \"journal\"", &source).replace("s3://${BUCKET}/state", state);
    let file = folder.path().join("a.toml");
    std::fs::write(&file, text).expect("writable");
    match load(&file, &environment).unwrap_or_else(|p| panic!("{p:?}")).source {
        SourceConfig::Kinesis { settings, .. } => settings.reader,
        _ => panic!("not this source"),
    }
}

#[test]
fn a_consumer_is_the_lakes_own_unless_it_is_named() {
    let named = |consumer: &str| ReaderSetting::FanOut { consumer: consumer.into() };
    // The name is stored with Amazon: another one for the same lake would be another consumer, and another bill.
    assert_eq!(reader_of("s3://lake/state/", ""), named("alluvium-fc8b55632bda3be0"));
    assert_eq!(reader_of("s3://lake/state", ""), reader_of("s3://lake/state/", ""));
    assert_ne!(reader_of("s3://other/state/", ""), reader_of("s3://lake/state/", ""));
    assert_eq!(reader_of("s3://lake/state/", "consumer = \"mine\""), named("mine"));
}

#[test]
fn defaults_and_examples_are_values_of_their_fields() {
    for section in SECTIONS {
        for field in section.fields {
            let fallback = match field.fallback {
                Fallback::Default(text) => vec![text],
                _ => vec![],
            };
            for text in fallback.into_iter().chain([field.example]) {
                value::parse(field.kind, text, Path::new("/"))
                    .unwrap_or_else(|e| panic!("[{}] {}: {e}", section.name, field.name));
            }
        }
    }
}

#[test]
fn the_sample_has_no_problem() {
    let (_, problems) = typed::read(&docs::sample(), "sample", Path::new("/"), &environment);
    assert_eq!(problems, []);
    // What is commented out is right as well: the other sources in place of the first, every default written out.
    let all = docs::sample().replace("[source.kinesis]", "[gone]").replace("\n# ", "\n");
    let (_, problems) = typed::read(&all, "sample", Path::new("/"), &environment);
    let told: Vec<String> = problems
        .iter()
        .map(ToString::to_string)
        .filter(|p| !p.contains("`gone`") && !p.contains("a second source"))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn the_generated_documents_are_the_committed_ones() {
    golden::check("../docs/config.md", &docs::markdown());
    golden::check("../docs/alluvium.sample.toml", &docs::sample());
    golden::check("../docs/config.schema.json", &docs::json_schema());
}
