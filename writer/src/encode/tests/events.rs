//! Members to columns: paths, names, duplicates, what is unread, what the writer fills.

use super::*;
use crate::encode::{Explained, UNKNOWN_NAMES_MAX};
use schemas::table::PartitionColumn;

#[test]
fn paths_reach_into_objects_that_another_column_reads_whole() {
    let spec = table(vec![
        at("id", "user.id", DataType::BigInt),
        at("user_json", "user", DataType::String),
        at("city", "user.home.city", DataType::String),
        at("id_text", "user.id", DataType::String),
    ]);
    let encoded = encode(
        &spec,
        &[r#"{"user":{"id":7,"home":{"city":"Ulm"}}}"#, r#"{"user":{"home":[1]}}"#, r#"{"user":5}"#, r#"{}"#],
    );
    let expected = [
        json!({"id": 7, "user_json": "{\"id\":7,\"home\":{\"city\":\"Ulm\"}}", "city": "Ulm", "id_text": "7"}),
        json!({"id": null, "user_json": "{\"home\":[1]}", "city": null, "id_text": null}),
        json!({"id": null, "user_json": "5", "city": null, "id_text": null}),
        json!({"id": null, "user_json": null, "city": null, "id_text": null}),
    ];
    assert_eq!(read(&encoded), expected);
}

#[test]
fn of_duplicates_the_last_counts_and_the_first_leaves_no_trace() {
    let spec = table(vec![
        event("a", DataType::Int),
        event("s", record(&[("x", DataType::Int)])),
        event("m", map(DataType::Int, DataType::String)),
        at("p", "o.p", DataType::Int),
        filled("_rest", ColumnSource::Rest),
    ]);
    let encoded = encode(
        &spec,
        &[
            r#"{"a":"bad","a":1,"s":{"x":"bad","x":2},"m":{"1":"x","2":"y","01":"z","2":null},"o":{"p":"bad"},"o":{"p":3}}"#,
            r#"{"a":1,"\u0061":2,"o":{"p":1},"o":{},"u":1,"v":2,"u":3,"\u0076":4}"#,
        ],
    );
    let expected = [
        json!({"a": 1, "s": {"x": 2}, "m": [[1, "z"], [2, null]], "p": 3, "_rest": null}),
        json!({"a": 2, "s": null, "m": null, "p": null, "_rest": "{\"u\":3,\"\\u0076\":4}"}),
    ];
    assert_eq!(read(&encoded), expected);
}

#[test]
fn names_match_exactly_first_then_case_aside() {
    let columns = || vec![event("user", record(&[("id", DataType::Int)])), at("total", "Total", DataType::Int)];
    let mut spec = table(columns());
    spec.columns.push(filled("_rest", ColumnSource::Rest));
    let encoded = encode(
        &spec,
        &[
            r#"{"USER":{"ID":1},"total":2}"#,
            r#"{"User":{"id":1,"Id":2},"user":{"Id":3,"iD":4},"Total":5,"TOTAL":6}"#,
            r#"{"User":{"id":7},"uSER":{"id":8}}"#,
        ],
    );
    let expected = [
        json!({"user": {"id": 1}, "total": 2, "_rest": null}),
        json!({"user": {"id": 4}, "total": 5, "_rest": "{\"User\":{\"id\":1,\"Id\":2},\"TOTAL\":6}"}),
        json!({"user": {"id": 8}, "total": null, "_rest": "{\"User\":{\"id\":7}}"}),
    ];
    assert_eq!(read(&encoded), expected);
}

#[test]
fn rest_keeps_unread_members_as_received() {
    let spec = table(vec![event("a", DataType::Int), filled("_rest", ColumnSource::Rest)]);
    let encoded = encode(
        &spec,
        &[r#"{"b": {"x": [1,  2]}, "a":1 , "c":"\ud83d","d\"":1.50 }"#, r#"{"a":1}"#, r#"{"a":"bad","e":1}"#],
    );
    let expected = [
        json!({"a": 1, "_rest": "{\"b\":{\"x\": [1,  2]},\"c\":\"\\ud83d\",\"d\\\"\":1.50}"}),
        json!({"a": 1, "_rest": null}),
    ];
    assert_eq!(read(&encoded), expected);
    assert!(encoded.dropped.is_empty());
}

#[test]
fn dropped_members_are_counted_by_name_within_bounds() {
    let spec = table(vec![event("a", DataType::Int)]);
    let mut lines =
        vec![r#"{"a":1,"x":1,"y":2,"x":3}"#.to_string(), r#"{"\u0078":1}"#.into(), r#"{"a":"bad","x":1}"#.into()];
    let encoded = encode(&spec, &lines);
    assert_eq!(encoded.dropped.into_iter().collect::<Vec<_>>(), [("x".to_string(), 2), ("y".to_string(), 1)]);

    lines.extend((0..300).map(|n| format!("{{\"n{n}\":1,\"x\":1}}")));
    let many: Vec<String> = (0..50).map(|n| format!("\"w{n}\":1,\"w{n}\":2")).collect();
    lines.push(format!("{{{}}}", many.join(",")));
    let dropped = encode(&spec, &lines).dropped;
    assert_eq!((dropped.len(), dropped["x"], dropped["n97"]), (UNKNOWN_NAMES_MAX + 1, 302, 1));
    assert_eq!(dropped["..."], 300 - 98 + 50);
}

#[test]
fn members_that_partitions_hold_are_not_unread() {
    let mut spec = table(vec![event("a", DataType::Int)]);
    let path = Some(vec!["kind".to_string()]);
    spec.partitions =
        vec![PartitionColumn { name: "k".into(), data_type: DataType::String, comment: None, projection: None, path }];
    let line = [r#"{"a":1,"kind":"x","other":2}"#];
    assert_eq!(encode(&spec, &line).dropped.into_keys().collect::<Vec<_>>(), ["other"]);
    spec.unknown_fields = UnknownFields::Rest;
    assert_eq!(read(&encode(&spec, &line)), [json!({"a": 1, "_rest": "{\"other\":2}"})]);
}

#[test]
fn the_writer_fills_its_own_columns() {
    let spec = table(vec![
        event("a", DataType::Int),
        filled("_shard", ColumnSource::Shard),
        filled("_position", ColumnSource::Position),
        filled("_arrived_at", ColumnSource::ArrivedAt),
    ]);
    let row = |sub| Row {
        shard: "s:shardId-0",
        sequence: "0049590338271490256608559692538361",
        sub,
        document: 0,
        arrived_at: -5,
        data: b"{}",
        outline: &[],
    };
    let encoded = encoder(&spec).encode(&[row(0), row(12)], &[]).expect("encodes");
    let expected =
        |position: &str| json!({"a": null, "_shard": "s:shardId-0", "_position": position, "_arrived_at": -5});
    assert_eq!(
        read(&encoded),
        [expected("0049590338271490256608559692538361"), expected("0049590338271490256608559692538361.12")]
    );
}

#[test]
fn explain_names_nulls_and_unread_members_or_the_reject() {
    let spec = table(vec![event("a", DataType::Int), event("b", DataType::Int), at("c", "o.c", DataType::Int)]);
    let explain = |line| encoder(&spec).explain(rows(&[line])[0]);
    let explained = Explained { nulls: vec!["b".into(), "c".into()], unread: vec!["x".into(), "y\"".into()] };
    assert_eq!(explain(r#"{"x":1,"a":1,"b":null,"o":{},"y\"":[]}"#), Ok(explained));
    assert_eq!(explain(r#"{"a":1.5}"#).map_err(|reject| reject.column), Err(Some("a".into())));
}
