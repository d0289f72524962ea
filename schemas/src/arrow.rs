//! The Arrow schema of a table's data files.
//!
//! Chosen so that Athena, Trino, Spark and DuckDB read the same values: instants are milliseconds with the zone `UTC`, which
//! Parquet stores as INT64 TIMESTAMP_MILLIS with `isAdjustedToUTC`; list items are called `element`, map entries `key_value`
//! with `key` and `value`, as Hive expects them. Everything is nullable but a map's keys.

use std::sync::Arc;

use arrow_schema::{DataType as Arrow, Field, Fields, Schema, TimeUnit};

use crate::column::DataType;
use crate::table::TableSpec;

/// Schema of [`TableSpec::stored_columns`], in their order.
pub fn arrow_schema(spec: &TableSpec) -> Schema {
    let fields: Vec<Field> = spec
        .stored_columns()
        .iter()
        .map(|column| Field::new(&column.name, arrow_type(&column.data_type), true))
        .collect();
    Schema::new(fields)
}

/// How values of a type lie in memory.
pub fn arrow_type(data_type: &DataType) -> Arrow {
    match data_type {
        DataType::Boolean => Arrow::Boolean,
        DataType::TinyInt => Arrow::Int8,
        DataType::SmallInt => Arrow::Int16,
        DataType::Int => Arrow::Int32,
        DataType::BigInt => Arrow::Int64,
        DataType::Float => Arrow::Float32,
        DataType::Double => Arrow::Float64,
        // Precision and scale are at most 38, see `DataType::parse`.
        DataType::Decimal { precision, scale } => Arrow::Decimal128(*precision, *scale as i8),
        DataType::String => Arrow::Utf8,
        DataType::Binary => Arrow::Binary,
        DataType::Date => Arrow::Date32,
        DataType::Timestamp => Arrow::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        DataType::Array(item) => Arrow::List(Arc::new(Field::new("element", arrow_type(item), true))),
        DataType::Map(key, value) => Arrow::Map(Arc::new(entries(key, value)), false),
        DataType::Struct(members) => {
            Arrow::Struct(members.iter().map(|m| Field::new(&m.name, arrow_type(&m.data_type), true)).collect())
        }
    }
}

fn entries(key: &DataType, value: &DataType) -> Field {
    let pair =
        Fields::from(vec![Field::new("key", arrow_type(key), false), Field::new("value", arrow_type(value), true)]);
    Field::new("key_value", Arrow::Struct(pair), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Arrow {
        arrow_type(&DataType::parse(text).expect("a type"))
    }

    #[test]
    fn nested_types_carry_the_names_hive_reads() {
        let Arrow::List(item) = of("array<decimal(38,38)>") else { panic!("no list") };
        assert_eq!(
            (item.name().as_str(), item.data_type(), item.is_nullable()),
            ("element", &Arrow::Decimal128(38, 38), true)
        );
        let Arrow::Map(entry, sorted) = of("map<string,bigint>") else { panic!("no map") };
        assert_eq!((entry.name().as_str(), entry.is_nullable(), sorted), ("key_value", false, false));
        let Arrow::Struct(pair) = entry.data_type() else { panic!("no pair") };
        assert_eq!((pair[0].name().as_str(), pair[0].is_nullable()), ("key", false));
        assert_eq!((pair[1].name().as_str(), pair[1].is_nullable()), ("value", true));
    }

    #[test]
    fn instants_are_milliseconds_in_utc() {
        assert_eq!(of("timestamp"), Arrow::Timestamp(TimeUnit::Millisecond, Some("UTC".into())));
    }
}
