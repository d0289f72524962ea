//! Hive type strings to [`DataType`]: nested, white space allowed between the parts, names as Hive, Athena and Glue write them.

use super::{DECIMAL_PRECISION_MAX, DataType, Field, TYPE_DEPTH_MAX, check_name};
use crate::problem::nearest;

/// The names a type can begin with.
const NAMES: [&str; 15] = [
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal",
    "string",
    "binary",
    "date",
    "timestamp",
    "array",
    "map",
    "struct",
];

/// What other systems call our types.
const FOREIGN: [(&str, &str); 23] = [
    ("bool", "boolean"),
    ("byte", "tinyint"),
    ("int8", "tinyint"),
    ("int16", "smallint"),
    ("short", "smallint"),
    ("int32", "int"),
    ("integer", "int"),
    ("int64", "bigint"),
    ("long", "bigint"),
    ("real", "float"),
    ("float32", "float"),
    ("float64", "double"),
    ("numeric", "decimal(p,s)"),
    ("varchar", "string"),
    ("char", "string"),
    ("text", "string"),
    ("utf8", "string"),
    ("bytes", "binary"),
    ("varbinary", "binary"),
    ("datetime", "timestamp"),
    ("list", "array<...>"),
    ("row", "struct<name:type,...>"),
    ("json", "string"),
];

impl DataType {
    /// Parses a Hive type string. The error says what is wrong and what to write instead.
    ///
    /// ```
    /// use schemas::column::DataType;
    /// let parsed = DataType::parse("array< struct<sku : string, price:decimal(18, 4)> >").unwrap();
    /// assert_eq!(parsed.to_string(), "array<struct<sku:string,price:decimal(18,4)>>");
    /// ```
    pub fn parse(text: &str) -> Result<DataType, String> {
        let mut parser = Parser { text, at: 0 };
        let parsed = parser.data_type(0)?;
        parser.skip_space();
        match parser.rest() {
            "" => Ok(parsed),
            rest => Err(format!("`{rest}` stands behind the type `{parsed}`: remove it")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > TYPE_DEPTH_MAX {
            return Err(format!("type is nested deeper than {TYPE_DEPTH_MAX} levels: store the inner part as string"));
        }
        let name = self.word();
        Ok(match name {
            "boolean" => DataType::Boolean,
            "tinyint" => DataType::TinyInt,
            "smallint" => DataType::SmallInt,
            "int" => DataType::Int,
            "bigint" => DataType::BigInt,
            "float" => DataType::Float,
            "double" => DataType::Double,
            "decimal" => self.decimal()?,
            "string" => DataType::String,
            "binary" => DataType::Binary,
            "date" => DataType::Date,
            "timestamp" => DataType::Timestamp,
            "array" => self.array(depth)?,
            "map" => self.map(depth)?,
            "struct" => self.structure(depth)?,
            _ => return Err(self.unknown(name)),
        })
    }

    fn decimal(&mut self) -> Result<DataType, String> {
        let want = format!("write `decimal(p,s)` with 1 <= p <= {DECIMAL_PRECISION_MAX} and 0 <= s <= p");
        if !self.take('(') {
            return Err(format!("decimal without precision and scale: {want}"));
        }
        let precision = self.number();
        let scale = if self.take(',') { self.number() } else { Some(0) };
        if !self.take(')') {
            return Err(format!("decimal is not closed: {want}"));
        }
        match (precision, scale) {
            (Some(precision @ 1..=DECIMAL_PRECISION_MAX), Some(scale)) if scale <= precision => {
                Ok(DataType::Decimal { precision, scale })
            }
            _ => Err(format!("decimal's precision or scale is out of range: {want}")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<DataType, String> {
        self.open("array", "array<type>")?;
        let item = self.data_type(depth + 1)?;
        self.close("array")?;
        Ok(DataType::Array(Box::new(item)))
    }

    fn map(&mut self, depth: usize) -> Result<DataType, String> {
        self.open("map", "map<type,type>")?;
        let key = self.data_type(depth + 1)?;
        if !key.is_primitive() {
            return Err(format!("a map's key cannot be `{key}`: write a type of one value, such as string"));
        }
        if !self.take(',') {
            return Err("a map needs a key and a value type: write `map<type,type>`".into());
        }
        let value = self.data_type(depth + 1)?;
        self.close("map")?;
        Ok(DataType::Map(Box::new(key), Box::new(value)))
    }

    fn structure(&mut self, depth: usize) -> Result<DataType, String> {
        self.open("struct", "struct<name:type,...>")?;
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = self.word();
            check_name(name).map_err(|what| format!("struct member name `{name}` {what}"))?;
            if fields.iter().any(|f| f.name == name) {
                return Err(format!("struct has two members `{name}`: remove or rename one"));
            }
            if !self.take(':') {
                return Err(format!("struct member `{name}` has no type: write `{name}:type`"));
            }
            fields.push(Field { name: name.to_string(), data_type: self.data_type(depth + 1)? });
            if !self.take(',') {
                break;
            }
        }
        self.close("struct")?;
        Ok(DataType::Struct(fields))
    }

    fn open(&mut self, name: &str, want: &str) -> Result<(), String> {
        if self.take('<') { Ok(()) } else { Err(format!("{name} without its inner type: write `{want}`")) }
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        if self.take('>') {
            return Ok(());
        }
        match self.rest() {
            "" => Err(format!("{name} is not closed: `>` is missing at the end")),
            rest => Err(format!("{name} is not closed: want `>` before `{rest}`")),
        }
    }

    fn unknown(&mut self, name: &str) -> String {
        if name.is_empty() {
            return match self.rest() {
                "" => "a type is missing: write one such as string".into(),
                rest => format!("want a type, found `{rest}`: write one such as string"),
            };
        }
        let lower = name.to_ascii_lowercase();
        let foreign = FOREIGN.iter().find(|(theirs, _)| *theirs == lower).map(|(_, ours)| *ours);
        match foreign.or_else(|| nearest(&lower, NAMES)) {
            Some(ours) => format!("unknown type `{name}`: write `{ours}`"),
            None => format!("unknown type `{name}`: write one of {}", NAMES.join(", ")),
        }
    }

    /// A name: letters, digits and `_`. Any letter is taken so that the message can show what was typed.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number(&mut self) -> Option<u8> {
        self.word().parse().ok()
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        DataType::parse(text).expect_err("is no type")
    }

    #[test]
    fn every_primitive_is_read_as_it_is_written() {
        for name in &NAMES[..12] {
            let text = if *name == "decimal" { "decimal(18,4)" } else { name };
            assert_eq!(DataType::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn white_space_between_the_parts_does_not_matter() {
        let parsed = DataType::parse(" map < string , array<struct< a : int ,b:decimal( 9 , 2 )>> > ").expect("a type");
        assert_eq!(parsed.to_string(), "map<string,array<struct<a:int,b:decimal(9,2)>>>");
    }

    #[test]
    fn misspelt_and_foreign_names_get_ours() {
        assert_eq!(error("strnig"), "unknown type `strnig`: write `string`");
        assert_eq!(error("array<VARCHAR>"), "unknown type `VARCHAR`: write `string`");
        assert_eq!(error("Int"), "unknown type `Int`: write `int`");
        assert_eq!(error("integer"), "unknown type `integer`: write `int`");
    }

    #[test]
    fn a_decimal_beyond_38_digits_or_with_a_scale_beyond_its_precision_is_refused() {
        for text in ["decimal(39,2)", "decimal(0,0)", "decimal(4,5)", "decimal(256,1)", "decimal", "decimal(4,2"] {
            assert!(error(text).contains("write `decimal(p,s)`"), "{text}: {}", error(text));
        }
        assert_eq!(DataType::parse("decimal(7)"), Ok(DataType::Decimal { precision: 7, scale: 0 }));
    }

    #[test]
    fn what_is_broken_in_a_nested_type_is_named() {
        assert_eq!(error("array<int"), "array is not closed: `>` is missing at the end");
        assert_eq!(error("struct<a:int,a:int>"), "struct has two members `a`: remove or rename one");
        assert_eq!(error("struct<a int>"), "struct member `a` has no type: write `a:type`");
        assert_eq!(
            error("map<array<int>,int>"),
            "a map's key cannot be `array<int>`: write a type of one value, such as string"
        );
        assert_eq!(error("int int"), "`int` stands behind the type `int`: remove it");
        assert!(error("struct<userName:int>").contains("write `user_name`"));
        assert!(error("struct<>").contains("is empty"));
        assert_eq!(error(""), "a type is missing: write one such as string");
    }

    #[test]
    fn nesting_beyond_the_bound_is_refused_before_it_is_walked() {
        let deep = |levels: usize| format!("{}int{}", "array<".repeat(levels), ">".repeat(levels));
        assert!(DataType::parse(&deep(TYPE_DEPTH_MAX)).is_ok());
        assert!(error(&deep(TYPE_DEPTH_MAX + 1)).contains("deeper than 32 levels"));
        assert!(DataType::parse(&"array<".repeat(100_000)).is_err());
    }

    fn any_type() -> impl Strategy<Value = DataType> {
        let leaf = prop_oneof![
            Just(DataType::Boolean),
            Just(DataType::BigInt),
            Just(DataType::String),
            Just(DataType::Timestamp),
            (1u8..=38)
                .prop_flat_map(|p| (Just(p), 0..=p))
                .prop_map(|(precision, scale)| DataType::Decimal { precision, scale }),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|t| DataType::Array(Box::new(t))),
                inner.clone().prop_map(|t| DataType::Map(Box::new(DataType::String), Box::new(t))),
                proptest::collection::btree_map("[a-z_][a-z0-9_]{0,6}", inner, 1..4).prop_map(|members| {
                    DataType::Struct(members.into_iter().map(|(name, data_type)| Field { name, data_type }).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_display_writes_parse_reads(data_type in any_type()) {
            prop_assert_eq!(DataType::parse(&data_type.to_string()), Ok(data_type));
        }

        #[test]
        fn any_text_is_a_type_or_an_error(text in "[a-z<>(),:0-9 é]{0,40}") {
            if let Ok(parsed) = DataType::parse(&text) {
                prop_assert_eq!(DataType::parse(&parsed.to_string()), Ok(parsed));
            }
        }
    }
}
