//! `alluvium shard`: a pipe between the Kinesis Client Library's daemon and the `run` that takes the shard in.
//!
//! Bytes go both ways as they come; nothing is looked at. Exit codes: 0 the daemon has closed our standard input (it is done
//! with the shard, or gone), 3 `run` does not listen or has closed the connection.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::{CliError, ShardArgs};

/// Between two attempts to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// After the daemon has closed our input: so long `run` may take to store the shard. It goes on without us.
const LINGER: Duration = Duration::from_secs(10);

/// Read and passed on at once.
const PIECE_BYTES: usize = 64 * 1024;

enum Ended {
    Input,
    Socket(std::io::Result<()>),
}

/// Copies until either side ends.
pub async fn run(args: ShardArgs) -> Result<(), CliError> {
    let socket = connect(&args.socket, Duration::from_secs(args.wait)).await?;
    let join = move || join(socket, std::io::stdin(), std::io::stdout());
    tokio::task::spawn_blocking(join).await.map_err(|e| CliError::environment("joining daemon and socket", e))?
}

async fn connect(path: &Path, patience: Duration) -> Result<UnixStream, CliError> {
    let until = Instant::now() + patience;
    loop {
        match UnixStream::connect(path) {
            Ok(socket) => return Ok(socket),
            Err(error) if Instant::now() >= until => {
                return Err(CliError::environment(format!("connecting to {}", path.display()), error));
            }
            // `run` is starting, or a former one has left its socket.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(CliError::environment(format!("connecting to {}", path.display()), error)),
        }
        tokio::time::sleep(CONNECT_PAUSE).await;
    }
}

/// The threads may outlive this: the process ends without them.
fn join(
    socket: UnixStream,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<(), CliError> {
    let failed = |e: std::io::Error| CliError::environment("duplicating the socket", e);
    let (to, from) = (socket.try_clone().map_err(failed)?, socket.try_clone().map_err(failed)?);
    let (tell, ended) = mpsc::channel();
    let told = tell.clone();
    thread::spawn(move || {
        // An input that fails has ended; a socket that fails is told by the other thread.
        if let Err(error) = copy(input, &to) {
            tracing::debug!(%error, "no more from the daemon");
        }
        told.send(Ended::Input).unwrap_or(());
    });
    thread::spawn(move || tell.send(Ended::Socket(copy(&from, output))).unwrap_or(()));
    match ended.recv() {
        Ok(Ended::Input) => {
            // Says to `run` that nothing more comes. A socket that is closed already has been told.
            socket.shutdown(Shutdown::Write).unwrap_or(());
            ended.recv_timeout(LINGER).map(drop).unwrap_or(());
            Ok(())
        }
        Ok(Ended::Socket(Ok(()))) => {
            Err(CliError::environment("reading from `alluvium run`", "it has closed the connection"))
        }
        Ok(Ended::Socket(Err(error))) => Err(CliError::environment("passing on what `alluvium run` says", error)),
        Err(gone) => Err(CliError::environment("joining daemon and socket", gone)),
    }
}

/// Each piece is passed on before the next is waited for.
fn copy(mut from: impl Read, mut to: impl Write) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&piece[..length])?;
        to.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn bytes_go_both_ways_and_the_end_of_input_ends_it() {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let (output, mut seen) = UnixStream::pair().expect("a pair of sockets");
        let other = thread::spawn(move || {
            let mut said = Vec::new();
            (&theirs).write_all(b"answer\n").expect("writes");
            (&theirs).read_to_end(&mut said).expect("reads to the end of input");
            said
        });
        join(ours, &b"question\n"[..], output).expect("a done shard is no failure");
        assert_eq!(other.join().expect("no panic"), b"question\n");
        let mut answer = [0; 7];
        seen.read_exact(&mut answer).expect("the answer was passed on");
        assert_eq!(&answer, b"answer\n");
    }

    #[test]
    fn a_connection_that_is_closed_by_run_is_a_failure_of_the_environment() {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let (input, _kept_open) = UnixStream::pair().expect("a pair of sockets");
        drop(theirs);
        let error = join(ours, input, std::io::sink()).expect_err("the daemon is still there");
        assert_eq!(error.kind.exit_code(), 3, "{error}");
    }

    #[tokio::test]
    async fn a_socket_that_comes_late_is_waited_for_and_one_that_never_comes_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kcl.sock");
        let waiting = connect(&path, Duration::from_secs(30));
        let listening = async {
            tokio::time::sleep(Duration::from_millis(250)).await;
            UnixListener::bind(&path).expect("binds")
        };
        let (connected, _listener) = tokio::join!(waiting, listening);
        connected.expect("connected in the end");
        let error = connect(&folder.path().join("none"), Duration::from_millis(150)).await.expect_err("nobody there");
        assert_eq!(error.kind.exit_code(), 3, "{error}");
    }
}
