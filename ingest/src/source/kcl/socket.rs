//! The socket: made, listened on, one task for each connection.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::lines::{LINE_BYTES_MAX, Lines};
use super::shard::Conversation;
use crate::record::Batch;
use crate::source::{Claims, SourceError};

/// Children at once. A daemon holds a lease for each; those beyond wait in the socket's queue.
const CONNECTIONS_MAX: usize = 4_096;

/// After a connection could not be accepted (no file descriptor left, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Who may connect may put records into the table: this user only.
const MODE: u32 = 0o600;

/// Makes the socket. One that a killed process has left is removed first.
pub(super) async fn bind(path: &Path) -> Result<UnixListener, SourceError> {
    let refused =
        |message: String| SourceError::Config(format!("[source.kcl] socket = \"{}\": {message}", path.display()));
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(refused("is there and no socket; name a path that does not exist".into()));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(refused("another process listens on it; give each process its own".into()));
        }
        std::fs::remove_file(path).map_err(|e| refused(format!("is left over and cannot be removed: {e}")))?;
    }
    let listener =
        UnixListener::bind(path).map_err(|e| refused(format!("{e}; name a file in a folder that exists")))?;
    let mode = std::fs::Permissions::from_mode(MODE);
    std::fs::set_permissions(path, mode).map_err(|e| refused(format!("cannot be kept to this user: {e}")))?;
    tracing::info!(socket = %path.display(), "waiting for the children of the daemon");
    Ok(listener)
}

/// Until `stop`, or until something fails that is not a connection's own affair.
pub(super) async fn serve(
    listener: UnixListener,
    shared: Arc<Shared>,
    claims: Claims,
    out: mpsc::Sender<Batch>,
    stop: CancellationToken,
) -> Result<(), SourceError> {
    let mut talks = JoinSet::new();
    let outcome = loop {
        tokio::select! {
            () = stop.cancelled() => break Ok(()),
            Some(ended) = talks.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => break Err(error),
                Err(panic) => break Err(SourceError::Environment { doing: "serve a shard".into(), message: panic.to_string() }),
            },
            accepted = listener.accept(), if talks.len() < CONNECTIONS_MAX => match accepted {
                Ok((connection, _)) => {
                    let (shared, claims, out) = (Arc::clone(&shared), claims.clone(), out.clone());
                    talks.spawn(converse(connection, shared, claims, out));
                }
                Err(error) => {
                    tracing::warn!(%error, "a child could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    };
    // What was not answered is given again to whoever is assigned the shard next.
    talks.shutdown().await;
    outcome
}

async fn converse(
    connection: UnixStream,
    shared: Arc<Shared>,
    claims: Claims,
    out: mpsc::Sender<Batch>,
) -> Result<(), SourceError> {
    let connected = Connected::count(Arc::clone(&shared));
    let (from, to) = connection.into_split();
    let lines = Lines::new(BufReader::new(from), LINE_BYTES_MAX);
    let outcome = Conversation::new(shared, claims, out, lines, to).hold().await;
    drop(connected);
    outcome
}

/// Counts a connection for as long as it is there, however it ends.
struct Connected(Arc<Shared>);

impl Connected {
    fn count(shared: Arc<Shared>) -> Self {
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        Connected(shared)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
