//! A rejected row leaves no trace, however deep it had got.

use super::*;

fn spec() -> TableSpec {
    let item = record(&[
        ("s", DataType::String),
        ("b", DataType::Binary),
        ("m", map(DataType::String, array(DataType::Int))),
        ("f", DataType::Boolean),
        ("n", DataType::Int),
    ]);
    table(vec![
        event("a", DataType::BigInt),
        event("items", array(item)),
        event("m", map(DataType::Int, record(&[("t", DataType::Timestamp), ("d", decimal(4, 1))]))),
        event("z", DataType::String),
    ])
}

const GOOD: [&str; 4] = [
    r#"{"a":1,"items":[{"s":"x","b":"AA==","m":{"k":[1,2]},"f":true,"n":1},null],"m":{"1":{"t":0,"d":1.5}},"z":"z1"}"#,
    r#"{"a":2,"items":null,"m":{"2":null,"3":{"t":1}},"z":null}"#,
    r#"{"a":3,"items":[],"m":{},"z":"z3"}"#,
    r#"{"a":null,"items":[{"s":"y","b":"AQI=","m":{},"f":false,"n":2},{}]}"#,
];

/// Each goes wrong at another depth, after much of the row has been appended.
const BAD: [&str; 9] = [
    r#"{"a":"no"}"#,
    r#"{"a":9,"items":[{"s":"q","b":"AA==","m":{"k":[7,8]},"f":true,"n":1},{"s":"r","n":"no"}]}"#,
    r#"{"a":9,"items":[{"s":"q","b":"AAAA?"}]}"#,
    r#"{"a":9,"items":[{"s":"long text \ud83d"}]}"#,
    r#"{"a":9,"items":[{"m":{"k":[7,8],"l":[9,"no"]}}]}"#,
    r#"{"a":9,"items":[{"f":true},{"f":"no"}]}"#,
    r#"{"a":9,"items":[{"s":"q"}],"m":{"7":{"t":5,"d":1.5},"8":{"d":1.55}}}"#,
    r#"{"a":9,"items":[{"s":"q"}],"m":{"7":null,"x":null}}"#,
    r#"{"a":9,"items":[{"s":"q"}],"m":{"7":{"t":5}},"z":"\ud800"}"#,
];

#[test]
fn file_is_the_same_as_without_the_bad_rows() {
    let clean = encode(&spec(), &GOOD);
    assert!(clean.rejects.is_empty());
    for (position, bad) in (0..=GOOD.len()).flat_map(|p| BAD.iter().map(move |bad| (p, *bad))) {
        let mut lines = GOOD.to_vec();
        lines.insert(position, bad);
        lines.insert(position, bad);
        let mixed = encode(&spec(), &lines);
        let rejected: Vec<usize> = mixed.rejects.iter().map(|(index, _)| *index).collect();
        assert_eq!(rejected, [position, position + 1], "{bad}");
        assert_eq!(read(&mixed), read(&clean), "{bad} at {position}");
        assert_eq!(mixed.bytes, clean.bytes, "{bad} at {position}");
    }
}

#[test]
fn only_bad_rows_make_no_file() {
    let encoded = encode(&spec(), &BAD);
    assert!(encoded.bytes.is_empty() && encoded.rows == 0 && encoded.rejects.len() == BAD.len());
    let nothing: [&str; 0] = [];
    assert!(encode(&spec(), &nothing).bytes.is_empty());
}

#[test]
fn text_that_is_no_object_after_all_is_rejected_not_met_with_a_panic() {
    let lines: [&[u8]; 8] =
        [b"", b"[]", b"{\"a\":1", b"{\"a\":1}}", b"\xff{}", b"{\"a\":tru}", b"{\"items\":[1 2]}", b"{\"z\":\"\xc3\"}"];
    let encoded = encode(&spec(), &lines);
    assert_eq!(encoded.rejects.len(), lines.len());
    for (index, reject) in &encoded.rejects {
        let misfit = *index == 6;
        assert_eq!(reject.reason == schemas::reject::Reason::NotJson, !misfit, "{index}: {}", reject.message);
    }
}
