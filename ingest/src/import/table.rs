//! The table spec of an import: columns of the Glue table, if there is one, and the partition columns of the layout.

use schemas::column::{DataType, check_name};
use schemas::lint::{LintContext, Severity, lint};
use schemas::table::{RESERVED_COLUMNS, TableSpec};

use super::findings::Notes;
use super::glue::{GlueColumn, GlueTable};
use super::layout::{Layout, plain};
use super::stream::Conversion;

/// What a spec is made of.
pub(super) struct Wanted<'w> {
    /// The table's name where the catalog has none.
    pub(super) name: &'w str,
    pub(super) location: &'w str,
    pub(super) layout: &'w Layout,
    pub(super) conversion: Option<&'w Conversion>,
    pub(super) glue: Option<&'w GlueTable>,
    /// Milliseconds since the epoch: projection ranges move with it.
    pub(super) now: i64,
}

/// A text as TOML has it: as it is where it can be, else escaped.
pub(super) fn quoted(text: &str) -> String {
    match text.contains('\'') || text.chars().any(char::is_control) {
        false => format!("'{text}'"),
        true => serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F"),
    }
}

/// The name and text of the spec; it parses, and no lint of it is an error.
pub(super) fn spec(wanted: &Wanted<'_>, notes: &mut Notes) -> Option<(String, String)> {
    let conversion = wanted.conversion.cloned().unwrap_or_default();
    let first = |texts: [&str; 2]| texts.into_iter().find(|text| !text.is_empty()).map(plain);
    let in_glue = |of: fn(&GlueTable) -> &str| wanted.glue.map(of).unwrap_or_default();
    let name = first([in_glue(|glue| &glue.name), &conversion.table]).unwrap_or_else(|| plain(wanted.name));
    let database =
        first([in_glue(|glue| &glue.database), &conversion.database]).unwrap_or_else(|| "default".to_string());
    let mut head = format!("version = 1\nname = {}\ndatabase = {}\n", quoted(&name), quoted(&database));
    if let Some(comment) =
        wanted.glue.and_then(|glue| glue.comment.as_deref()).filter(|c| !c.chars().any(char::is_control))
    {
        head += &format!("comment = {}\n", quoted(comment));
    }
    head += &format!("location = {}\n", quoted(wanted.location));
    if let Some(layout) = &wanted.layout.layout {
        head += &format!("layout = {}\n", quoted(layout));
    }
    let columns = columns(wanted, &conversion, notes);
    head += &format!("unknown_fields = \"{}\"\n", if columns.is_empty() { "rest" } else { "drop" });
    let rules = wanted.glue.and_then(|glue| rules(wanted.layout, glue, notes));
    let text = |rules: Option<&[String]>| format!("{head}{columns}{}", partitions(wanted, rules));
    if let Some(rules) = &rules {
        match faults(&text(Some(rules)), wanted.now) {
            None => {
                notes.same(
                    "projection.*",
                    rules.join("; "),
                    "[[partition]] projection",
                    "the same values are looked for, and what lies outside of them is rejected instead of being \
                     written where no query sees it",
                );
                return Some((name, text(Some(rules))));
            }
            Some(why) => notes.different(
                "projection.*",
                rules.join("; "),
                "",
                format!("was left out, since it does not hold for what is written: {why}"),
            ),
        }
    }
    let text = text(None);
    match faults(&text, wanted.now) {
        None => Some((name, text)),
        Some(why) => {
            notes.block("[table] spec", format!("what was made of the description is no table: {why}"));
            None
        }
    }
}

/// What is wrong with a spec, if anything is.
fn faults(text: &str, now: i64) -> Option<String> {
    match TableSpec::parse(text, "spec") {
        Err(problems) => problems.first().map(|problem| problem.message.clone()),
        Ok(spec) => {
            let lints = lint(&spec, &LintContext { now, ..LintContext::default() });
            lints.into_iter().find(|found| found.severity == Severity::Error).map(|found| found.message)
        }
    }
}

fn columns(wanted: &Wanted<'_>, conversion: &Conversion, notes: &mut Notes) -> String {
    let Some(glue) = wanted.glue else {
        match wanted.conversion {
            Some(_) => {
                let table = format!("{}.{}", conversion.database, conversion.table);
                notes.different(
                    "SchemaConfiguration",
                    table,
                    "_rest",
                    "the table's columns are in the Glue catalog and not in the description: give them with \
                     --glue-table (what `aws glue get-table` prints), or import with --stream. Until then each event \
                     is whole, as JSON text, in the column `_rest`",
                );
            }
            None => notes.different(
                "DataFormatConversionConfiguration",
                "(none)",
                "_rest",
                "Firehose writes the JSON as it came, and Alluvium rows of a table: each event is whole, as JSON \
                 text, in the column `_rest` until the spec names columns",
            ),
        }
        return String::new();
    };
    notes.better(
        "_shard, _position, _arrived_at",
        "",
        "[table] spec",
        "each row tells where its record was read and when it came; readers by name see three columns more \
         (`metadata = false` leaves them out)",
    );
    let mut text = String::new();
    let mut names: Vec<&str> = wanted.layout.partitions.iter().map(|partition| partition.name.as_str()).collect();
    names.extend(RESERVED_COLUMNS);
    for column in &glue.columns {
        if names.contains(&column.name.as_str()) || check_name(&column.name).is_err() {
            notes.unsupported(
                &column.name,
                &column.data_type,
                "this column was left out: its name is a partition column's, or one that a spec cannot have",
            );
            continue;
        }
        names.push(&column.name);
        text += &written(column, conversion, notes);
    }
    text
}

fn written(column: &GlueColumn, conversion: &Conversion, notes: &mut Notes) -> String {
    let name = &column.name;
    let mut text = format!("\n[[column]]\nname = {}\ntype = {}\n", quoted(name), quoted(&type_of(column, notes)));
    let mapped = conversion.mappings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    if let Some((_, member)) = mapped {
        text += &format!("path = {}\n", quoted(&format!(".{}", serde_json::Value::from(member.as_str()))));
    }
    if let Some(comment) = column.comment.as_deref().filter(|c| c.len() <= 255 && !c.chars().any(char::is_control)) {
        text += &format!("comment = {}\n", quoted(comment));
    }
    text
}

fn type_of(column: &GlueColumn, notes: &mut Notes) -> String {
    let given = column.data_type.trim();
    if let Ok(data_type) = DataType::parse(given) {
        return data_type.to_string();
    }
    let text = given.starts_with("varchar(") || given.starts_with("char(");
    match text {
        true => notes.same(&column.name, given, "string", "text; its length is not looked at"),
        false => notes.different(
            &column.name,
            given,
            "string",
            "this type is none of a spec's (docs/config.md): it became text, and may be written anew in the spec",
        ),
    }
    "string".to_string()
}

fn partitions(wanted: &Wanted<'_>, rules: Option<&[String]>) -> String {
    let mut text = String::new();
    for (at, partition) in wanted.layout.partitions.iter().enumerate() {
        // Folders hold text such as `05`, which no integer is written as.
        text += &format!("\n[[partition]]\nname = {}\ntype = \"string\"\n", quoted(&partition.name));
        if let Some(rule) = rules.and_then(|rules| rules.get(at)) {
            text += &format!("projection = {rule}\n");
        }
    }
    text
}

/// The catalog's projection rules, one for each partition column; nothing unless projection is on.
fn rules(layout: &Layout, glue: &GlueTable, notes: &mut Notes) -> Option<Vec<String>> {
    let parameter = |name: &str| glue.parameters.get(name).map(|text| text.trim().to_string());
    for (name, value) in &glue.parameters {
        let told = name.starts_with("projection.") || ["classification", "EXTERNAL"].contains(&name.as_str());
        match name.as_str() {
            "storage.location.template" => {
                notes.different(name, value, "layout", "is generated from the spec's layout, where it has one")
            }
            _ if told => {}
            _ => notes.unsupported(
                name,
                value,
                "a parameter of the catalog's table: `[properties]` of the spec sets such",
            ),
        }
    }
    if parameter("projection.enabled").is_none_or(|enabled| !enabled.eq_ignore_ascii_case("true")) {
        return None;
    }
    let rule = |name: &str| {
        let of = |field: &str| parameter(&format!("projection.{name}.{field}"));
        Some(match of("type")?.to_ascii_lowercase().as_str() {
            "enum" => {
                let values: Vec<String> = of("values")?.split(',').map(quoted).collect();
                format!("{{ type = \"enum\", values = [{}] }}", values.join(", "))
            }
            "integer" => {
                let more = [("interval", of("interval")), ("digits", of("digits"))];
                let more: String = more.into_iter().filter_map(|(n, v)| Some(format!(", {n} = {}", v?))).collect();
                format!("{{ type = \"integer\", range = {}{more} }}", quoted(&of("range")?))
            }
            "date" => {
                let interval = of("interval").map(|v| format!(", interval = {v}")).unwrap_or_default();
                let unit = of("interval.unit").map(|v| format!(", unit = {}", quoted(&v))).unwrap_or_default();
                format!(
                    "{{ type = \"date\", format = {}, range = {}{interval}{unit} }}",
                    quoted(&of("format")?),
                    quoted(&of("range")?)
                )
            }
            "injected" => "{ type = \"injected\" }".to_string(),
            _ => return None,
        })
    };
    layout.partitions.iter().map(|partition| rule(&partition.name)).collect()
}
