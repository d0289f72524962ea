//! The committed OpenAPI document is what the reader does: every route, every parameter, every member of every answer.

use serde_json::{Value, json};
use tests::http;
use tests::reader::{attribute, problem, segment};

use super::lake::Asked;

fn document() -> Value {
    let text = std::fs::read_to_string(tests::file("docs/openapi.json")).expect("the document is committed");
    serde_json::from_str(&text).expect("it is JSON")
}

/// What is wrong with a value by a schema of the document; only what the document uses of JSON Schema.
fn wrong(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').expect("a part of the document");
        return wrong(document, document.pointer(pointer).expect("it is there"), value, at, found);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices.iter().filter(|choice| errors(document, choice, value).is_empty()).count();
        if fits != 1 {
            found.push(format!("{at}: {fits} of its schemas fit {value}"));
        }
        return;
    }
    if schema.get("enum").and_then(Value::as_array).is_some_and(|all| !all.contains(value)) {
        found.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    if !is_of_type(&schema["type"], value) {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        wrong(document, &schema["items"], item, &format!("{at}[{n}]"), found);
    }
    wrong_members(document, schema, value, at, found);
}

fn wrong_members(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(members) = value.as_object() else { return };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(required) {
            found.push(format!("{at}.{required} is missing"));
        }
    }
    for (name, member) in members {
        let more = &schema["additionalProperties"];
        match schema["properties"].get(name) {
            Some(schema) => wrong(document, schema, member, &format!("{at}.{name}"), found),
            None if *more == json!(false) => found.push(format!("{at}.{name} is not in the document")),
            None if more.is_object() => wrong(document, more, member, &format!("{at}.{name}"), found),
            None => {}
        }
    }
}

fn errors(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    wrong(document, schema, value, "answer", &mut found);
    found
}

fn is_of_type(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    };
    match types {
        Value::Null => true,
        Value::String(name) => is(name),
        types => types.as_array().expect("names").iter().filter_map(Value::as_str).any(is),
    }
}

/// A path of the document with its members filled in by their examples.
fn filled(path: &str, operation: &Value, reference: &str) -> String {
    let parameters = operation["parameters"].as_array().expect("parameters");
    parameters.iter().filter(|p| p["in"] == "path").fold(path.to_string(), |path, parameter| {
        let name = parameter["name"].as_str().expect("a name");
        let example = if name == "reference" { reference } else { parameter["example"].as_str().expect("an example") };
        path.replace(&format!("{{{name}}}"), &segment(example))
    })
}

/// Query parameters as `name=example`: those that are needed, then all others.
fn queries(operation: &Value) -> (Vec<String>, Vec<String>) {
    let parameters = operation["parameters"].as_array().expect("parameters").iter().filter(|p| p["in"] == "query");
    let (needed, others): (Vec<&Value>, Vec<&Value>) = parameters.partition(|p| p["required"] == true);
    let pair =
        |p: &&Value| format!("{}={}", p["name"].as_str().expect("a name"), p["example"].as_str().expect("an example"));
    (needed.iter().map(pair).collect(), others.iter().map(pair).collect())
}

#[test]
fn every_route_and_parameter_of_the_document_is_answered_as_it_promises() {
    let (asked, document) = (Asked::sp500(), document());
    assert_eq!(asked.reader.get("/v1/openapi.json"), document);
    let reference =
        asked.reader.get(&attribute("us:AAPL", "headquarters"))["reference"].as_str().expect("one").to_string();
    let mut routes = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let path = filled(path, operation, &reference);
            let (needed, others) = queries(operation);
            let with = |more: &[String]| {
                format!("{path}?{}", needed.iter().chain(more).cloned().collect::<Vec<_>>().join("&"))
            };
            let body = json!({"of": [{"entity": "us:AAPL", "attribute": "name"}]}).to_string();
            let ask = |path: &str| {
                http::ask(&asked.reader.address, &method.to_uppercase(), path, &[], body.as_bytes())
                    .expect("it answers")
            };
            check_answer(&document, operation, &with(&[]), &ask(&with(&[])));
            for one in &others {
                // Another format than JSON, or a cursor that leads nowhere, has no schema to be checked by.
                let answer = ask(&with(std::slice::from_ref(one)));
                assert_eq!(answer.status, 200, "{one}: {}", String::from_utf8_lossy(&answer.body));
            }
            for name in &needed {
                let without: Vec<String> = needed.iter().filter(|other| *other != name).cloned().collect();
                problem(name, &ask(&format!("{path}?{}", without.join("&"))), 400);
            }
            let unknown = problem(&path, &ask(&with(&["as_off=2020-01-01".into()])), 400);
            assert!(errors(&document, &document["components"]["schemas"]["Problem"], &unknown).is_empty(), "{unknown}");
            let other = if method == "get" { "DELETE" } else { "GET" };
            let refused = http::ask(&asked.reader.address, other, &path, &[], b"").expect("it answers");
            problem(&path, &refused, 405);
            routes += 1;
        }
    }
    assert!(routes >= 11, "{routes} routes");
    asked.reader.refused("/v1/entities", 404);
}

fn check_answer(document: &Value, operation: &Value, path: &str, answer: &http::Answer) {
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    let content = operation["responses"]["200"]["content"].as_object().expect("content");
    let media_type = answer.header("content-type").expect("a type");
    assert!(content.contains_key(media_type), "{path}: {media_type}");
    if media_type == "application/json" {
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let found = errors(document, &content[media_type]["schema"], &value);
        assert!(found.is_empty(), "{path}: {}\n{value}", found.join("\n"));
    }
}

/// Pages and answers without any event have the members they promise, too.
#[test]
fn empty_answers_are_as_the_document_promises() {
    let (asked, document) = (Asked::sp500(), document());
    for (path, schema) in [
        (attribute("us:NONE", "name"), "Explanation"),
        (format!("{}/history", attribute("us:NONE", "name")), "History"),
        ("/v1/entities/us%3ANONE".to_string(), "Sheet"),
        ("/v1/entities/us%3ANONE/diff?from=2015-01-01&to=2016-01-01".to_string(), "Diff"),
        ("/v1/attributes/name/changes?date=2013-01-02".to_string(), "Changes"),
        ("/v1/plan?from=2013-01-02&to=2013-01-02".to_string(), "Plan"),
    ] {
        let found = errors(&document, &document["components"]["schemas"][schema], &asked.reader.get(&path));
        assert!(found.is_empty(), "{path}: {}", found.join("\n"));
    }
}

/// A document that everything fits would promise nothing.
#[test]
fn the_check_of_answers_can_fail() {
    let document = document();
    let schema = json!({"$ref": "#/components/schemas/Statistics"});
    let mut good = Asked::sp500().reader.get("/v1/plan?from=2013-01-02&to=2013-01-02")["statistics"].clone();
    assert_eq!(errors(&document, &schema, &good), Vec::<String>::new());
    good["rows"] = json!("5");
    good["more"] = json!(1);
    good.as_object_mut().expect("an object").remove("files");
    assert_eq!(errors(&document, &schema, &good).len(), 3);
}

#[test]
fn an_answer_that_is_had_already_is_not_sent_again() {
    let asked = Asked::sp500();
    let path = attribute("us:AAPL", "name");
    let first = asked.reader.ask(&path, &[]);
    let tag = first.header("etag").expect("a tag").to_string();
    let again = asked.reader.ask(&path, &[("if-none-match", &tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = asked.reader.ask(&attribute("us:MMM", "name"), &[("if-none-match", &tag)]);
    assert_eq!(other.status, 200);
}

/// The same rows in each format, as DuckDB reads them.
#[test]
fn exports_hold_what_the_json_says() {
    let asked = Asked::sp500();
    let path = format!("{}/history?changes_only=false", attribute("us:MMM", "name"));
    let json = asked.reader.get(&path);
    let versions = json["versions"].as_array().expect("versions");
    let want: Vec<Value> =
        versions.iter().map(|v| json!({"value": v["value"], "event": v["event"], "since": v["since"]})).collect();
    for (format, reader) in [("csv", "read_csv"), ("ndjson", "read_json"), ("parquet", "read_parquet")] {
        let answer = asked.reader.ask(&format!("{path}&format={format}"), &[]);
        assert_eq!(answer.status, 200);
        assert!(answer.header("x-alluvium-statistics").is_some_and(|text| text.contains("folders_listed")));
        let file = asked.lake.file(&format!("export.{format}"));
        std::fs::write(&file, &answer.body).expect("writable");
        let options = match format {
            "csv" => ", all_varchar = true",
            "ndjson" => {
                ", format = 'newline_delimited', columns = {value: 'varchar', event: 'varchar', since: 'varchar'}"
            }
            _ => "",
        };
        let rows =
            tests::duck::query(&format!("select value, event, since from {reader}('{}'{options})", file.display()));
        assert_eq!(rows, want, "{format}");
    }
    let accepted = asked.reader.ask(&path, &[("accept", "text/csv")]);
    assert_eq!(accepted.header("content-type"), Some("text/csv; charset=utf-8"));
}
