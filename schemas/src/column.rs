//! Column types, written as Hive writes them: `struct<type:string,score:double>`, `array<map<string,bigint>>`, `decimal(18,4)`.

mod parse;

use std::fmt;

/// Largest precision of a decimal.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// Deepest nesting of a type, in levels of `array`, `map` and `struct`. Far below an event's own depth limit, and enough that
/// whoever walks a type recursively needs no guard of their own.
pub const TYPE_DEPTH_MAX: usize = 32;

/// Longest column, member, table or database name, in bytes: Glue's limit.
pub const NAME_MAX: usize = 255;

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

impl DataType {
    /// One value, not an array, map or struct.
    pub fn is_primitive(&self) -> bool {
        !matches!(self, DataType::Array(_) | DataType::Map(..) | DataType::Struct(_))
    }
}

/// Is this a name that every catalog keeps as typed: `[a-z_][a-z0-9_]*`, at most [`NAME_MAX`] bytes? Otherwise: what is wrong, in
/// words that end a sentence beginning "name `X` ".
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() {
        return Err("is empty: write lower-case letters, digits and `_`".into());
    }
    if name.len() > NAME_MAX {
        return Err(format!("is {} bytes long: at most {NAME_MAX}", name.len()));
    }
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!("is not lower-case letters, digits and `_` beginning with no digit: write `{}`", plain_name(name)))
}

/// `diffUrl` -> `diff_url`, `2nd value` -> `_2nd_value`.
fn plain_name(name: &str) -> String {
    let mut plain = String::new();
    let mut after_lower = false;
    for c in name.chars().take(NAME_MAX - 1) {
        match c {
            'A'..='Z' => {
                if after_lower {
                    plain.push('_');
                }
                plain.push(c.to_ascii_lowercase());
            }
            'a'..='z' | '0'..='9' => plain.push(c),
            _ => plain.push('_'),
        }
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    if plain.starts_with(|c: char| c.is_ascii_digit()) {
        plain.insert(0, '_');
    }
    plain
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
