//! Who may put: requests signed with a configured access key (SigV4), or a bearer token.
//!
//! In two steps. [`Access::claim`] reads the head: whoever names no key or token that is known is turned away before a byte of
//! the body is taken into memory. [`Access::prove`] has the body too, which the signature covers. As with AWS, the answer tells
//! an unknown key from a wrong signature: key ids are no secret. Signatures and tokens are compared in constant time.
//!
//! A request signed within the last [`signature::SKEW_MS`] can be sent again by whoever saw it, as with AWS: only TLS hides it.

mod canonical;
pub mod denied;
mod hash;
pub mod signature;
#[cfg(test)]
mod tests;

use std::fmt;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

pub use denied::Denied;
use signature::Claim;

/// Least bytes of a secret or token: shorter ones can be guessed.
pub const SECRET_BYTES_MIN: usize = 16;
/// Service that requests must be signed for.
pub const SERVICE: &str = "firehose";
const BEARER: &str = "bearer";

/// Text that appears in no log and no message.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A bearer token, known by its SHA-256 only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> TokenHash {
        TokenHash(hash::sha256(token.as_bytes()))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hash)")
    }
}

/// An access key: its id is in every request, its secret in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub id: String,
    pub secret: Secret,
}

/// One who may put: by key, by token, or by either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// For people: logs and errors.
    pub name: String,
    pub key: Option<AccessKey>,
    pub token: Option<TokenHash>,
    /// Delivery streams it may use, and nothing else then; all and `/v1/events` where it does not say.
    pub delivery_streams: Option<Vec<String>>,
}

/// All who may put. None at all: everybody may.
#[derive(Debug, Clone, Default)]
pub struct Access {
    credentials: Vec<Credential>,
}

/// What a head says of its sender. A signature is not proven yet.
#[derive(Debug)]
pub(super) enum Claimed {
    /// There are no credentials, and nobody is asked for any.
    Anyone,
    Token(usize),
    Signed(usize, Box<Claim>),
}

/// Who sent a request: a credential, by its place in the configuration, or anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller(Option<usize>);

impl Claimed {
    /// Whom the request says it is from; not proven.
    pub(super) fn alleged(&self) -> Caller {
        match self {
            Claimed::Anyone => Caller(None),
            Claimed::Token(index) | Claimed::Signed(index, _) => Caller(Some(*index)),
        }
    }
}

impl Caller {
    /// A place in a list that has one for each credential, and one more for anyone.
    pub(super) fn place(self, credentials: usize) -> usize {
        self.0.unwrap_or(credentials)
    }
}

impl Access {
    pub fn new(credentials: Vec<Credential>) -> Access {
        Access { credentials }
    }

    pub(super) fn len(&self) -> usize {
        self.credentials.len()
    }

    /// Who the request says it is from. `tokens`: a bearer token will do. `encrypted`: it came over TLS. `now` in milliseconds.
    pub(super) fn claim(&self, head: &Parts, tokens: bool, encrypted: bool, now: i64) -> Result<Claimed, Denied> {
        if self.credentials.is_empty() {
            return Ok(Claimed::Anyone);
        }
        let mut given = head.headers.get_all(AUTHORIZATION).iter();
        let authorization = match (given.next(), given.next()) {
            (None, _) => return Err(Denied::missing()),
            (Some(_), Some(_)) => return Err(Denied::incomplete("There is more than one Authorization header.")),
            (Some(one), None) => {
                one.to_str().map_err(|_| Denied::incomplete("The Authorization header is no text."))?
            }
        };
        let authorization = authorization.trim();
        let (scheme, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if tokens && scheme.eq_ignore_ascii_case(BEARER) {
            return self.by_token(rest.trim()).map(Claimed::Token).ok_or_else(Denied::unknown_token);
        }
        let claim = Claim::read(scheme, rest, &head.headers)?;
        let index = self.by_key(&claim.key_id).ok_or_else(Denied::unknown_key)?;
        claim.check(encrypted, now)?;
        Ok(Claimed::Signed(index, Box::new(claim)))
    }

    /// Whether the claim is true, now that the body is here.
    pub(super) fn prove(&self, claimed: Claimed, head: &Parts, body: &[u8]) -> Result<Caller, Denied> {
        let caller = claimed.alleged();
        if let Claimed::Signed(index, claim) = claimed {
            let key = self.credentials[index].key.as_ref().ok_or_else(Denied::unknown_key)?;
            claim.verify(head, &key.secret, body)?;
        }
        Ok(caller)
    }

    /// Whether the caller may use this delivery stream.
    pub(super) fn may_use(&self, caller: Caller, stream: &str) -> bool {
        self.restricted_to(caller).is_none_or(|streams| streams.iter().any(|name| name == stream))
    }

    /// The delivery streams the caller has to keep to, if it has to.
    pub(super) fn restricted_to(&self, caller: Caller) -> Option<&[String]> {
        self.credentials.get(caller.0?)?.delivery_streams.as_deref()
    }

    /// The caller's name, for people.
    pub(super) fn name(&self, caller: Caller) -> &str {
        caller.0.and_then(|index| self.credentials.get(index)).map_or("anyone", |credential| &credential.name)
    }

    fn by_key(&self, id: &str) -> Option<usize> {
        self.credentials.iter().position(|credential| credential.key.as_ref().is_some_and(|key| key.id == id))
    }

    /// Looks at all tokens, wherever the right one stands.
    fn by_token(&self, token: &str) -> Option<usize> {
        let given = hash::sha256(token.as_bytes());
        let mut found = None;
        for (index, credential) in self.credentials.iter().enumerate() {
            if credential.token.is_some_and(|known| hash::equal(&known.0, &given)) {
                found = Some(index);
            }
        }
        found
    }
}
