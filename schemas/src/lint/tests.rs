//! Each lint with a spec that it is about and one that it is not.

use super::*;

/// 2026-11-22T05:30:00Z.
const NOW: i64 = 1_795_325_400_000;

/// A spec with these partition columns, each `name type projection`.
fn spec(partitions: &[(&str, &str, &str)]) -> TableSpec {
    let mut text =
        String::from("version = 1\nname = \"t\"\nlocation = \"s3://b/t/\"\n[[column]]\nname = \"c\"\ntype = \"int\"\n");
    for (name, data_type, projection) in partitions {
        text.push_str(&format!("[[partition]]\nname = \"{name}\"\ntype = \"{data_type}\"\n"));
        if !projection.is_empty() {
            text.push_str(&format!("projection = {{ {projection} }}\n"));
        }
    }
    TableSpec::parse(&text, "t.toml").expect("a spec")
}

const DATE: (&str, &str, &str) =
    ("d", "string", r#"type = "date", format = "yyyy-MM-dd", range = "2012-01-01,NOW+1DAYS""#);

/// Codes above info, with severity.
fn codes(spec: &TableSpec) -> Vec<(&'static str, Severity)> {
    let found = lint(spec, &LintContext { now: NOW, ..LintContext::default() });
    found.iter().filter(|l| l.severity > Severity::Info).map(|l| (l.code, l.severity)).collect()
}

fn one(data_type: &str, projection: &str) -> Vec<(&'static str, Severity)> {
    codes(&spec(&[("p", data_type, projection)]))
}

use Severity::{Error, Warn};

#[test]
fn the_portable_subset_is_clean() {
    let table = spec(&[
        DATE,
        ("a", "string", r#"type = "enum", values = ["x", "y z"]"#),
        ("b", "int", r#"type = "integer", range = "0,9""#),
    ]);
    assert_eq!(codes(&table), []);
}

#[test]
fn p001_a_partition_column_without_projection() {
    assert_eq!(codes(&spec(&[("p", "string", "")])), [("P001", Warn)]);
    assert_eq!(codes(&spec(&[DATE, ("p", "string", "")])), [("P001", Error)]);
    let lints = lint(&spec(&[DATE, ("p", "string", "")]), &LintContext { now: NOW, ..LintContext::default() });
    assert_eq!(lints[0].line, Some(12));
}

#[test]
fn p002_enum_values_that_engines_render_differently() {
    for values in [r#""a/b""#, r#""100%""#, r#""a=b""#, r#"" a""#, r#""a ""#, r#""Ab", "aB""#] {
        assert_eq!(one("string", &format!("type = \"enum\", values = [{values}]")), [("P002", Error)], "{values}");
    }
    assert!(one("string", r#"type = "enum", values = ["a\tb"]"#).contains(&("P002", Error)));
    assert_eq!(one("string", r##"type = "enum", values = ["#en", "#de"]"##), [("P002", Warn)]);
}

#[test]
fn p003_an_enum_of_more_than_60_values() {
    let list = |n: usize| (0..n).map(|i| format!("\"v{i}\"")).collect::<Vec<_>>().join(",");
    assert_eq!(one("string", &format!("type = \"enum\", values = [{}]", list(60))), []);
    assert_eq!(one("string", &format!("type = \"enum\", values = [{}]", list(61))), [("P003", Warn)]);
}

#[test]
fn p003_properties_that_glue_may_refuse() {
    let mut table = spec(&[DATE]);
    table.properties.insert("note".into(), "x".repeat(600 * 1024));
    assert_eq!(codes(&table), [("P003", Warn)]);
    table.properties.insert("note".into(), "x".repeat(1100 * 1024));
    assert_eq!(codes(&table), [("P003", Error)]);
}

#[test]
fn p004_integers_beyond_32_bits() {
    assert_eq!(one("bigint", r#"type = "integer", range = "4294967296,4294967299""#), [("P004", Warn)]);
    assert_eq!(one("bigint", r#"type = "integer", range = "2147483640,2147483647""#), [("P004", Warn)]);
}

#[test]
fn p005_date_rules_outside_the_portable_set() {
    let date = |rest: &str| one("string", &format!("type = \"date\", {rest}"));
    assert_eq!(date(r#"format = "yyyy-MM", range = "2020-01,NOW""#), [("P005", Warn)]);
    assert_eq!(date(r#"format = "yyyy-MM-dd", range = "NOW-3YEARS,NOW""#), [("P005", Warn)]);
    assert_eq!(date(r#"format = "yyyy/MM/dd", range = "2020/01/01,NOW""#), [("P005", Warn)]);
    assert_eq!(date(r#"format = "yyyy-MM-dd", range = "2020-01-01,2020-01-01""#), [("P005", Warn)]);
    assert_eq!(date(r#"format = "yyyy-MM-dd", range = "2030-01-01,NOW""#), [("P005", Error)]);
}

#[test]
fn p006_templates() {
    let with = |template: &str| {
        let mut table = spec(&[DATE, ("b", "int", r#"type = "integer", range = "0,9""#)]);
        table.properties.insert("storage.location.template".into(), template.into());
        codes(&table)
    };
    assert_eq!(with("s3://b/t/d=${d}/b=${b}/"), [("P006", Warn)]);
    assert_eq!(with("s3://b/t/d=${d}/"), [("P006", Error), ("P006", Error)]);
    assert_eq!(with("s3://b/t/${d}/${b}"), [("P006", Error), ("P006", Error)]);
    assert!(with("s3://other/d=${d}/b=${b}/").contains(&("P012", Error)));
}

#[test]
fn p007_more_partitions_than_a_scan_may_have_unless_a_predicate_is_documented() {
    let wide = ("b", "int", r#"type = "integer", range = "0,255""#);
    let mut table = spec(&[DATE, wide]);
    assert_eq!(codes(&table), [("P007", Error)]);
    table.required_predicates.push("d".into());
    assert_eq!(codes(&table), []);
}

#[test]
fn p007_counts_partitions_by_query() {
    let table = spec(&[DATE, ("b", "int", r#"type = "integer", range = "0,9""#)]);
    let shapes = query_shapes(&table, NOW);
    let count = |text: &str| shapes.iter().find(|s| s.text == text).and_then(|s| s.partitions);
    assert_eq!((count("d 1, b 1"), count("d 30 days, b 1"), count("d 30 days, b all")), (Some(1), Some(30), Some(300)));
    let days = 5441;
    assert_eq!(count("d all, b all"), Some(days * 10));
    let injected = spec(&[DATE, ("i", "string", r#"type = "injected""#)]);
    assert_eq!(query_shapes(&injected, NOW).last().map(|s| s.partitions), Some(None));
}

#[test]
fn p009_an_injected_column_that_is_no_string() {
    assert_eq!(one("int", r#"type = "injected""#), [("P009", Error)]);
}

#[test]
fn p010_types_that_do_not_hold_what_the_rule_gives() {
    assert_eq!(one("int", r#"type = "enum", values = ["1"]"#), [("P010", Error)]);
    assert_eq!(one("date", r#"type = "integer", range = "0,9""#), [("P010", Error)]);
    assert_eq!(
        one("int", r#"type = "integer", range = "0,4294967296""#),
        [("P007", Error), ("P010", Error), ("P004", Warn)]
    );
    assert_eq!(one("int", r#"type = "date", format = "yyyy-MM-dd", range = "2020-01-01,NOW""#), [("P010", Error)]);
    assert_eq!(one("int", r#"type = "date", format = "yyyyMMdd", range = "20200101,NOW""#), []);
    assert_eq!(one("date", r#"type = "date", format = "yyyy-MM-dd", range = "2020-01-01,NOW""#), []);
}

#[test]
fn p010_keys_and_buckets_that_the_spec_does_not_expect() {
    let table = spec(&[DATE, ("b", "int", r#"type = "integer", range = "0,9""#)]);
    let messages = |keys: &[&str], buckets: &[(&str, u64)]| -> Vec<String> {
        let found = lint(&table, &LintContext { now: NOW, keys, buckets, ..LintContext::default() });
        found.into_iter().filter(|l| l.code == "P010").map(|l| l.message).collect()
    };
    assert_eq!(messages(&["d", "b"], &[("b", 10)]), Vec::<String>::new());
    assert!(messages(&["d"], &[])[0].contains("add `b` to [keys]"));
    assert!(messages(&["d", "b", "x"], &[])[0].contains("key `x` has no partition column"));
    assert!(messages(&["d", "b"], &[("b", 16)])[0].contains("write `range = \"0,15\"`"));
}

#[test]
fn p012_a_location_that_is_not_where_the_writer_writes() {
    let table = spec(&[DATE]);
    let severity = |url| {
        let found = lint(&table, &LintContext { now: NOW, writer_table_url: Some(url), ..LintContext::default() });
        found.iter().find(|l| l.code == "P012").map(|l| l.severity)
    };
    assert_eq!(severity("s3://b/t"), None);
    assert_eq!(severity("s3a://b/t/"), None);
    assert_eq!(severity("s3://b/t2/"), Some(Error));
    assert_eq!(severity("s3://other/t/"), Some(Error));
    assert_eq!(severity("file:///tmp/t/"), Some(Severity::Info));
}

fn change(old: (&str, &str), new: (&str, &str)) -> Vec<Severity> {
    let found = compare(&spec(&[("p", old.0, old.1)]), &spec(&[("p", new.0, new.1)]));
    assert!(found.iter().all(|l| l.code == "P011" && l.line.is_some()));
    found.iter().map(|l| l.severity).collect()
}

#[test]
fn p011_rules_may_grow_and_nothing_else() {
    let values = |list: &str| format!("type = \"enum\", values = [{list}]");
    assert_eq!(change(("string", &values(r#""a""#)), ("string", &values(r#""a","b""#))), []);
    assert_eq!(change(("string", &values(r#""a","b""#)), ("string", &values(r#""b""#))), [Error]);
    let range = |range: &str| format!("type = \"integer\", range = \"{range}\"");
    assert_eq!(change(("int", &range("2020,2030")), ("int", &range("2015,2040"))), []);
    assert_eq!(change(("int", &range("2020,2030")), ("int", &range("2021,2030"))), [Error]);
    assert_eq!(change(("int", &range("0,9")), ("int", &range("0,15"))), [Error]);
    assert_eq!(change(("int", &range("0,9")), ("bigint", &range("0,9"))), [Error]);
    let date = |range: &str| format!("type = \"date\", format = \"yyyy-MM-dd\", range = \"{range}\"");
    assert_eq!(change(("string", &date("2020-01-01,NOW")), ("string", &date("2010-01-01,NOW+1DAYS"))), []);
    assert_eq!(change(("string", &date("2020-01-01,NOW")), ("string", &date("2021-01-01,NOW"))), [Error]);
    assert_eq!(change(("string", &date("2020-01-01,NOW")), ("string", &date("NOW-30DAYS,NOW"))), [Error]);
    assert_eq!(compare(&spec(&[DATE]), &spec(&[("e", DATE.1, DATE.2)])).len(), 1);
}

#[test]
fn p011_column_types_may_widen_and_nothing_else() {
    let with = |data_type: &str| {
        let text = spec(&[DATE]).text.replace("\"int\"", &format!("\"{data_type}\""));
        TableSpec::parse(&text, "t.toml").expect("a spec")
    };
    let severities = |old, new| compare(&with(old), &with(new)).iter().map(|l| l.severity).collect::<Vec<_>>();
    assert_eq!(severities("int", "bigint"), []);
    assert_eq!(severities("bigint", "int"), [Error]);
    assert_eq!(severities("decimal(18,4)", "decimal(20,4)"), [Warn]);
    assert_eq!(severities("decimal(18,4)", "decimal(20,6)"), [Error]);
    assert_eq!(severities("array<struct<a:int,b:int>>", "array<struct<c:int,a:bigint>>"), []);
    assert_eq!(severities("array<struct<a:int,b:int>>", "array<struct<a:int,b:string>>"), [Error]);
}

#[test]
fn shipped_specs_have_no_errors() {
    for name in ["attribute_events", "business_events", "wikipedia_edits"] {
        let path = format!("{}/tables/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect("a shipped spec");
        let spec = TableSpec::parse(&text, &path).expect("a valid spec");
        let errors: Vec<Lint> = lint(&spec, &LintContext { now: NOW, ..LintContext::default() })
            .into_iter()
            .filter(|l| l.severity == Error)
            .collect();
        assert_eq!(errors, []);
    }
}
