//! Each type: what it takes, as what, and what it refuses.

use super::*;

/// Values that fit, with what the file then holds; values that do not.
fn check(data_type: DataType, good: &[(&str, Json)], bad: &[&str]) {
    let spec = table(vec![event("c", data_type.clone())]);
    let lines: Vec<String> =
        good.iter().map(|(text, _)| *text).chain(bad.iter().copied()).map(|text| format!("{{\"c\":{text}}}")).collect();
    let encoded = encode(&spec, &lines);
    for (row, (text, expected)) in read(&encoded).iter().zip(good) {
        assert_eq!(row["c"], *expected, "{data_type} {text}");
    }
    let rejected: Vec<&str> = encoded.rejects.iter().map(|(index, _)| lines[*index].as_str()).collect();
    assert_eq!(rejected, lines[good.len()..].iter().map(String::as_str).collect::<Vec<_>>(), "{data_type}");
    assert_eq!(encoded.rows, good.len() as u64);
    for (_, reject) in &encoded.rejects {
        assert_eq!(reject.column.as_deref(), Some("c"), "{}", reject.message);
        assert!(reject.message.starts_with(&format!("column c ({data_type}) cannot hold ")), "{}", reject.message);
    }
}

#[test]
fn booleans() {
    let good =
        [("true", json!(true)), ("\"False\"", json!(false)), ("null", Json::Null), ("\"tru\\u0065\"", json!(true))];
    check(DataType::Boolean, &good, &["0", "1", "\"yes\"", "\"\"", "[]", "{}"]);
}

#[test]
fn integers_of_every_width() {
    check(DataType::TinyInt, &[("127", json!(127)), ("-128", json!(-128))], &["128", "-129", "1.5", "true"]);
    check(DataType::SmallInt, &[("32767", json!(32767)), ("-32768.0", json!(-32768))], &["32768", "-32769"]);
    let int = [("2147483647", json!(i32::MAX)), ("-2147483648", json!(i32::MIN)), ("1e3", json!(1000))];
    check(DataType::Int, &int, &["2147483648", "-2147483649", "{}", "[1]"]);
    let bigint = [
        ("9223372036854775807", json!(i64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("\"42\"", json!(42)),
        ("9007199254740993", json!(9_007_199_254_740_993i64)),
        ("-0", json!(0)),
        ("1.0", json!(1)),
    ];
    let bad = ["9223372036854775808", "18446744073709551615", "1.5", "1e400", "\"oops\"", "\"\"", "\" 1\"", "false"];
    check(DataType::BigInt, &bigint, &bad);
}

#[test]
fn floats_and_doubles() {
    let double = [
        ("0.1", json!(0.1)),
        ("\"2.5e3\"", json!(2500.0)),
        ("1.7976931348623157e308", json!(f64::MAX)),
        ("-0.0", json!(-0.0)),
        ("12345678901234567890", json!(12_345_678_901_234_567_890.0)),
    ];
    check(DataType::Double, &double, &["1e400", "\"NaN\"", "\"inf\"", "\"abc\"", "true", "[1]"]);
    check(DataType::Float, &[("0.1", json!(0.1f32)), ("16777217", json!(16_777_216f32))], &["1e39", "\"1f\""]);
}

#[test]
fn decimals_are_exact() {
    let good = [
        ("1234567890123456789012345678.0123456789", json!("12345678901234567890123456780123456789")),
        ("\"-0.0000000001\"", json!("-1")),
        ("1e27", json!("10000000000000000000000000000000000000")),
        ("-0", json!("0")),
    ];
    check(decimal(38, 10), &good, &["1e28", "0.00000000001", "1e400", "\"1,5\"", "true"]);
    check(decimal(9, 2), &[("1234567.80", json!("123456780"))], &["12345678", "0.001"]);
    check(decimal(18, 0), &[("999999999999999999", json!("999999999999999999"))], &["1000000000000000000", "0.5"]);
}

#[test]
fn strings_take_everything_as_text() {
    let good = [
        ("\"a\"", json!("a")),
        ("\"\"", json!("")),
        (r#""q\"\\\/\n\u00e9\ud83d\ude00\u0000""#, json!("q\"\\/\né😀\0")),
        ("1.50", json!("1.50")),
        ("true", json!("true")),
        ("{ \"B\" : [1, \"x\\n\"] }", json!("{ \"B\" : [1, \"x\\n\"] }")),
        ("[ ]", json!("[ ]")),
        ("null", Json::Null),
    ];
    check(DataType::String, &good, &[r#""a\ud83d""#, r#""\ude00""#]);
}

#[test]
fn half_a_surrogate_pair_is_named_as_the_reason() {
    let encoded = encode(&table(vec![event("c", DataType::String)]), &[r#"{"c":"x\ud83d"}"#]);
    let message = &encoded.rejects[0].1.message;
    assert_eq!(
        message,
        "column c (string) cannot hold \"x\u{fffd}\"; want text that UTF-8 can hold (half of a surrogate pair stands alone)"
    );
    assert!(encoded.bytes.is_empty() && encoded.rows == 0);
}

#[test]
fn binaries_are_padded_base64() {
    let good = [("\"AAEC/w==\"", json!("AAEC/w==")), ("\"AAEC\\/w==\"", json!("AAEC/w==")), ("\"\"", json!(""))];
    check(DataType::Binary, &good, &["\"AAEC/w\"", "\"AAEC_w==\"", "\"a b=\"", "1", "[1]"]);
}

#[test]
fn dates() {
    let good = [
        ("\"2026-05-17\"", json!(20590)),
        ("\"2026-5-7\"", json!(20580)),
        ("\"2026-05-17T00:30:00+02:00\"", json!(20589)),
        ("\"0001-01-01\"", json!(-719_162)),
        ("\"9999-12-31\"", json!(2_932_896)),
    ];
    check(DataType::Date, &good, &["\"2026-02-30\"", "\"0000-01-01\"", "20590", "\"20590\"", "\"\"", "true"]);
}

#[test]
fn timestamps_in_every_form() {
    let at = json!(1_779_045_174_594i64);
    let good = [
        ("\"2026-05-17T19:12:54.594Z\"", at.clone()),
        ("\"2026-05-17T21:12:54.594+02:00\"", at.clone()),
        ("\"2026-05-17 19:12:54.594\"", at.clone()),
        ("1779045174.594", at.clone()),
        ("1779045174594", at.clone()),
        ("\"1779045174594\"", at.clone()),
        ("1779045174", json!(1_779_045_174_000i64)),
        ("-1", json!(-1000)),
        ("\"2016-12-31T23:59:60Z\"", json!(1_483_228_799_999i64)),
        ("\"9999-12-31T23:59:59.999Z\"", json!(253_402_300_799_999i64)),
    ];
    let bad = ["\"0000-01-01T00:00:00Z\"", "\"2026-05-17T24:00:00Z\"", "\"yesterday\"", "1e400", "true", "{}"];
    check(DataType::Timestamp, &good, &bad);
}

#[test]
fn arrays_maps_and_structs() {
    let good = [("[1,null,\"3\"]", json!([1, null, 3])), ("[]", json!([])), ("null", Json::Null)];
    check(array(DataType::Int), &good, &["1", "{}", "\"[1]\""]);
    let good = [("{\"1\":\"x\",\"-2\":null}", json!([[1, "x"], [-2, null]])), ("{}", json!([]))];
    check(map(DataType::BigInt, DataType::String), &good, &["[]", "1", "\"{}\""]);
    let good = [
        ("{\"a\":1,\"b\":[true],\"z\":{}}", json!({"a": 1, "b": [true]})),
        ("{}", json!({"a": null, "b": null})),
        ("null", Json::Null),
    ];
    check(record(&[("a", DataType::Int), ("b", array(DataType::Boolean))]), &good, &["[1,[true]]", "42", "\"{}\""]);
}

#[test]
fn maps_within_arrays_within_structs() {
    let deep = record(&[("l", array(map(DataType::String, record(&[("x", decimal(5, 2))]))))]);
    let good = [(
        "{\"l\":[{\"k\":{\"x\":1.5},\"n\":null},null,{}]}",
        json!({"l": [[["k", {"x": "150"}], ["n", null]], null, []]}),
    )];
    check(deep, &good, &[]);
}

#[test]
fn a_misfit_is_named_with_its_place() {
    let source = record(&[
        ("score", DataType::Double),
        ("tags", array(record(&[("n", DataType::TinyInt)]))),
        ("m", map(DataType::Int, DataType::Date)),
    ]);
    let encoded = encode(
        &table(vec![event("source", source)]),
        &[
            r#"{"source":{"score":"abc"}}"#,
            r#"{"source":{"tags":[{"n":1},{"n":300}]}}"#,
            r#"{"source":{"m":{"1":"2026-01-01","2":20}}}"#,
            r#"{"source":{"m":{"one":null}}}"#,
        ],
    );
    let messages: Vec<&str> = encoded.rejects.iter().map(|(_, reject)| reject.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "column source.score (double) cannot hold \"abc\"; want a finite number",
            "column source.tags[].n (tinyint) cannot hold 300; want a whole number from -128 to 127",
            "column source.m{} (date) cannot hold 20; want yyyy-MM-dd or an RFC 3339 instant, as a string",
            "column source.m{key} (int) cannot hold \"one\"; want a whole number from -2147483648 to 2147483647",
        ]
    );
    assert_eq!(encoded.rejects[1].1.column.as_deref(), Some("source.tags[].n"));
}
