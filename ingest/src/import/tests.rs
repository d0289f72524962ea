//! Each source format, that no setting is passed over, and texts that mean harm.

use super::*;
use crate::import::findings::Verdict;

/// 2026-03-01T23:05:09Z
const NOW: i64 = 1_772_406_309_000;

fn source(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/firehose_sources").join(name);
    std::fs::read_to_string(path).expect("the corpus is there")
}

fn import_of(name: &str, wanted: &Wanted) -> Result<Imported, Failure> {
    let text = source(name);
    let described =
        described(&text, Format::of(name, &text), &wanted.variables).unwrap_or_else(|e| panic!("{name}: {e}"));
    import(described, wanted, name)
}

fn with(variables: &[(&str, &str)]) -> Wanted {
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Wanted { variables, now: NOW, ..Wanted::default() }
}

fn finding<'i>(imported: &'i Imported, setting: &str) -> &'i Finding {
    let of = |finding: &&Finding| finding.setting.ends_with(setting);
    imported.findings.iter().find(of).unwrap_or_else(|| panic!("{setting} is not told: {:#?}", imported.findings))
}

fn has_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "no line `{line}` in\n{text}");
    }
}

#[test]
fn terraform_is_worked_out_within_its_file() {
    let imported = import_of("main.tf", &with(&[])).unwrap_or_else(|e| panic!("{e:#?}"));
    assert_eq!((imported.stream.as_str(), imported.table_file.as_str()), ("orders-prod-to-lake", "orders.toml"));
    has_lines(
        &imported.config,
        &[
            "[source.kinesis]",
            "stream = 'orders-prod'",
            "start = \"latest\"",
            "customer_id = '.customer.id'",
            "day = '.placed_at[0:10]'",
            "url = 's3://acme-lake-prod/curated/orders/'",
            "errors = 's3://acme-lake-prod/errors/orders/'",
            "archive = 's3://acme-lake-prod/raw/orders/'",
            "jq_compat = \"1.6\"",
            "size = \"64 MiB\"",
            "age = \"300 s\"",
            "compression = \"gzip\"",
        ],
    );
    has_lines(
        &imported.table,
        &[
            "name = 'orders'",
            "database = 'lake'",
            "type = 'decimal(18,2)'",
            "path = '.\"orderId\"'",
            "type = 'array<struct<sku:string,count:int>>'",
            "projection = { type = \"injected\" }",
            "projection = { type = \"date\", format = 'yyyy-MM-dd', range = '2024-01-01,NOW+1DAYS' }",
        ],
    );
    assert!(!imported.table.contains("layout"));
    assert_eq!(finding(&imported, "Tags").verdict, Verdict::Different);
}

#[test]
fn cloudformation_functions_are_worked_out() {
    let Err(Failure::Refused(refused)) = import_of("template.yaml", &with(&[])) else {
        panic!("the stack's name is open")
    };
    assert!(refused.problems[0].why.contains("write --var 'AWS::StackName=...'"), "{refused:#?}");
    let imported =
        import_of("template.yaml", &with(&[("AWS::StackName", "acme")])).unwrap_or_else(|e| panic!("{e:#?}"));
    assert_eq!(imported.stream, "acme-events");
    has_lines(
        &imported.config,
        &[
            "[source.intake]",
            "delivery_streams = ['acme-events']",
            "dt = '.event_time[0:10]'",
            "tenant = '.tenant_id'",
            "url = 's3://acme-events-prod/curated/events/'",
            "age = \"300 s\"",
            "compression = \"snappy\"",
        ],
    );
    has_lines(&imported.table, &["type = 'struct<kind:string,size:bigint>'", "name = 'dt'"]);
    assert_eq!(finding(&imported, "DependsOn").verdict, Verdict::Same);
}

#[test]
fn the_apis_answer_with_its_table() {
    let glue = glue_table(&source("glue_table.json")).expect("a table");
    let imported =
        import_of("describe.json", &Wanted { glue: Some(glue), ..with(&[]) }).unwrap_or_else(|e| panic!("{e:#?}"));
    has_lines(
        &imported.config,
        &[
            "region = 'us-east-1'",
            "entity_id_mod = '.entity_id % 64'",
            "url = 's3://lake/events/'",
            "errors = 's3://lake/errors/'",
            "archive = 's3://raw/raw/'",
            "page_size = \"1048576 B\"",
            "dictionary = false",
        ],
    );
    has_lines(&imported.table, &["projection = { type = \"integer\", range = '0,63' }", "path = '.\"timestamp\"'"]);
    for (setting, verdict) in [
        ("FileExtension", Verdict::Different),
        ("CustomTimeZone", Verdict::Same),
        ("SettingOfTomorrow.Depth", Verdict::Unsupported),
        ("EncryptionConfiguration", Verdict::Unsupported),
        ("kind", Verdict::Different),
        ("has_encrypted_data", Verdict::Unsupported),
        ("S3BackupMode", Verdict::Better),
    ] {
        assert_eq!(finding(&imported, setting).verdict, verdict, "{setting}");
    }
}

#[test]
fn a_stream_without_keys_goes_by_arrival_in_its_zone() {
    let imported = import_of("create.json", &with(&[])).unwrap_or_else(|e| panic!("{e:#?}"));
    has_lines(&imported.config, &["arrived_date = 'arrived_at(\"yyyy-MM-dd\"; \"Europe/Berlin\")'", "age = \"1 s\""]);
    has_lines(&imported.table, &["layout = '{arrived_date}'", "unknown_fields = \"rest\""]);
    for (setting, verdict) in [("FileExtension", Verdict::Different), ("CompressionFormat", Verdict::Different)] {
        assert_eq!(finding(&imported, setting).verdict, verdict, "{setting}");
    }
    assert!(imported.findings.iter().any(|f| f.value.contains("random-string") && f.verdict == Verdict::Unsupported));
}

/// Every leaf of a description is in the list: itself, or a group it is in.
#[test]
fn no_setting_is_passed_over() {
    for name in ["describe.json", "create.json"] {
        let text = source(name);
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let tree = Node::from_json(&json);
        let described = describe::stream(&tree).expect("a stream");
        let mut settings = Vec::new();
        leaves("", &described.streams[0].1, &mut settings);
        let imported = import(described, &with(&[]), name).unwrap_or_else(|e| panic!("{e:#?}"));
        let told: Vec<&str> = imported.findings.iter().map(|finding| finding.setting.as_str()).collect();
        let silent: Vec<&String> = settings.iter().filter(|leaf| !told.iter().any(|told| covers(told, leaf))).collect();
        assert!(silent.is_empty(), "{name}: {silent:#?}");
    }
}

/// Names and values of a parameter, a processor's type and where a section stands are told with what they are of.
fn covers(told: &str, leaf: &str) -> bool {
    let of_group = leaf.strip_prefix(told).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let parameter = leaf.ends_with("ParameterName") && told.starts_with(leaf.trim_end_matches("ParameterName"));
    let schema = leaf.starts_with("ExtendedS3DestinationConfiguration.S3BackupConfiguration.BucketARN");
    of_group || parameter || schema || leaf.ends_with(".Type") && told.starts_with(leaf.trim_end_matches(".Type"))
}

fn leaves(path: &str, node: &Node, out: &mut Vec<String>) {
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match node {
        Node::Map(members) => members.iter().for_each(|(name, node)| leaves(&below(name), node, out)),
        Node::List(items) => {
            items.iter().enumerate().for_each(|(at, node)| leaves(&format!("{path}[{at}]"), node, out))
        }
        _ => out.push(path.to_string()),
    }
}

fn refusals(s3: serde_json::Value) -> Vec<String> {
    let json = serde_json::json!({"DeliveryStreamName": "s", "ExtendedS3DestinationConfiguration": s3});
    let described = describe::stream(&Node::from_json(&json)).expect("a stream");
    match import(described, &with(&[]), "test") {
        Err(Failure::Refused(refused)) => {
            refused.problems.into_iter().map(|p| format!("{}: {}", p.setting, p.why)).collect()
        }
        other => panic!("{other:#?}"),
    }
}

#[test]
fn what_cannot_be_imported_is_refused_with_its_reason() {
    let s3 = |more: serde_json::Value| {
        let mut s3 = serde_json::json!({"BucketARN": "arn:aws:s3:::lake"});
        for (name, value) in more.as_object().expect("members") {
            s3[name] = value.clone();
        }
        refusals(s3)
    };
    let processors = |processor: serde_json::Value| {
        s3(serde_json::json!({"ProcessingConfiguration": {"Enabled": true, "Processors": [processor]}}))
    };
    let query = |query: &str| {
        processors(serde_json::json!({"Type": "MetadataExtraction", "Parameters": [
            {"ParameterName": "MetadataExtractionQuery", "ParameterValue": query}]}))
    };
    for (problems, says) in [
        (s3(serde_json::json!({"BucketARN": "lake!"})), "names no bucket"),
        (s3(serde_json::json!({"Prefix": "a/!{time:x}/"})), "invalid keyword"),
        (s3(serde_json::json!({"Prefix": "!{partitionKeyFromLambda:k}/"})), "a function outside of the description"),
        (s3(serde_json::json!({"Prefix": "!{partitionKeyFromQuery:k}/"})), "there is no MetadataExtraction"),
        (s3(serde_json::json!({"Prefix": "!{firehose:error-output-type}/"})), "in ErrorOutputPrefix alone"),
        (s3(serde_json::json!({"ErrorOutputPrefix": "e/!{partitionKeyFromQuery:k}/"})), "refuses in an error prefix"),
        (s3(serde_json::json!({"CustomTimeZone": "Mars/Base"})), "no time zone"),
        (s3(serde_json::json!({"Prefix": "_hidden-!{timestamp:yyyy}/"})), "pass over"),
        (s3(serde_json::json!({"BufferingHints": {"SizeInMBs": 999}})), "takes 1 to 128"),
        (s3(serde_json::json!({"S3BackupMode": "Enabled"})), "S3BackupConfiguration is missing"),
        (query(".tenant"), "no object"),
        (query("{k: env.HOME}"), "`env` is not available"),
        (processors(serde_json::json!({"Type": "Tomorrow"})), "is not known"),
        (
            processors(serde_json::json!({"Type": "RecordDeAggregation", "Parameters": [
                {"ParameterName": "SubRecordType", "ParameterValue": "DELIMITED"},
                {"ParameterName": "Delimiter", "ParameterValue": "IyMjIw=="}]})),
            "by `####`",
        ),
    ] {
        let found = problems.iter().any(|problem| problem.contains(says));
        assert!(found, "{says}: {problems:#?}");
    }
    let json = serde_json::json!({"DeliveryStreamName": "s", "RedshiftDestinationConfiguration": {}});
    let described = describe::stream(&Node::from_json(&json)).expect("a stream");
    let Err(Failure::Refused(refused)) = import(described, &with(&[]), "test") else { panic!("imported") };
    assert!(refused.problems[0].why.contains("delivers to Redshift"), "{refused:#?}");
}

#[test]
fn a_file_that_describes_several_streams_asks_which() {
    let two = source("main.tf").replace("\"extended_s3_stream\"", "\"first\"");
    let text = format!("{two}\nresource \"aws_kinesis_firehose_delivery_stream\" \"second\" {{ name = \"b\" }}\n");
    let described = described(&text, Format::Terraform, &Variables::new()).expect("two streams");
    assert_eq!(
        import(described, &with(&[]), "x").expect_err("which"),
        Failure::Choice("describes 2 streams: name one with --resource: first, second".into())
    );
}

#[test]
fn blocks_that_only_the_deployment_knows_are_named() {
    let text = source("main.tf").replacen("processors {", "dynamic \"processors\" {", 1);
    let described = described(&text, Format::Terraform, &Variables::new()).expect("a stream");
    let Err(Failure::Refused(refused)) = import(described, &with(&[]), "x") else { panic!("imported") };
    let named = |problem: &Problem| problem.why.contains("`dynamic processors`");
    assert!(refused.problems.iter().any(named), "{:#?}", refused.problems);
}

#[test]
fn references_that_go_round_end() {
    let mut terraform = "locals { a0 = \"x\" }\n".to_string();
    for n in 1..40 {
        terraform += &format!("locals {{ a{n} = \"${{local.a{0}}}${{local.a{0}}}\" }}\n", n - 1);
    }
    terraform += "locals { loop = local.loop }\nresource \"aws_kinesis_firehose_delivery_stream\" \"s\" {\n name = local.a39\n tags = { a = local.loop }\n}\n";
    described(&terraform, Format::Terraform, &Variables::new()).expect("a stream");
    let template = r#"{"Parameters": {}, "Conditions": {"A": {"Fn::And": [{"Condition": "A"}, {"Condition": "A"}]}},
        "Resources": {"B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Fn::Sub": "${B}${B}"}}},
        "S": {"Type": "AWS::KinesisFirehose::DeliveryStream", "Properties": {"DeliveryStreamName": {"Fn::If": ["A", {"Ref": "B"}, "x"]}}}}}"#;
    described(template, Format::Json, &Variables::new()).expect("a stream");
}

#[test]
fn texts_that_nest_without_end_do_not_use_up_the_stack() {
    for piece in ["[", "(", "{a=", "!", "-", "\"${", "a?", "1+", "a.", "a[", "f(", "%{", "<<A\n${"] {
        described(&format!("x = {}", piece.repeat(100_000)), Format::Terraform, &Variables::new()).expect_err(piece);
    }
    for piece in ["[", "{", "- ", "? ", "!a ", "a: "] {
        described(&piece.repeat(100_000), Format::Yaml, &Variables::new()).expect_err(piece);
    }
    for piece in ["[", "{\"a\":"] {
        described(&piece.repeat(100_000), Format::Json, &Variables::new()).expect_err(piece);
    }
    let blocks = format!("{}{}", "a {\n".repeat(50_000), "}\n".repeat(50_000));
    described(&blocks, Format::Terraform, &Variables::new()).expect_err("blocks");
}

#[test]
fn what_is_no_description_is_refused_with_its_line() {
    for (text, format, says) in [
        ("{", Format::Json, "not JSON"),
        ("{}", Format::Json, "neither what"),
        ("a: [", Format::Yaml, "line "),
        ("a: 1", Format::Yaml, "neither what"),
        ("resource {", Format::Terraform, "line "),
        ("x = 1", Format::Terraform, "describes no Firehose"),
        (r#"{"Resources": {}}"#, Format::Json, "no resources"),
    ] {
        let message = described(text, format, &Variables::new()).expect_err(text);
        assert!(message.contains(says), "{text}: {message}");
    }
}
