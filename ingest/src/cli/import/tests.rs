//! Real configurations imported, and what `explain` then says of their sample records, against what jq 1.6 has made of them.

use std::collections::BTreeMap;
use std::path::Path;

use schemas::position::Position;
use schemas::rules::JqCompat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::explain::explain;
use crate::config::{self, Config};
use crate::import::findings::Verdict;
use crate::import::{self, Failure, Format, Imported, Wanted, query};
use crate::keys::{Budget, Keys};
use crate::route::Router;

/// 2026-03-01T23:05:09Z
const ARRIVED_AT: i64 = 1_772_406_309_000;

/// Values for what the corpus's texts left to their deployment.
const VARIABLES: [(&str, &str); 4] = [
    ("prefix", "tweets/"),
    ("errorOutputPrefix", "tweet-errors/"),
    ("local.table_location", "gsuite/logs"),
    ("var.StreamNamePrefix", "cdc"),
];

#[derive(Debug, Deserialize)]
struct Row {
    n: u32,
    form: String,
    query: Option<String>,
    prefix: Option<String>,
    error_output_prefix: Option<String>,
    sample: Value,
    expected_jq16: Value,
    expected_prefix_query_part: Option<String>,
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/firehose_configs/real_configs.jsonl");
    let text = std::fs::read_to_string(path).expect("the corpus is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn filled(text: &str) -> String {
    VARIABLES.iter().fold(text.to_string(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

/// The row as `CreateDeliveryStream` takes it, with these processors before its own.
fn created(row: &Row, before: &[Value]) -> Value {
    let mut processors = before.to_vec();
    if let Some(query) = &row.query {
        processors.push(json!({"Type": "MetadataExtraction", "Parameters": [
            {"ParameterName": "MetadataExtractionQuery", "ParameterValue": query},
            {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
        ]}));
    }
    let mut s3 = json!({
        "RoleARN": "arn:aws:iam::123456789012:role/fh", "BucketARN": "arn:aws:s3:::lake-bucket",
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
        "DynamicPartitioningConfiguration": {"Enabled": true, "RetryOptions": {"DurationInSeconds": 300}},
        "ProcessingConfiguration": {"Enabled": true, "Processors": processors},
    });
    for (name, value) in [("Prefix", &row.prefix), ("ErrorOutputPrefix", &row.error_output_prefix)] {
        if let Some(value) = value {
            s3[name] = json!(filled(value));
        }
    }
    json!({"DeliveryStreamName": format!("stream-{}", row.n), "ExtendedS3DestinationConfiguration": s3})
}

/// The row in the form that it was found in.
fn written(row: &Row, before: &[Value]) -> (String, Format) {
    let created = created(row, before);
    match row.form.as_str() {
        "terraform" => (as_terraform(row, &created), Format::Terraform),
        "cloudformation" => (as_yaml(row, &created), Format::Yaml),
        "cdk" => {
            let template = json!({"Resources": {"Stream": {
                "Type": "AWS::KinesisFirehose::DeliveryStream", "Properties": created}}});
            (template.to_string(), Format::Json)
        }
        "DescribeDeliveryStream JSON" => {
            let s3 = created["ExtendedS3DestinationConfiguration"].clone();
            let described = json!({"DeliveryStreamDescription": {
                "DeliveryStreamName": created["DeliveryStreamName"], "DeliveryStreamStatus": "ACTIVE", "VersionId": "1",
                "DeliveryStreamARN": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/x",
                "DeliveryStreamType": "DirectPut", "HasMoreDestinations": false,
                "Destinations": [{"DestinationId": "destinationId-000000000001", "ExtendedS3DestinationDescription": s3}]}});
            (described.to_string(), Format::Json)
        }
        _ => (created.to_string(), Format::Json),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn as_terraform(row: &Row, created: &Value) -> String {
    let s3 = &created["ExtendedS3DestinationConfiguration"];
    let mut processors = String::new();
    for processor in s3["ProcessingConfiguration"]["Processors"].as_array().expect("a list") {
        processors += &format!("processors {{\n type = {}\n", processor["Type"]);
        for parameter in processor["Parameters"].as_array().into_iter().flatten() {
            let (name, value) = (&parameter["ParameterName"], &parameter["ParameterValue"]);
            processors += &format!("parameters {{\n parameter_name = {name}\n parameter_value = {value}\n }}\n");
        }
        processors += "}\n";
    }
    let prefix = |name: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!("{name} = {}\n", quoted(text))).unwrap_or_default()
    };
    format!(
        r#"
variable "StreamNamePrefix" {{ default = "cdc" }}
locals {{ table_location = "gsuite/logs" }}
resource "aws_s3_bucket" "lake" {{ bucket = "lake-bucket" }}
resource "aws_kinesis_firehose_delivery_stream" "this" {{
  name        = "stream-{}"
  destination = "extended_s3"
  extended_s3_configuration {{
    role_arn   = aws_iam_role.firehose.arn
    bucket_arn = aws_s3_bucket.lake.arn
    {}{}
    buffering_size     = 64
    buffering_interval = 60
    dynamic_partitioning_configuration {{
      enabled = true
    }}
    processing_configuration {{
      enabled = "true"
      {processors}
    }}
  }}
  tags = {{ Name = "x" }}
  depends_on = [aws_iam_role.firehose]
}}
"#,
        row.n,
        prefix("prefix", &row.prefix),
        prefix("error_output_prefix", &row.error_output_prefix),
    )
}

fn as_yaml(row: &Row, created: &Value) -> String {
    let s3 = &created["ExtendedS3DestinationConfiguration"];
    let text = |name: &str| {
        s3[name].as_str().map(|text| format!("        {name}: !Sub {}\n", quoted(text))).unwrap_or_default()
    };
    format!(
        "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  Lake:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketName: lake-bucket\n  \
         Stream:\n    Type: AWS::KinesisFirehose::DeliveryStream\n    Properties:\n      DeliveryStreamName: stream-{}\n      \
         ExtendedS3DestinationConfiguration:\n        BucketARN: !GetAtt Lake.Arn\n        RoleARN: !GetAtt Role.Arn\n{}{}        \
         BufferingHints: {{SizeInMBs: 64, IntervalInSeconds: 60}}\n        DynamicPartitioningConfiguration: {{Enabled: true}}\n        \
         ProcessingConfiguration: {}\n",
        row.n,
        text("Prefix"),
        text("ErrorOutputPrefix"),
        s3["ProcessingConfiguration"]
    )
}

fn import(row: &Row, before: &[Value]) -> Result<Imported, Failure> {
    let wanted = Wanted { now: ARRIVED_AT, ..Wanted::default() };
    let (text, format) = written(row, before);
    let described =
        import::described(&text, format, &wanted.variables).unwrap_or_else(|e| panic!("{}: {e}\n{text}", row.n));
    import::import(described, &wanted, "a test")
}

fn loaded(imported: &Imported) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    let written = super::write(folder.path(), imported).expect("written");
    config::load(Path::new(&written[0]), &|_| None)
        .unwrap_or_else(|p| panic!("{p:?}\n{}\n{}", imported.config, imported.table))
}

fn explained(config: &Config, record: &Value) -> Value {
    let mut out = Vec::new();
    explain(config, record.to_string().as_bytes(), "test", &mut out).expect("explained");
    serde_json::from_slice(&out).expect("one line")
}

/// The path by the stages of the pipeline, of a record that arrived at the instant above.
fn path(config: &Config, record: &Value) -> String {
    let mut router = Router::compile(&config.rules(), "test").expect("compiles");
    let mut found = None;
    let position = Position::from_numbers(1, 0);
    router.each_event(record.to_string().as_bytes(), &position, ARRIVED_AT, &mut |_, path| {
        found = Some(path.map(str::to_string).unwrap_or_else(|reject| panic!("{}", reject.message)));
    });
    found.expect("one event")
}

/// What stands in a path for a scalar.
fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

fn expected_path(template: &str) -> String {
    let mut out = String::new();
    // What nobody can work out is left out.
    let filled = filled(template).replace("/rand=!{firehose:random-string}", "");
    let mut rest = filled.as_str();
    while let Some((before, behind)) = rest.split_once("!{timestamp:") {
        let (pattern, behind) = behind.split_once('}').expect("closed");
        let time = [("yyyy", "2026"), ("MM", "03"), ("dd", "01"), ("HH", "23")];
        out += before;
        out += &time.iter().fold(pattern.to_string(), |text, (letters, value)| text.replace(letters, value));
        rest = behind;
    }
    (out + rest).trim_matches('/').to_string()
}

fn lambda() -> Value {
    json!({"Type": "Lambda", "Parameters": [
        {"ParameterName": "LambdaArn", "ParameterValue": "arn:aws:lambda:eu-west-1:1:function:f"}]})
}

#[test]
fn each_real_configuration_is_imported_or_refused_with_the_true_reason() {
    let refusals = [
        (14, "names REGION, SITEID by partitionKeyFromQuery, which the query never makes"),
        (64, "partitionKeyFromLambda may be meant"),
    ];
    let rows = rows();
    assert_eq!(rows.len(), 48);
    let mut imported = 0;
    for row in &rows {
        let refusal = refusals.iter().find(|(n, _)| *n == row.n);
        let before = if row.n == 64 { vec![lambda()] } else { Vec::new() };
        match (import(row, &before), refusal) {
            (Ok(stream), None) => {
                check(row, &stream);
                imported += 1;
            }
            (Err(Failure::Refused(refused)), Some((_, why))) => {
                assert!(refused.problems.iter().any(|problem| problem.why.contains(why)), "{}: {refused:?}", row.n);
            }
            (outcome, _) => panic!("{}: {outcome:?}", row.n),
        }
    }
    assert_eq!(imported, 46);
}

/// Keys and path of the row's sample record.
fn check(row: &Row, imported: &Imported) {
    let config = loaded(imported);
    assert_eq!(config.jq_compat, JqCompat::V16, "{}", row.n);
    let explained = explained(&config, &row.sample);
    assert_eq!((&explained["parsed"], &explained["reject"]), (&json!(true), &Value::Null), "{}: {explained}", row.n);
    let path = path(&config, &row.sample);
    let Some(expected) = row.expected_jq16.as_object() else { return by_arrival(row, imported, &config, &path) };
    match &row.expected_prefix_query_part {
        Some(template) => {
            let table = config.lake.url.strip_prefix("s3://lake-bucket/").expect("the row's bucket");
            let expected = expected_path(template);
            let whole = format!("{table}{path}");
            // A prefix that begins with a key got a folder.
            let moved = format!("stream_{}/{expected}", row.n);
            assert!(whole == expected || whole == moved, "{}: {whole} is not {expected}", row.n);
        }
        // The corpus has no prefix: a folder for each key, in order.
        None if row.prefix.is_none() => {
            let keys = explained["keys"].as_object().expect("keys");
            assert_eq!(keys.len(), expected.len(), "{}", row.n);
            for (name, value) in expected {
                assert_eq!(keys[&name.to_lowercase()], scalar(value), "{}: {name}", row.n);
            }
        }
        None => assert_eq!(path, "login/2022/07/25/00", "{}", row.n),
    }
    every_key(row, expected);
}

/// A query that reads the clock goes by the record's arrival, and says so.
fn by_arrival(row: &Row, imported: &Imported, config: &Config, path: &str) {
    assert_eq!(row.expected_jq16, json!("depends on now"), "{}", row.n);
    let told = |wanted: &str| imported.findings.iter().any(|finding| finding.why.contains(wanted));
    assert!(told("the record's arrival stands in for `now`"), "{}: {:#?}", row.n, imported.findings);
    assert_eq!(
        told("jq 1.6 knows no strings in single quotes"),
        row.query.as_ref().is_some_and(|query| query.contains('\''))
    );
    let (template, mut expected) = (row.prefix.as_deref().expect("a prefix"), Vec::new());
    let value = |key: &str| match key {
        "year" => "2026",
        "month" => "03",
        "day" => "01",
        "hour" => "23",
        "date" => "2026-03-01",
        "datasource" => "txma",
        other => row.sample[other].as_str().unwrap_or_else(|| panic!("{}: {other}", row.n)),
    };
    for piece in import::prefix::parse(template).expect("a prefix") {
        match piece {
            import::prefix::Piece::Text(text) => expected.push(text),
            import::prefix::Piece::Query(key) => expected.push(value(&key).to_string()),
            other => panic!("{}: {other:?}", row.n),
        }
    }
    let (lake, expected) = (&config.lake.url, expected.concat());
    assert!(format!("{lake}{path}/").ends_with(&expected), "{}: {lake}{path} is not {expected}", row.n);
}

/// All keys of the query, those the prefix does not use included.
fn every_key(row: &Row, expected: &serde_json::Map<String, Value>) {
    let query = query::parse(row.query.as_deref().expect("a query")).expect("it parses");
    let keys = Keys::compile_as(&query.keys, JqCompat::V16, Budget::default(), &|_| (String::new(), None));
    let mut values = Vec::new();
    keys.expect("they compile").evaluate(row.sample.to_string().as_bytes(), &mut values).expect("the sample has them");
    let found: BTreeMap<&str, &str> =
        query.keys.iter().map(|(name, _)| name.as_str()).zip(values.iter().map(String::as_str)).collect();
    let wanted: BTreeMap<String, String> = expected.iter().map(|(name, value)| (name.clone(), scalar(value))).collect();
    assert_eq!(found, wanted.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(), "{}", row.n);
}

#[test]
fn what_the_service_does_before_the_keys_is_told_or_refused() {
    let rows = rows();
    let row = |n: u32| rows.iter().find(|row| row.n == n).expect("in the corpus");
    let cloudwatch = json!({"Type": "CloudWatchLogProcessing", "Parameters": [
        {"ParameterName": "DataMessageExtraction", "ParameterValue": "true"}]});
    for n in [8, 40] {
        let Err(Failure::Refused(refused)) = import(row(n), std::slice::from_ref(&cloudwatch)) else {
            panic!("{n} is imported")
        };
        assert!(refused.problems[0].why.contains("envelope of CloudWatch Logs"), "{refused:?}");
    }
    for n in [38, 59] {
        let imported = import(row(n), &[lambda()]).expect("imported");
        let told = imported.findings.iter().find(|finding| finding.value.contains("function:f")).expect("told");
        assert_eq!(told.verdict, Verdict::Unsupported);
    }
    let wanted =
        Wanted { keys: vec![("event_type".into(), ".event_type".into())], now: ARRIVED_AT, ..Wanted::default() };
    let (text, format) = written(row(64), &[lambda()]);
    let described = import::described(&text, format, &wanted.variables).expect("described");
    let imported = import::import(described, &wanted, "a test").expect("its key is given");
    let config = loaded(&imported);
    assert_eq!(path(&config, &row(64).sample), "event_type=lesson:started/year-month-day=2026-03-01");
}
