//! What a replay reads, written down before it is read: every object gets a number and a lane, once and for good.
//!
//! Positions in the writer log have to mean the same at the next start, but a listing changes: objects are added between others,
//! replaced, removed. So the objects found are written to the state folder, page by page, `replay/<n>.ndjson.zst`, each page created
//! if absent: a page has one author, and whoever comes second reads it and adds what is still missing. An object is its URL and its
//! etag; its number stands for both. A position is (number, record), and [`END`] is behind every record of an object.
//!
//! **Lanes.** Each object a shard of its own would make the log grow with them: an epoch, a claim and a line in each checkpoint for
//! every one of 100,000. All of them in one shard could not be split among processes. So there are [`LANES`] shards for each URL,
//! and a lane is a slice of the listing, equal in bytes to the others: objects that lie together are read together, and
//! partitions that follow the date are open for a short time only.
//!
//! Pages are of all replays into one lake: an object that one of them has is not read by another one under another URL.

use std::collections::{BTreeMap, HashMap};

use schemas::position::{Position, ShardId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use writer::objects::Listed;

/// Shards of one replay, and so processes that may share it.
pub const LANES: u32 = 32;
/// Objects of one page at most.
pub const PAGE_OBJECTS: usize = 50_000;
/// The record behind all others of an object.
pub const END: u64 = u64::MAX;
/// Version of a page.
const FORMAT: u32 = 1;
/// What the name of a replay's shard begins with. No stream has a colon in its name.
const SHARD: &str = "replay::";

/// An object that is to be read, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub number: u64,
    pub lane: u32,
    pub path: String,
    pub etag: String,
    pub size: u64,
    /// Milliseconds since the epoch.
    pub modified: i64,
}

impl Planned {
    /// Of the record with this number in the object, from 1.
    pub fn position(&self, record: u64) -> Position {
        Position::from_numbers(self.number, record)
    }

    pub fn end(&self) -> Position {
        self.position(END)
    }
}

/// The first line of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    format: u32,
    /// See [`replay_id`].
    pub replay: String,
    /// What was listed.
    pub url: String,
    /// Of the store that paths lie in.
    pub root: String,
}

impl Header {
    /// `url`, and how much of it is the store's.
    pub fn new(url: &str, root: &str) -> Header {
        Header { format: FORMAT, replay: replay_id(url), url: url.into(), root: root.into() }
    }
}

/// Objects that one process has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub header: Header,
    pub objects: Vec<Planned>,
}

impl Page {
    /// As it is stored, before compression.
    pub fn to_lines(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec(&self.header).expect("text and numbers serialise");
        for object in &self.objects {
            out.push(b'\n');
            out.extend(serde_json::to_vec(object).expect("text and numbers serialise"));
        }
        out
    }

    pub fn parse(lines: &[u8]) -> Result<Page, String> {
        let mut lines = lines.split(|b| *b == b'\n');
        let header: Header =
            serde_json::from_slice(lines.next().unwrap_or_default()).map_err(|e| format!("its head: {e}"))?;
        if header.format != FORMAT {
            return Err(format!("it has format {}; this version reads {FORMAT}", header.format));
        }
        let objects: Result<_, _> = lines.map(serde_json::from_slice).collect();
        Ok(Page { header, objects: objects.map_err(|e| format!("an object: {e}"))? })
    }
}

/// The name of the replay of a URL in shards' names.
pub fn replay_id(url: &str) -> String {
    Sha256::digest(url).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The shard of a lane.
pub fn shard(replay: &str, lane: u32) -> ShardId {
    ShardId::new(format!("{}{lane:03}", shards(replay)))
}

/// What the names of a replay's shards begin with.
pub fn shards(replay: &str) -> String {
    format!("{SHARD}{replay}-")
}

/// Whether a shard is some replay's, and no live source's.
pub fn is_replays(shard: &ShardId) -> bool {
    shard.as_str().starts_with(SHARD)
}

/// All pages so far.
#[derive(Debug, Default)]
pub struct Plan {
    pages: u64,
    numbers: u64,
    /// By URL: its etag, and which replay has it.
    known: HashMap<String, (String, String)>,
    /// By replay and lane, ascending.
    lanes: BTreeMap<(String, u32), Vec<Planned>>,
}

/// What a listing holds, seen by the plan.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// In no page yet.
    pub fresh: Vec<Listed>,
    /// In a page as another version.
    pub changed: Vec<Listed>,
    /// Another replay has it.
    pub elsewhere: u64,
}

impl Plan {
    /// Number of the next page.
    pub fn next_page(&self) -> u64 {
        self.pages + 1
    }

    /// One page on.
    pub fn add(&mut self, page: Page) {
        self.pages += 1;
        let Header { replay, root, .. } = page.header;
        for object in page.objects {
            self.numbers = self.numbers.max(object.number);
            self.known.insert(format!("{root}{}", object.path), (object.etag.clone(), replay.clone()));
            self.lanes.entry((replay.clone(), object.lane)).or_default().push(object);
        }
    }

    pub fn compare(&self, header: &Header, listed: Vec<Listed>) -> Compared {
        let mut out = Compared::default();
        for object in listed {
            match self.known.get(&format!("{}{}", header.root, object.path)) {
                None => out.fresh.push(object),
                Some((etag, _)) if *etag != object.etag => out.changed.push(object),
                Some((_, replay)) if *replay != header.replay => out.elsewhere += 1,
                Some(_) => {}
            }
        }
        out
    }

    /// The page that adds these objects, or the first [`PAGE_OBJECTS`] of them; they stand in the order of the listing.
    pub fn page(&self, header: &Header, fresh: &[Listed]) -> Page {
        let lanes = slices(fresh);
        let planned = fresh.iter().zip(lanes).zip(self.numbers + 1..).map(|((object, lane), number)| {
            let Listed { path, size, etag, modified } = object.clone();
            Planned { number, lane, path, etag, size, modified }
        });
        Page { header: header.clone(), objects: planned.take(PAGE_OBJECTS).collect() }
    }

    /// The lanes of one replay, each with its objects in the order they are read in.
    pub fn lanes_of(&self, replay: &str) -> BTreeMap<u32, Vec<Planned>> {
        let of = self.lanes.iter().filter(|((of, _), _)| of == replay);
        of.map(|((_, lane), objects)| (*lane, objects.clone())).collect()
    }
}

/// Cuts the listing into slices of about the same bytes: by where the middle of each object stands.
fn slices(objects: &[Listed]) -> impl Iterator<Item = u32> {
    // An object costs a request even if it is empty.
    let weight = |object: &Listed| u128::from(object.size) + 1024;
    let total: u128 = objects.iter().map(weight).sum();
    let mut before = 0;
    objects.iter().map(move |object| {
        let middle = before + weight(object) / 2;
        before += weight(object);
        u32::try_from(middle * u128::from(LANES) / total.max(1)).unwrap_or(0).min(LANES - 1)
    })
}

#[cfg(test)]
#[path = "tests/plan.rs"]
mod tests;
