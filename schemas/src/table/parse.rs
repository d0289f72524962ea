//! TOML text to [`TableSpec`]: reads everything, complains about everything, then checks what holds between the parts.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::reader::{At, Reader, Section};
use super::{
    COLUMNS_MAX, COMMENT_MAX, DESCRIPTION_MAX, Folders, PartitionColumn, RESERVED_COLUMNS, TableSpec, UnknownFields,
    path,
};
use crate::column::{Column, ColumnSource, DataType, check_name};
use crate::problem::{Problem, nearest};
use crate::projection::{DateRule, Rule, Unit};

const FIELDS: [&str; 14] = [
    "version",
    "name",
    "database",
    "comment",
    "location",
    "layout",
    "unknown_fields",
    "metadata",
    "sort",
    "bloom",
    "required_predicates",
    "column",
    "partition",
    "properties",
];

/// Version of the spec format.
const VERSION: u64 = 1;

/// Widest rendering of an integer partition value, in digits: what 64 bits need.
const DIGITS_MAX: u64 = 20;

pub(super) fn parse(text: &str, file: &str) -> Result<TableSpec, Vec<Problem>> {
    let mut reader = Reader::new(text, file);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.problem(at, format!("not TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return reader.finish(None);
    }
    let root = Section { table: document.get_ref(), what: String::new(), at: 0 };
    let spec = read_spec(&mut reader, &root, text);
    reader.finish(Some(spec))
}

fn read_spec(reader: &mut Reader<'_>, root: &Section<'_>, text: &str) -> TableSpec {
    reader.refuse_unknown(root, &FIELDS);
    check_version(reader, root);
    let unknown_fields = read_unknown_fields(reader, root);
    let columns = read_columns(reader, root, unknown_fields);
    let partitions = read_partitions(reader, root, &columns);
    let spec = TableSpec {
        text: text.to_string(),
        name: read_name(reader, root, "`name = \"my_table\"`"),
        database: match root.table.contains_key("database") {
            true => read_identifier(reader, root, "database", ""),
            false => "default".into(),
        },
        comment: read_comment(reader, root, DESCRIPTION_MAX),
        location: read_location(reader, root),
        columns,
        layout: read_layout(reader, root, &partitions),
        partitions,
        unknown_fields,
        metadata: reader.boolean(root, "metadata").unwrap_or(true),
        sort: Vec::new(),
        bloom: Vec::new(),
        required_predicates: read_required(reader, root),
        properties: read_properties(reader, root),
    };
    let sort = read_references(reader, root, "sort", &spec);
    let bloom = read_references(reader, root, "bloom", &spec);
    check_required(reader, root, &spec);
    TableSpec { sort, bloom, ..spec }
}

fn check_version(reader: &mut Reader<'_>, root: &Section<'_>) {
    if !root.table.contains_key("version") {
        reader.problem(root.at, format!("`version` is missing: write `version = {VERSION}`"));
    }
    if let Some(found) = reader.whole(root, "version").filter(|found| found.value != VERSION) {
        reader.problem(found.at, format!("version {} is not known: write `version = {VERSION}`", found.value));
    }
}

fn read_name(reader: &mut Reader<'_>, section: &Section<'_>, example: &str) -> String {
    read_identifier(reader, section, "name", example)
}

fn read_identifier(reader: &mut Reader<'_>, section: &Section<'_>, field: &str, example: &str) -> String {
    let Some(found) = reader.required_string(section, field, example) else {
        return String::new();
    };
    if let Err(what) = check_name(found.value) {
        reader.problem(found.at, format!("{field} `{}` {what}", found.value));
    }
    found.value.to_string()
}

fn read_comment(reader: &mut Reader<'_>, section: &Section<'_>, longest: usize) -> Option<String> {
    let found = reader.string(section, "comment")?;
    if found.value.len() > longest {
        reader.problem(found.at, format!("comment is {} bytes long: at most {longest}, shorten it", found.value.len()));
    }
    if found.value.chars().any(char::is_control) {
        reader.problem(found.at, "comment has a line break or control character: write one line");
    }
    Some(found.value.to_string())
}

fn read_location(reader: &mut Reader<'_>, root: &Section<'_>) -> String {
    let Some(found) = reader.required_string(root, "location", "`location = \"s3://bucket/my_table/\"`") else {
        return String::new();
    };
    let location = found.value;
    let (scheme, rest) = location.split_once("://").unwrap_or(("", location));
    if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric()) || rest.is_empty() {
        reader.problem(found.at, format!("location `{location}` is no URL: write one such as `s3://bucket/my_table/`"));
    } else if rest.contains(['*', '?', '[', '{', '"', '\'', '`', '\\'])
        || rest.chars().any(|c| c.is_control() || c == ' ')
    {
        reader
            .problem(found.at, format!("location `{location}` has a wildcard, quote or space: name one plain prefix"));
    } else if !location.ends_with('/') {
        reader.problem(found.at, format!("location `{location}` does not end in `/`: write `{location}/`"));
    }
    location.to_string()
}

fn read_layout(reader: &mut Reader<'_>, root: &Section<'_>, partitions: &[PartitionColumn]) -> Option<Folders> {
    let found = reader.string(root, "layout")?;
    let names: Vec<&str> = partitions.iter().map(|partition| partition.name.as_str()).collect();
    Folders::parse(found.value, &names).map_err(|what| reader.problem(found.at, what)).ok()
}

fn read_unknown_fields(reader: &mut Reader<'_>, root: &Section<'_>) -> UnknownFields {
    let Some(found) = reader.string(root, "unknown_fields") else {
        return UnknownFields::Drop;
    };
    match found.value {
        "drop" => UnknownFields::Drop,
        "rest" => UnknownFields::Rest,
        other => {
            reader.problem(found.at, format!("unknown_fields `{other}` is not known: write \"drop\" or \"rest\""));
            UnknownFields::Drop
        }
    }
}

fn read_columns(reader: &mut Reader<'_>, root: &Section<'_>, unknown_fields: UnknownFields) -> Vec<Column> {
    let sections = reader.sections(root, "column");
    if sections.is_empty() && unknown_fields == UnknownFields::Drop {
        let message =
            "table has no column: write at least one `[[column]]` with name and type, or `unknown_fields = \"rest\"`";
        reader.problem(root.at, message);
    }
    let mut columns: Vec<Column> = Vec::new();
    for section in &sections {
        let column = read_column(reader, section);
        check_unique(reader, section, &column.name, columns.iter().map(|c| c.name.as_str()));
        columns.push(column);
    }
    if columns.len() > COLUMNS_MAX {
        reader.problem(root.at, format!("table has {} columns: at most {COLUMNS_MAX}", columns.len()));
    }
    columns
}

fn read_column(reader: &mut Reader<'_>, section: &Section<'_>) -> Column {
    reader.refuse_unknown(section, &["name", "type", "path", "comment"]);
    let name = read_name(reader, section, "`name = \"my_column\"`");
    let path = read_path(reader, section).unwrap_or_else(|| vec![name.clone()]);
    Column {
        data_type: read_type(reader, section).unwrap_or(DataType::String),
        path,
        comment: read_comment(reader, section, COMMENT_MAX),
        source: ColumnSource::Event,
        name,
    }
}

fn read_type(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<DataType> {
    let found = reader.required_string(section, "type", "one such as `type = \"string\"`")?;
    DataType::parse(found.value).map_err(|what| reader.problem(found.at, what)).ok()
}

fn read_path(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Vec<String>> {
    let found = reader.string(section, "path")?;
    path::parse(found.value).map_err(|what| reader.problem(found.at, what)).ok()
}

fn check_unique<'n>(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: &str,
    mut taken: impl Iterator<Item = &'n str>,
) {
    let at = section.table.get("name").map_or(section.at, |found| found.span().start);
    if RESERVED_COLUMNS.contains(&name) {
        reader.problem(at, format!("column name `{name}` is the writer's own: write another"));
    } else if !name.is_empty() && taken.any(|other| other == name) {
        reader.problem(at, format!("there are two columns `{name}`: remove or rename one"));
    }
}

fn read_partitions(reader: &mut Reader<'_>, root: &Section<'_>, columns: &[Column]) -> Vec<PartitionColumn> {
    let sections = reader.sections(root, "partition");
    if sections.is_empty() {
        reader.problem(root.at, "table has no partition column: write at least one `[[partition]]` with name and type");
    }
    let mut partitions: Vec<PartitionColumn> = Vec::new();
    for section in &sections {
        let partition = read_partition(reader, section);
        check_unique(reader, section, &partition.name, partitions.iter().map(|p| p.name.as_str()));
        if columns.iter().any(|c| c.name == partition.name) {
            let name = &partition.name;
            let message = format!(
                "partition column `{name}` is also a column, which engines refuse: remove the `[[column]]` or rename it \
                 (with `path = \".{name}\"`)"
            );
            reader.problem(section.at, message);
        }
        partitions.push(partition);
    }
    partitions
}

fn read_partition(reader: &mut Reader<'_>, section: &Section<'_>) -> PartitionColumn {
    reader.refuse_unknown(section, &["name", "type", "comment", "path", "projection"]);
    let name = read_name(reader, section, "`name = \"my_column\"`");
    let data_type = read_type(reader, section).unwrap_or(DataType::String);
    if !matches!(data_type, DataType::String | DataType::Int | DataType::BigInt | DataType::Date) {
        let message = format!("partition column `{name}` cannot be `{data_type}`: write string, int, bigint or date");
        reader.problem(section.at, message);
    }
    let what = format!("projection of `{name}`");
    let projection = reader.section(section, "projection", what);
    PartitionColumn {
        data_type,
        comment: read_comment(reader, section, COMMENT_MAX),
        projection: projection.and_then(|projection| read_projection(reader, &projection)),
        path: read_path(reader, section),
        name,
    }
}

fn read_projection(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Rule> {
    let example = "one of `type = \"enum\"`, \"integer\", \"date\", \"injected\"";
    let found = reader.required_string(section, "type", example)?;
    match found.value {
        "enum" => read_enum(reader, section),
        "integer" => read_integer(reader, section),
        "date" => read_date(reader, section),
        "injected" => {
            reader.refuse_unknown(section, &["type"]);
            Some(Rule::Injected)
        }
        other => {
            let near = nearest(other, ["enum", "integer", "date", "injected"]);
            let instead = near.map_or_else(|| "enum, integer, date or injected".into(), |near| format!("`{near}`"));
            reader.problem(found.at, format!("unknown projection type `{other}`: write {instead}"));
            None
        }
    }
}

fn read_enum(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Rule> {
    reader.refuse_unknown(section, &["type", "values"]);
    let found = reader.strings(section, "values");
    if found.is_empty() {
        reader.problem(section.at, "enum projection has no values: write `values = [\"a\", \"b\"]`");
        return None;
    }
    let mut values: Vec<String> = Vec::new();
    for At { value, at } in found {
        if value.is_empty() || value.contains(',') {
            // Athena splits the list at commas and knows no quoting.
            reader.problem(
                at,
                format!("enum value `{value}` is empty or has a comma, which no engine can list: remove it"),
            );
        } else if values.iter().any(|other| other == value) {
            reader.problem(at, format!("enum value `{value}` stands twice: remove one"));
        }
        values.push(value.to_string());
    }
    Some(Rule::Enum { values })
}

fn read_integer(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Rule> {
    reader.refuse_unknown(section, &["type", "range", "interval", "digits"]);
    let interval = reader.whole(section, "interval");
    if let Some(found) = interval.filter(|found| found.value == 0 || found.value > i64::MAX as u64) {
        reader.problem(found.at, format!("interval {} is out of range: write 1 or more", found.value));
    }
    let digits = reader.whole(section, "digits");
    if let Some(found) = digits.filter(|found| !(1..=DIGITS_MAX).contains(&found.value)) {
        reader.problem(found.at, format!("digits {} is out of range: write 1 to {DIGITS_MAX}", found.value));
    }
    let range = reader.required_string(section, "range", "one such as `range = \"0,9\"`")?;
    let (from, to) = Rule::parse_integer_range(range.value).map_err(|what| reader.problem(range.at, what)).ok()?;
    let interval = interval.map_or(1, |found| found.value);
    let digits = digits.and_then(|found| u32::try_from(found.value).ok());
    Some(Rule::Integer { from, to, interval, digits })
}

fn read_date(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Rule> {
    reader.refuse_unknown(section, &["type", "format", "range", "interval", "unit"]);
    let interval = reader.whole(section, "interval").map(|found| found.value);
    let unit = match reader.string(section, "unit") {
        None => None,
        Some(found) => Some(Unit::parse(found.value).map_err(|what| reader.problem(found.at, what)).ok()?),
    };
    let format = reader.required_string(section, "format", "one such as `format = \"yyyy-MM-dd\"`");
    let range = reader.required_string(section, "range", "one such as `range = \"2012-01-01,NOW+1DAYS\"`");
    let (format, range) = (format?, range?);
    let rule = DateRule::parse(format.value, range.value, interval, unit);
    rule.map_err(|what| reader.problem(range.at, what)).ok().map(Rule::Date)
}

/// Columns that `sort` and `bloom` name: stored ones of a type that has an order.
fn read_references(reader: &mut Reader<'_>, root: &Section<'_>, field: &str, spec: &TableSpec) -> Vec<String> {
    let stored = spec.stored_columns();
    let mut names: Vec<String> = Vec::new();
    for At { value, at } in reader.strings(root, field) {
        match stored.iter().find(|column| column.name == value) {
            None if spec.partitions.iter().any(|p| p.name == value) => {
                let message = format!("{field} names `{value}`, a partition column, which no file holds: remove it");
                reader.problem(at, message);
            }
            None => {
                let near = nearest(value, stored.iter().map(|c| c.name.as_str()));
                let instead = near.map_or_else(|| "remove it".to_string(), |near| format!("write `{near}`"));
                reader.problem(at, format!("{field} names `{value}`, which is no column: {instead}"));
            }
            Some(column) if !usable(field, &column.data_type) => {
                let message = format!("{field} names `{value}`, which is `{}`: name another column", column.data_type);
                reader.problem(at, message);
            }
            Some(_) if names.iter().any(|name| name == value) => {
                reader.problem(at, format!("{field} names `{value}` twice: remove one"));
            }
            Some(_) => {}
        }
        names.push(value.to_string());
    }
    names
}

/// A bloom filter over two values says nothing.
fn usable(field: &str, data_type: &DataType) -> bool {
    data_type.is_primitive() && !(field == "bloom" && *data_type == DataType::Boolean)
}

fn read_required(reader: &mut Reader<'_>, root: &Section<'_>) -> Vec<String> {
    reader.strings(root, "required_predicates").into_iter().map(|found| found.value.to_string()).collect()
}

fn check_required(reader: &mut Reader<'_>, root: &Section<'_>, spec: &TableSpec) {
    let at = root.table.get("required_predicates").map_or(root.at, |found| found.span().start);
    for name in &spec.required_predicates {
        if spec.partitions.iter().any(|p| p.name == *name) {
            continue;
        }
        let near = nearest(name, spec.partitions.iter().map(|p| p.name.as_str()));
        let instead = near.map_or_else(|| "remove it".to_string(), |near| format!("write `{near}`"));
        reader.problem(at, format!("required_predicates names `{name}`, which is no partition column: {instead}"));
    }
}

fn read_properties(reader: &mut Reader<'_>, root: &Section<'_>) -> BTreeMap<String, String> {
    let Some(section) = reader.section(root, "properties", "[properties]".into()) else {
        return BTreeMap::new();
    };
    let mut properties = BTreeMap::new();
    for (key, _) in section.table {
        let name = key.get_ref().as_ref();
        if name.starts_with("projection.") || ["classification", "EXTERNAL"].contains(&name) {
            let message =
                format!("property `{name}` is generated: remove it and write the `[[partition]]`'s projection");
            reader.problem(key.span().start, message);
        }
        if let Some(found) = reader.string(&section, name) {
            properties.insert(name.to_string(), found.value.to_string());
        }
    }
    properties
}
