//! The generated table definitions: accepted by parsers that are not ours, guarded by `ddl --check`, and twins of the writer's keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::alluvium::{self, Lake, attribute_events, loopback};
use tests::{duck, file, tools};

use crate::clients::intake_source;

/// Committed definitions of one dialect.
fn committed(dialect: &str) -> Vec<PathBuf> {
    let folder = file("schemas/ddl");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let marked = |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().contains(&format!(".{dialect}.")));
    let mut found: Vec<_> = entries.map(|e| e.expect("the folder lists").path()).filter(|p| marked(p)).collect();
    found.sort();
    assert!(found.len() >= 2, "{dialect} definitions of at least two tables in {}: {found:?}", folder.display());
    found
}

/// A config whose lake lies where the spec says: `ddl` writes the lake's URL as the location. Nothing connects to it.
fn config(lake: &Lake) -> String {
    let path = lake.file("company.toml");
    let text = format!(
        "version = 1\n{}\n{}\n[lake]\nurl = \"s3://company-lake/attribute_events/\"\n\
         errors = \"s3://company-lake/errors/\"\nstate = \"s3://company-lake/state/\"\nregion = \"us-east-1\"\n",
        intake_source(lake, &loopback()),
        attribute_events()
    );
    std::fs::write(&path, text).expect("a temporary file");
    path.display().to_string()
}

#[test]
fn athena_definitions_pass_a_strict_parser() {
    for path in committed("athena") {
        let mut command = Command::new(tools::python("python"));
        command.args(["-m", "sqlfluff", "parse", "--dialect", "athena", "--nocolor"]).arg(&path);
        let tree = tools::output(&mut command);
        assert!(!tree.contains("unparsable"), "{}:\n{tree}", path.display());
    }
}

/// A parser that takes anything would prove nothing.
#[test]
fn the_strict_parser_refuses_a_misspelt_clause() {
    let lake = Lake::local();
    let path = lake.file("wrong.sql");
    std::fs::write(&path, "CREATE EXTERNAL TABLE t (a string) PARTITION BY (d string) STORED AS PARQUETT;\n")
        .expect("writable");
    let mut command = Command::new(tools::python("python"));
    let done =
        command.args(["-m", "sqlfluff", "parse", "--dialect", "athena"]).arg(&path).output().expect("python starts");
    assert!(!done.status.success());
}

fn ddl_check(config: &str, dialect: &str, path: &Path) -> Output {
    alluvium::run(&["ddl", "--config", config, "--dialect", dialect, "--check", &path.display().to_string()])
}

#[test]
fn committed_definitions_are_what_the_spec_gives() {
    let lake = Lake::local();
    let config = config(&lake);
    for dialect in ["athena", "trino", "spark", "duckdb", "glue"] {
        let paths = committed(dialect);
        let path = paths.iter().find(|p| p.to_string_lossy().contains("attribute_events")).expect("its definition");
        let done = ddl_check(&config, dialect, path);
        assert!(done.status.success(), "{}:\n{}", path.display(), String::from_utf8_lossy(&done.stdout));
    }
}

#[test]
fn an_edited_definition_fails_the_check_with_a_diff() {
    let lake = Lake::local();
    let (config, edited) = (config(&lake), lake.file("edited.sql"));
    let text = std::fs::read_to_string(&committed("athena")[0]).expect("a committed definition");
    std::fs::write(&edited, text.replacen("string", "varchar(10)", 1)).expect("writable");
    let done = ddl_check(&config, "athena", &edited);
    let shown = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.status.code(), Some(1), "{shown}");
    assert!(shown.lines().any(|l| l.starts_with('-') && l.contains("varchar(10)")), "{shown}");
    assert!(shown.lines().any(|l| l.starts_with('+') && !l.starts_with("+++") && l.contains("string")), "{shown}");
}

/// Ids as JSON: strings of all kinds, integers that are negative, beyond 2^53, and unsigned of 64 bits.
fn ids() -> Vec<serde_json::Value> {
    let mut ids: Vec<serde_json::Value> =
        ["us:MMM", "0", "-1", "Ä ö", "日本", "🦀", "a/b", "us:RVTY (Previously PKI)"].map(Into::into).to_vec();
    ids.extend([0i64, 1, -1, -7, -10, 9, 10, 11, i64::MIN, i64::MAX, (1 << 53) + 1, -(1 << 53) - 1].map(Into::into));
    ids.extend([u64::MAX, u64::MAX - 7, 1u64 << 63].map(Into::into));
    ids.extend((0..200u32).map(|i| serde_json::Value::from(format!("entity {}", i.wrapping_mul(2_654_435_761)))));
    ids.extend((0..200i64).map(|i| serde_json::Value::from((i - 100).wrapping_mul(92_233_720_368_547_758))));
    ids
}

/// The bucket the writer gives each id, out of the paths that `explain` shows.
fn explained(ids: &[serde_json::Value]) -> Vec<String> {
    let lake = Lake::local();
    let event = |id: &serde_json::Value| {
        serde_json::json!({"event_id": "e", "entity_id": id, "attribute_name": "name", "op": "set", "value": "v",
            "created_at": "2024-01-01T00:00:00Z"})
        .to_string()
    };
    let events = lake.file("events.ndjson");
    std::fs::write(&events, ids.iter().map(event).collect::<Vec<_>>().join("\n")).expect("writable");
    let done = alluvium::run(&["explain", "--config", &config(&lake), &events.display().to_string()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let bucket = |line: &str| {
        let after = line.split("entity_id_mod=").nth(1).unwrap_or_else(|| panic!("no bucket in {line}"));
        after.chars().take_while(char::is_ascii_digit).collect()
    };
    text.lines().map(bucket).collect()
}

#[test]
fn duckdb_gives_each_id_the_bucket_that_the_writer_gives() {
    let ids = ids();
    let ours = explained(&ids);
    assert_eq!(ours.len(), ids.len());
    let twin = |id: &serde_json::Value| match id.as_str() {
        Some(text) => format!("crc32('{}') % 10", text.replace('\'', "''")),
        None => format!("(({id}::hugeint % 10) + 10) % 10"),
    };
    let rows: Vec<String> = ids.iter().enumerate().map(|(i, id)| format!("({i}, ({})::varchar)", twin(id))).collect();
    let sql = format!("{};\nselect * from (values {}) t(id, bucket)", schemas::bucket::DUCKDB_CRC32, rows.join(",\n"));
    let duck: BTreeMap<u64, String> = duck::query(&sql)
        .iter()
        .map(|row| (row["id"].as_u64().expect("an index"), row["bucket"].as_str().expect("a text").to_string()))
        .collect();
    for (i, id) in ids.iter().enumerate() {
        assert_eq!(Some(&ours[i]), duck.get(&(i as u64)), "bucket of {id}");
    }
}
