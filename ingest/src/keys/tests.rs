//! The three ways a key can run against each other, against jq 1.6, and against programs that mean harm.

mod generated;

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn compile(programs: &[&str]) -> Keys {
    compile_with(programs, Budget::default())
}

fn compile_with(programs: &[&str], budget: Budget) -> Keys {
    let named: Vec<_> = programs.iter().enumerate().map(|(i, p)| (format!("k{i}"), p.to_string())).collect();
    Keys::compile(&named, budget, &|i| ("test.toml".to_string(), Some(i + 1)))
        .unwrap_or_else(|e| panic!("{programs:?}: {e:?}"))
}

/// The value by the cheapest way, after making sure that jaq on the whole record says the same.
fn key(program: &str, record: &str) -> Result<String, Reason> {
    let keys = compile(&[program]);
    let (mut cheap, mut full) = (Vec::new(), Vec::new());
    let cheapest = keys.evaluate(record.as_bytes(), &mut cheap).map(|()| cheap[0].clone()).map_err(|r| r.reason);
    let by_jaq = keys.evaluate_by_jaq(record.as_bytes(), &mut full).map(|()| full[0].clone()).map_err(|r| r.reason);
    assert_eq!(cheapest, by_jaq, "{program} <- {record} ({:?})", keys.levels());
    cheapest
}

fn level(program: &str) -> Level {
    compile(&[program]).levels()[0].1
}

#[test]
fn the_designs_three_keys_run_on_the_text_of_the_record() {
    let keys = compile(&[".created_at | utc_date", ".attribute_name", ".entity_id | bucket(10)"]);
    assert!(keys.levels().iter().all(|(_, level)| *level == Level::Native));
    let mut values = vec!["stale".to_string(); 7];
    let record =
        br#"{"created_at":"2026-05-17T23:12:54.594-05:00","attribute_name":"hq_city","entity_id":-9007199254740993}"#;
    keys.evaluate(record, &mut values).expect("three scalars");
    assert_eq!(values, ["2026-05-18", "hq_city", "7"]);
}

#[test]
fn each_kind_of_wrong_output_has_its_own_reason() {
    for (program, record, reason) in [
        (".a", r#"{"a":null}"#, Reason::KeyNull),
        (".a", "{}", Reason::KeyMissing),
        (".a.b", r#"{"a":null}"#, Reason::KeyMissing),
        (".a[0:4]", "{}", Reason::KeyMissing),
        (".a", r#"{"a":""}"#, Reason::KeyEmpty),
        (".a", r#"{"a":{"b":1}}"#, Reason::KeyNotScalar),
        (".a", r#"{"a":[1]}"#, Reason::KeyNotScalar),
        (".a[]", r#"{"a":[]}"#, Reason::KeyNoOutput),
        (".a.b?", r#"{"a":1}"#, Reason::KeyNoOutput),
        (".a[]", r#"{"a":[1,2]}"#, Reason::KeySeveralOutputs),
        (".a, error(\"x\")", r#"{"a":1}"#, Reason::KeyError),
        (".a.b", r#"{"a":"x"}"#, Reason::KeyError),
        (".a | utc_date", r#"{"a":"yesterday"}"#, Reason::KeyError),
        (".a | bucket(10)", r#"{"a":1.5}"#, Reason::KeyError),
        (".a % 0", r#"{"a":1}"#, Reason::KeyError),
        ("nan", "{}", Reason::KeyNull),
    ] {
        assert_eq!(key(program, record), Err(reason), "{program} <- {record}");
    }
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(513));
    assert_eq!(key(".a", &long), Err(Reason::KeyTooLong));
}

#[test]
fn a_reject_names_the_key_and_what_is_wrong() {
    let reject = |program: &str, record: &str| {
        compile(&[program]).evaluate(record.as_bytes(), &mut Vec::new()).expect_err(program)
    };
    let missing = reject(".source.rule", r#"{"source":{}}"#);
    assert_eq!(
        (missing.key.as_deref(), missing.message.as_str()),
        (Some("k0"), "key k0 is null: `.source.rule` is not in the record")
    );
    assert_eq!(
        reject(".a | utc_date", r#"{"a":"x\n"}"#).message,
        "key k0 failed: `x\\\\n` is no instant: want RFC 3339, yyyy-MM-dd[ HH:mm:ss[.S]], or epoch seconds or millis"
    );
    assert_eq!(reject(".a", r#"{"a":{}}"#).message, "key k0 is an object: a key is a string, a number or a boolean");
}

#[test]
fn scalars_have_one_text() {
    for (json, text) in [
        (r#""a b""#, "a b"),
        (r#""\u00e9\n""#, "é\n"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("1.50", "1.5"),
        ("-0", "0"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551616", "18446744073709551616"),
        ("true", "true"),
        ("false", "false"),
    ] {
        assert_eq!(key(".a", &format!(r#"{{"a":{json}}}"#)).as_deref(), Ok(text), "{json}");
    }
}

#[test]
fn buckets_are_exact_for_integers_and_take_strings_by_their_bytes() {
    for (json, bucket) in [
        ("-7", "3"),
        ("9007199254740993", "3"),
        ("-9223372036854775808", "2"),
        ("18446744073709551615", "5"),
        ("123456789012345678901234567890123456789012345678901234567893", "3"),
        ("5.0", "5"),
        ("1e3", "0"),
        (r#""123456789""#, "2"),
        (r#""\u003123456789""#, "2"),
    ] {
        assert_eq!(key(".id | bucket(10)", &format!(r#"{{"id":{json}}}"#)).as_deref(), Ok(bucket), "{json}");
    }
}

#[test]
fn a_program_that_would_not_end_or_fill_memory_is_stopped() {
    let items = vec!["1"; 3000].join(",");
    let record = format!(r#"{{"a":[{items}],"s":"{}"}}"#, "a".repeat(3000));
    let mut wrong = Vec::new();
    for program in [
        "[range(1e9)] | length",
        "[range(0; 1; 0)] | length",
        "first(range(0; 1e12) | select(. > 1e11))",
        "[.a[] as $x | .a[] as $y | $x + $y] | length",
        "\"x\" * 1e9",
        "reduce range(60) as $i (.s; . + .)",
        "reduce range(60) as $i (\"x\"; [., .]) | tojson",
        "reduce range(60) as $i (\"x\"; [., .]) | . == 1 or (tojson | length) > 0",
        "reduce range(60) as $i (\"x\"; [., .]) == reduce range(60) as $i (\"x\"; [., .])",
        "reduce range(100000) as $i (1; [.]) | length",
        "[limit(1e9; range(1e9))] | length",
        "[[.a, .a, .a] | combinations] | length",
        ".s | test(\"(a?){1000}{1000}b\")",
        ".s | [scan(\"a*b|a\")] | length",
        ".a | [.[] | . as $x | range(1000)] | sort | length",
        "last(range(1e12))",
        "nth(1e12; range(1e13))",
        "[skip(1e12; range(1e13))] | length",
        "\"%255d\" * 10000 as $f | 0 | strftime($f) | length",
    ] {
        let keys = compile(&[program]);
        let reject = keys.evaluate(record.as_bytes(), &mut Vec::new());
        let reason = reject.map_err(|r| r.reason);
        if reason != Err(Reason::KeyBudget) {
            wrong.push(format!("{program}: {reason:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_large_record_pays_for_its_own_size() {
    let items = vec!["1"; 400_000].join(",");
    assert_eq!(key("[.a[0], (.a | length)] | add", &format!(r#"{{"a":[{items}]}}"#)).as_deref(), Ok("400001"));
}

#[test]
fn the_deepest_record_passes_through_every_recursive_function() {
    let depth = writer::encode::DEPTH_MAX - 1;
    let record = format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    for (program, text) in [
        ("[..] | length", "129"),
        (".a | flatten | length", "1"),
        (".a | tojson | length", "255"),
        ("[paths] | length", "128"),
        (".a | tojson | fromjson | flatten[0]", "1"),
        ("walk(.) | .a | flatten[0]", "1"),
        ("(.a | tojson) == (.a | tojson)", "true"),
        (". == . and ([.] | contains([{}]))", "true"),
    ] {
        assert_eq!(key(program, &record).as_deref(), Ok(text), "{program}");
    }
}

#[test]
fn the_deepest_programs_fit_a_worker_threads_stack() {
    let depth = writer::encode::DEPTH_MAX - 1;
    let record = format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let wrap = |outer: &str, times: usize| format!("{}.{}", outer.repeat(times), ")".repeat(times));
    for (program, expected) in [
        (format!(".a | {} | flatten[0]", wrap("map(", 120)), Ok("1")),
        (format!("{} | .a | flatten[0]", vec!["."; 150].join("|")), Ok("1")),
        (format!(". as $r | {}", wrap("walk($r | ", 4)), Err(Reason::KeyBudget)),
        (format!("{} | tojson | length", wrap("[..] | (", 60)), Err(Reason::KeyBudget)),
        (format!("def f(g): [g | g]; {} | length", wrap("f(", 6)), Ok("1")),
    ] {
        assert_eq!(key(&program, &record).as_deref().map_err(|r| *r), expected, "{program}");
    }
}

#[test]
fn milliseconds_taken_for_seconds_are_an_error_and_not_a_far_year() {
    for program in [".t | strftime(\"%Y\")", ".t | todate", ".t | gmtime | mktime"] {
        for t in ["1779045174594", "9223372036854775807", "-9223372036854775808", "1e300"] {
            assert_eq!(key(program, &format!(r#"{{"t":{t}}}"#)), Err(Reason::KeyError), "{program} <- {t}");
        }
    }
    assert_eq!(key(".t / 1000 | strftime(\"%Y-%m\")", r#"{"t":1779045174594}"#).as_deref(), Ok("2026-05"));
}

#[test]
fn firehoses_bare_pipes_in_an_object_parse() {
    let (out, error) = run_program(
        r#"{y:.ts|strftime("%Y"),m:.ts|strftime("%m"),k:.k}"#,
        JqCompat::Off,
        r#"{"ts":1779045174,"k":1}"#,
        10_000,
    );
    assert_eq!((out, error), (vec![r#"{"y":"2026","m":"05","k":1}"#.to_string()], None));
}

#[test]
fn keys_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Keys>();
}

#[test]
fn problems_name_place_key_and_remedy() {
    let named = [
        ("day".to_string(), "now | utc_date".to_string()),
        ("ok".to_string(), ".a".to_string()),
        ("x".to_string(), ".a |".to_string()),
    ];
    let problems =
        Keys::compile(&named, Budget::default(), &|i| ("c.toml".to_string(), Some(10 + i))).expect_err("two are wrong");
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "c.toml:10: key `day`: `now` is not available: keys are a function of the record alone, so that a replay gives the same partitions",
            "c.toml:12: key `x`: program ends where term is expected",
        ]
    );
    assert!(Keys::compile(&[], Budget::default(), &|_| ("c.toml".to_string(), None)).is_err());
}

/// Programs of the probe whose answer differs from jq 1.6's, on purpose.
const DIFFERENT: &[(&str, &str, &str)] = &[
    (".ts|fromdate|strftime(\"%Y\")", "2024-05-06T07:08:09.123Z", "a fraction of a second is no error"),
    (".ts|fromdate", "+02:00", "an offset is no error"),
    (".t|todate", "1565382027.5", "keeps the fraction"),
    ("{k:.n}", "9007199254740993", "integers are exact"),
    ("{k:(.n|tostring)}", "9007199254740993", "integers are exact"),
    ("{k:(.n|tostring)}", "100000000000000000000", "integers are exact and have no exponent"),
    ("{k:(.n%16)}", "12345678901234567", "integers are exact"),
    ("{k:.s}", "\\ud800", "half a surrogate pair is U+FFFD, as in jq 1.7"),
    ("{k:$__loc__}", "{}", "a key does not look at its own text"),
    ("{k:env.HOME}", "{}", "a function of the record alone"),
    ("{k:input_line_number}", "{}", "a function of the record alone"),
    ("{k:(.t|localtime|strftime(\"%H\"))}", "0", "no time zone of the machine"),
    ("{k:(.t|strflocaltime(\"%H\"))}", "0", "no time zone of the machine"),
];

#[derive(serde::Deserialize)]
struct Probe {
    program: String,
    input: String,
    jq16: Answer,
}

#[derive(serde::Deserialize)]
struct Answer {
    out: Vec<String>,
    error: bool,
}

fn probes() -> Vec<Probe> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/jq16_oracle_probe.jsonl");
    let text = std::fs::read_to_string(path).expect("corpus");
    text.lines().map(|line| serde_json::from_str(line).expect("probe")).collect()
}

/// Those that remain where jq 1.6's answers are asked for.
const DIFFERENT_AS_16: &[(&str, &str, &str)] = &[
    ("{k:$__loc__}", "{}", "a key does not look at its own text"),
    ("{k:env.HOME}", "{}", "a function of the record alone"),
    ("{k:input_line_number}", "{}", "a function of the record alone"),
];

#[test]
fn programs_answer_as_jq_16_does_but_for_named_differences() {
    answers(JqCompat::Off, DIFFERENT);
}

#[test]
fn asked_for_they_answer_as_jq_16_wherever_a_key_could_depend_on_it() {
    answers(JqCompat::V16, DIFFERENT_AS_16);
}

fn answers(compat: JqCompat, different: &[(&str, &str, &str)]) {
    let probes = probes();
    assert_eq!(probes.len(), 129);
    let mut used = vec![false; different.len()];
    let mut unexpected = Vec::new();
    for probe in &probes {
        let (out, error) = run_program(&probe.program, compat, &probe.input, 100_000);
        let same = out == probe.jq16.out && error.is_some() == probe.jq16.error;
        let named =
            different.iter().position(|(program, input, _)| probe.program == *program && probe.input.contains(input));
        let reads_clock = probe.program.contains("now");
        if let Some(at) = named {
            used[at] |= !same;
        }
        if !same && named.is_none() && !reads_clock {
            unexpected.push(format!(
                "{} <- {}: {out:?} {error:?}, jq {:?} {}",
                probe.program, probe.input, probe.jq16.out, probe.jq16.error
            ));
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    let unused: Vec<_> = different.iter().zip(&used).filter(|(_, used)| !**used).map(|(d, _)| d).collect();
    assert!(unused.is_empty(), "no longer different: {unused:?}");
}

#[test]
fn an_arrival_is_a_key_by_itself_and_needs_to_be_known() {
    let keys = compile(&["arrived_at(\"yyyy/MM/dd\")", ".a"]);
    let mut values = Vec::new();
    keys.evaluate_arrived(br#"{"a":1}"#, Some(1_772_406_309_000), &mut values).expect("both");
    assert_eq!(values, ["2026/03/01", "1"]);
    let unknown = keys.evaluate(br#"{"a":1}"#, &mut values).expect_err("nobody knows");
    assert_eq!((unknown.reason, unknown.key.as_deref()), (Reason::KeyError, Some("k0")));
    for (program, says) in [
        ("arrived_at(\"yyyy\") + .a", "stands alone"),
        (".a | arrived_at(\"yyyy\")", "stands alone"),
        ("arrived_at", "takes a pattern"),
        ("arrived_at(.a)", "takes a pattern"),
        ("arrived_at(\"YYYY\")", "is not known"),
        ("arrived_at(\"HH\"; \"Nowhere\")", "no time zone"),
    ] {
        let named = [("k".to_string(), program.to_string())];
        let problems = Keys::compile(&named, Budget::default(), &|_| (String::new(), None)).expect_err(program);
        assert!(problems[0].message.contains(says), "{program}: {}", problems[0].message);
    }
}

#[test]
fn the_members_of_the_probes_objects_are_the_same_by_every_way() {
    let mut native = 0;
    for probe in probes() {
        let compiled =
            Keys::compile(&[("k".to_string(), probe.program.clone())], Budget::default(), &|_| (String::new(), None));
        if compiled.is_ok() {
            key(&probe.program, &probe.input).ok();
        }
        let Some(inner) = probe.program.strip_prefix("{k:").and_then(|p| p.strip_suffix('}')) else {
            continue;
        };
        let compiled =
            Keys::compile(&[("k".to_string(), inner.to_string())], Budget::default(), &|_| (String::new(), None));
        if let Ok(keys) = compiled {
            key(inner, &probe.input).ok();
            native += usize::from(keys.levels()[0].1 == Level::Native);
        }
    }
    assert!(native >= 15, "{native}");
}

/// The cheaper way has to meet the failure that a constant behind it does not need.
#[test]
fn a_path_that_fails_before_a_constant_fails_at_each_level() {
    let budget = Budget { steps: 20_000, value_bytes: 512 };
    for program in [".a.b | \"x\"", ".a.b | 1", ".a.b.c | length < .d? | 1"] {
        let named = [("k".to_string(), program.to_string())];
        let keys = Keys::compile(&named, budget, &|_| ("c.toml".to_string(), Some(1))).expect("it compiles");
        let record = br#"{"a":"text"}"#;
        let cheapest = keys.evaluate(record, &mut Vec::new()).expect_err("text has no members");
        let by_jaq = keys.evaluate_by_jaq(record, &mut Vec::new()).expect_err("text has no members");
        assert_eq!(cheapest.reason, by_jaq.reason, "{program}");
    }
}
