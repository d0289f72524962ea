//! Rows of one buffer as raw bytes in growing chunks: what hotpath measurements favour over building columns per key (one copy
//! on the way in, decoded while hot when the file is made), and small enough that ten thousand buffers of one row cost little.

use std::sync::Arc;

use schemas::position::Position;

/// First chunk of a buffer, bytes: about one event.
pub const CHUNK_FIRST: usize = 1024;
/// Chunks double up to this, bytes.
pub const CHUNK_MAX: usize = 64 * 1024;
/// Bytes in front of each row: its place, whether an origin follows, arrival, length of the data and of its outline.
const HEADER: usize = PLACE + 1 + 8 + 4 + 2;
/// Bytes of a place beside its digits: shard, sub-sequence, document, their number.
const PLACE: usize = 4 + 8 + 4 + 1;

/// A row as it goes into a buffer.
#[derive(Debug, Clone, Copy)]
pub struct RowIn<'a> {
    /// Index into the writer's list of shards.
    pub shard: u32,
    pub position: &'a Position,
    /// Milliseconds since the epoch.
    pub arrived_at: i64,
    pub data: &'a [u8],
    /// Of the data, see [`crate::tape::outline`]; empty if it is not known.
    pub outline: &'a [u8],
    /// Where the row says that it is from, if not from where it was read.
    pub origin: Option<Origin<'a>>,
}

impl RowIn<'_> {
    /// One that is very long is not worth its memory.
    fn kept_outline(&self) -> &[u8] {
        if self.outline.len() <= u16::MAX.into() { self.outline } else { &[] }
    }

    /// Bytes of memory that it takes in a chunk.
    pub fn stored_bytes(&self) -> usize {
        let origin = self.origin.map_or(0, |origin| PLACE + origin.position.sequence().len());
        HEADER + self.position.sequence().len() + origin + self.kept_outline().len() + self.data.len()
    }
}

/// Where a row of a replay was first taken from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Index into the same list.
    pub shard: u32,
    pub position: &'a Position,
}

/// A row as it stands in a buffer.
#[derive(Debug, Clone, Copy)]
pub struct RowOut<'a> {
    /// Where it was read: what spans, marks and the order in a file go by.
    pub place: Place<'a>,
    /// See [`RowIn::origin`].
    pub origin: Option<Place<'a>>,
    pub arrived_at: i64,
    pub data: &'a [u8],
    /// See [`RowIn::outline`].
    pub outline: &'a [u8],
}

impl<'a> RowOut<'a> {
    /// Where the row says that it is from.
    pub fn told(&self) -> Place<'a> {
        self.origin.unwrap_or(self.place)
    }
}

/// A position in a shard.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub shard: u32,
    pub sequence: &'a str,
    pub sub: u64,
    pub document: u32,
}

impl Place<'_> {
    pub fn position(&self) -> Position {
        let record = Position::new(Arc::<str>::from(self.sequence), self.sub);
        record.expect("was a position when it was pushed").with_document(self.document)
    }
}

/// The room that a buffer's chunks have, whatever they hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Room {
    /// Of the last chunk.
    free: usize,
    capacity: usize,
    /// Of all of them.
    allocated: u64,
}

impl Room {
    /// Makes room for so many bytes; gives the capacity of the chunk that has to be added for them, or 0.
    pub fn take(&mut self, need: usize) -> usize {
        let mut added = 0;
        if self.free < need {
            // A buffer that stays at one row takes no more than the row needs.
            let next = if self.allocated == 0 { CHUNK_FIRST } else { (self.capacity * 2).min(CHUNK_MAX) };
            added = need.max(next);
            (self.free, self.capacity) = (added, added);
            self.allocated += added as u64;
        }
        self.free -= need;
        added
    }

    /// Bytes of all chunks.
    pub fn allocated(&self) -> u64 {
        self.allocated
    }
}

/// Rows in push order.
#[derive(Debug, Default)]
pub struct Rope {
    chunks: Vec<Vec<u8>>,
    room: Room,
    rows: u64,
    data_bytes: u64,
}

impl Rope {
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of events in it.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Bytes it takes in memory.
    pub fn allocated(&self) -> u64 {
        self.room.allocated()
    }

    /// Appends a row; gives the bytes newly allocated.
    pub fn push(&mut self, row: RowIn<'_>) -> u64 {
        let outline = row.kept_outline();
        let grown = self.room.take(row.stored_bytes());
        if grown > 0 {
            self.chunks.push(Vec::with_capacity(grown));
        }
        let chunk = self.chunks.last_mut().expect("a chunk was added where there was no room");
        push_place(chunk, row.shard, row.position);
        chunk.push(u8::from(row.origin.is_some()));
        if let Some(origin) = row.origin {
            push_place(chunk, origin.shard, origin.position);
        }
        let mut numbers = [0; 8 + 4 + 2];
        numbers[..8].copy_from_slice(&row.arrived_at.to_le_bytes());
        // Events have less than 4 GiB: bounded where they enter.
        numbers[8..12].copy_from_slice(&(row.data.len() as u32).to_le_bytes());
        numbers[12..].copy_from_slice(&(outline.len() as u16).to_le_bytes());
        chunk.extend_from_slice(&numbers);
        chunk.extend_from_slice(outline);
        chunk.extend_from_slice(row.data);
        self.rows += 1;
        self.data_bytes += row.data.len() as u64;
        grown as u64
    }

    pub fn iter(&self) -> impl Iterator<Item = RowOut<'_>> {
        self.chunks.iter().flat_map(|chunk| Rows { rest: chunk })
    }
}

/// Numbers in one piece: a row's header is half of what pushing it costs.
fn push_place(chunk: &mut Vec<u8>, shard: u32, position: &Position) {
    let sequence = position.sequence().as_bytes();
    let mut numbers = [0; PLACE];
    numbers[..4].copy_from_slice(&shard.to_le_bytes());
    numbers[4..12].copy_from_slice(&position.sub().to_le_bytes());
    numbers[12..16].copy_from_slice(&position.document().to_le_bytes());
    // At most 129 digits: bounded where they enter.
    numbers[16] = sequence.len() as u8;
    chunk.extend_from_slice(&numbers);
    chunk.extend_from_slice(sequence);
}

struct Rows<'a> {
    rest: &'a [u8],
}

impl<'a> Rows<'a> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.rest.split_first_chunk::<N>().expect("a chunk holds whole rows");
        self.rest = rest;
        *head
    }

    fn slice(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        head
    }

    fn place(&mut self) -> Place<'a> {
        let shard = u32::from_le_bytes(self.take());
        let sub = u64::from_le_bytes(self.take());
        let document = u32::from_le_bytes(self.take());
        let [digits] = self.take::<1>();
        let sequence = std::str::from_utf8(self.slice(digits.into())).expect("decimal digits");
        Place { shard, sequence, sub, document }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = RowOut<'a>;

    fn next(&mut self) -> Option<RowOut<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let place = self.place();
        let [has_origin] = self.take::<1>();
        let origin = (has_origin != 0).then(|| self.place());
        let arrived_at = i64::from_le_bytes(self.take());
        let len = u32::from_le_bytes(self.take()) as usize;
        let outline = usize::from(u16::from_le_bytes(self.take()));
        let outline = self.slice(outline);
        Some(RowOut { place, origin, arrived_at, outline, data: self.slice(len) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_whatever_their_size() {
        let sizes = [0, 1, 900, 1024, 65_000, 70_000, 3, 200_000, 1];
        let mut rope = Rope::default();
        for (i, size) in sizes.iter().enumerate() {
            let position = Position::from_numbers(i as u64 + 1, i as u64).with_document(i as u32 % 3);
            let data = vec![b'a' + i as u8; *size];
            let first = Position::from_numbers(7 * i as u64, 1);
            let origin = (i % 2 == 1).then_some(Origin { shard: 100, position: &first });
            let outline = vec![i as u8; 30_000 * i];
            let (arrived_at, outline) = (-(i as i64), outline.as_slice());
            rope.push(RowIn { shard: i as u32, position: &position, arrived_at, data: &data, outline, origin });
        }
        let back: Vec<_> = rope.iter().collect();
        assert_eq!(back.iter().map(|r| r.data.len()).collect::<Vec<_>>(), sizes);
        assert!(back.iter().enumerate().all(|(i, r)| r.data.iter().all(|b| *b == b'a' + i as u8)));
        let position = |i: usize| Position::from_numbers(i as u64 + 1, i as u64).with_document(i as u32 % 3);
        // Those of two bytes' length and no more.
        let outline = |i: usize| if i < 3 { vec![i as u8; 30_000 * i] } else { vec![] };
        assert!(back.iter().enumerate().all(|(i, r)| r.outline == outline(i)));
        assert!(back.iter().enumerate().all(|(i, r)| r.place.position() == position(i)));
        let told = |i: usize| if i % 2 == 1 { Position::from_numbers(7 * i as u64, 1) } else { position(i) };
        assert!(back.iter().enumerate().all(|(i, r)| r.told().position() == told(i)));
        assert!(rope.allocated() >= rope.data_bytes() && rope.rows() == sizes.len() as u64);
    }

    #[test]
    fn one_small_row_takes_about_a_kibibyte() {
        let mut rope = Rope::default();
        let position = Position::from_numbers(1, 0);
        let data = &[b'x'; 300];
        let row = RowIn { shard: 0, position: &position, arrived_at: 0, data, outline: &[7; 30], origin: None };
        let grown = rope.push(row);
        assert_eq!((grown, rope.allocated()), (CHUNK_FIRST as u64, CHUNK_FIRST as u64));
    }
}
