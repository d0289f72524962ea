//! Signature Version 4 in the `Authorization` header: what a request claims, whether it may claim it now, and whether it is true.
//!
//! Any region will do, the service must be `firehose`. A session token is ignored: a key of this configuration needs none. The
//! body's hash is the one in `x-amz-content-sha256` if that is there, and must be the body's either way; `UNSIGNED-PAYLOAD`
//! goes over TLS only. Signatures in the query string are not taken: such a request could be put into a link.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use schemas::instant;

use super::{Denied, SERVICE, Secret, canonical, hash};

/// How far the clocks of client and server may be apart: 5 minutes, as AWS has it.
pub const SKEW_MS: i64 = 5 * 60 * 1_000;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// Where they are there, they decide what a request does: not signed, they could be changed on the way.
const SIGNED_WHERE_THERE: [&str; 4] = ["x-amz-target", CONTENT_SHA256, "x-amz-security-token", "content-encoding"];
/// Longest part of a scope: bounds what is worked on before anything is proven.
const PART_BYTES_MAX: usize = 128;

/// What a signed request says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub key_id: String,
    day: String,
    region: String,
    service: String,
    terminator: String,
    /// Lower case, sorted, each once; all are in the request.
    signed: Vec<String>,
    signature: [u8; 32],
    /// `20150830T123600Z`.
    stamp: String,
    /// The value of `x-amz-content-sha256`.
    payload: Option<String>,
}

impl Claim {
    /// Reads the header's value after its scheme. Nothing is decided but that all parts are there, once.
    pub fn read(scheme: &str, parameters: &str, headers: &HeaderMap) -> Result<Claim, Denied> {
        if scheme != ALGORITHM {
            let shown: String = scheme.chars().take(32).collect();
            return Err(Denied::incomplete(format!("Unsupported AWS 'algorithm': '{shown}'. Want {ALGORITHM}.")));
        }
        let [credential, signed, signature] = three(parameters)?;
        let stamp = stamp(headers)?;
        let parts: Vec<&str> = credential.split('/').collect();
        let [key_id, day, region, service, terminator] = parts[..] else {
            return Err(Denied::incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            ));
        };
        if parts.iter().any(|part| part.is_empty() || part.len() > PART_BYTES_MAX) {
            return Err(Denied::incomplete("Credential has an element that is empty or too long."));
        }
        let signature = hash::unhex(signature).ok_or_else(|| Denied::incomplete("Signature is no SHA-256 in hex."))?;
        let [key_id, day, region, service, terminator] = [key_id, day, region, service, terminator].map(str::to_string);
        let (signed, payload) = (signed_names(signed, headers)?, payload(headers)?);
        Ok(Claim { key_id, day, region, service, terminator, signed, signature, stamp, payload })
    }

    /// Whether it is signed for this service, for now, and with everything that has to be.
    pub fn check(&self, encrypted: bool, now: i64) -> Result<(), Denied> {
        if self.service != SERVICE {
            return Err(Denied::signature(format!("Credential should be scoped to correct service: '{SERVICE}'.")));
        }
        if self.terminator != TERMINATOR {
            let message = format!("Credential should be scoped with a valid terminator: '{TERMINATOR}'.");
            return Err(Denied::signature(message));
        }
        if self.day != self.stamp[..8] {
            let (day, stamp) = (&self.day, &self.stamp);
            return Err(Denied::signature(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != '{}', \
                 from '{stamp}'.",
                &stamp[..8]
            )));
        }
        self.check_clock(now)?;
        match self.payload.as_deref() {
            Some(UNSIGNED) if !encrypted => {
                Err(Denied::signature(format!("{UNSIGNED} is taken over TLS only: sign the body.")))
            }
            Some(UNSIGNED) | None => Ok(()),
            Some(hex) if hash::unhex(hex).is_some() => Ok(()),
            Some(_) => Err(Denied::signature(format!("{CONTENT_SHA256} is neither a SHA-256 in hex nor {UNSIGNED}."))),
        }
    }

    fn check_clock(&self, now: i64) -> Result<(), Denied> {
        let signed_at = instant_of(&self.stamp).unwrap_or(i64::MIN / 2);
        let stamp = &self.stamp;
        let at = |millis: i64| stamp_of(millis).unwrap_or_default();
        if signed_at < now - SKEW_MS {
            return Err(Denied::signature(format!(
                "Signature expired: {stamp} is now earlier than {} ({} - 5 min.)",
                at(now - SKEW_MS),
                at(now)
            )));
        }
        if signed_at > now + SKEW_MS {
            return Err(Denied::signature(format!(
                "Signature not yet current: {stamp} is still later than {} ({} + 5 min.)",
                at(now + SKEW_MS),
                at(now)
            )));
        }
        Ok(())
    }

    /// Whether head and body are what was signed, with this secret.
    pub fn verify(&self, head: &Parts, secret: &Secret, body: &[u8]) -> Result<(), Denied> {
        let payload = match self.payload.as_deref() {
            Some(UNSIGNED) => UNSIGNED.to_string(),
            given => {
                let actual = hash::sha256(body);
                if given.is_some_and(|hex| hash::unhex(hex) != Some(actual)) {
                    return Err(Denied::signature(format!("The body is not the one that {CONTENT_SHA256} is of.")));
                }
                hash::hex(&actual)
            }
        };
        let expected = self.sign(head, secret, &payload);
        if hash::equal(&expected, &self.signature) { Ok(()) } else { Err(Denied::mismatch()) }
    }

    fn sign(&self, head: &Parts, secret: &Secret, payload: &str) -> [u8; 32] {
        let Claim { day, region, service, terminator, stamp, .. } = self;
        let request = hash::hex(&hash::sha256(&canonical::request(head, &self.signed, payload)));
        let text = format!("{ALGORITHM}\n{stamp}\n{day}/{region}/{service}/{terminator}\n{request}");
        let mut key = hash::hmac_sha256(format!("AWS4{}", secret.reveal()).as_bytes(), day.as_bytes());
        for part in [region, service, terminator] {
            key = hash::hmac_sha256(&key, part.as_bytes());
        }
        hash::hmac_sha256(&key, text.as_bytes())
    }
}

/// Credential, SignedHeaders and Signature; each once, in any order, and nothing else.
fn three(parameters: &str) -> Result<[&str; 3], Denied> {
    const NAMES: [&str; 3] = ["Credential", "SignedHeaders", "Signature"];
    let mut found = [None; 3];
    for parameter in parameters.split(',').map(str::trim).filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let place = NAMES.iter().position(|known| *known == name);
        let slot = place.map(|place| &mut found[place]).filter(|slot| slot.is_none());
        let Some(slot) = slot else {
            return Err(Denied::incomplete("Authorization header has a parameter that is unknown or there twice."));
        };
        *slot = Some(value).filter(|value| !value.is_empty());
    }
    if let [Some(credential), Some(signed), Some(signature)] = found {
        return Ok([credential, signed, signature]);
    }
    let missing = NAMES.iter().zip(found).filter(|(_, value)| value.is_none());
    let texts: Vec<_> = missing.map(|(name, _)| format!("Authorization header requires '{name}' parameter.")).collect();
    Err(Denied::incomplete(texts.join(" ")))
}

/// The instant of signing, from `X-Amz-Date` or, without it, `Date`; in ISO 8601 basic form either way.
fn stamp(headers: &HeaderMap) -> Result<String, Denied> {
    let mut given = headers.get_all("x-amz-date").iter();
    let (first, second) = (given.next().or_else(|| headers.get("date")), given.next());
    let Some(first) = first else {
        return Err(Denied::incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        ));
    };
    let text = first.to_str().unwrap_or_default().trim();
    if second.is_some() || instant_of(text).is_none() {
        return Err(Denied::incomplete("Date must be there once and in ISO-8601 'basic format', as 20150830T123600Z."));
    }
    Ok(text.to_string())
}

/// The names of the signed headers, if they are as they must be.
fn signed_names(list: &str, headers: &HeaderMap) -> Result<Vec<String>, Denied> {
    let names: Vec<String> = list.split(';').map(str::to_string).collect();
    let plain = |name: &String| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if !names.iter().all(plain) || !names.is_sorted_by(|a, b| a < b) {
        return Err(Denied::signature("SignedHeaders must be in lower case, sorted, each once."));
    }
    let has = |name: &str| names.iter().any(|signed| signed == name);
    if let Some(absent) = names.iter().find(|name| !headers.contains_key(name.as_str())) {
        let shown: String = absent.chars().take(64).collect();
        return Err(Denied::signature(format!("SignedHeaders names '{shown}', which is not in the request.")));
    }
    let date = if headers.contains_key("x-amz-date") { "x-amz-date" } else { "date" };
    let mut wanted =
        ["host", date].into_iter().chain(SIGNED_WHERE_THERE.into_iter().filter(|n| headers.contains_key(*n)));
    match wanted.find(|name| !has(name)) {
        Some(name) => {
            Err(Denied::signature(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization header.")))
        }
        None => Ok(names),
    }
}

fn payload(headers: &HeaderMap) -> Result<Option<String>, Denied> {
    let mut given = headers.get_all(CONTENT_SHA256).iter();
    match (given.next(), given.next()) {
        (_, Some(_)) => Err(Denied::signature(format!("{CONTENT_SHA256} is there twice."))),
        (first, None) => Ok(first.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_string())),
    }
}

/// Milliseconds of `20150830T123600Z`.
fn instant_of(stamp: &str) -> Option<i64> {
    let bytes = stamp.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' || !digits(0..8) || !digits(9..15) {
        return None;
    }
    let (day, time) = (&stamp[..8], &stamp[9..15]);
    instant::parse_instant(&format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    ))
}

fn stamp_of(millis: i64) -> Option<String> {
    let day = instant::format_date(millis)?;
    let day: String = day.iter().filter(|byte| **byte != b'-').map(|byte| char::from(*byte)).collect();
    let second = millis.rem_euclid(instant::DAY_MS) / 1_000;
    Some(format!("{day}T{:02}{:02}{:02}Z", second / 3_600, second / 60 % 60, second % 60))
}
