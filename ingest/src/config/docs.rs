//! What is generated from the table of fields: `docs/config.md`, the sample file, the JSON schema, and what `/config` shows.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::fields::{Fallback, Field, Kind, Need, SECTIONS, Section, VERSION};
use super::reload;
use super::typed::{Typed, literal};

const INTRO: &str = "\
# Configuration

Generated from `ingest/src/config/fields.rs`; [alluvium.sample.toml](alluvium.sample.toml) is the same as a file,
[config.schema.json](config.schema.json) as a JSON schema for editors.

TOML. Relative paths are resolved against the folder of the file. Unknown fields are refused. `alluvium check --config F` tells
every problem with its line and what to write instead.

- **Environment**: `${NAME}` inside a string is the environment variable's value, `$${` a plain `${`. A variable that is not set is
  a problem. What a variable holds does not appear in problems or in `/config`, except in key programs, which are stored with the
  writer log: no secret belongs there.
- **Sizes**: a whole number and a unit: `B`, `kB`, `MB`, `GB`, `TB` (powers of 1000), `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024).
- **Durations**: a whole number and a unit: `ms`, `s`, `min`, `h`.
- **Places**: `s3://bucket/prefix/`, `file:///absolute/folder/` or a path of this machine.

The first line is `version = 1`. Exactly one `[source.*]` section is there.
";

/// `docs/config.md`.
pub fn markdown() -> String {
    let mut out = INTRO.to_string();
    for section in SECTIONS {
        let need = need(section);
        push(&mut out, format_args!("\n## `[{}{}]`\n\n{}{}\n", section.name, suffix(section), section.doc, need));
        if section.name == "keys" {
            push(&mut out, format_args!("\n```toml\n{KEYS_SAMPLE}```\n"));
        }
        if !section.fields.is_empty() {
            out.push_str("\n| field | takes | default | |\n| --- | --- | --- | --- |\n");
        }
        for field in section.fields {
            let row =
                format_args!("| `{}` | {} | {} | {} |\n", field.name, takes(field.kind), default(field), field.doc);
            push(&mut out, row);
        }
    }
    out.push_str(&reload::markdown());
    out
}

const KEYS_SAMPLE: &str = "\
[keys]
created_date   = '.created_at | utc_date'
attribute_name = '.attribute_name'
entity_id_mod  = '.entity_id | bucket(16)'
";

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

fn need(section: &Section) -> &'static str {
    match section.need {
        Need::Required => " Required.",
        Need::Optional => " Optional: left out, the defaults hold.",
        Need::Source => " Exactly one source is there.",
        Need::Switch => " Optional: left out, it is off.",
        Need::Named => " Optional: any number of them, each with a name of its own.",
        Need::NotYet(_) => "",
    }
}

/// What stands behind a section's name in a header.
fn suffix(section: &Section) -> &'static str {
    if section.need == Need::Named { ".<name>" } else { "" }
}

fn takes(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Secret => "secret".into(),
        Kind::Path => "path".into(),
        Kind::HttpUrl => "`http://` or `https://` URL".into(),
        Kind::Place => "place".into(),
        Kind::Address { off: true } => "ip:port, or `off`".into(),
        Kind::Address { off: false } => "ip:port".into(),
        Kind::Flag => "`true` or `false`".into(),
        Kind::Count { min, max } => format!("whole number, {min} to {max}"),
        Kind::Size { min, max } => format!("size, {min} to {max}"),
        Kind::Time { min, max } => format!("duration, {min} to {max}"),
        Kind::Choice(choices) => choices.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(" or "),
        Kind::Start => "`latest`, `trim-horizon` or an instant".into(),
        Kind::Names => "list of names".into(),
        Kind::Compression => "codec".into(),
    }
}

fn default(field: &Field) -> String {
    match field.fallback {
        Fallback::Required => "required".into(),
        Fallback::Absent | Fallback::NotYet(_) => "none".into(),
        Fallback::Default(text) => format!("`{}`", literal(field.kind, text)),
    }
}

/// `docs/alluvium.sample.toml`: every field with its documentation; what is optional is commented out at its default.
pub fn sample() -> String {
    let mut out = String::from(
        "#: Every field of Alluvium's configuration. A line beginning with `# ` and a name shows the default, or an example where\n\
         #: there is none. Generated from ingest/src/config/fields.rs; see config.md.\n\nversion = 1\n",
    );
    let not_yet = |s: &&Section| !matches!(s.need, Need::NotYet(_));
    for section in SECTIONS.iter().filter(not_yet) {
        out.push('\n');
        comment(&mut out, section.doc);
        // The sample reads a stream; the other source and the forwarding intake are shown, but off.
        let off = matches!(section.name, "source.intake" | "source.kcl" | "intake" | "credentials");
        let hash = if off { "# " } else { "" };
        if section.name == "keys" {
            out.push_str(KEYS_SAMPLE);
            continue;
        }
        let example = if section.need == Need::Named { ".uploader" } else { "" };
        push(&mut out, format_args!("{hash}[{}{example}]\n", section.name));
        for field in section.fields {
            sample_field(&mut out, field, off);
        }
    }
    out
}

fn sample_field(out: &mut String, field: &Field, off: bool) {
    let (hash, text) = match field.fallback {
        Fallback::NotYet(_) => return,
        Fallback::Required if !off => ("", field.example),
        Fallback::Required | Fallback::Absent => ("# ", field.example),
        Fallback::Default(text) => ("# ", text),
    };
    comment(out, field.doc);
    push(out, format_args!("{hash}{} = {}\n", field.name, literal(field.kind, text)));
}

/// Wrapped at 110 characters.
fn comment(out: &mut String, text: &str) {
    let mut width = usize::MAX;
    for word in text.split_whitespace() {
        if width.saturating_add(word.len()) > 110 {
            if width != usize::MAX {
                out.push('\n');
            }
            out.push_str("#:");
            width = 2;
        }
        out.push(' ');
        out.push_str(word);
        width += word.len() + 1;
    }
    out.push('\n');
}

/// `docs/config.schema.json`, for editors.
pub fn json_schema() -> String {
    let mut properties = Map::from_iter([("version".to_string(), json!({"const": VERSION}))]);
    let mut sources = Map::new();
    for section in SECTIONS.iter().filter(|s| !matches!(s.need, Need::NotYet(_))) {
        match section.name.strip_prefix("source.") {
            Some(kind) => sources.insert(kind.to_string(), section_schema(section)),
            None => properties.insert(section.name.to_string(), section_schema(section)),
        };
    }
    let source = json!({"type": "object", "properties": sources, "additionalProperties": false, "minProperties": 1,
        "maxProperties": 1});
    properties.insert("source".into(), source);
    let needed = SECTIONS.iter().filter(|s| s.need == Need::Required).map(|s| s.name);
    let required: Vec<&str> = ["version", "source"].into_iter().chain(needed).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Alluvium configuration",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    serde_json::to_string_pretty(&schema).expect("strings and numbers serialise") + "\n"
}

fn section_schema(section: &Section) -> Json {
    if section.name == "keys" {
        return json!({"type": "object", "description": section.doc, "additionalProperties": {"type": "string"}});
    }
    let there = || section.fields.iter().filter(|f| !matches!(f.fallback, Fallback::NotYet(_)));
    let properties: Map<String, Json> = there().map(|f| (f.name.to_string(), field_schema(f))).collect();
    let required: Vec<&str> = there().filter(|f| f.fallback == Fallback::Required).map(|f| f.name).collect();
    let one = json!({"type": "object", "description": section.doc, "properties": properties, "required": required,
        "additionalProperties": false});
    match section.need {
        Need::Named => json!({"type": "object", "description": section.doc, "additionalProperties": one}),
        _ => one,
    }
}

fn field_schema(field: &Field) -> Json {
    let mut schema = match field.kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Count { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Choice(choices) => json!({"enum": choices}),
        Kind::Names => json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        _ => json!({"type": "string"}),
    };
    schema["description"] = json!(format!("{} Takes: {}.", field.doc, takes(field.kind)));
    if let Fallback::Default(text) = field.fallback {
        schema["default"] = match field.kind {
            Kind::Flag => json!(text == "true"),
            Kind::Count { .. } => json!(text.parse::<u64>().unwrap_or_default()),
            Kind::Names => json!(text.split(',').collect::<Vec<_>>()),
            _ => json!(text),
        };
    }
    schema
}

/// What runs, as typed or by default: environment variables are not expanded, so no secret can be in it.
pub(super) fn shown(typed: &Typed) -> Json {
    let mut sections = Map::from_iter([("version".to_string(), json!(VERSION))]);
    for section in SECTIONS.iter().filter(|s| typed.has(s.name) || s.need == Need::Optional) {
        sections.insert(section.name.to_string(), shown_section(typed, section.name, section));
    }
    for section in SECTIONS.iter().filter(|s| s.need == Need::Named) {
        for name in typed.named(section.name) {
            sections.insert(name.to_string(), shown_section(typed, name, section));
        }
    }
    Json::Object(sections)
}

fn shown_section(typed: &Typed, name: &str, section: &Section) -> Json {
    let mut fields = Map::new();
    if section.name == "keys" {
        fields.extend(typed.keys.iter().map(|k| (k.name.clone(), json!(k.typed))));
    }
    for field in section.fields {
        if let Some(text) = typed.shown(name, field) {
            fields.insert(field.name.to_string(), json!(text));
        }
    }
    Json::Object(fields)
}
