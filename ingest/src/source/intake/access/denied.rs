//! Why a request is not let in, in the words AWS uses: SDKs raise a typed error by them, and none of these is retried.

/// A refusal by who sends, not by what is sent. AWS answers all of these with 400 in the JSON protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// AWS's name of the error.
    pub kind: &'static str,
    pub message: String,
}

impl Denied {
    fn new(kind: &'static str, message: impl Into<String>) -> Denied {
        Denied { kind, message: message.into() }
    }

    pub(super) fn missing() -> Denied {
        Denied::new("MissingAuthenticationTokenException", "Missing Authentication Token")
    }

    pub(super) fn incomplete(message: impl Into<String>) -> Denied {
        Denied::new("IncompleteSignatureException", message)
    }

    /// The same words for a key id that is not configured as AWS has for one that does not exist.
    pub(super) fn unknown_key() -> Denied {
        Denied::new("UnrecognizedClientException", "The security token included in the request is invalid.")
    }

    pub(super) fn unknown_token() -> Denied {
        Denied::new("UnrecognizedClientException", "The bearer token included in the request is invalid.")
    }

    pub(super) fn signature(message: impl Into<String>) -> Denied {
        Denied::new("InvalidSignatureException", message)
    }

    pub(super) fn mismatch() -> Denied {
        Denied::signature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
             and signing method. Consult the service documentation for details.",
        )
    }

    /// A caller that is known, and may not do this.
    pub(in crate::source::intake) fn forbidden(message: impl Into<String>) -> Denied {
        Denied::new("AccessDeniedException", message)
    }

    /// Known, but not allowed: signing again would not help.
    pub(in crate::source::intake) fn is_forbidden(&self) -> bool {
        self.kind == "AccessDeniedException"
    }
}
