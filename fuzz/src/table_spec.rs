//! A table spec as text: problems have a line of it, and whatever is accepted has a definition for every engine.

use ingest::guard::Guard;
use schemas::arrow::arrow_schema;
use schemas::column::DataType;
use schemas::ddl::{Dialect, generate};
use schemas::lint::{LintContext, compare, lint, query_shapes};
use schemas::problem::Problem;
use schemas::rules::ParquetSettings;
use schemas::table::TableSpec;
use writer::encode::Encoder;

use super::input::text;

const NOW: i64 = 1_779_045_174_594;
/// Counting a date rule's values walks through up to a million of them.
const LINTED_MAX: usize = 4;

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match TableSpec::parse(text, "t.toml") {
        Ok(spec) => works(&spec),
        Err(problems) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|problem| has_a_line(problem, "t.toml", text));
        }
    }
}

/// A problem names its file, a line within it, and says something on one line.
pub fn has_a_line(problem: &Problem, file: &str, text: &str) {
    assert_eq!(problem.file, file);
    assert!(!problem.message.is_empty() && !problem.message.contains('\n'), "{problem}");
    let lines = text.split('\n').count();
    assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem} of {lines} lines");
}

fn works(spec: &TableSpec) {
    assert_eq!(TableSpec::parse(&spec.text, "again").as_ref(), Ok(spec));
    for dialect in Dialect::ALL {
        let definition = generate(spec, dialect, None);
        assert!(definition.ends_with('\n'), "{definition}");
        assert_eq!(generate(spec, dialect, Some(&spec.location)), definition);
        if dialect == Dialect::Glue {
            serde_json::from_str::<serde_json::Value>(&definition).expect("glue's is JSON");
        }
    }
    for column in spec.stored_columns() {
        assert_eq!(DataType::parse(&column.data_type.to_string()), Ok(column.data_type));
    }
    assert_eq!(arrow_schema(spec).fields().len(), spec.stored_columns().len());
    assert!(compare(spec, spec).is_empty());
    if spec.partitions.len() <= LINTED_MAX {
        let lines = spec.text.split('\n').count();
        let lints = lint(spec, &LintContext { now: NOW, ..LintContext::default() });
        assert!(lints.iter().all(|found| found.line.is_none_or(|line| line <= lines)));
        assert!(!query_shapes(spec, NOW).is_empty());
    }
    let values = vec!["7".to_string(); spec.partitions.len()];
    let mut path = String::new();
    if Guard::new(spec).path(&values, NOW, &mut path).is_ok() && !values.is_empty() {
        assert!(schemas::hive::parse_partition_path(&path).is_some_and(|found| found.len() == values.len()));
    }
    Encoder::new(spec, &ParquetSettings::default()).expect("an accepted spec can be encoded");
}
