//! The records of one object: read in blocks ahead, decompressed, cut, handed over in portions. Memory does not grow with the
//! object.

use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use writer::error::WriterError;
use writer::objects::{Block, Objects};

use super::counters::ReplayCounters;
use super::cutter::Cutter;
use super::format::{Format, Raw};
use super::plan::Planned;
use super::text::{fill, text};
use crate::inflate;

/// Bytes of one request.
const BLOCK: u64 = 4 << 20;
/// Blocks that wait to be decompressed.
const BLOCKS_AHEAD: usize = 2;
/// Text that is looked at once; the first of it tells the format.
pub(super) const PORTION: usize = 1 << 20;

/// Text that is put behind what is left of the text before it, to have the record whole that goes on in it: as much as is left, and
/// this at least.
const JOINED: usize = 16 << 10;

/// Why the bytes of an object end before their end.
#[derive(Debug)]
pub enum Missing {
    Changed,
    Gone,
    Failed(WriterError),
}

type Fetched = Result<Bytes, Missing>;

/// Fetches an object block by block, as fast as they are taken.
pub fn fetch(objects: &Objects, planned: &Planned, counters: &Arc<ReplayCounters>) -> Raws {
    let (send, blocks) = mpsc::channel::<Fetched>(BLOCKS_AHEAD);
    let (objects, planned, counters) = (objects.clone(), planned.clone(), counters.clone());
    tokio::spawn(async move {
        let mut at = 0;
        while at < planned.size {
            let range = at..(at + BLOCK).min(planned.size);
            at = range.end;
            let length = range.end - range.start;
            let fetched = match objects.block(&planned.path, &planned.etag, range).await {
                Ok(Block::Bytes(bytes)) if bytes.len() as u64 == length => Ok(bytes),
                Ok(Block::Bytes(_) | Block::Changed) => Err(Missing::Changed),
                Ok(Block::Gone) => Err(Missing::Gone),
                Err(error) => Err(Missing::Failed(error)),
            };
            let ends = fetched.is_err();
            counters.bytes.fetch_add(if ends { 0 } else { length }, Ordering::Relaxed);
            if send.send(fetched).await.is_err() || ends {
                return;
            }
        }
    });
    Raws { blocks, rest: Bytes::new(), missing: Arc::default() }
}

/// The bytes of an object, for a thread that may wait.
#[derive(Debug)]
pub struct Raws {
    blocks: mpsc::Receiver<Fetched>,
    rest: Bytes,
    missing: Arc<Mutex<Option<Missing>>>,
}

impl Raws {
    /// What comes next and was not read, with nothing at the end alone.
    fn peek(&mut self) -> io::Result<&[u8]> {
        while self.rest.is_empty() {
            match self.blocks.blocking_recv() {
                None => break,
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(missing)) => {
                    *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = Some(missing);
                    return Err(io::Error::other("the object is not there"));
                }
            }
        }
        Ok(&self.rest)
    }

    /// Up to so many bytes of what [`Raws::peek`] has shown, not copied.
    fn take(&mut self, most: usize) -> Bytes {
        self.rest.split_to(self.rest.len().min(most))
    }
}

impl Read for Raws {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.peek()?;
        let length = out.len().min(self.rest.len());
        out[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}

/// Why an object's records end too early.
#[derive(Debug)]
pub enum Broken {
    Missing(Missing),
    /// Its compression is broken behind the records so far.
    Text(io::Error),
}

/// The records of one object, one after the other. For a thread that may wait.
pub struct Records {
    text: Text,
    missing: Arc<Mutex<Option<Missing>>>,
    /// Behind the last record that is whole.
    left: Vec<u8>,
    /// Known from the first portion on.
    shape: Option<(Format, Cutter)>,
    /// Of the last record.
    number: u64,
    /// Told with the next portion.
    broken: Option<Broken>,
}

enum Text {
    /// The object's bytes.
    Plain(Raws),
    Decompressed(Box<dyn Read + Send>),
}

/// What becomes of a record: its number, itself, and the text that it is borrowed from.
type Each<'e> = &'e mut dyn FnMut(u64, Raw<'_>, &Bytes);

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({:?} {})", self.shape, self.number)
    }
}

impl Records {
    pub fn open(mut raws: Raws) -> Result<Records, Broken> {
        let missing = raws.missing.clone();
        let is_compressed = raws.peek().map(|head| inflate::format(head).is_some());
        let text = match is_compressed {
            Ok(false) => Ok(Text::Plain(raws)),
            Ok(true) => text(raws).map(Text::Decompressed),
            Err(error) => Err(error),
        };
        let text = text.map_err(|error| why(&missing, error))?;
        Ok(Records { text, missing, left: Vec::new(), shape: None, number: 0, broken: None })
    }

    /// Hands the next records with their numbers, from 1, to `each`; `false`: there are no more.
    pub fn portion(&mut self, each: Each<'_>) -> Result<bool, Broken> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        let (text, ended) = self.next_text();
        let text = if self.left.is_empty() { text } else { self.join(text, ended, each) };
        let done = self.cut(&text, ended, each);
        self.left.extend_from_slice(&text[done..]);
        Ok(!ended)
    }

    /// More text, and whether it is the last. What broke off comes with the next portion: what came before it counts.
    fn next_text(&mut self) -> (Bytes, bool) {
        let (text, ended) = match &mut self.text {
            Text::Plain(raws) => {
                let text = raws.take(PORTION);
                (text, raws.peek().map(<[u8]>::is_empty))
            }
            Text::Decompressed(text) => {
                let mut buffer = std::mem::take(&mut self.left);
                buffer.reserve(PORTION);
                let ended = fill(&mut **text, &mut buffer, PORTION);
                (Bytes::from(buffer), ended)
            }
        };
        let ended = ended.unwrap_or_else(|error| {
            self.broken = Some(why(&self.missing, error));
            false
        });
        (text, ended)
    }

    /// The records that begin in what is left of the text before; gives the text behind them.
    fn join(&mut self, mut text: Bytes, ended: bool, each: Each<'_>) -> Bytes {
        loop {
            let mut joined = std::mem::take(&mut self.left);
            let more = text.len().min(JOINED.max(joined.len()));
            joined.extend_from_slice(&text[..more]);
            let joined = Bytes::from(joined);
            let done = self.cut(&joined, ended && more == text.len(), each);
            let left = joined.len() - done;
            if left <= more {
                return text.slice(more - left..);
            }
            self.left.extend_from_slice(&joined[done..]);
            text = text.slice(more..);
            if text.is_empty() {
                return text;
            }
        }
    }

    /// Hands out the records of a text; gives how much of it is done with.
    fn cut(&mut self, text: &Bytes, ended: bool, each: Each<'_>) -> usize {
        let (format, cutter) = self.shape.get_or_insert_with(|| {
            let format = Format::of(text);
            (format, Cutter::new(format.shape()))
        });
        let cuts = cutter.cut(text, ended);
        for record in cuts.records {
            self.number += 1;
            each(self.number, Raw::of(*format, &text[record]), text);
        }
        cuts.done
    }

    /// What the object holds, as far as it is known.
    pub fn format(&self) -> Option<Format> {
        self.shape.as_ref().map(|(format, _)| *format)
    }
}

/// An error of reading is told by who fetches.
fn why(missing: &Mutex<Option<Missing>>, error: io::Error) -> Broken {
    let missing = missing.lock().unwrap_or_else(PoisonError::into_inner).take();
    missing.map_or(Broken::Text(error), Broken::Missing)
}
