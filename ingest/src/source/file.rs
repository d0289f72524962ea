//! A local NDJSON file as a source of one shard, for benchmarks: what the pipeline does, without a stream's or a journal's cost.
//! Positions are line numbers.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Claims, Source, SourceError};
use crate::record::{Batch, Record};

/// Bytes read at once: about a batch.
const BLOCK: usize = 4 << 20;

/// See the module's text.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    shard: ShardId,
    /// When all its records "arrived", milliseconds since the epoch.
    opened_at: i64,
}

impl FileSource {
    pub fn new(path: &Path, opened_at: i64) -> Self {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        FileSource { path: path.to_path_buf(), shard: ShardId::new(format!("file:{name}")), opened_at }
    }

    /// Sends the lines of `span`; to the end of the file without one.
    async fn send(&self, after: Position, to: Option<Position>, out: mpsc::Sender<Batch>) -> Result<(), SourceError> {
        let lines = Lines { path: self.path.clone(), shard: self.shard.clone(), arrived_at: self.opened_at };
        let failed = |e: &dyn std::fmt::Display| SourceError::Environment {
            doing: format!("reading {}", self.path.display()),
            message: e.to_string(),
        };
        let reading = tokio::task::spawn_blocking(move || lines.read(after, to, &out));
        reading.await.map_err(|e| failed(&e))?.map_err(|e| failed(&e))
    }
}

struct Lines {
    path: PathBuf,
    shard: ShardId,
    arrived_at: i64,
}

impl Lines {
    fn read(self, after: Position, to: Option<Position>, out: &mpsc::Sender<Batch>) -> std::io::Result<()> {
        let mut file = File::open(&self.path)?;
        let (mut line, mut rest, mut from) = (0, BytesMut::new(), after);
        loop {
            let (block, ended) = next_block(&mut file, &mut rest)?;
            let mut records = Vec::new();
            for data in lines(&block) {
                line += 1;
                let position = Position::from_numbers(line, 0);
                if position > from && to.as_ref().is_none_or(|to| position <= *to) {
                    records.push(Record { position, arrived_at: self.arrived_at, data });
                }
            }
            let done = ended || to.as_ref().is_some_and(|to| *to <= Position::from_numbers(line, 0));
            let end = records.last().map_or_else(|| from.clone(), |r| r.position.clone());
            let span = Span::new(std::mem::replace(&mut from, end.clone()), end);
            let last = ended && to.is_none();
            let batch =
                Batch { shard: self.shard.clone(), span, records, behind_ms: None, seen_at: None, last, permit: None };
            if out.blocking_send(batch).is_err() || done {
                return Ok(());
            }
        }
    }
}

/// Whole lines, as many as fit a block, and whether the file ends with them.
fn next_block(file: &mut File, rest: &mut BytesMut) -> std::io::Result<(Bytes, bool)> {
    loop {
        let kept = rest.len();
        rest.resize(kept + BLOCK, 0);
        let read = file.read(&mut rest[kept..])?;
        rest.truncate(kept + read);
        if read == 0 {
            return Ok((rest.split().freeze(), true));
        }
        if let Some(end) = memchr::memrchr(b'\n', &rest[kept..]) {
            return Ok((rest.split_to(kept + end + 1).freeze(), false));
        }
    }
}

fn lines(block: &Bytes) -> impl Iterator<Item = Bytes> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', block).chain((block.last() != Some(&b'\n')).then_some(block.len()));
    ends.filter_map(move |end| {
        let line = block.slice(start..end);
        start = end + 1;
        (!line.is_empty()).then_some(line)
    })
}

#[async_trait]
impl Source for FileSource {
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, stop: CancellationToken) -> Result<(), SourceError> {
        let resume = claims.claim_own(self.shard.clone(), Start::TrimHorizon).await?;
        if resume.ended {
            return Ok(());
        }
        stop.run_until_cancelled(self.send(resume.after, None, out)).await.unwrap_or(Ok(()))
    }

    async fn reread(
        &self,
        _shard: &ShardId,
        _start: &Start,
        span: &Span,
        _seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        self.send(span.from.clone(), Some(span.to.clone()), out).await
    }

    async fn release(&self, _shard: &ShardId, _watermark: &Position) -> Result<(), SourceError> {
        Ok(())
    }
}
