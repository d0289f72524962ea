//! What Athena answers, where every value is text, to the JSON that a row's columns are told in.

use schemas::column::DataType;
use schemas::instant::parse_instant;
use serde_json::{Map, Number, Value};

use crate::time::instant_text;

/// The instant that a timestamp's text means: Athena's `2026-01-01 00:00:00.000`, without a zone, is UTC.
pub(super) fn instant(text: &str) -> Option<i64> {
    let plain = [" UTC", "+00:00", "+00", "Z"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text);
    parse_instant(&format!("{}Z", plain.trim_end().replacen(' ', "T", 1)))
}

/// A selected column's text as JSON.
pub(super) fn json(text: &str, data_type: &DataType) -> Option<Value> {
    match data_type {
        DataType::String | DataType::Binary | DataType::Date => Some(Value::String(text.to_string())),
        DataType::Timestamp => instant(text).map(|at| Value::String(instant_text(at))),
        DataType::Float | DataType::Double => {
            text.parse().ok().map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number))
        }
        DataType::Array(_) | DataType::Map(..) | DataType::Struct(_) => {
            nested(serde_json::from_str(text).ok()?, data_type)
        }
        _ => serde_json::from_str(text).ok(),
    }
}

/// JSON that Athena has made of a column, as we write it: members that are null are there, and instants look alike everywhere.
fn nested(value: Value, data_type: &DataType) -> Option<Value> {
    match (value, data_type) {
        (Value::Null, _) => Some(Value::Null),
        (Value::Array(items), DataType::Array(of)) => {
            items.into_iter().map(|item| nested(item, of)).collect::<Option<_>>().map(Value::Array)
        }
        (Value::Object(members), DataType::Map(_, of)) => {
            let member = |(name, value)| Some((name, nested(value, of)?));
            members.into_iter().map(member).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        (Value::Object(mut members), DataType::Struct(fields)) => {
            let member = |field: &schemas::column::Field| {
                let value = members.remove(&field.name).unwrap_or(Value::Null);
                Some((field.name.clone(), nested(value, &field.data_type)?))
            };
            fields.iter().map(member).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        (Value::String(text), DataType::Timestamp) => json(&text, data_type),
        (Value::Number(number), DataType::Float | DataType::Double) => json(&number.to_string(), data_type),
        (value, _) => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    fn of(text: &str, data_type: &str) -> Option<Value> {
        json(text, &DataType::parse(data_type).expect("a type"))
    }

    #[test]
    fn text_becomes_what_its_type_says() {
        assert_eq!(of("17", "bigint"), Some(value!(17)));
        assert_eq!(of("17", "string"), Some(value!("17")));
        assert_eq!(of("true", "boolean"), Some(value!(true)));
        assert_eq!((of("1.0E1", "double"), of("NaN", "double")), (Some(value!(10.0)), Some(Value::Null)));
        assert_eq!(of("2026-01-01", "date"), Some(value!("2026-01-01")));
        assert_eq!(of("x", "int"), None);
        for text in ["2026-01-01 00:00:00.500", "2026-01-01 00:00:00.5 UTC", "2026-01-01 00:00:00.5+00"] {
            assert_eq!(of(text, "timestamp"), Some(value!("2026-01-01T00:00:00.500Z")), "{text}");
        }
    }

    #[test]
    fn what_is_nested_has_all_its_members() {
        let text = "[{\"a\":1,\"t\":\"2026-01-01 00:00:00.000\"},null,{\"a\":null}]";
        let want = value!([{"a": 1.0, "t": "2026-01-01T00:00:00Z"}, null, {"a": null, "t": null}]);
        assert_eq!(of(text, "array<struct<a:double,t:timestamp>>"), Some(want));
        assert_eq!(of("{\"k\":\"v\"}", "map<string,string>"), Some(value!({"k": "v"})));
        assert_eq!(of("{", "map<string,string>"), None);
    }
}
