//! Clients that know nothing of us: boto3 and the AWS CLI with another endpoint URL, and nothing else changed.

use std::path::Path;
use std::process::Command;

use tests::alluvium::{Lake, Running, attribute_events, loopback};
use tests::http;
use tests::{corpus, duck, file, tools};

use crate::end_to_end::check_sp500;

/// Delivery stream of these tests.
pub(crate) const STREAM: &str = "attribute-events";

/// The intake's section; its journal lies beside the config.
pub(crate) fn intake_source(lake: &Lake, listen: &str) -> String {
    let journal = lake.file("journal");
    format!(
        "[source.intake]\nlisten = \"{listen}\"\njournal = \"{}\"\ndelivery_streams = [\"{STREAM}\"]\n",
        journal.display()
    )
}

fn start(lake: &Lake, listen: &str) -> Running {
    let source = intake_source(lake, listen);
    Running::start(lake, &format!("{source}\n{}\n[buffer]\nage = \"1 s\"\nidle = \"500 ms\"\n", attribute_events()))
}

#[test]
fn boto3_puts_the_sp500_log_through_the_intake() {
    let (lake, listen) = (Lake::local(), loopback());
    let running = start(&lake, &listen);
    let mut client = python(&file("tests/support/put_with_boto3.py"), &listen);
    tools::output(client.arg(corpus::sp500_path()));
    lake.until_cut(corpus::sp500().len());
    running.stop();
    check_sp500(&lake);
}

/// Version 1 of the CLI takes a blob as text and encodes it itself.
#[test]
fn aws_cli_puts_single_records_and_a_batch() {
    let (lake, listen) = (Lake::local(), loopback());
    let running = start(&lake, &listen);
    let record = |event: &[u8]| serde_json::json!({"Data": std::str::from_utf8(event).expect("the corpus is text")});
    let events = &corpus::sp500()[..12];
    for event in &events[..2] {
        let answer = aws(&listen, &["put-record", "--record", &record(event).to_string()]);
        assert!(answer.contains("RecordId"), "{answer}");
    }
    let batch: Vec<_> = events[2..].iter().map(|e| record(e)).collect();
    let answer = aws(&listen, &["put-record-batch", "--records", &serde_json::Value::from(batch).to_string()]);
    assert!(answer.contains("\"FailedPutCount\": 0"), "{answer}");
    lake.until_cut(events.len());
    running.stop();
    assert_eq!(duck::number(&format!("select count(distinct event_id) from {}", duck::lake(&lake.table.url()))), 12);
    assert_eq!(duck::number(&format!("select count(*) from {}", duck::lake(&lake.table.url()))), 12);
}

#[test]
fn ndjson_over_plain_http_is_taken_line_by_line() {
    let (lake, listen) = (Lake::local(), loopback());
    let running = start(&lake, &listen);
    let body = corpus::sp500()[..100].join(&b'\n');
    let (status, answer) = http::request(&listen, "POST", "/v1/events", &[], &body).expect("the intake answers");
    assert!((200..300).contains(&status), "{status} {}", String::from_utf8_lossy(&answer));
    lake.until_cut(100);
    running.stop();
    assert_eq!(duck::number(&format!("select count(*) from {}", duck::lake(&lake.table.url()))), 100);
}

fn python(script: &Path, listen: &str) -> Command {
    let mut command = Command::new(tools::python("python"));
    with_credentials(&mut command);
    command.arg(script).arg(format!("http://{listen}")).arg(STREAM);
    command
}

fn aws(listen: &str, args: &[&str]) -> String {
    let mut command = Command::new(tools::python("python"));
    with_credentials(&mut command);
    command.arg(tools::python("aws")).args(["firehose", "--endpoint-url", &format!("http://{listen}")]);
    tools::output(command.args(args).args(["--delivery-stream-name", STREAM, "--output", "json"]))
}

fn with_credentials(command: &mut Command) {
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env("AWS_REGION", "us-east-1");
    command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_PAGER", "");
    command.env("AWS_CONFIG_FILE", "/nonexistent").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
}
