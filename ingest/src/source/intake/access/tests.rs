//! Signatures against AWS's own vectors and AWS's own signer, and every way one can be wrong.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Request};
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// The key of AWS's vectors.
const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const VECTORS: &str = "../tests/corpus/sigv4";
const TOKEN: &str = "a token that is long enough";
/// 2015-08-30T12:36:00Z
const NOW: i64 = 1_440_938_160_000;

fn key(name: &str, id: &str, secret: &str) -> Credential {
    let key = AccessKey { id: id.to_string(), secret: Secret::new(secret) };
    Credential { name: name.to_string(), key: Some(key), token: None, delivery_streams: None }
}

fn access() -> Access {
    let token = Credential { key: None, token: Some(TokenHash::of(TOKEN)), ..key("curl", "", "") };
    Access::new(vec![key("first", "AKIDOTHER", "another secret access key"), token, key("uploader", ID, SECRET)])
}

/// A request as it stands in a file of the suite.
fn parse(text: &str) -> (Parts, Vec<u8>) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let mut first = lines.next().expect("a request line").split(' ');
    let (method, uri) = (first.next().expect("a method"), first.next().expect("a path"));
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        request = request.header(name, value.trim());
    }
    (request.body(()).expect("a request").into_parts().0, body.as_bytes().to_vec())
}

fn claim_of(head: &Parts) -> Result<Claim, Denied> {
    let value = head.headers[AUTHORIZATION].to_str().expect("text");
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    Claim::read(scheme, rest, &head.headers)
}

#[test]
fn the_suites_requests_are_true_and_with_any_change_are_not() {
    let files = std::fs::read_dir(VECTORS).expect("the suite").map(|file| file.expect("readable").path());
    let mut seen = 0;
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "txt")) {
        let (mut head, body) = parse(&std::fs::read_to_string(&file).expect("readable"));
        let name = file.file_stem().expect("named").to_string_lossy().into_owned();
        // Adds a session token after signing: whoever does that on the way could take it off as well.
        if name == "post-sts-header-after" {
            assert_eq!(claim_of(&head).expect_err("not signed").kind, "InvalidSignatureException");
            continue;
        }
        let claim = claim_of(&head).unwrap_or_else(|denied| panic!("{name}: {denied:?}"));
        let secret = Secret::new(SECRET);
        assert_eq!(claim.verify(&head, &secret, &body), Ok(()), "{name}");
        assert!(claim.verify(&head, &Secret::new("wrong"), &body).is_err(), "{name}");
        assert!(claim.verify(&head, &secret, &[&body[..], b"x"].concat()).is_err(), "{name}");
        head.headers.insert("host", HeaderValue::from_static("elsewhere"));
        assert_eq!(claim.verify(&head, &secret, &body), Err(Denied::mismatch()), "{name}");
        seen += 1;
    }
    assert!(seen >= 15, "{seen} of the suite's requests were found");
}

/// Signs as the AWS SDK for Rust does; gives the headers to add.
fn sign(method: &str, uri: &str, headers: &[(String, String)], body: &[u8], at: i64) -> Vec<(String, String)> {
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    let identity = aws_credential_types::Credentials::new(ID, SECRET, None, None, "test").into();
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(at).expect("after 1970"));
    let params = aws_sigv4::sign::v4::SigningParams::builder().identity(&identity).region("eu-central-1");
    let params = params.name(SERVICE).time(time).settings(SigningSettings::default()).build().expect("complete");
    let named = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let request = SignableRequest::new(method, uri, named, SignableBody::Bytes(body)).expect("a request");
    let (instructions, _) = sign(request, &params.into()).expect("signs").into_parts();
    instructions.headers().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// A signed put, before anything is done to it.
fn signed(headers: &[(String, String)], query: &str, body: &[u8], at: i64) -> Parts {
    let uri = format!("/{query}");
    let mut all = vec![("host".to_string(), "intake:4573".to_string())];
    all.extend_from_slice(headers);
    let added = sign("POST", &format!("http://intake:4573{uri}"), &all, body, at);
    let mut request = Request::builder().method("POST").uri(uri);
    for (name, value) in all.iter().chain(&added) {
        request = request.header(name, value);
    }
    request.body(()).expect("a request").into_parts().0
}

fn target() -> (String, String) {
    ("x-amz-target".to_string(), "Firehose_20150804.PutRecord".to_string())
}

fn put(body: &[u8]) -> Parts {
    signed(&[target()], "", body, NOW)
}

/// Both steps.
fn admit(head: &Parts, body: &[u8], now: i64) -> Result<Caller, Denied> {
    let access = access();
    let claimed = access.claim(head, false, false, now)?;
    access.prove(claimed, head, body)
}

#[test]
fn a_signed_request_is_its_senders_within_five_minutes_of_its_signing() {
    for offset in [-SKEW, -1, 0, 1, SKEW] {
        assert_eq!(admit(&put(b"{}"), b"{}", NOW + offset), Ok(Caller(Some(2))), "{offset}");
    }
    let late = admit(&put(b"{}"), b"{}", NOW + SKEW + 1).expect_err("a request sent again");
    assert_eq!(late.kind, "InvalidSignatureException");
    let text = "Signature expired: 20150830T123600Z is now earlier than 20150830T123600Z (20150830T124100Z - 5 min.)";
    assert_eq!(late.message, text);
    let early = admit(&put(b"{}"), b"{}", NOW - SKEW - 1_000).expect_err("a clock that is ahead");
    assert!(early.message.starts_with("Signature not yet current: 20150830T123600Z is still later"), "{early:?}");
}

const SKEW: i64 = signature::SKEW_MS;

type Change = fn(&mut Parts);

fn insert(head: &mut Parts, name: &'static str, value: &str) {
    head.headers.insert(name, HeaderValue::from_str(value).expect("a value"));
}

/// Changes the `Authorization` header by text.
fn replace(head: &mut Parts, from: &str, to: &str) {
    let value = head.headers[AUTHORIZATION].to_str().expect("text").to_string();
    assert!(value.contains(from), "{value}");
    insert(head, "authorization", &value.replacen(from, to, 1));
}

/// What is done to a signed request, and the error and a part of the text that follow.
const WRONG: &[(Change, &str, &str)] = &[
    (|head| drop(head.headers.remove(AUTHORIZATION)), "MissingAuthenticationTokenException", "Missing Authentication"),
    (|head| insert(head, "authorization", "Bearer x"), "IncompleteSignatureException", "Unsupported AWS 'algorithm'"),
    (|head| insert(head, "authorization", ""), "IncompleteSignatureException", "Unsupported AWS 'algorithm'"),
    (|head| insert(head, "authorization", "AWS4-HMAC-SHA256"), "IncompleteSignatureException", "requires 'Credential'"),
    (
        |head| _ = head.headers.append("authorization", HeaderValue::from_static("x")),
        "IncompleteSignatureException",
        "more than one",
    ),
    (|head| replace(head, "Signature=", "Signatur="), "IncompleteSignatureException", "unknown"),
    (|head| replace(head, ", Signature=", ", Signature=0, Signature="), "IncompleteSignatureException", "there twice"),
    (|head| replace(head, "Signature=", "Signature=0"), "IncompleteSignatureException", "no SHA-256 in hex"),
    (|head| replace(head, "/aws4_request", ""), "IncompleteSignatureException", "5 slash-delimited"),
    (|head| replace(head, "/eu-central-1/", "//"), "IncompleteSignatureException", "empty or too long"),
    (|head| drop(head.headers.remove("x-amz-date")), "IncompleteSignatureException", "'X-Amz-Date' or a 'Date'"),
    (|head| insert(head, "x-amz-date", "2015-08-30T12:36:00Z"), "IncompleteSignatureException", "basic format"),
    (|head| insert(head, "x-amz-date", "20151330T123600Z"), "IncompleteSignatureException", "basic format"),
    (
        |head| _ = head.headers.append("x-amz-date", HeaderValue::from_static("20150830T123600Z")),
        "IncompleteSignatureException",
        "there once",
    ),
    (
        |head| replace(head, ID, "AKIDNOBODY"),
        "UnrecognizedClientException",
        "security token included in the request is invalid",
    ),
    (|head| replace(head, "/firehose/", "/kinesis/"), "InvalidSignatureException", "correct service: 'firehose'"),
    (
        |head| replace(head, "aws4_request", "aws5_request"),
        "InvalidSignatureException",
        "valid terminator: 'aws4_request'",
    ),
    (|head| replace(head, "/20150830/", "/20150829/"), "InvalidSignatureException", "'20150829' != '20150830'"),
    (
        |head| replace(head, "/eu-central-1/", "/eu-central-2/"),
        "InvalidSignatureException",
        "does not match the signature",
    ),
    (|head| replace(head, "host;", ""), "InvalidSignatureException", "'host' must be a 'SignedHeader'"),
    (|head| replace(head, ";x-amz-date", ""), "InvalidSignatureException", "'x-amz-date' must be a 'SignedHeader'"),
    (|head| replace(head, ";x-amz-target", ""), "InvalidSignatureException", "'x-amz-target' must be a 'SignedHeader'"),
    (
        |head| replace(head, "SignedHeaders=host", "SignedHeaders=absent;host"),
        "InvalidSignatureException",
        "names 'absent'",
    ),
    (|head| replace(head, "=host;", "=Host;"), "InvalidSignatureException", "in lower case, sorted"),
    (|head| replace(head, "=host;", "=host;host;"), "InvalidSignatureException", "each once"),
    (
        |head| insert(head, "x-amz-target", "Firehose_20150804.PutRecordBatch"),
        "InvalidSignatureException",
        "does not match",
    ),
    (|head| insert(head, "x-amz-security-token", "any"), "InvalidSignatureException", "'x-amz-security-token' must be"),
    (|head| insert(head, "content-encoding", "gzip"), "InvalidSignatureException", "'content-encoding' must be"),
    (
        |head| insert(head, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        "InvalidSignatureException",
        "'x-amz-content-sha256' must be",
    ),
    (|head| head.uri = "/?a=b".parse().expect("a path"), "InvalidSignatureException", "does not match"),
    (|head| head.uri = "/v1/events".parse().expect("a path"), "InvalidSignatureException", "does not match"),
    (|head| head.method = axum::http::Method::PUT, "InvalidSignatureException", "does not match"),
];

#[test]
fn every_change_to_a_signed_request_is_refused_in_the_words_of_aws() {
    assert!(admit(&put(b"{}"), b"{}", NOW).is_ok());
    for (number, (change, kind, text)) in WRONG.iter().enumerate() {
        let mut head = put(b"{}");
        change(&mut head);
        let denied = admit(&head, b"{}", NOW).expect_err(text);
        assert_eq!(denied.kind, *kind, "{number}: {}", denied.message);
        assert!(denied.message.contains(text), "{number}: {}", denied.message);
    }
    assert_eq!(admit(&put(b"{}"), b"{ }", NOW), Err(Denied::mismatch()), "another body");
}

#[test]
fn headers_that_are_not_signed_may_come_and_go() {
    let mut head = put(b"{}");
    insert(&mut head, "user-agent", "a proxy");
    insert(&mut head, "x-amzn-trace-id", "Root=1");
    assert!(admit(&head, b"{}", NOW).is_ok());
}

#[test]
fn the_hash_of_a_body_is_the_bodys_and_none_goes_over_tls_only() {
    let header = |value: &str| ("x-amz-content-sha256".to_string(), value.to_string());
    let hash = hash::hex(&hash::sha256(b"{}"));
    let with = |value: &str| signed(&[target(), header(value)], "", b"{}", NOW);
    assert!(admit(&with(&hash), b"{}", NOW).is_ok());
    let other = admit(&with(&hash), b"{ }", NOW).expect_err("another body");
    assert!(other.message.contains("not the one that x-amz-content-sha256 is of"), "{other:?}");
    let odd = admit(&with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), b"{}", NOW).expect_err("not taken");
    assert!(odd.message.contains("neither a SHA-256"), "{odd:?}");
    // Signed with what stands in place of the hash, as a client would that does not hash.
    let unsigned = with("UNSIGNED-PAYLOAD");
    let (access, clear) = (access(), admit(&unsigned, b"{}", NOW).expect_err("in the clear"));
    assert!(clear.message.contains("over TLS only"), "{clear:?}");
    assert!(access.claim(&unsigned, false, true, NOW).is_ok());
}

#[test]
fn a_token_is_taken_where_it_is_allowed_and_only_whole() {
    let access = access();
    let with =
        |value: &str| Request::builder().header("authorization", value).body(()).expect("request").into_parts().0;
    let claim =
        |value: &str, tokens: bool| access.claim(&with(value), tokens, false, NOW).map(|claimed| claimed.alleged());
    for value in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN} ")] {
        assert_eq!(claim(&value, true), Ok(Caller(Some(1))));
    }
    for wrong in ["", "a", &TOKEN[1..], &format!("{TOKEN}x")] {
        let denied = claim(&format!("Bearer {wrong}"), true).expect_err("wrong");
        assert_eq!(denied.kind, "UnrecognizedClientException", "{wrong}");
    }
    assert_eq!(claim(&format!("Bearer {TOKEN}"), false).expect_err("not there").kind, "IncompleteSignatureException");
    let nobody = Access::default().claim(&with("Bearer x"), true, false, NOW).expect("no credentials");
    assert_eq!(nobody.alleged(), Caller(None));
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let printed = format!("{:?}", access());
    assert!(!printed.contains(SECRET) && !printed.contains(TOKEN) && !printed.contains("[105"), "{printed}");
    let denied = admit(&put(b"{}"), b"x", NOW).expect_err("wrong");
    assert!(!denied.message.contains(SECRET));
}

proptest! {
    /// Whatever the AWS SDK signs, with odd spaces, repeated headers and any body, is true; and with one bit changed is not.
    #[test]
    fn what_the_sdk_signs_is_true_and_a_changed_bit_is_seen(
        values in prop::collection::vec("[!-~]{1,3}( {1,3}[!-~]{1,3}){0,2}", 0..4),
        query in prop::collection::vec(("[a-z]{1,4}", "[a-zA-Z0-9~%_.-]{0,6}"), 0..4),
        body in prop::collection::vec(any::<u8>(), 0..200),
        bit in 0usize..1_000,
    ) {
        let mut headers = vec![target()];
        headers.extend(values.into_iter().map(|value| ("x-odd".to_string(), value)));
        let encode = |text: &str| text.bytes().map(|b| if b == b'%' { "%25".into() } else { char::from(b).to_string() }).collect::<String>();
        let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        let head = signed(&headers, &query, &body, NOW);
        prop_assert_eq!(admit(&head, &body, NOW), Ok(Caller(Some(2))));
        let mut changed = body.clone();
        if changed.is_empty() { changed.push(0) } else { let at = bit % changed.len(); changed[at] ^= 1 << (bit % 8) }
        prop_assert_eq!(admit(&head, &changed, NOW), Err(Denied::mismatch()));
    }

    /// No header is a panic.
    #[test]
    fn any_header_is_an_answer(scheme in "(AWS4-HMAC-SHA256|Bearer|[ -~]{0,9})", rest in "[ -~]{0,200}", date in "[0-9TZé]{0,17}") {
        let value = format!("{scheme} {rest}");
        let request = Request::builder().header("authorization", value).header("x-amz-date", date).header("host", "h");
        if let Ok(request) = request.body(()) {
            let head = request.into_parts().0;
            prop_assert!(access().claim(&head, true, false, NOW).is_err());
        }
    }
}
