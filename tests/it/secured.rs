//! An intake that asks its clients who they are: boto3, the AWS CLI and curl sign, bring tokens, and check its certificate.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tests::alluvium::{Lake, Running, attribute_events, loopback};
use tests::{file, http, tools};

use crate::clients::{STREAM, intake_source};

const ID: &str = "UPLOADER";
const SECRET: &str = "the secret of the uploader";
const TOKEN: &str = "the-token-of-a-script";

/// Starts an intake that knows one key and one token; `more` are further fields of its section.
fn start(lake: &Lake, listen: &str, more: &str) -> Running {
    let credentials = format!(
        "[credentials.uploader]\naccess_key_id = \"{ID}\"\nsecret_access_key = \"{SECRET}\"\n\
         [credentials.script]\nbearer_token = \"{TOKEN}\"\n"
    );
    let source = intake_source(lake, listen);
    Running::start(lake, &format!("{source}{more}\n{credentials}\n{}", attribute_events()))
}

/// A certificate for 127.0.0.1 by an authority of this test's own: the authority, and the fields that name certificate and key.
fn certificate(lake: &Lake) -> (PathBuf, String) {
    let made = |args: &str| {
        let mut openssl = Command::new("openssl");
        tools::output(openssl.args(args.split(' ')).current_dir(lake.folder.path()));
    };
    std::fs::write(lake.file("san.txt"), "subjectAltName = IP:127.0.0.1\n").expect("writable");
    made("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-authority");
    made("req -newkey rsa:2048 -nodes -keyout intake.key -out intake.csr -subj /CN=intake");
    made("x509 -req -in intake.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out intake.crt -days 2 -extfile san.txt");
    (lake.file("ca.crt"), "tls_cert = \"intake.crt\"\ntls_key = \"intake.key\"\n".to_string())
}

fn with_key(command: &mut Command, id: &str, secret: &str) {
    command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_REGION", "eu-central-1");
    command.env("AWS_DEFAULT_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_PAGER", "");
    command.env("AWS_CONFIG_FILE", "/nonexistent").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
}

/// What boto3 says became of its puts.
fn boto3(endpoint: &str, id: &str, secret: &str, options: &[&str]) -> serde_json::Value {
    let mut command = Command::new(tools::python("python"));
    with_key(&mut command, id, secret);
    command.arg(file("tests/support/put_signed.py")).args([endpoint, STREAM]).args(options);
    serde_json::from_str(&tools::output(&mut command)).expect("the script prints JSON")
}

/// That a put was refused with this, once: an SDK that retries it would only be slower to tell.
fn refused(told: &serde_json::Value, code: &str) {
    let expected = serde_json::json!([0, 0, [code]]);
    assert_eq!(serde_json::json!([told["taken"], told["retries"], told["errors"]]), expected, "{told}");
}

#[test]
fn boto3_is_taken_with_the_right_key_and_otherwise_raises_the_error_of_aws() {
    let (lake, listen) = (Lake::local(), loopback());
    let running = start(&lake, &listen, "");
    let endpoint = format!("http://{listen}");
    assert_eq!(boto3(&endpoint, ID, SECRET, &["times=3", "seconds=240"])["taken"], 3);
    refused(&boto3(&endpoint, ID, "another secret, as long", &[]), "400 InvalidSignatureException");
    refused(&boto3(&endpoint, "NOBODY", SECRET, &[]), "400 UnrecognizedClientException");
    refused(&boto3(&endpoint, ID, SECRET, &["tamper=body"]), "400 InvalidSignatureException");
    refused(&boto3(&endpoint, ID, SECRET, &["tamper=target"]), "400 InvalidSignatureException");
    let early = boto3(&endpoint, ID, SECRET, &["seconds=420"]);
    refused(&early, "400 InvalidSignatureException");
    // As a request does that someone recorded and sends again.
    let late = boto3(&endpoint, ID, SECRET, &["seconds=-420"]);
    refused(&late, "400 InvalidSignatureException");
    let message = |told: &serde_json::Value| told["message"].as_str().unwrap_or_default().to_string();
    assert!(message(&early).starts_with("Signature not yet current"), "{early}");
    assert!(message(&late).starts_with("Signature expired"), "{late}");
    let metrics = running.metrics();
    assert!(metrics.contains("alluvium_intake_refused_total{reason=\"denied\"} 6\n"), "{metrics}");
    lake.until_cut(3);
    running.stop();
}

#[test]
fn boto3_and_the_cli_take_the_certificate_and_nobody_sees_a_secret() {
    let (lake, listen) = (Lake::local(), loopback());
    let (authority, fields) = certificate(&lake);
    let running = start(&lake, &listen, &fields);
    let endpoint = format!("https://{listen}");
    let ca = format!("ca={}", authority.display());
    assert_eq!(boto3(&endpoint, ID, SECRET, &[&ca])["taken"], 1);
    refused(&boto3(&endpoint, ID, "another secret, as long", &[&ca]), "400 InvalidSignatureException");
    let put = aws(&endpoint, &authority, ID, SECRET);
    assert!(put.status.success() && String::from_utf8_lossy(&put.stdout).contains("RecordId"), "{put:?}");
    let wrong = aws(&endpoint, &authority, "NOBODY", SECRET);
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success() && told.contains("(UnrecognizedClientException)"), "{told}");
    assert!(!aws(&endpoint, Path::new("/etc/ssl/certs/ca-certificates.crt"), ID, SECRET).status.success());
    let metrics = running.metrics();
    assert!(metrics.contains("alluvium_intake_connections_ended_total{reason=\"handshake\"}"), "{metrics}");
    let (_, config) = http::get(&lake.admin, "/config").expect("answers");
    assert!(config.contains(ID) && config.contains("credentials.uploader"), "{config}");
    for text in [config, metrics, running.log()] {
        assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{text}");
    }
    running.stop();
}

fn aws(endpoint: &str, authority: &Path, id: &str, secret: &str) -> Output {
    let mut command = Command::new(tools::python("python"));
    with_key(&mut command, id, secret);
    command.arg(tools::python("aws")).args(["firehose", "--endpoint-url", endpoint, "--ca-bundle"]).arg(authority);
    command.args(["put-record", "--delivery-stream-name", STREAM, "--record", "{\"Data\": \"{}\"}"]);
    command.stdin(Stdio::null()).output().expect("the CLI starts")
}

#[test]
fn curl_brings_a_token_or_signs() {
    let (lake, listen) = (Lake::local(), loopback());
    let running = start(&lake, &listen, "");
    let url = format!("http://{listen}/v1/events");
    let signed = format!("{ID}:{SECRET}");
    let right = format!("Authorization: Bearer {TOKEN}");
    let wrong = format!("Authorization: Bearer {TOKEN}x");
    let sigv4 = ["--aws-sigv4", "aws:amz:eu-central-1:firehose", "--user"];
    assert_eq!(curl(&url, &["--header", &right]), "{\"accepted\":1} 200");
    assert_eq!(curl(&url, &[&sigv4[..], &[&signed]].concat()), "{\"accepted\":1} 200");
    assert!(curl(&url, &["--header", &wrong]).ends_with(" 401"));
    assert!(curl(&url, &[&sigv4[..], &["UPLOADER:another secret"]].concat()).ends_with(" 401"));
    let nothing = curl(&url, &["--include"]);
    assert!(nothing.ends_with(" 401") && nothing.contains("www-authenticate: Bearer realm="), "{nothing}");
    running.stop();
}

/// Body and status.
fn curl(url: &str, args: &[&str]) -> String {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--write-out", " %{http_code}", "--data-binary", "{}"])
        .args(args)
        .arg(url);
    tools::output(&mut command)
}

#[test]
fn boto3_that_is_throttled_backs_off_until_all_is_through() {
    let (lake, listen) = (Lake::local(), loopback());
    let running = start(&lake, &listen, "requests_per_second = 2\n");
    let told = boto3(&format!("http://{listen}"), ID, SECRET, &["times=12"]);
    assert!(told["taken"] == 12 && told["retries"].as_u64().is_some_and(|retries| retries > 0), "{told}");
    let metrics = running.metrics();
    assert!(!metrics.contains("alluvium_intake_refused_total{reason=\"throttled\"} 0\n"), "{metrics}");
    running.stop();
}
