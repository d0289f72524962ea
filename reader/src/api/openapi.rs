//! The API described as OpenAPI 3.1, made from [`ROUTES`]. `docs/openapi.json` is this, committed; tests compare the two, and what
//! the reader answers with what is promised here.

mod schemas;

use serde_json::{Map, Value, json};

use super::export::Format;
use super::problem::KINDS;
use super::routes::{Kind, Parameter, ROUTES, Route};

/// The whole document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let of_path = paths.entry(route.path).or_insert_with(|| json!({}));
        of_path[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Alluvium reader",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Why has this attribute of this entity this value, since when, on what evidence. Read-only.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "description": route.doc,
        "parameters": route.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(route),
    });
    if route.method == "POST" {
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": reference("CurrentQuestion")}},
        });
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": if parameter.in_path { "path" } else { "query" },
        "required": parameter.required,
        "description": parameter.doc,
        "schema": kind(parameter.kind),
        "example": parameter.example,
    })
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string", "minLength": 1, "maxLength": super::parameters::VALUE_BYTES_MAX}),
        // A date, or a date with a time.
        Kind::Instant => json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Flag { default } => json!({"type": "boolean", "default": default}),
        Kind::Count { default, max } => json!({"type": "integer", "minimum": 1, "maximum": max, "default": default}),
        Kind::Names => json!({"type": "string", "minLength": 1}),
        Kind::Format => json!({"type": "string", "enum": Format::ALL.map(|(name, ..)| name), "default": "json"}),
    }
}

fn responses(route: &Route) -> Value {
    let mut content = Map::new();
    let schema = match route.reply {
        "" if route.name == "record" => None,
        "" => Some(json!({"type": "object"})),
        name => Some(reference(name)),
    };
    match schema {
        Some(schema) => _ = content.insert("application/json".into(), json!({"schema": schema})),
        None => _ = content.insert("application/octet-stream".into(), json!({})),
    }
    if route.parameters.iter().any(|p| p.kind == Kind::Format) {
        for (_, format, media) in Format::ALL {
            if format != Format::Json {
                content.insert(media.to_string(), json!({}));
            }
        }
    }
    let mut responses = json!({
        "200": {"description": route.summary, "content": content},
        "304": {"description": "the answer is the one whose ETag was sent in `If-None-Match`"},
    });
    for (_, status, title) in KINDS {
        let problem = json!({"application/problem+json": {"schema": reference("Problem")}});
        // Several kinds may share a status: the first says what it is.
        if responses.get(status.to_string()).is_none() {
            responses[status.to_string()] = json!({"description": title, "content": problem});
        }
    }
    responses
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_GOLDEN=1` writes it anew.
    #[test]
    fn the_committed_document_is_the_routers() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let text = format!("{:#}\n", document());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &text).expect("docs are writable");
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(committed == text, "docs/openapi.json is not what the router has: run the tests with UPDATE_GOLDEN=1");
    }

    #[test]
    fn every_part_of_a_path_is_a_parameter_and_every_schema_is_there() {
        let document = document();
        for route in ROUTES {
            let parts: Vec<&str> =
                route.path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')).collect();
            let named = route.parameters.iter().filter(|p| p.in_path).map(|p| p.name);
            assert_eq!(named.collect::<Vec<_>>(), parts, "{}", route.path);
            let known = &document["components"]["schemas"];
            assert!(route.reply.is_empty() || known.get(route.reply).is_some(), "{}", route.reply);
        }
    }
}
