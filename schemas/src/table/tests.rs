//! Specs that are wrong, and what is said of them.

use super::*;
use crate::projection::{DateRule, Unit};

const GOOD: &str = r#"version = 1
name = "t"
database = "lake"
comment = "a table"
location = "s3://b/t/"
sort = ["at", "_position"]
bloom = ["id"]
required_predicates = ["d"]

[[column]]
name = "id"
type = "string"

[[column]]
name = "at"
type = "timestamp"
path = '.meta."created at"'
comment = "when"

[[partition]]
name = "d"
type = "string"
projection = { type = "date", format = "yyyy-MM-dd", range = "2012-01-01,NOW+1DAYS" }

[[partition]]
name = "n"
type = "int"
projection = { type = "integer", range = "1,12", digits = 2 }

[properties]
owner = "data"
"#;

/// The problems of [`GOOD`] with one text replaced, as printed.
fn problems(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    let found = TableSpec::parse(&GOOD.replacen(from, to, 1), "t.toml").expect_err("is refused");
    found.iter().map(ToString::to_string).collect()
}

fn problem(from: &str, to: &str) -> String {
    let found = problems(from, to);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().expect("one problem")
}

#[test]
fn a_spec_is_read_whole() {
    let spec = TableSpec::parse(GOOD, "t.toml").expect("a spec");
    assert_eq!((spec.name.as_str(), spec.database.as_str(), spec.location.as_str()), ("t", "lake", "s3://b/t/"));
    assert_eq!((spec.columns[0].path.as_slice(), spec.columns[1].path.len()), (["id".to_string()].as_slice(), 2));
    assert_eq!(spec.columns[1].path[1], "created at");
    assert_eq!(spec.sort, ["at", "_position"]);
    let date = DateRule::parse("yyyy-MM-dd", "2012-01-01,NOW+1DAYS", Some(1), Some(Unit::Days)).expect("a rule");
    assert_eq!(spec.partitions[0].projection, Some(Rule::Date(date)));
    let month = Rule::Integer { from: 1, to: 12, interval: 1, digits: Some(2) };
    assert_eq!(spec.partitions[1].projection, Some(month));
    assert_eq!(spec.properties["owner"], "data");
    assert_eq!((spec.text.as_str(), spec.line_of("at"), spec.line_of("n")), (GOOD, Some(15), Some(26)));
}

#[test]
fn what_is_left_out_has_a_default() {
    let text = GOOD.replace("database = \"lake\"\n", "");
    let spec = TableSpec::parse(&text, "t.toml").expect("a spec");
    assert_eq!((spec.database.as_str(), spec.unknown_fields, spec.metadata), ("default", UnknownFields::Drop, true));
}

#[test]
fn stored_columns_are_the_events_then_the_rest_then_metadata() {
    let names = |text: &str| -> Vec<String> {
        let spec = TableSpec::parse(text, "t.toml").expect("a spec");
        spec.stored_columns().into_iter().map(|c| c.name).collect()
    };
    assert_eq!(names(GOOD), ["id", "at", "_shard", "_position", "_arrived_at"]);
    let rest = GOOD.replace("version = 1", "version = 1\nunknown_fields = \"rest\"");
    assert_eq!(names(&rest), ["id", "at", "_rest", "_shard", "_position", "_arrived_at"]);
    let bare = rest.replace("version = 1", "version = 1\nmetadata = false").replace(", \"_position\"", "");
    assert_eq!(names(&bare), ["id", "at", "_rest"]);
}

#[test]
fn unknown_fields_get_the_nearest_known_name_and_their_line() {
    assert_eq!(problem("comment = \"a table\"", "coment = \"a\""), "t.toml:4: unknown field `coment`: write `comment`");
    assert_eq!(problem("path = '", "pth = '"), "t.toml:17: unknown field `pth` of [[column]] `at`: write `path`");
    assert_eq!(
        problem("digits = 2", "width = 2"),
        "t.toml:28: unknown field `width` of projection of `n`: remove it; known are type, range, interval, digits"
    );
    assert_eq!(
        problem("digits = 2", "digit = 2"),
        "t.toml:28: unknown field `digit` of projection of `n`: write `digits`"
    );
}

#[test]
fn every_problem_is_found_in_one_run_by_line() {
    let text = GOOD
        .replace("version = 1", "version = 2")
        .replace("s3://b/t/", "s3://b/t")
        .replace("\"timestamp\"", "\"timestmp\"")
        .replace("range = \"1,12\"", "range = \"12,1\"");
    let found: Vec<String> =
        TableSpec::parse(&text, "t.toml").expect_err("is refused").iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "t.toml:1: version 2 is not known: write `version = 1`",
            "t.toml:5: location `s3://b/t` does not end in `/`: write `s3://b/t/`",
            "t.toml:16: unknown type `timestmp`: write `timestamp`",
            "t.toml:28: integer range `12,1` ends before it begins: write `1,12`",
        ]
    );
}

#[test]
fn syntax_errors_have_a_line() {
    let found = problems("name = \"t\"", "name = t");
    assert!(found[0].starts_with("t.toml:2: not TOML: "), "{found:?}");
}

#[test]
fn wrong_kinds_of_values_are_named() {
    assert_eq!(problem("name = \"t\"", "name = 3"), "t.toml:2: `name` wants a string in quotes, found integer");
    assert_eq!(
        problem("digits = 2", "digits = -2"),
        "t.toml:28: `digits` of projection of `n` wants a whole number, found integer"
    );
    assert_eq!(problem("bloom = [\"id\"]", "bloom = [1]"), "t.toml:7: `bloom` wants strings in quotes");
    assert!(problem("owner = \"data\"", "owner = 1").contains("`owner` of [properties] wants a string"));
}

#[test]
fn what_is_missing_is_named_with_an_example() {
    assert!(problem("version = 1\n", "").contains("`version` is missing: write `version = 1`"));
    assert!(problem("location = \"s3://b/t/\"\n", "").contains("write `location = \"s3://bucket/my_table/\"`"));
    assert!(problem("type = \"timestamp\"\n", "").starts_with("t.toml:14: `type` of [[column]] `at` is missing"));
    let none =
        TableSpec::parse("version = 1\nname = \"t\"\nlocation = \"s3://b/t/\"", "t.toml").expect_err("is refused");
    assert_eq!(none.len(), 2);
}

#[test]
fn names_are_lower_case_unique_and_not_the_writers() {
    assert!(problem("name = \"t\"", "name = \"myTable\"").contains("write `my_table`"));
    assert_eq!(problem("name = \"n\"", "name = \"d\""), "t.toml:26: there are two columns `d`: remove or rename one");
    assert!(problem("name = \"n\"", "name = \"_shard\"").contains("is the writer's own"));
    assert!(problem("name = \"n\"", "name = \"id\"").contains("rename it (with `path = \".id\"`)"));
}

#[test]
fn sort_bloom_and_required_name_what_there_is() {
    assert_eq!(
        problem("bloom = [\"id\"]", "bloom = [\"idd\"]"),
        "t.toml:7: bloom names `idd`, which is no column: write `id`"
    );
    assert!(problem("bloom = [\"id\"]", "bloom = [\"d\"]").contains("a partition column, which no file holds"));
    assert!(problem("bloom = [\"id\"]", "bloom = [\"id\", \"id\"]").contains("twice"));
    assert!(
        problem("type = \"string\"\n\n", "type = \"boolean\"\n\n").contains("bloom names `id`, which is `boolean`")
    );
    assert!(problem("[\"d\"]", "[\"e\"]").contains("required_predicates names `e`"));
}

#[test]
fn partition_columns_are_of_a_type_a_path_can_hold() {
    assert!(
        problem("type = \"int\"", "type = \"double\"")
            .contains("cannot be `double`: write string, int, bigint or date")
    );
}

#[test]
fn projections_are_checked_as_they_are_read() {
    assert!(
        problem("type = \"integer\"", "type = \"intger\"")
            .contains("unknown projection type `intger`: write `integer`")
    );
    assert!(problem("digits = 2", "interval = 0").contains("interval 0 is out of range"));
    assert!(problem("digits = 2", "digits = 21").contains("digits 21 is out of range"));
    assert!(problem("range = \"2012-01-01,", "range = \"2012-1-1,").contains("write one such as `2012-01-01`"));
    let rule = "type = \"integer\", range = \"1,12\", digits = 2";
    assert!(problem(rule, "type = \"enum\"").contains("write `values = [\"a\", \"b\"]`"));
    assert!(problem(rule, "type = \"enum\", values = [\"a\", \"a\"]").contains("stands twice"));
    assert!(problem(rule, "type = \"enum\", values = [\"a,b\"]").contains("has a comma"));
    assert!(
        problem(rule, "type = \"date\", format = \"yyyy\", range = \"2012,NOW\", interval = 1, unit = \"YERS\"")
            .contains("`YEARS`")
    );
}

#[test]
fn locations_are_plain_prefixes() {
    for (location, says) in
        [("/lake/t/", "is no URL"), ("s3://b/*/", "wildcard"), ("s3://b/a b/", "space"), ("s3://", "is no URL")]
    {
        let found = problem("s3://b/t/", location);
        assert!(found.contains(says), "{found}");
    }
}

#[test]
fn generated_properties_cannot_be_given() {
    assert!(problem("owner", "\"projection.d.type\"").contains("is generated"));
}

#[test]
fn comments_are_one_short_line() {
    assert!(problem("\"when\"", "\"a\\nb\"").contains("write one line"));
    assert!(problem("\"when\"", &format!("\"{}\"", "x".repeat(256))).contains("at most 255"));
}

#[test]
fn compression_has_its_levels_and_no_others() {
    let parse = |text: &str| Compression::try_from(text.to_string());
    assert_eq!(parse("zstd"), Ok(Compression::Zstd(1)));
    assert_eq!(parse("zstd(22)"), Ok(Compression::Zstd(22)));
    assert_eq!(parse(" gzip ( 9 ) "), Ok(Compression::Gzip(9)));
    assert_eq!(parse("gzip"), Ok(Compression::Gzip(6)));
    for codec in [Compression::Snappy, Compression::Lz4, Compression::None, Compression::Zstd(3)] {
        assert_eq!(parse(&String::from(codec)), Ok(codec));
    }
    assert_eq!(parse("zstd(23)"), Err("zstd has no level 23: write `zstd(1)` to `zstd(22)`".into()));
    assert_eq!(parse("snappy(1)"), Err("compression `snappy` has no level: write `snappy`".into()));
    assert_eq!(parse("snapy"), Err("unknown compression `snapy`: write `snappy`".into()));
    for text in ["zstd(0)", "zstd()", "zstd(-1)", "zstd(3", "gzip(10)", "gzip(99999999999)", "brotli", ""] {
        assert!(parse(text).is_err(), "{text}");
    }
}
