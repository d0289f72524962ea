//! The durable local journal: records over HTTP are answered when they are here, on the disk.
//!
//! A directory of segment files ([`segment`]), records framed and checked ([`frame`]), one thread that writes and syncs in
//! groups ([`log`]), recovery ([`recover`]), and a reader that never sees more than what is on the disk ([`read`]).
//! Segments are deleted whole, once the pipeline has stored all their records.

mod disk;
mod frame;
mod log;
mod read;
mod recover;
mod segment;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

pub use frame::RECORD_BYTES_MAX;
pub use read::Chunk;
pub use segment::At;

use super::counters::IntakeCounters;
use disk::{Disk, OsDisk};
use frame::Frames;
use log::{Append, Command, Log, Release};
use read::Reader;

/// Appends that may wait for the thread.
const QUEUE: usize = 1_024;
/// Least room a journal must have: some records of the largest size.
pub const MAX_BYTES_LEAST: u64 = 16 << 20;
/// Appends longer than this are framed on a thread that may block.
const INLINE_BYTES: usize = 1 << 20;

/// Why the journal did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    #[error("journal is full: {bytes} of {max_bytes} bytes hold records that are not stored yet")]
    Full { bytes: u64, max_bytes: u64 },
    #[error("{doing} {path}: no space left on the disk")]
    DiskFull { doing: &'static str, path: PathBuf },
    #[error("{doing} {path}: {message}")]
    Io { doing: &'static str, path: PathBuf, kind: io::ErrorKind, message: String },
    #[error(
        "journal {path} is damaged at offset {offset}: {what}; records there were acknowledged, restore the file or move the journal away"
    )]
    Damaged { path: PathBuf, offset: u64, what: String },
    #[error("journal {0} is in use by another process: stop it, or give this one another `journal` directory")]
    InUse(PathBuf),
    #[error("a record of {0} bytes is longer than {RECORD_BYTES_MAX}")]
    RecordTooLong(usize),
    #[error("{bytes} bytes in one request are more than this journal can hold: send at most {max_bytes} at once")]
    AppendTooLong { bytes: u64, max_bytes: u64 },
    #[error("{0}")]
    Settings(String),
    #[error("journal is closed")]
    Closed,
}

impl JournalError {
    fn io(doing: &'static str, path: &Path, error: &io::Error) -> JournalError {
        let path = path.to_path_buf();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalError::DiskFull { doing, path },
            kind => JournalError::Io { doing, path, kind, message: error.to_string() },
        }
    }
}

/// Where the journal lies and how large it gets.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Created if missing; holds nothing else.
    pub directory: PathBuf,
    /// Bytes over all segments before appends are refused; at least [`MAX_BYTES_LEAST`].
    pub max_bytes: u64,
    /// Bytes at which a new segment begins; never more than a quarter of `max_bytes`, so that a full journal always has
    /// segments that can be released.
    pub segment_bytes: u64,
}

/// Where an append came to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Appended {
    pub segment: u64,
    /// The end of each record, in order.
    pub ends: Vec<u64>,
}

/// How far the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tip {
    /// Everything up to here is on the disk.
    pub durable: At,
    /// Everything up to here was released and is gone.
    pub released: At,
    /// Records ever accepted, over all runs.
    pub accepted: u64,
}

/// A journal that this process may write.
#[derive(Debug)]
pub struct Journal {
    id: [u8; 16],
    reader: Reader,
    append_max: u64,
    tip: watch::Receiver<Tip>,
    /// Taken when the journal is dropped.
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal, or begins one named `id` where there is none. Reads the last segment: blocks for as long as that takes.
    ///
    /// Errors: another process has it, a record that was acknowledged is broken, or the disk fails.
    pub fn open(
        settings: &JournalSettings,
        id: [u8; 16],
        counters: Arc<IntakeCounters>,
    ) -> Result<Journal, JournalError> {
        Journal::open_on(Box::new(OsDisk), settings, id, counters)
    }

    fn open_on(
        mut disk: Box<dyn Disk>,
        settings: &JournalSettings,
        id: [u8; 16],
        counters: Arc<IntakeCounters>,
    ) -> Result<Journal, JournalError> {
        if settings.max_bytes < MAX_BYTES_LEAST {
            let text =
                format!("a journal of {} bytes is too small: allow {MAX_BYTES_LEAST} or more", settings.max_bytes);
            return Err(JournalError::Settings(text));
        }
        let directory = &settings.directory;
        disk::create_directory(directory).map_err(|error| JournalError::io("creating", directory, &error))?;
        let lock = log::lock(directory)?;
        let recovered = recover::recover(disk.as_mut(), directory, id)?;
        let id = recovered.id;
        let reader = Reader { directory: directory.clone(), seed: frame::seed_of(&id) };
        let append_max = log::append_max(settings);
        let (log, tip) = Log::new(disk, settings, lock, recovered, counters);
        let (commands, received) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("journal".to_string())
            .spawn(move || log.run(received))
            .map_err(|error| JournalError::io("starting the thread of", directory, &error))?;
        Ok(Journal { id, reader, append_max, tip, commands: Some(commands), thread: Some(thread) })
    }

    /// The name the journal got when it was begun: 32 hex digits.
    pub fn id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.id))
    }

    /// Records ever accepted, over all runs of all processes: exact, and no less after a crash.
    pub fn accepted(&self) -> u64 {
        self.tip.borrow().accepted
    }

    /// How far the journal is; changes with every group.
    pub fn tip(&self) -> watch::Receiver<Tip> {
        self.tip.clone()
    }

    /// Appends all records or none, and returns when they are on the disk. Records that fit no journal of this size together are
    /// refused, however empty it is. An error may come after the records were written:
    /// whoever sends them again may store them twice, as with the service itself.
    pub async fn append(&self, records: Vec<Bytes>, arrived_at: i64) -> Result<Appended, JournalError> {
        if records.is_empty() {
            return Ok(Appended { segment: self.tip.borrow().durable.segment, ends: Vec::new() });
        }
        let bytes = frame::framed_bytes(&records) as u64;
        if bytes > self.append_max {
            return Err(JournalError::AppendTooLong { bytes, max_bytes: self.append_max });
        }
        let frames = self.frame(records, arrived_at).await?;
        let (reply, outcome) = oneshot::channel();
        self.ask(Command::Append(Append { frames, reply })).await?;
        outcome.await.map_err(|_| JournalError::Closed)?
    }

    async fn frame(&self, records: Vec<Bytes>, arrived_at: i64) -> Result<Frames, JournalError> {
        let seed = self.reader.seed;
        let framed = if records.iter().map(Bytes::len).sum::<usize>() <= INLINE_BYTES {
            Frames::build(seed, &records, arrived_at)
        } else {
            let task = tokio::task::spawn_blocking(move || Frames::build(seed, &records, arrived_at));
            task.await.map_err(|_| JournalError::Closed)?
        };
        framed.map_err(JournalError::RecordTooLong)
    }

    /// Deletes all segments that end at or before `watermark`.
    pub async fn release(&self, watermark: At) -> Result<(), JournalError> {
        let (reply, outcome) = oneshot::channel();
        self.ask(Command::Release(Release { watermark, reply })).await?;
        outcome.await.map_err(|_| JournalError::Closed)?
    }

    async fn ask(&self, command: Command) -> Result<(), JournalError> {
        let commands = self.commands.as_ref().ok_or(JournalError::Closed)?;
        commands.send(command).await.map_err(|_| JournalError::Closed)
    }

    /// Records after `after`, at most 4 MiB or 5,000, none beyond `limit`, which must not be beyond the tip.
    pub async fn read(&self, after: At, limit: At) -> Result<Option<Chunk>, JournalError> {
        let reader = self.reader.clone();
        let task = tokio::task::spawn_blocking(move || reader.chunk(after, limit));
        task.await.map_err(|_| JournalError::Closed)?
    }

    /// Where the record that ends at `end` begins: for whoever has to read it once more.
    pub async fn begin_of(&self, end: At) -> Result<At, JournalError> {
        let reader = self.reader.clone();
        let task = tokio::task::spawn_blocking(move || reader.begin_of(end));
        task.await.map_err(|_| JournalError::Closed)?
    }
}

impl Drop for Journal {
    /// Waits for the thread, so that the lock is free when this returns.
    fn drop(&mut self) {
        drop(self.commands.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the journal's thread panicked");
        }
    }
}
