//! Rows of one buffer as raw bytes in growing chunks: what hotpath measurements favour over building columns per key (one copy
//! on the way in, decoded while hot when the file is made), and small enough that ten thousand buffers of one row cost little.

use std::sync::Arc;

use schemas::position::Position;

/// First chunk of a buffer, bytes: about one event.
pub const CHUNK_FIRST: usize = 1024;
/// Chunks double up to this, bytes.
pub const CHUNK_MAX: usize = 64 * 1024;
/// Bytes in front of each row: shard, arrival, sub-sequence, document, two lengths.
const HEADER: usize = 4 + 8 + 8 + 4 + 1 + 4;

/// A row as it goes into a buffer.
#[derive(Debug, Clone, Copy)]
pub struct RowIn<'a> {
    /// Index into the writer's list of shards.
    pub shard: u32,
    pub position: &'a Position,
    /// Milliseconds since the epoch.
    pub arrived_at: i64,
    pub data: &'a [u8],
}

/// A row as it stands in a buffer.
#[derive(Debug, Clone, Copy)]
pub struct RowOut<'a> {
    pub shard: u32,
    pub sequence: &'a str,
    pub sub: u64,
    pub document: u32,
    pub arrived_at: i64,
    pub data: &'a [u8],
}

impl RowOut<'_> {
    pub fn position(&self) -> Position {
        let record = Position::new(Arc::<str>::from(self.sequence), self.sub);
        record.expect("was a position when it was pushed").with_document(self.document)
    }
}

/// Rows in push order.
#[derive(Debug, Default)]
pub struct Rope {
    chunks: Vec<Vec<u8>>,
    rows: u64,
    data_bytes: u64,
    allocated: u64,
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
        self.allocated
    }

    /// Appends a row; gives the bytes newly allocated.
    pub fn push(&mut self, row: RowIn<'_>) -> u64 {
        let sequence = row.position.sequence().as_bytes();
        let need = HEADER + sequence.len() + row.data.len();
        let grown = self.make_room(need);
        let chunk = self.chunks.last_mut().expect("make_room leaves a chunk");
        // Sequences have at most 129 digits, events less than 4 GiB: both are bounded where they enter.
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&row.shard.to_le_bytes());
        header[4..12].copy_from_slice(&row.arrived_at.to_le_bytes());
        header[12..20].copy_from_slice(&row.position.sub().to_le_bytes());
        header[20..24].copy_from_slice(&row.position.document().to_le_bytes());
        header[24] = sequence.len() as u8;
        header[25..].copy_from_slice(&(row.data.len() as u32).to_le_bytes());
        chunk.extend_from_slice(&header);
        chunk.extend_from_slice(sequence);
        chunk.extend_from_slice(row.data);
        self.rows += 1;
        self.data_bytes += row.data.len() as u64;
        grown
    }

    fn make_room(&mut self, need: usize) -> u64 {
        let last = self.chunks.last().map_or((0, 0), |c| (c.capacity() - c.len(), c.capacity()));
        if last.0 >= need {
            return 0;
        }
        // A buffer that stays at one row takes no more than the row needs.
        let capacity =
            if self.chunks.is_empty() { need.max(CHUNK_FIRST) } else { need.max((last.1 * 2).min(CHUNK_MAX)) };
        self.chunks.push(Vec::with_capacity(capacity));
        self.allocated += capacity as u64;
        capacity as u64
    }

    pub fn iter(&self) -> impl Iterator<Item = RowOut<'_>> {
        self.chunks.iter().flat_map(|chunk| Rows { rest: chunk })
    }
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
}

impl<'a> Iterator for Rows<'a> {
    type Item = RowOut<'a>;

    fn next(&mut self) -> Option<RowOut<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let shard = u32::from_le_bytes(self.take());
        let arrived_at = i64::from_le_bytes(self.take());
        let sub = u64::from_le_bytes(self.take());
        let document = u32::from_le_bytes(self.take());
        let [digits] = self.take::<1>();
        let len = u32::from_le_bytes(self.take()) as usize;
        let sequence = std::str::from_utf8(self.slice(digits.into())).expect("decimal digits");
        Some(RowOut { shard, sequence, sub, document, arrived_at, data: self.slice(len) })
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
            rope.push(RowIn { shard: i as u32, position: &position, arrived_at: -(i as i64), data: &data });
        }
        let back: Vec<_> = rope.iter().collect();
        assert_eq!(back.iter().map(|r| r.data.len()).collect::<Vec<_>>(), sizes);
        assert!(back.iter().enumerate().all(|(i, r)| r.data.iter().all(|b| *b == b'a' + i as u8)));
        let position = |i: usize| Position::from_numbers(i as u64 + 1, i as u64).with_document(i as u32 % 3);
        assert!(back.iter().enumerate().all(|(i, r)| r.position() == position(i)));
        assert!(rope.allocated() >= rope.data_bytes() && rope.rows() == sizes.len() as u64);
    }

    #[test]
    fn one_small_row_takes_about_a_kibibyte() {
        let mut rope = Rope::default();
        let position = Position::from_numbers(1, 0);
        let grown = rope.push(RowIn { shard: 0, position: &position, arrived_at: 0, data: &[b'x'; 300] });
        assert_eq!((grown, rope.allocated()), (CHUNK_FIRST as u64, CHUNK_FIRST as u64));
    }
}
