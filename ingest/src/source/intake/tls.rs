//! TLS: certificate and key from PEM files, with errors that say which file is wrong and how.
//!
//! TLS 1.2 and 1.3 with the crypto library the AWS SDK brings; HTTP/1.1 only. Clients are not asked for certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::settings::TlsFiles;

mod validity;

/// From this long before the end on, each start warns.
const WARN_MS: i64 = 14 * 24 * 3_600 * 1_000;

/// What is served with.
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// When the certificate ends, in milliseconds since the epoch.
    pub(super) ends_at: i64,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Reads both files and sees that they fit each other.
///
/// # Errors
/// Ends of sentences that name the file: it cannot be read, holds no certificate or key, or the two do not belong together.
pub fn check(files: &TlsFiles) -> Result<(), String> {
    load(files).map(|_| ())
}

/// Like [`check`], for a start at `now`: the certificate must be good then.
pub(super) fn open(files: &TlsFiles, now: i64) -> Result<Tls, String> {
    let (config, first) = load(files)?;
    let shown = files.cert.display();
    let Some((begins_at, ends_at)) = validity::of(&first) else {
        return Err(format!("certificate {shown} does not say how long it is good"));
    };
    if now < begins_at {
        return Err(format!("certificate {shown} is not good before {}: no client would take it", date(begins_at)));
    }
    if now > ends_at {
        return Err(format!("certificate {shown} has expired on {}: put a new one there", date(ends_at)));
    }
    if now > ends_at - WARN_MS {
        tracing::warn!(certificate = %shown, expires = date(ends_at), "the intake's certificate expires soon");
    }
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), ends_at })
}

fn date(millis: i64) -> String {
    schemas::instant::format_date(millis).map_or_else(String::new, |day| String::from_utf8_lossy(&day).into_owned())
}

fn load(files: &TlsFiles) -> Result<(ServerConfig, CertificateDer<'static>), String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| unread("tls_cert", &files.cert, &error))?;
    let Some(first) = chain.first().cloned() else {
        return Err(format!("tls_cert: {} holds no certificate in PEM", files.cert.display()));
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unread("tls_key", &files.key, &error))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let mut config =
        builder.with_no_client_auth().with_single_cert(chain, key).map_err(|error| unfit(files, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, first))
}

fn unread(field: &str, path: &Path, error: &pem::Error) -> String {
    let path = path.display();
    match error {
        pem::Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("{field}: {path} is not there; name an existing PEM file")
        }
        pem::Error::Io(error) => format!("{field}: {path} cannot be read: {error}"),
        pem::Error::NoItemsFound if field == "tls_key" => {
            format!("{field}: {path} holds no private key in PEM (PKCS #8, PKCS #1 or SEC1, not encrypted)")
        }
        pem::Error::NoItemsFound => format!("{field}: {path} holds no certificate in PEM"),
        // Nothing of what the file holds.
        _ => format!("{field}: {path} is no valid PEM"),
    }
}

fn unfit(files: &TlsFiles, error: &rustls::Error) -> String {
    let (cert, key) = (files.cert.display(), files.key.display());
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!(
                "tls_key: {key} is not the key of the certificate in {cert}, whose first certificate must be the endpoint's own"
            )
        }
        _ => format!("tls_cert and tls_key: {cert} and {key} cannot be used: {error}"),
    }
}
