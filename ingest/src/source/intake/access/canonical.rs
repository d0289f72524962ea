//! The canonical form of a request, over which a signature is made (AWS "Signature Version 4", "Create a canonical request").
//!
//! Paths are taken as they are: the two that are served need neither normalising nor encoding.

use axum::http::HeaderMap;
use axum::http::request::Parts;

/// The canonical request. `signed` are the names of the signed headers, in lower case and sorted; all are there. `payload` is
/// the hash of the body in hex, or what stands in its place.
pub(super) fn request(head: &Parts, signed: &[String], payload: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    push_line(&mut out, head.method.as_str().as_bytes());
    push_line(&mut out, head.uri.path().as_bytes());
    push_line(&mut out, query(head.uri.query().unwrap_or_default()).as_bytes());
    for name in signed {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        values(&mut out, &head.headers, name);
        out.push(b'\n');
    }
    out.push(b'\n');
    push_line(&mut out, signed.join(";").as_bytes());
    out.extend_from_slice(payload.as_bytes());
    out
}

fn push_line(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    out.push(b'\n');
}

/// All values of a header in their order, separated by commas, each without spaces around it and with single ones inside.
fn values(out: &mut Vec<u8>, headers: &HeaderMap, name: &str) {
    for (index, value) in headers.get_all(name).iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let words = value.as_bytes().split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
}

/// Parameters sorted by name, then value; both decoded and encoded again in the one way AWS encodes.
fn query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(&decode(name)), encode(&decode(value))))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Percent-decoded; what is no escape stays as it is.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex_pair(*high, *low),
            _ => None,
        };
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &rest[3..] } else { tail };
    }
    out
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
