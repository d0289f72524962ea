//! The cases of Trino's projection tests (`TestEnumProjectionFactory`, `TestIntegerProjectionFactory`, `TestDateProjectionFactory`,
//! `TestInjectedProjectionFactory`), and what comes of several columns together.

use proptest::prelude::*;
use schemas::instant::parse_instant;
use schemas::projection::Rule;
use schemas::table::TableSpec;

use super::columns::{Refusal, scalar};
use super::*;
use crate::predicate::{Comparison, Scalar};

/// 2026-03-10T12:00:00Z.
const NOON: &str = "2026-03-10T12:00:00Z";

fn now() -> i64 {
    parse_instant(NOON).expect("an instant")
}

/// A table whose partitions are these: name, type, projection as TOML.
fn layout(partitions: &[(&str, &str, &str)]) -> Layout {
    let mut text = "version = 1\nname = \"t\"\ndatabase = \"d\"\nlocation = \"s3://b/t/\"\nunknown_fields = \"drop\"\n\
        [[column]]\nname = \"id\"\ntype = \"string\"\n[[column]]\nname = \"at\"\ntype = \"timestamp\"\n"
        .to_string();
    for (name, data_type, projection) in partitions {
        text += &format!("[[partition]]\nname = \"{name}\"\ntype = \"{data_type}\"\n");
        if !projection.is_empty() {
            text += &format!("projection = {projection}\n");
        }
    }
    Layout::new(TableSpec::parse(&text, "t.toml").expect("a table"), &[])
}

fn paths(layout: &Layout, filter: &Predicate) -> Vec<String> {
    layout.plan(filter, now()).expect("a plan").folders().map(|folder| folder.path).collect()
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.into())
}

fn compare(column: &str, is: Comparison, value: Scalar) -> Predicate {
    Predicate::Compare { column: column.into(), is, value }
}

fn every() -> Predicate {
    Predicate::And(Vec::new())
}

#[test]
fn enum_gives_its_values_as_listed_and_those_the_filter_leaves() {
    let t = layout(&[("c", "string", r#"{ type = "enum", values = ["v1", "v2", "v 3"] }"#)]);
    assert_eq!(paths(&t, &every()), ["c=v1", "c=v2", "c=v 3"]);
    assert_eq!(paths(&t, &Predicate::any_of("c", [text("v2"), text("v1"), text("v9")])), ["c=v1", "c=v2"]);
    assert_eq!(paths(&t, &compare("c", Comparison::Greater, text("v1"))), ["c=v2"]);
    assert_eq!(paths(&t, &Predicate::text("c", "v3")), [""; 0]);
}

#[test]
fn integer_steps_by_its_interval_and_pads_to_its_digits() {
    let t = layout(&[("c", "int", r#"{ type = "integer", range = "0,4" }"#)]);
    assert_eq!(paths(&t, &every()), ["c=4", "c=3", "c=2", "c=1", "c=0"]);
    let t = layout(&[("c", "int", r#"{ type = "integer", range = "1,3", interval = 2 }"#)]);
    assert_eq!(paths(&t, &every()), ["c=3", "c=1"]);
    assert_eq!(paths(&t, &Predicate::equal("c", Scalar::Int(2))), [""; 0], "between two steps");
    let t = layout(&[("c", "int", r#"{ type = "integer", range = "1,3", digits = 2 }"#)]);
    assert_eq!(paths(&t, &every()), ["c=03", "c=02", "c=01"]);
    assert_eq!(paths(&t, &Predicate::equal("c", Scalar::Int(2))), ["c=02"]);
    assert_eq!(paths(&t, &Predicate::between("c", Some(Scalar::Int(2)), Some(Scalar::Int(9)))), ["c=03", "c=02"]);
    let t = layout(&[("c", "int", r#"{ type = "integer", range = "-1,1", interval = 1 }"#)]);
    assert_eq!(paths(&t, &compare("c", Comparison::LessOrEqual, Scalar::Int(0))), ["c=0", "c=-1"]);
}

#[test]
fn a_named_value_of_a_huge_rule_is_not_searched_for() {
    let t = layout(&[("c", "bigint", r#"{ type = "integer", range = "0,9000000000000000000" }"#)]);
    assert_eq!(paths(&t, &Predicate::equal("c", Scalar::Int(8_999_999_999_999_999_999))), ["c=8999999999999999999"]);
    assert_eq!(t.plan(&every(), now()).expect("cut at a million").projected(), 1_000_000);
}

#[test]
fn date_goes_by_its_unit_between_its_ends() {
    let days =
        r#"{ type = "date", format = "yyyy-MM-dd", range = "2020-01-01,2020-01-03", interval = 1, unit = "DAYS" }"#;
    let t = layout(&[("d", "string", days)]);
    assert_eq!(paths(&t, &every()), ["d=2020-01-03", "d=2020-01-02", "d=2020-01-01"]);
    assert_eq!(paths(&t, &Predicate::text("d", "2020-01-02")), ["d=2020-01-02"]);
    assert_eq!(paths(&t, &Predicate::text("d", "2020-01-04")), [""; 0]);
    assert_eq!(
        paths(&t, &Predicate::between("d", Some(text("2020-01-02")), Some(text("2020-02-01")))),
        ["d=2020-01-03", "d=2020-01-02"]
    );
    let hours = r#"{ type = "date", format = "yyyy-MM-dd-HH", range = "2020-01-01-22,2020-01-02-02", interval = 2, unit = "HOURS" }"#;
    let t = layout(&[("d", "string", hours)]);
    assert_eq!(paths(&t, &every()), ["d=2020-01-02-02", "d=2020-01-02-00", "d=2020-01-01-22"]);
    let t = layout(&[("d", "date", days)]);
    let day = |text: &str| Scalar::Day(schemas::instant::parse_date(text).expect("a date"));
    assert_eq!(paths(&t, &compare("d", Comparison::Less, day("2020-01-02"))), ["d=2020-01-01"]);
    assert_eq!(paths(&t, &Predicate::equal("d", day("2020-01-03"))), ["d=2020-01-03"]);
}

#[test]
fn now_moves_the_ends() {
    let t = layout(&[(
        "d",
        "string",
        r#"{ type = "date", format = "yyyy-MM-dd", range = "NOW-1DAYS,NOW+1DAYS", interval = 1, unit = "DAYS" }"#,
    )]);
    assert_eq!(paths(&t, &every()), ["d=2026-03-11", "d=2026-03-10", "d=2026-03-09"]);
    let tomorrow = parse_instant("2026-03-11T00:00:00Z").expect("an instant");
    let later: Vec<_> = t.plan(&every(), tomorrow).expect("a plan").folders().map(|f| f.path).collect();
    assert_eq!(later, ["d=2026-03-12", "d=2026-03-11", "d=2026-03-10"]);
    let t = layout(&[(
        "d",
        "string",
        r#"{ type = "date", format = "yyyy-MM-dd-HH-mm", range = "NOW-2MINUTES,NOW", interval = 1, unit = "MINUTES" }"#,
    )]);
    assert_eq!(paths(&t, &every()), ["d=2026-03-10-12-00", "d=2026-03-10-11-59", "d=2026-03-10-11-58"]);
}

#[test]
fn injected_wants_to_be_named() {
    let t = layout(&[("c", "string", r#"{ type = "injected" }"#)]);
    let unnamed = t.plan(&compare("c", Comparison::Less, text("b")), now());
    assert_eq!(unnamed, Err(Refusal::Unbounded { column: "c".into() }));
    assert_eq!(paths(&t, &Predicate::any_of("c", [text("b"), text("a/../b"), text("")])), ["c=a%2F..%2Fb", "c=b"]);
    let t = layout(&[("c", "string", "")]);
    assert!(t.plan(&every(), now()).is_err_and(|refused| refused.to_string().contains("`c`")));
}

#[test]
fn folders_are_newest_first_whatever_the_order_of_the_path() {
    let days =
        r#"{ type = "date", format = "yyyy-MM-dd", range = "2020-01-01,2020-01-02", interval = 1, unit = "DAYS" }"#;
    let t = layout(&[("b", "int", r#"{ type = "integer", range = "0,1" }"#), ("d", "string", days)]);
    assert_eq!(paths(&t, &every()), ["b=1/d=2020-01-02", "b=0/d=2020-01-02", "b=1/d=2020-01-01", "b=0/d=2020-01-01"]);
    let plan = t.plan(&every(), now()).expect("a plan");
    assert_eq!((plan.group_size(), plan.projected()), (2, 4));
}

#[test]
fn too_many_folders_are_refused_by_the_predicate_that_is_missing() {
    let t = layout(&[
        ("a", "string", r#"{ type = "enum", values = ["x", "y", "z"] }"#),
        ("b", "int", r#"{ type = "integer", range = "0,99" }"#),
    ]);
    let plan = t.plan(&Predicate::text("a", "x"), now()).expect("a plan");
    assert_eq!((plan.within(100), plan.projected()), (Ok(()), 100));
    let refused = plan.within(99).expect_err("one too many");
    assert!(refused.to_string().contains("add a predicate on `b`"), "{refused}");
}

#[test]
fn what_nothing_can_match_needs_no_folder() {
    let t = layout(&[("b", "int", r#"{ type = "integer", range = "0,99" }"#)]);
    let never = Predicate::And(vec![Predicate::text("id", "a"), Predicate::text("id", "b")]);
    assert_eq!(paths(&t, &never), [""; 0]);
}

proptest! {
    /// The values of a column are those of its rule that the filter is true of: checked one by one.
    #[test]
    fn a_column_is_pruned_as_its_rows_would_be(
        (from, len, interval, digits) in (-20i64..20, 0i64..40, 1u64..5, 0u32..4),
        (is, at) in (0usize..5, -25i64..60),
    ) {
        let digits = if digits == 0 { String::new() } else { format!(", digits = {digits}") };
        let rule = format!(r#"{{ type = "integer", range = "{from},{}", interval = {interval}{digits} }}"#, from + len);
        let t = layout(&[("c", "int", &rule)]);
        let is = [Comparison::Equal, Comparison::Less, Comparison::LessOrEqual, Comparison::Greater, Comparison::GreaterOrEqual][is];
        let Some(Rule::Integer { .. }) = t.spec.partitions[0].projection else { panic!("an integer rule") };
        let all: Vec<String> = t.spec.partitions[0].projection.iter().flat_map(|rule| rule.expand(0)).collect();
        let kept = |text: &String| {
            let Some(Scalar::Int(value)) = scalar(text, &t.spec.partitions[0].data_type) else { panic!("a number") };
            match is {
                Comparison::Equal => value == at,
                Comparison::Less => value < at,
                Comparison::LessOrEqual => value <= at,
                Comparison::Greater => value > at,
                Comparison::GreaterOrEqual => value >= at,
            }
        };
        let mut want: Vec<String> = all.into_iter().filter(kept).map(|v| format!("c={v}")).collect();
        want.reverse();
        prop_assert_eq!(paths(&t, &compare("c", is, Scalar::Int(at))), want);
    }
}
