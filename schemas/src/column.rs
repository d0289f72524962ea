//! Column types, written as Hive writes them: `struct<type:string,score:double>`, `array<map<string,bigint>>`, `decimal(18,4)`.

use std::fmt;

/// Largest precision of a decimal.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// A type that every engine we generate DDL for can read back from Parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    String,
    Binary,
    Date,
    /// Instant, INT64 milliseconds since the epoch, UTC.
    Timestamp,
    Array(Box<DataType>),
    /// Keys are a primitive type, never null.
    Map(Box<DataType>, Box<DataType>),
    Struct(Vec<Field>),
}

/// A member of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub data_type: DataType,
}

/// A column of a table, as it stands in the data files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Lower case.
    pub name: String,
    pub data_type: DataType,
    /// Where its value lies in the event, outermost member first; what holds no value gives null.
    pub path: Vec<String>,
    pub comment: Option<String>,
    /// What fills it.
    pub source: ColumnSource,
}

/// What fills a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnSource {
    /// The event, at `path`.
    Event,
    /// `_shard`: the shard the record was read from (string).
    Shard,
    /// `_position`: the record's position in it (string).
    Position,
    /// `_arrived_at`: when the source took the record (timestamp).
    ArrivedAt,
    /// `_rest`: the top-level members that no column reads, as a JSON object (string), null if there are none.
    Rest,
}

impl fmt::Display for DataType {
    /// As Hive, Athena and Glue write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Boolean => f.write_str("boolean"),
            DataType::TinyInt => f.write_str("tinyint"),
            DataType::SmallInt => f.write_str("smallint"),
            DataType::Int => f.write_str("int"),
            DataType::BigInt => f.write_str("bigint"),
            DataType::Float => f.write_str("float"),
            DataType::Double => f.write_str("double"),
            DataType::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            DataType::String => f.write_str("string"),
            DataType::Binary => f.write_str("binary"),
            DataType::Date => f.write_str("date"),
            DataType::Timestamp => f.write_str("timestamp"),
            DataType::Array(item) => write!(f, "array<{item}>"),
            DataType::Map(key, value) => write!(f, "map<{key},{value}>"),
            DataType::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", field.name, field.data_type)?;
                }
                f.write_str(">")
            }
        }
    }
}
