//! Which way each program runs, and generated records by every way.

use super::*;

#[test]
fn the_level_is_the_cheapest_that_can_run_the_program() {
    for program in NATIVE {
        assert_eq!(level(program), Level::Native, "{program}");
    }
    for (program, expected) in [
        (".a | strftime(\"%Y\")", Level::Projected),
        (".s | test(\"x\")", Level::Projected),
        (".a.b | gsub(\"-\"; \"_\")", Level::Projected),
        (".a as $x | .b | . + $x", Level::Projected),
        ("[.a, .b] | join(\"-\")", Level::Projected),
        ("keys[0]", Level::Full),
        ("to_entries[0].key", Level::Full),
        (".[\"a\", \"b\"]", Level::Full),
    ] {
        assert_eq!(level(program), expected, "{program}");
    }
}

const NATIVE: &[&str] = &[
    ".a",
    ".a.b",
    ".\"c d\"",
    ".[\"a\"]",
    ".a.b?",
    ".a.b.c?",
    ".a?",
    "(.a.b)?",
    ".a[0]",
    ".a[-1]",
    ".a[0].b",
    ".a[1:]",
    ".a[0:10]",
    ".a[:-1]",
    ".a[2:1]",
    ".a[\"b\"]",
    ".a | .b",
    ". | .a",
    ".a | .[0:4]",
    ".a % 10",
    ".a % 7",
    ".a % .b",
    ".a % 0",
    ".a + 1",
    ".a + .b",
    ".a - .b",
    ".a * .b",
    ".a * 3",
    ".a / .b",
    ".a / 1000",
    "-.a",
    "-(.a)",
    ".a | utc_date",
    ".b | utc_date | .[0:7]",
    ".a | bucket(10)",
    ".b | bucket(1)",
    ".a | bucket(0)",
    ".a | hive_null",
    ".a.b | hive_null",
    ".a | ascii_downcase",
    ".a | ascii_upcase",
    ".a | tostring",
    ".a | tostring | .[0:3]",
    ".a | tonumber",
    ".a | tojson",
    ".a | length",
    ".a | type",
    ".a | floor",
    ".a | round",
    ".a | ceil",
    ".a | not",
    ".a | ltrimstr(\"a\")",
    ".a | rtrimstr(\"a\")",
    ".a | ltrimstr(1)",
    ".a | startswith(\"a\")",
    ".a | endswith(\"a\")",
    ".a | split(\"a\")[0]",
    ".a | split(\"\")[1]",
    ".a | split(\"-\") | length",
    ".a | has(\"b\")",
    ".a | has(0)",
    ".a // \"none\"",
    ".a.b // .b // 1",
    ".a? // .b",
    ".a.b.c? // \"d\"",
    "(.a | utc_date)? // \"x\"",
    "\"\\(.a)-\\(.b)\"",
    "\"x\\(.a.b)\"",
    "\"\\(.a.b?)\\(.a % 0)\"",
    "\"\\(.a % 0)\\(.a.b?)\"",
    ".a == .b",
    ".a < .b",
    ".a != null",
    ".a and .b",
    ".a or .b",
    ".a.b? and .b",
    "if .a then .b else .\"c d\" end",
    "if .a == 1 then \"one\" elif .a == \"a\" then \"A\" else .b end",
    "if .a.b? then 1 else 2 end",
    "(.a % 0) + .a.b?",
    ".a.b? + (.a % 0)",
    "(.a.b?) == 1",
    "\"a\\tb\\u00e9\"",
    "1.50",
    "1e3",
    "null",
    "true",
    ".a | . | .b",
    ".a | . % 3 | . + 1",
    "if . then .a else 1 end",
    ".a * \"x\"",
    ".a | tostring | length",
    "(.a | tostring) + \"-\" + (.b | tostring)",
    ".a.b == .b",
];

/// Programs that need jaq, projected or not.
const INTERPRETED: &[&str] = &[
    ".a[]",
    ".a[]?",
    ".a, .b",
    ".a | strftime(\"%Y-%m-%d\")",
    ".a | todate",
    ".a | fromdate",
    ".a | test(\"a\")",
    ".a | gsub(\"a\"; \"b\")",
    ".a as $x | .b + $x",
    "[.a, .b] | join(\"-\")",
    ".a | @base64",
    ".a | @uri",
    ".a | explode | add",
    "try .a.b catch \"c\"",
    ".a.b as {c: $c} | $c",
    "reduce .a[]? as $x (0; . + 1)",
    "{a, b: .b} | .a",
    "{(.b | tostring): .a} | keys[0]",
    "[.a[0:2], .b] | tojson",
    "first(.a, .b)",
    ".a | select(. == 1)",
    ".a | @text \"v\\(.)\"",
    "def f: .a; f",
    "def f($x): $x; f(.a)",
    ".a |= 1 | .a",
    ".x = 1 | .a",
    ".x += 1 | .a",
    ".x //= 1 | .a",
    "label $x | .a, break $x",
    ".a | if . == 1 then . end",
    "..|.b?",
    "keys[0]",
    "to_entries | length",
    "del(.a) | .b",
    "[.[]] | length",
    ".[.b]?",
    ".a | tojson | fromjson",
    "limit(1; .a, .b)",
    "[.a, .b] | unique | length",
    "getpath([\"a\",\"b\"])",
    "any(.a, .b; . == 1)",
    "isempty(.a[]?)",
    ".a | indices(\"a\")",
    ".a | [.] | flatten | length",
    ".a | contains(\"a\")?",
    "[.a, .b] | sort | .[0]",
    "[.a, .b] | min",
];

fn scalar() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        "[a-cA-C \\-é😀\"\\\\\n]{0,6}",
        Just("2026-05-17T23:12:54.594-05:00".to_string()),
        Just("2026-05-17".to_string()),
        Just("1779045174".to_string()),
        Just("1.5".to_string()),
    ];
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        (-20i64..20).prop_map(|n| json!(n)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        Just(json!(1.0)),
        Just(json!(1_779_045_174_594i64)),
        (-1e4f64..1e4).prop_map(|f| json!(f)),
        text.prop_map(|s| json!(s)),
    ]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| json!(items)),
            prop::collection::btree_map(prop_oneof![Just("b"), Just("c"), Just("c d"), Just("é")], inner, 0..3)
                .prop_map(|members| json!(members)),
        ]
    })
}

/// The text of a record: members in any order, some twice, spaces and escapes here and there.
fn record() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("\"a\""),
        Just("\"b\""),
        Just("\"c d\""),
        Just("\"\\u0061\""),
        Just("\"x\""),
        Just("\"a\\\"\"")
    ];
    let raw = prop_oneof![
        8 => value().prop_map(|v| v.to_string()),
        1 => prop_oneof![Just("1e3"), Just("1.50"), Just("-0.0"), Just("1E400"), Just("\"\\ud800x\""), Just("\"\\u00e9\\/\""), Just("123456789012345678901234567890123456789012")]
            .prop_map(str::to_string),
    ];
    prop::collection::vec((name, raw, prop_oneof![Just(""), Just(" "), Just("\n\t")]), 0..5).prop_map(|members| {
        let members: Vec<String> = members
            .into_iter()
            .map(|(name, value, space)| format!("{space}{name}{space}:{space}{value}{space}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

#[test]
fn generated_records_have_the_same_keys_by_every_way() {
    same_by_every_way(JqCompat::Off);
}

#[test]
fn generated_records_have_the_same_keys_by_every_way_as_in_jq_16() {
    same_by_every_way(JqCompat::V16);
}

fn same_by_every_way(compat: JqCompat) {
    let compile = |program: &&str| {
        let named = [("k".to_string(), program.to_string())];
        Keys::compile_as(&named, compat, Budget::default(), &|_| (String::new(), None)).expect("it compiles")
    };
    let programs: Vec<Keys> = NATIVE.iter().chain(INTERPRETED).map(compile).collect();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&record(), |record| {
        crate::decode::decode(record.as_bytes()).map_err(|r| TestCaseError::fail(r.message))?;
        let (mut cheap, mut full) = (Vec::new(), Vec::new());
        for (at, keys) in programs.iter().enumerate() {
            let cheapest =
                keys.evaluate(record.as_bytes(), &mut cheap).map(|()| cheap[0].clone()).map_err(|r| r.reason);
            let by_jaq =
                keys.evaluate_by_jaq(record.as_bytes(), &mut full).map(|()| full[0].clone()).map_err(|r| r.reason);
            prop_assert_eq!(cheapest, by_jaq, "program {} of the lists", at);
        }
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}
