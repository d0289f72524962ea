//! The thread that writes the journal: it takes all appends that wait, writes them, syncs once, and answers them.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::disk::{Disk, sync_directory};
use super::frame::Frames;
use super::recover::Recovered;
use super::segment::{self, At, HEADER, Header, path_of};
use super::{Appended, JournalError, Tip};
use crate::source::intake::counters::IntakeCounters;

/// Most bytes that one sync waits for.
const GROUP_BYTES: usize = 16 << 20;
/// Most appends that one sync answers.
const GROUP_APPENDS: usize = 1_024;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Append(Append),
    Release(Release),
}

#[derive(Debug)]
pub(super) struct Append {
    pub(super) frames: Frames,
    pub(super) reply: oneshot::Sender<Result<Appended, JournalError>>,
}

/// Everything up to `watermark` may go.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) watermark: At,
    pub(super) reply: oneshot::Sender<Result<(), JournalError>>,
}

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) number: u64,
    pub(super) file: File,
    pub(super) records_before: u64,
    /// The last offset that is known to be on the disk.
    pub(super) durable: u64,
    /// The offset the next frame goes to.
    pub(super) written: u64,
}

/// A segment that is never written again.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) number: u64,
    pub(super) end: u64,
    pub(super) records_before: u64,
}

/// An append that is written and waits for the sync.
#[derive(Debug)]
struct Waiting {
    appended: Appended,
    reply: oneshot::Sender<Result<Appended, JournalError>>,
}

/// The journal as its thread sees it.
#[derive(Debug)]
pub(super) struct Log {
    disk: Box<dyn Disk>,
    directory: PathBuf,
    /// Held for as long as the thread may write.
    _lock: File,
    id: [u8; 16],
    max_bytes: u64,
    segment_bytes: u64,
    closed: VecDeque<Closed>,
    released_to: u64,
    active: Active,
    accepted: u64,
    /// The active segment must not be written any more: the next append begins a new one first.
    spent: bool,
    /// The last append was refused for want of room.
    full: bool,
    tip: watch::Sender<Tip>,
    counters: Arc<IntakeCounters>,
}

/// Bytes at which a new segment begins.
fn segment_bytes(settings: &super::JournalSettings) -> u64 {
    settings.segment_bytes.min(settings.max_bytes / 4)
}

/// Most bytes of one append, framed. It has room as soon as all older segments are released, whatever the active one holds of
/// small appends: that one is not deleted before it has outgrown its size. So what is refused as "full" fits later.
pub(super) fn append_max(settings: &super::JournalSettings) -> u64 {
    settings.max_bytes - segment_bytes(settings) - HEADER
}

/// Keeps every other process out of the directory until the file is dropped.
pub(super) fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join("lock");
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| JournalError::io("opening", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse(directory.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(JournalError::io("locking", &path, &error)),
    }
}

impl Log {
    pub(super) fn new(
        disk: Box<dyn Disk>,
        settings: &super::JournalSettings,
        lock: File,
        recovered: Recovered,
        counters: Arc<IntakeCounters>,
    ) -> (Log, watch::Receiver<Tip>) {
        let Recovered { id, closed, released_to, active, accepted } = recovered;
        let (tip, watched) = watch::channel(Tip::default());
        let log = Log {
            disk,
            directory: settings.directory.clone(),
            _lock: lock,
            id,
            max_bytes: settings.max_bytes,
            segment_bytes: segment_bytes(settings),
            closed,
            released_to,
            active,
            accepted,
            spent: false,
            full: false,
            tip,
            counters,
        };
        log.counters.journal_max_bytes.set(settings.max_bytes);
        log.publish();
        (log, watched)
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let (appends, releases) = gather(first, &mut commands);
            self.commit(appends);
            for Release { watermark, reply } in releases {
                answer(reply, self.release(watermark));
            }
        }
    }

    fn commit(&mut self, appends: Vec<Append>) {
        let mut waiting = Vec::with_capacity(appends.len());
        for Append { frames, reply } in appends {
            let outcome = self.make_room(frames.bytes().len() as u64, &mut waiting);
            match outcome.and_then(|()| self.write(frames, &mut waiting)) {
                Ok(appended) => waiting.push(Waiting { appended, reply }),
                Err(error) => answer(reply, Err(error)),
            }
        }
        self.settle(&mut waiting);
    }

    /// Sees to it that `length` bytes may be written to the active segment.
    fn make_room(&mut self, length: u64, waiting: &mut Vec<Waiting>) -> Result<(), JournalError> {
        let bytes = self.bytes();
        self.note_full(bytes + length > self.max_bytes);
        if self.full {
            return Err(JournalError::Full { bytes, max_bytes: self.max_bytes });
        }
        let outgrown = self.active.written > HEADER && self.active.written + length > self.segment_bytes;
        if outgrown {
            self.settle(waiting);
        }
        if outgrown || self.spent { self.roll() } else { Ok(()) }
    }

    /// Logs the change, not every refusal.
    fn note_full(&mut self, full: bool) {
        if full && !self.full {
            tracing::warn!(bytes = self.bytes(), max_bytes = self.max_bytes, "journal is full, refusing records");
        }
        if !full && self.full {
            tracing::info!(bytes = self.bytes(), "journal takes records again");
        }
        self.full = full;
    }

    fn write(&mut self, mut frames: Frames, waiting: &mut Vec<Waiting>) -> Result<Appended, JournalError> {
        if waiting.is_empty() {
            frames.begin_group();
        }
        let start = self.active.written;
        if let Err(error) = self.disk.write(&self.active.file, frames.bytes(), start) {
            let error = JournalError::io("writing", &path_of(&self.directory, self.active.number), &error);
            self.roll_back(waiting, &error);
            return Err(error);
        }
        self.active.written += frames.bytes().len() as u64;
        let ends = frames.ends().iter().map(|end| start + *end as u64).collect();
        Ok(Appended { segment: self.active.number, ends })
    }

    /// Syncs what was written and answers those who wait for it. Nobody is answered before.
    fn settle(&mut self, waiting: &mut Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        if let Err(error) = self.disk.sync(&self.active.file) {
            // After a failed sync the kernel may have dropped the pages and report the next sync as good: nothing can be
            // said any more about what was written since the last one, so this file is left for good.
            self.spent = true;
            let error = JournalError::io("syncing", &path_of(&self.directory, self.active.number), &error);
            return self.roll_back(waiting, &error);
        }
        self.active.durable = self.active.written;
        self.accepted += waiting.iter().map(|each| each.appended.ends.len() as u64).sum::<u64>();
        self.counters.journal_syncs.add(1);
        self.counters.journal_appends.add(waiting.len() as u64);
        self.counters.journal_group_appends_max.raise(waiting.len() as u64);
        self.publish();
        for Waiting { appended, reply } in waiting.drain(..) {
            answer(reply, Ok(appended));
        }
    }

    /// Goes back to the last offset that is on the disk. If the file cannot even be cut there, it is left: the header of the
    /// next segment says where it ends.
    fn roll_back(&mut self, waiting: &mut Vec<Waiting>, error: &JournalError) {
        tracing::error!(%error, refused = waiting.len() + 1, "journal rolled back to its last good offset");
        self.counters.journal_failures.add(1);
        self.active.written = self.active.durable;
        if let Err(error) = self.disk.truncate(&self.active.file, self.active.durable) {
            tracing::error!(segment = self.active.number, %error, "cannot truncate the segment, leaving it");
            self.spent = true;
        }
        for Waiting { reply, .. } in waiting.drain(..) {
            answer(reply, Err(error.clone()));
        }
    }

    /// Closes the active segment and begins the next.
    ///
    /// From here on the old one must not grow, also if this fails: the file may already stand under its name when the sync of
    /// the directory fails, and its header says where the old segment ends. A record written behind that end would be
    /// acknowledged, and gone after a crash.
    fn roll(&mut self) -> Result<(), JournalError> {
        self.spent = true;
        let number = self.active.number + 1;
        let header = Header { id: self.id, number, records_before: self.accepted, previous_end: self.active.durable };
        let file = segment::create(self.disk.as_mut(), &self.directory, &header)
            .map_err(|error| JournalError::io("creating", &path_of(&self.directory, number), &error))?;
        let fresh = Active { number, file, records_before: self.accepted, durable: HEADER, written: HEADER };
        let old = std::mem::replace(&mut self.active, fresh);
        self.closed.push_back(Closed { number: old.number, end: old.durable, records_before: old.records_before });
        self.spent = false;
        self.publish();
        Ok(())
    }

    /// Deletes whole segments at or below the watermark, oldest first. The active one goes only after it was rolled, which
    /// happens when all of it is released and it is worth it: otherwise one large append could hold the room for ever.
    fn release(&mut self, watermark: At) -> Result<(), JournalError> {
        let all = watermark >= At::new(self.active.number, self.active.durable);
        if all && self.active.durable > HEADER && self.active.durable >= self.segment_bytes / 2 {
            self.roll()?;
        }
        while let Some(oldest) = self.closed.front() {
            if watermark < At::new(oldest.number, oldest.end) {
                break;
            }
            let path = path_of(&self.directory, oldest.number);
            // Each removal is on the disk before the next: a crash must not leave a gap.
            self.disk
                .remove(&path)
                .and_then(|()| sync_directory(&self.directory))
                .map_err(|error| JournalError::io("removing", &path, &error))?;
            self.released_to = oldest.end;
            self.closed.pop_front();
        }
        self.publish();
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.closed.iter().map(|closed| closed.end).sum::<u64>() + self.active.written
    }

    fn publish(&self) {
        let oldest = self.closed.front().map_or(self.active.number, |closed| closed.number);
        let gone = self.closed.front().map_or(self.active.records_before, |closed| closed.records_before);
        let tip = Tip {
            durable: At::new(self.active.number, self.active.durable),
            released: At::new(oldest - 1, self.released_to),
            accepted: self.accepted,
        };
        self.counters.journal_bytes.set(self.bytes());
        self.counters.journal_held_records.set(self.accepted - gone);
        self.tip.send_replace(tip);
    }
}

/// The first command and all that already wait behind it, within the bounds of a group.
fn gather(first: Command, commands: &mut mpsc::Receiver<Command>) -> (Vec<Append>, Vec<Release>) {
    let (mut appends, mut releases, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut next = Some(first);
    while let Some(command) = next {
        match command {
            Command::Append(append) => {
                bytes += append.frames.bytes().len();
                appends.push(append);
            }
            Command::Release(release) => releases.push(release),
        }
        let room = bytes < GROUP_BYTES && appends.len() < GROUP_APPENDS;
        next = if room { commands.try_recv().ok() } else { None };
    }
    (appends, releases)
}

/// Whoever asked may have gone: the outcome stands all the same.
fn answer<T>(reply: oneshot::Sender<T>, outcome: T) {
    drop(reply.send(outcome));
}
