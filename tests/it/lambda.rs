//! `alluvium-reader` in Lambda, behind API Gateway: the program answers as it does over HTTP, and its template deploys.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::alluvium::Lake;
use tests::lambda::{Function, http_event};
use tests::reader::{attribute, command};
use tests::{corpus, file, http, tools};

use crate::reader::Asked;

const TOKEN: &str = "a token of the tests alone";

/// An attribute that the first events set.
const ATTRIBUTE: &str = "sp500_member";

/// Events of the log that the function is asked about.
const EVENTS: usize = 400;

fn asked() -> &'static Asked {
    static ASKED: OnceLock<Asked> = OnceLock::new();
    let token = format!("token = \"{TOKEN}\"\n");
    ASKED.get_or_init(|| Asked::new(Lake::local().with_archive(), &corpus::sp500()[..EVENTS], 10, &token))
}

/// The program as Lambda starts it: without arguments.
fn function() -> Function {
    let mut command = command();
    command.env("ALLUVIUM_CONFIG", asked().lake.file("alluvium.toml")).stdout(Stdio::null());
    Function::start(command)
}

struct Told {
    status: u64,
    content_type: String,
    body: Vec<u8>,
}

fn by_gateway(function: &mut Function, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Told {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    let told = function.invoke(http_event(method, path, &headers, body));
    let text = told["body"].as_str().unwrap_or_default();
    let is_packed = told["isBase64Encoded"] == true;
    Told {
        status: told["statusCode"].as_u64().expect("a status"),
        content_type: told["headers"]["content-type"].as_str().unwrap_or_default().to_string(),
        body: if is_packed { STANDARD.decode(text).expect("base64") } else { text.as_bytes().to_vec() },
    }
}

fn by_socket(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Told {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    let body = body.unwrap_or_default().as_bytes();
    let told = http::ask(&asked().reader.address, method, path, &headers, body).expect("it answers");
    let content_type = told.header("content-type").unwrap_or_default().to_string();
    Told { status: told.status.into(), content_type, body: told.body }
}

/// An answer without what differs from one time to the next.
fn lasting(told: &Told) -> Value {
    match serde_json::from_slice::<Value>(&told.body) {
        Ok(mut json) => {
            json.as_object_mut().map(|members| members.remove("statistics"));
            json
        }
        Err(_) => json!(told.body),
    }
}

#[test]
fn the_program_behind_the_gateway_answers_as_it_does_over_a_socket() {
    let explain = attribute("us:MMM", ATTRIBUTE);
    let pairs = json!({"of": [{"entity": "us:MMM", "attribute": ATTRIBUTE}]}).to_string();
    let token = Some(TOKEN);
    let questions = [
        ("GET", "/healthz".to_string(), None, None, 200),
        ("GET", "/v1/table".into(), token, None, 200),
        ("GET", explain.clone(), token, None, 200),
        ("GET", explain.clone(), None, None, 401),
        ("GET", explain.clone(), Some("another token, of the same length"), None, 401),
        ("GET", format!("{explain}/history?changes_only=false&format=csv"), token, None, 200),
        ("GET", format!("{explain}/history?format=parquet"), token, None, 200),
        ("GET", format!("{explain}?as_of=no+instant"), token, None, 400),
        ("GET", attribute("us:MMM", "no such attribute"), token, None, 404),
        ("GET", attribute("<script>' OR 1=1 --", ATTRIBUTE), token, None, 200),
        ("GET", "/v2".into(), token, None, 404),
        ("POST", "/v1/current".into(), token, Some(pairs.as_str()), 200),
        ("POST", "/v1/current".into(), token, Some("no json"), 400),
    ];
    let mut function = function();
    for (method, path, token, body, status) in questions {
        let (gateway, socket) =
            (by_gateway(&mut function, method, &path, token, body), by_socket(method, &path, token, body));
        let shown = String::from_utf8_lossy(&gateway.body);
        assert_eq!((gateway.status, socket.status), (status, status), "{method} {path}: {shown}");
        assert_eq!(gateway.content_type, socket.content_type, "{method} {path}");
        assert_eq!(lasting(&gateway), lasting(&socket), "{method} {path}");
    }
}

/// Nobody stands before an API on the internet but the token.
#[test]
fn a_reader_that_asks_nobody_who_they_are_does_not_start_in_lambda() {
    let lake = Lake::local();
    let text = std::fs::read_to_string(asked().lake.file("alluvium.toml")).expect("it is there");
    let text = text.replace(&format!("token = \"{TOKEN}\""), "");
    std::fs::write(lake.file("open.toml"), text).expect("writable");
    let mut command = command();
    command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env("ALLUVIUM_CONFIG", lake.file("open.toml"));
    let ended = command.output().expect("it starts");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("write token = \"${ALLUVIUM_READER_TOKEN}\""), "{told}");
}

#[test]
fn without_a_configuration_the_program_says_how_to_name_one() {
    let ended = command().output().expect("it starts");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{told}");
    assert!(told.contains("--config alluvium.toml"), "{told}");
}

#[test]
fn the_packaged_configuration_is_one_that_the_reader_reads() {
    let lake = Lake::local();
    std::fs::copy(file("infra/lambda/alluvium.toml"), lake.file("alluvium.toml")).expect("copied");
    std::fs::copy(file("schemas/tables/attribute_events.toml"), lake.file("table.toml")).expect("copied");
    let lookup = |name: &str| {
        let value = match name {
            "LAKE" => "s3://company-lake/",
            "READER_ENGINE" => "athena",
            "ALLUVIUM_READER_TOKEN" => TOKEN,
            _ => "part",
        };
        Some(value.to_string())
    };
    let config = reader::config::load(&lake.file("alluvium.toml"), &lookup).expect("read");
    assert_eq!(config.lake.url, "s3://company-lake/part/");
    assert!(matches!(config.engine, reader::config::EngineSettings::Athena(_)));
    assert!(reader::lambda::check(&config.reader.access, &lake.file("alluvium.toml")).is_ok());
}

#[test]
fn the_template_passes_cfn_lint() {
    let mut command = Command::new(tools::python("cfn-lint"));
    assert_eq!(tools::output(command.arg(file("infra/lambda/template.yaml"))), "");
}

/// What SAM makes of it: one function in that role, and a role that changes nothing in the lake.
#[test]
fn the_template_becomes_a_role_that_only_reads_the_lake() {
    let mut command = Command::new(tools::python("python"));
    let made = tools::output(command.arg(file("infra/lambda/check.py")).arg(file("infra/lambda/template.yaml")));
    let resources: Value = serde_json::from_str(&made).expect("JSON");
    let function = &resources["Reader"]["Properties"];
    assert_eq!(function["Role"], json!({"Fn::GetAtt": ["Role", "Arn"]}), "{function}");
    assert_eq!((&function["Runtime"], &function["Handler"]), (&json!("provided.al2023"), &json!("bootstrap")));
    let policies = resources["Role"]["Properties"]["Policies"].as_array().expect("policies");
    let lake = policies.iter().find(|policy| policy["PolicyName"] == "lake").expect("one of the lake");
    let statements = lake["PolicyDocument"]["Statement"].as_array().expect("statements");
    let actions: Vec<&str> = statements.iter().filter_map(|one| one["Action"].as_str()).collect();
    assert_eq!(actions, ["s3:GetObject", "s3:ListBucket"]);
    assert_eq!(resources["AthenaPolicy"]["Condition"], "WithAthena");
    for granted in [&resources["Role"], &resources["AthenaPolicy"]] {
        assert!(!granted.to_string().contains("\"*\""), "no statement is about everything: {granted}");
    }
    let roles = resources.as_object().expect("resources").values().filter(|one| one["Type"] == "AWS::IAM::Role");
    assert_eq!(roles.count(), 1, "SAM adds none of its own");
}
