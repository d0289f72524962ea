//! Configuration text: problems have a line of the file, and what a variable holds is never shown.

use std::path::Path;

use ingest::config::{Config, load, typed};
use schemas::problem::Problem;

use super::input::text;
use super::table_spec::has_a_line;

/// What every variable holds.
const SECRET: &str = "Zq7xSecret";
const TABLE: &str = include_str!("../../schemas/tables/attribute_events.toml");

thread_local! {
    static FOLDER: tempfile::TempDir = folder();
}

/// A folder with a table spec beside the configuration.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("t.toml"), TABLE).expect("written");
    folder
}

fn lookup(name: &str) -> Option<String> {
    (!name.starts_with("UNSET")).then(|| SECRET.to_string())
}

pub fn run(data: &[u8]) {
    let Some(text) = text(data).filter(|text| !text.contains(SECRET)) else { return };
    let (_, problems) = typed::read(text, "c.toml", Path::new("/folder"), &lookup);
    problems.iter().for_each(|problem| is_fit_to_show(problem, "c.toml", text));
    // Only the spec beside it: a text may name any file of this machine.
    if text.matches("spec").count() > 1 || !text.contains("\"t.toml\"") {
        return;
    }
    FOLDER.with(|folder| {
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).expect("written");
        match load(&path, &lookup) {
            Ok(config) => works(&config),
            Err(problems) => {
                let file = path.display().to_string();
                assert!(!problems.is_empty());
                problems.iter().for_each(|problem| is_fit_to_show(problem, &file, text));
            }
        }
    });
}

fn is_fit_to_show(problem: &Problem, file: &str, text: &str) {
    has_a_line(problem, file, text);
    assert!(!problem.message.contains(SECRET), "{problem}");
}

fn works(config: &Config) {
    assert!(!config.shown().to_string().contains(SECRET));
    assert_eq!(config.keys.len(), config.table.partitions.len());
    assert!(config.compile_keys().is_ok());
    let rules = config.rules();
    assert_eq!(serde_json::from_slice::<schemas::rules::Rules>(&rules.to_json()).expect("comes back"), rules);
    for place in [&config.lake.url, &config.lake.errors, &config.lake.state].into_iter().chain(&config.lake.archive) {
        assert!(place.ends_with('/') && place.contains("://"), "{place}");
    }
}
