//! The same router behind Amazon API Gateway: in Lambda the process asks the runtime for one event after the other instead of
//! listening, and each event is an HTTP request.
//!
//! The one doorway to `lambda_http`.

use std::path::Path;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};

use crate::api::problem::Problem;
use crate::config::Access;
use crate::error::ReaderError;

/// The variable by which Lambda says where its runtime API is; nobody else sets it.
pub const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// Longest body of an answer, in bytes: Lambda takes 6 MB, and what is no text grows by a third on the way there.
pub const ANSWER_BYTES_MAX: u64 = 4_400_000;

/// Whether this process was started by Lambda.
pub fn is_here(lookup: impl Fn(&str) -> Option<String>) -> bool {
    lookup(RUNTIME_API).is_some()
}

/// Who asks is looked at in every mode but one, which trusts that the socket is on loopback. Here there is no socket.
pub fn check(access: &Access, config: &Path) -> Result<(), ReaderError> {
    if !matches!(access, Access::Open) {
        return Ok(());
    }
    let message = "[reader] asks nobody who they are, and in Lambda anyone reaches it; write token = \"${ALLUVIUM_READER_TOKEN}\", or \
                   trusted_header where the gateway sets one itself";
    Err(ReaderError::Config(vec![schemas::problem::Problem::new(&config.display().to_string(), None, message)]))
}

/// Serves until Lambda ends the process.
pub async fn serve(router: Router) -> Result<(), ReaderError> {
    let router = router.layer(axum::middleware::map_response(fits));
    lambda_http::run(router).await.map_err(|e| ReaderError::environment("ask Lambda for an event", e))
}

/// A longer answer would not arrive: Lambda would say that the function has failed.
async fn fits(response: Response) -> Response<Body> {
    match response.body().size_hint().upper() {
        Some(bytes) if bytes > ANSWER_BYTES_MAX => {
            let detail =
                format!("the answer has {bytes} bytes, {ANSWER_BYTES_MAX} is the limit: ask with a smaller `limit`");
            Problem::new("too-wide", detail).into_response()
        }
        _ => response,
    }
}
