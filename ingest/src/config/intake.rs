//! The endpoint's settings and who may use it: what concerns several fields, and what becomes of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::typed::Typed;
use super::value::Value;
use crate::source::intake::access::{AccessKey, Credential, TokenHash};
use crate::source::intake::settings::{EndpointSettings, Limits, TlsFiles};
use crate::source::intake::tls;

/// The two forms of the endpoint.
const SECTIONS: [&str; 2] = ["source.intake", "intake"];
const CREDENTIALS: &str = "credentials";
/// Fields that must not be the same in two credentials.
const UNIQUE: [&str; 2] = ["access_key_id", "bearer_token"];

/// Tells what is wrong. Reads the TLS files, since only they tell whether they can be used.
pub(super) fn check(typed: &Typed, folder: &Path, problem: &mut dyn FnMut(Option<usize>, String)) {
    let here: Vec<&str> = SECTIONS.into_iter().filter(|section| typed.has(section)).collect();
    check_credentials(typed, &here, problem);
    for section in here {
        check_tls(typed, section, folder, problem);
        let Some(endpoint) = endpoint(typed, section, folder) else { continue };
        if let Err(message) = endpoint.check_listen() {
            problem(typed.line(section, "listen"), format!("`listen`: {message}"));
        }
    }
}

fn check_tls(typed: &Typed, section: &str, folder: &Path, problem: &mut dyn FnMut(Option<usize>, String)) {
    let [cert, key] = ["tls_cert", "tls_key"].map(|field| typed.line(section, field));
    match (cert, key) {
        (Some(line), None) => problem(Some(line), "`tls_cert` needs `tls_key`; write both or neither".into()),
        (None, Some(line)) => problem(Some(line), "`tls_key` needs `tls_cert`; write both or neither".into()),
        _ => {}
    }
    if let Some(Err(message)) = tls_files(typed, section, folder).map(|files| tls::check(&files)) {
        let line = if message.starts_with("tls_key") { key } else { cert };
        problem(line, message);
    }
}

fn check_credentials(typed: &Typed, endpoints: &[&str], problem: &mut dyn FnMut(Option<usize>, String)) {
    let mut first: BTreeMap<(&str, Vec<u8>), String> = BTreeMap::new();
    for section in typed.named(CREDENTIALS) {
        let has = |field| typed.value(section, field).is_some();
        let mut tell = |field: Option<&str>, message: String| {
            let line = field.and_then(|field| typed.line(section, field)).or(typed.section_line(section));
            problem(line, message);
        };
        if endpoints.is_empty() {
            tell(None, format!("[{section}] is for [source.intake] or [intake], and neither is there"));
        }
        match (has("access_key_id"), has("secret_access_key"), has("bearer_token")) {
            (true, false, _) => tell(Some("access_key_id"), "`access_key_id` needs `secret_access_key`".into()),
            (false, true, _) => tell(Some("secret_access_key"), "`secret_access_key` needs `access_key_id`".into()),
            (false, false, false) if typed.is_whole(section) => {
                tell(
                    None,
                    format!("[{section}] says nothing; write access_key_id and secret_access_key, or bearer_token"),
                );
            }
            _ => {}
        }
        if let Some(id) = typed.text(section, "access_key_id").filter(|id| !is_key_id(id)) {
            let message = format!("`access_key_id`: has {} bytes; write 1 to 128 letters, digits and `_`", id.len());
            tell(Some("access_key_id"), message);
        }
        check_streams(typed, section, endpoints, &mut tell);
        for field in UNIQUE {
            let Some(text) = secret_or_text(typed, section, field) else { continue };
            if let Some(other) = first.insert((field, text), section.to_string()) {
                tell(Some(field), format!("`{field}` is the one of [{other}] too; write another"));
            }
        }
    }
}

type Tell<'a> = &'a mut dyn FnMut(Option<&str>, String);

fn check_streams(typed: &Typed, section: &str, endpoints: &[&str], tell: Tell<'_>) {
    let field = "delivery_streams";
    let own = typed.names(section, field);
    if !own.is_empty() && typed.value(section, "bearer_token").is_some() {
        let message = "`delivery_streams` is for access keys; a bearer token is for /v1/events, which knows no streams: write \
                       two credentials";
        tell(Some(field), message.into());
    }
    let served: Vec<String> = endpoints.iter().flat_map(|endpoint| typed.names(endpoint, field)).collect();
    if let Some(unknown) = own.iter().find(|name| !endpoints.is_empty() && !served.contains(name)) {
        let message = format!("`delivery_streams`: `{unknown}` is not served; write one of {}", served.join(", "));
        tell(Some(field), message);
    }
}

fn is_key_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn secret_or_text(typed: &Typed, section: &str, field: &str) -> Option<Vec<u8>> {
    match typed.value(section, field)? {
        Value::Secret(secret) => Some(secret.reveal().as_bytes().to_vec()),
        Value::Text(text) => Some(text.into_bytes()),
        _ => None,
    }
}

fn tls_files(typed: &Typed, section: &str, folder: &Path) -> Option<TlsFiles> {
    let path = |field| typed.text(section, field).map(|path| folder.join(path));
    Some(TlsFiles { cert: path("tls_cert")?, key: path("tls_key")? })
}

/// The endpoint of a section that is there; `None` only where a problem has been reported.
pub(super) fn endpoint(typed: &Typed, section: &str, folder: &Path) -> Option<EndpointSettings> {
    Some(EndpointSettings {
        listen: typed.address(section, "listen")?,
        allow_remote: typed.flag(section, "insecure_allow_remote"),
        delivery_streams: typed.names(section, "delivery_streams"),
        tls: tls_files(typed, section, folder),
        credentials: typed.named(CREDENTIALS).map(|section| credential(typed, section)).collect(),
        limits: limits(typed, section)?,
    })
}

fn credential(typed: &Typed, section: &str) -> Credential {
    let secret = |field| match typed.value(section, field) {
        Some(Value::Secret(secret)) => Some(secret),
        _ => None,
    };
    let key = |id| Some(AccessKey { id, secret: secret("secret_access_key")? });
    let streams = typed.names(section, "delivery_streams");
    Credential {
        name: section.split_once('.').map_or(section, |(_, name)| name).to_string(),
        key: typed.text(section, "access_key_id").and_then(key),
        token: secret("bearer_token").map(|token| TokenHash::of(token.reveal())),
        delivery_streams: (!streams.is_empty()).then_some(streams),
    }
}

fn limits(typed: &Typed, section: &str) -> Option<Limits> {
    let count = |field| usize::try_from(typed.number(section, field)?).ok();
    Some(Limits {
        body_bytes: count("max_body")?,
        connections: count("max_connections")?,
        connections_per_address: count("max_connections_per_address")?,
        requests_per_second: typed.number(section, "requests_per_second")?,
        bytes_per_second: typed.number(section, "bytes_per_second")?,
        header_timeout: typed.time(section, "header_timeout")?,
        idle_timeout: typed.time(section, "idle_timeout")?,
        body_timeout: typed.time(section, "body_timeout")?,
        min_body_rate: typed.number(section, "min_body_rate")?,
        write_timeout: typed.time(section, "write_timeout")?,
        handshake_timeout: typed.time(section, "handshake_timeout")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_the_ones_of_the_code() {
        let lookup = |_: &str| None;
        let text = "version = 1\n[source.intake]\njournal = \"journal\"\n";
        let (typed, _) = super::super::typed::read(text, "a.toml", Path::new("/"), &lookup);
        let endpoint = endpoint(&typed, "source.intake", Path::new("/")).expect("defaults are right");
        assert_eq!(endpoint.limits, Limits::default());
        assert_eq!(endpoint.listen, EndpointSettings::default().listen);
    }
}
