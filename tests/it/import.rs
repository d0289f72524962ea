//! Firehose streams brought along: from every form a stream is described in, with the real binary, to a configuration that checks
//! and runs; and jq 1.6 itself beside the keys that answer as it does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ingest::keys::{Budget, Keys};
use schemas::rules::JqCompat;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::alluvium::{self, Lake, Running, emulated, loopback};
use tests::emulator::ministack;
use tests::firehose::Firehose;
use tests::{duck, file, tools, unique};

use crate::clients::{STREAM, intake_source};

fn source(name: &str) -> PathBuf {
    file("tests/corpus/firehose_sources").join(name)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn import(args: &[&str]) -> Output {
    alluvium::command().args(["import", "firehose"]).args(args).output().expect("alluvium starts")
}

/// Imports into a folder, which `check` then takes.
fn imported(args: &[&str]) -> (TempDir, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let output = import(&[args, &["--json", "--out", &out.display().to_string()]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let config = out.join("alluvium.toml").display().to_string();
    let checked = alluvium::run(&["check", "--offline", "--config", &config]);
    assert!(checked.status.success(), "{}", said(&checked));
    (folder, serde_json::from_slice(&output.stdout).expect("one JSON object"))
}

fn explained(folder: &TempDir, event: &Value) -> Value {
    let mut command = alluvium::command();
    command.args(["explain", "--config"]).arg(folder.path().join("out/alluvium.toml"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("alluvium starts");
    child.stdin.take().expect("piped").write_all(event.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).expect("one line")
}

fn path_of(folder: &TempDir, event: &Value) -> String {
    let explained = explained(folder, event);
    explained["path"].as_str().unwrap_or_else(|| panic!("{explained}")).to_string()
}

#[test]
fn each_form_becomes_a_configuration_that_checks_and_explains() {
    let at = |name: &str| source(name).display().to_string();
    let (folder, said) = imported(&["--file", &at("main.tf")]);
    let event = json!({"customer": {"id": "c1"}, "placed_at": "2024-05-06T07:08:09Z", "orderId": "o1"});
    assert_eq!(path_of(&folder, &event), "customer_id=c1/day=2024-05-06");
    assert_eq!((&said["imported"], &said["stream"]), (&json!(true), &json!("orders-prod-to-lake")));
    let (folder, _) = imported(&["--file", &at("template.yaml"), "--var", "AWS::StackName=acme"]);
    let event = json!({"event_time": "2024-05-06T07:08:09Z", "tenant_id": "acme"});
    assert_eq!(path_of(&folder, &event), "dt=2024-05-06/tenant=acme");
    let (folder, _) = imported(&["--file", &at("describe.json"), "--glue-table", &at("glue_table.json")]);
    // jq 1.6 has lost the last bits of this number: by doubles the bucket is 0, by integers it would be 1.
    let event =
        json!({"created_at": "2024-05-06T07:08:09Z", "attribute": "industry", "entity_id": 9_007_199_254_740_993u64});
    assert_eq!(path_of(&folder, &event), "created_date=2024-05-06/attribute_name=industry/entity_id_mod=0");
    let (folder, _) = imported(&["--file", &at("create.json")]);
    assert_eq!(path_of(&folder, &json!({"a": 1})).len(), "2026-03-02".len());
}

#[test]
fn the_list_is_readable_and_nothing_is_written_over() {
    let at = source("describe.json").display().to_string();
    let output = import(&["--file", &at]);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    for wanted in [
        "# alluvium.toml\n",
        "jq_compat = \"1.6\"",
        "\nunsupported (",
        "\ndifferent (",
        "\nbetter (",
        "\nsame (",
        "SettingOfTomorrow.Depth",
        "--glue-table (what `aws glue get-table` prints)",
    ] {
        assert!(text.contains(wanted), "no `{wanted}` in\n{text}");
    }
    let (folder, _) = imported(&["--file", &at]);
    let out = folder.path().join("out").display().to_string();
    let again = import(&["--file", &at, "--out", &out]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("is there already"), "{}", said(&again));
}

#[test]
fn refusals_and_wrong_usage_have_their_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("stream.json");
    let stream = json!({"DeliveryStreamName": "s", "ExtendedS3DestinationConfiguration": {
        "BucketARN": "arn:aws:s3:::lake", "Prefix": "a/!{partitionKeyFromLambda:k}/"}});
    std::fs::write(&broken, stream.to_string()).expect("written");
    let broken = broken.display().to_string();
    let refused = import(&["--file", &broken]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("s cannot be imported:\nExtendedS3DestinationConfiguration.Prefix: names k by"),
        "{}",
        said(&refused)
    );
    let as_json = import(&["--file", &broken, "--json"]);
    assert_eq!(as_json.status.code(), Some(1));
    let said_json: Value = serde_json::from_slice(&as_json.stdout).expect("one JSON object");
    assert_eq!(said_json["imported"], json!(false));
    assert!(import(&["--file", &broken, "--key", "k=.tenant"]).status.success());
    assert_eq!(import(&[]).status.code(), Some(2));
    assert_eq!(import(&["--file", "x", "--stream", "y"]).status.code(), Some(2));
    assert_eq!(import(&["--file", "/nonexistent.json"]).status.code(), Some(1));
}

fn aws(service: &str, args: &[&str]) {
    let mut command = Command::new(tools::python("python"));
    emulated(&mut command);
    command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_PAGER", "");
    command.arg(tools::python("aws")).args([service, "--endpoint-url", &ministack().url()]);
    tools::output(command.args(args).args(["--output", "json"]));
}

fn input(folder: &Path, name: &str, value: &Value) -> String {
    let path = folder.join(name);
    std::fs::write(&path, value.to_string()).expect("written");
    format!("file://{}", path.display())
}

fn json_of(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(source(name)).expect("the corpus is there")).expect("JSON")
}

/// The same stream by the API: created in the emulator, described by it, with its table from the emulator's catalog.
#[test]
fn the_api_tells_the_stream_and_glue_its_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let (name, database) = (unique("import"), unique("import").replace('-', "_"));
    let described = json_of("describe.json")["DeliveryStreamDescription"]["Destinations"][0].clone();
    let mut s3 = described["ExtendedS3DestinationDescription"].clone();
    let members = s3.as_object_mut().expect("an object");
    for own in ["SettingOfTomorrow", "S3BackupDescription"] {
        members.remove(own);
    }
    members.insert("S3BackupMode".into(), json!("Disabled"));
    s3["DataFormatConversionConfiguration"]["SchemaConfiguration"]["DatabaseName"] = json!(database);
    let request = json!({"DeliveryStreamName": name, "DeliveryStreamType": "DirectPut", "ExtendedS3DestinationConfiguration": s3});
    aws("firehose", &["create-delivery-stream", "--cli-input-json", &input(folder.path(), "stream", &request)]);
    aws("glue", &["create-database", "--database-input", &format!("Name={database}")]);
    let mut table = json_of("glue_table.json")["Table"].clone();
    for told in ["DatabaseName", "CreateTime"] {
        table.as_object_mut().expect("an object").remove(told);
    }
    let table = input(folder.path(), "table", &table);
    aws("glue", &["create-table", "--database-name", &database, "--table-input", &table]);
    let out = folder.path().join("out");
    let mut command = alluvium::command();
    command.env("AWS_ENDPOINT_URL", ministack().url());
    command.args(["import", "firehose", "--stream", &name, "--json", "--out"]).arg(&out);
    let output = command.output().expect("alluvium starts");
    assert!(output.status.success(), "{}", said(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(answer["stream"], json!(name));
    let config = std::fs::read_to_string(out.join("alluvium.toml")).expect("written");
    assert!(config.contains(&format!("delivery_streams = ['{name}']")), "{config}");
    assert!(config.contains("entity_id_mod = '.entity_id % 64'"), "{config}");
    let spec = std::fs::read_to_string(out.join("events.toml")).expect("written");
    assert!(
        spec.contains(&database) && spec.contains("range = '0,63'") && spec.contains("path = '.\"timestamp\"'"),
        "{spec}"
    );
    let checked = alluvium::run(&["check", "--offline", "--config", &out.join("alluvium.toml").display().to_string()]);
    assert!(checked.status.success(), "{}", said(&checked));
    let mut unknown = alluvium::command();
    unknown.env("AWS_ENDPOINT_URL", ministack().url()).args(["import", "firehose", "--stream", "no-such-stream"]);
    let unknown = unknown.output().expect("alluvium starts");
    assert_eq!(unknown.status.code(), Some(1), "{}", said(&unknown));
}

/// Folders as Firehose names them: written by the running process to disk and to S3, and read back by the definition of the table.
#[test]
fn folders_that_are_not_name_and_value_are_written_and_read_back() {
    for lake in [Lake::local(), Lake::s3("layout")] {
        let stream = json!({"DeliveryStreamName": STREAM, "ExtendedS3DestinationConfiguration": {
            "BucketARN": "arn:aws:s3:::any-lake", "Prefix":
                "x/TABLE_!{partitionKeyFromQuery:t}/!{partitionKeyFromQuery:day}/",
            "DynamicPartitioningConfiguration": {"Enabled": true},
            "ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "MetadataExtraction", "Parameters": [
                {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{t:.table,day:(.day|gsub(\"-\";\"/\"))}"},
                {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"}]}]}}});
        let file = lake.file("stream.json");
        std::fs::write(&file, stream.to_string()).expect("written");
        let output = import(&["--file", &file.display().to_string(), "--json"]);
        assert!(output.status.success(), "{}", said(&output));
        let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        let (name, spec) = said["files"]
            .as_object()
            .expect("files")
            .iter()
            .find(|(name, _)| *name != "alluvium.toml")
            .expect("a spec");
        std::fs::write(lake.file(name), spec.as_str().expect("text")).expect("written");
        let config = said["files"]["alluvium.toml"].as_str().expect("text");
        let keys = &config[config.find("[keys]").expect("keys")..config.find("[lake]").expect("lake")];
        let listen = loopback();
        let source = intake_source(&lake, &listen);
        let sections =
            format!("{source}\n{keys}\n[decode]\njq_compat = \"1.6\"\n[buffer]\nage = \"1 s\"\nidle = \"500 ms\"\n");
        let running = Running::start(&lake, &sections);
        let event = |table: &str, day: &str| json!({"table": table, "day": day}).to_string().into_bytes();
        let events = [
            event("Orders", "2026-03-01"),
            event("a b:c", "2026-03-02"),
            event("../x", "2026-03-01"),
            event("a", "..-x"),
        ];
        Firehose::new(&listen, STREAM).put(&events);
        lake.until_cut(events.len());
        running.stop();
        let folders: Vec<String> =
            lake.table.list().iter().map(|path| path.rsplit_once('/').expect("a folder").0.to_string()).collect();
        assert_eq!(folders, ["TABLE_Orders/2026/03/01", "TABLE_a b:c/2026/03/02"]);
        let reasons: Vec<Value> = lake.rejects().iter().map(|line| line["reason"].clone()).collect();
        assert_eq!(reasons, ["outside_layout", "outside_layout"]);
        let config = lake.file("alluvium.toml").display().to_string();
        let ddl = alluvium::run(&["ddl", "--dialect", "duckdb", "--config", &config]);
        let view = String::from_utf8(ddl.stdout).expect("text");
        let rows = duck::query(&format!("{view}\nselect t, day, _rest from {STREAM_TABLE} order by t;"));
        let row = |at: usize| (rows[at]["t"].as_str().expect("text"), rows[at]["day"].as_str().expect("text"));
        assert_eq!((rows.len(), row(0), row(1)), (2, ("Orders", "2026/03/01"), ("a b:c", "2026/03/02")));
        assert!(rows[0]["_rest"].as_str().is_some_and(|rest| rest.contains("\"table\":\"Orders\"")), "{rows:?}");
        let athena = alluvium::run(&["ddl", "--config", &config]);
        assert!(athena.status.success(), "{}", self::said(&athena));
    }
}

/// The table that the stream of the test above is imported as.
const STREAM_TABLE: &str = "attribute_events";

/// Programs over numbers, in each of which doubles show.
const PROGRAMS: [&str; 12] = [
    ".n",
    ".n|tostring",
    ".n|tojson",
    ".n % 16",
    ".n + 1",
    ".n * 3",
    ".n / 7",
    "-(.n)",
    ".n|floor",
    "\"a-\\(.n)\"",
    "[.n, 1]|join(\"-\")",
    ".n == 9007199254740992",
];

fn numbers() -> Vec<String> {
    let mut numbers: Vec<String> =
        ["0", "-0", "0.0", "-0.0", "1.0", "1.50", "1e3", "1E-7", "0.00001", "123.456", "5.9", "-5.9"]
            .map(str::to_string)
            .to_vec();
    numbers.extend(
        ["1e15", "1e16", "1e17", "1e18", "1e19", "1e20", "1e300", "1e1000", "-1e1000", "1e-400"].map(str::to_string),
    );
    for power in [15u32, 31, 32, 52, 53, 54, 62, 63, 64] {
        let near = 1i128 << power;
        numbers.extend((-2..=2).flat_map(|off| [(near + off).to_string(), (-near + off).to_string()]));
    }
    for digits in 14..24usize {
        numbers
            .extend(["1234567890123456789012345", "9999999999999999999999999"].map(|text| text[..digits].to_string()));
    }
    // By a fixed rule, so that every run has the same.
    let mut state = 7u64;
    for _ in 0..200 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (whole, scale) = (state >> (state % 50), state % 30);
        numbers.push(format!("{whole}e-{scale}"));
        numbers.push(whole.to_string());
    }
    numbers
}

/// Debian's jq 1.6, the version Firehose names, on the same records.
#[test]
fn keys_answer_as_jq_16_itself_does() {
    let numbers = numbers();
    let records: String = numbers.iter().map(|number| format!("{{\"n\":{number}}}\n")).collect();
    for program in PROGRAMS {
        let mut jq = Command::new("jq");
        let mut jq = jq
            .args(["-c", &format!("[{program}]|map(tostring)|.[0]")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("jq starts");
        jq.stdin.take().expect("piped").write_all(records.as_bytes()).expect("jq reads");
        let output = jq.wait_with_output().expect("jq ends");
        let answers: Vec<String> = output
            .stdout
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("a string"))
            .collect();
        assert_eq!(answers.len(), numbers.len(), "{program}");
        let named = [("k".to_string(), program.to_string())];
        let keys =
            Keys::compile_as(&named, JqCompat::V16, Budget::default(), &|_| (String::new(), None)).expect("compiles");
        for (number, answer) in numbers.iter().zip(answers) {
            let mut values = Vec::new();
            keys.evaluate(format!("{{\"n\":{number}}}").as_bytes(), &mut values)
                .unwrap_or_else(|reject| panic!("{program} <- {number}: {}", reject.message));
            assert_eq!(values[0], answer, "{program} <- {number}");
        }
    }
}
