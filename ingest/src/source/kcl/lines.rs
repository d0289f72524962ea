//! Lines of a bounded length over a connection.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Longest line of the daemon. One read of Kinesis is 10 MiB at most: 14 MiB as base64, and for each record up to 1.8 KiB of
/// partition key (256 characters, each perhaps escaped), numbers and names, which makes 31 MiB for the 10,000 records that
/// a read holds. Aggregated records are many more, some 250 bytes each: 128 MiB are about 500,000 of them.
pub(super) const LINE_BYTES_MAX: usize = 128 << 20;

/// Why there is no next line.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("a line has more than {LINE_BYTES_MAX} bytes: write a smaller maxRecords into the daemon's properties")]
    TooLong,
    /// It is not known what the rest would have said.
    #[error("the connection ended in the midst of a line")]
    Cut,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    line: Vec<u8>,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(from: R, max: usize) -> Self {
        Lines { from, line: Vec::new(), max }
    }

    /// Waits for the first byte of a line; false: the connection has ended. Takes no memory yet.
    pub(super) async fn arrived(&mut self) -> Result<bool, LineError> {
        loop {
            let waiting = self.from.fill_buf().await?;
            let Some(first) = waiting.first() else { return Ok(false) };
            if !first.is_ascii_whitespace() {
                return Ok(true);
            }
            self.from.consume(1);
        }
    }

    /// The line that has arrived, without its end. Its memory is given back with the call of [`Lines::forget`].
    pub(super) async fn read(&mut self) -> Result<&[u8], LineError> {
        self.line.clear();
        loop {
            let waiting = self.from.fill_buf().await?;
            if waiting.is_empty() {
                return Err(LineError::Cut);
            }
            let (piece, ends) = match memchr::memchr(b'\n', waiting) {
                Some(at) => (at, true),
                None => (waiting.len(), false),
            };
            if self.line.len() + piece > self.max {
                return Err(LineError::TooLong);
            }
            self.line.extend_from_slice(&waiting[..piece]);
            self.from.consume(piece + usize::from(ends));
            if ends {
                return Ok(&self.line);
            }
        }
    }

    /// A long line's memory is not kept until the next one.
    pub(super) fn forget(&mut self) {
        self.line = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &'static [u8], max: usize) -> (Vec<String>, Option<LineError>) {
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(3, text), max);
        let mut found = Vec::new();
        loop {
            match lines.arrived().await {
                Ok(true) => {}
                Ok(false) => return (found, None),
                Err(error) => return (found, Some(error)),
            }
            match lines.read().await {
                Ok(line) => found.push(String::from_utf8_lossy(line).into_owned()),
                Err(error) => return (found, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn blank_lines_do_not_count() {
        let (found, end) = all(b"\n\nhello\n\n\r\nyou\n", 5).await;
        assert_eq!((found, end.is_none()), (vec!["hello".to_string(), "you".to_string()], true));
    }

    #[tokio::test]
    async fn a_line_too_long_and_a_line_cut_off_are_errors() {
        let (found, end) = all(b"you\nhello\n", 4).await;
        assert!(found == ["you"] && matches!(end, Some(LineError::TooLong)), "{found:?} {end:?}");
        let (found, end) = all(b"you\nhel", 5).await;
        assert!(found == ["you"] && matches!(end, Some(LineError::Cut)), "{found:?} {end:?}");
    }
}
