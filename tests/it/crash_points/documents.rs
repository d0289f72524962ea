//! The records of the crash tests: of one document or several, on lines or one behind the other, some of them compressed, spread over
//! three partitions, every eighth a reject.

use std::ops::Range;

use schemas::position::Position;
use tests::bundle::{gzip, zstd};

/// Documents of each of the two shards.
pub(super) const DOCUMENTS: u64 = 40;

/// Documents of one record, in turn.
const SIZES: [u64; 5] = [1, 3, 2, 1, 5];

/// Whether no row can come of the document of this id.
pub(super) fn is_bad(id: u64) -> bool {
    id % 8 == 5
}

/// Three kinds of reject: broken JSON, a key outside the projection, a value that does not fit.
fn text(id: u64) -> String {
    let key = ["a", "b", "c", "a"][(id % 4) as usize];
    match (is_bad(id), id % 3) {
        (true, 0) => format!("{{\"id\":{id}"),
        (true, 1) => format!("{{\"id\":{id},\"k\":\"elsewhere\"}}"),
        (true, _) => format!("{{\"id\":\"x{id}\",\"k\":\"{key}\"}}"),
        _ => format!("{{\"id\":{id},\"k\":\"{key}\"}}"),
    }
}

/// A record and the ids of its documents.
pub(super) struct Listed {
    pub(super) ids: Range<u64>,
    pub(super) data: Vec<u8>,
}

impl Listed {
    fn new(number: usize, ids: Range<u64>) -> Listed {
        let texts: Vec<String> = ids.clone().map(text).collect();
        // A broken document ends where its line ends; without lines it would not end.
        let lines = number % 2 == 0 || texts.iter().any(|text| !text.ends_with('}'));
        let plain = texts.join(if lines { "\n" } else { "" }).into_bytes();
        let data = match number % 5 {
            1 => gzip(&plain),
            4 => zstd(&plain),
            _ => plain,
        };
        Listed { ids, data }
    }

    /// Each document's id and position, given the record's.
    pub(super) fn places(&self, record: &Position) -> Vec<(u64, Position)> {
        match self.ids.clone().count() {
            1 => vec![(self.ids.start, record.clone())],
            _ => self.ids.clone().zip(1..).map(|(id, number)| (id, record.with_document(number))).collect(),
        }
    }
}

pub(super) fn of_shard(shard: u64) -> Vec<Listed> {
    let mut ids = shard * DOCUMENTS..(shard + 1) * DOCUMENTS;
    let mut records = Vec::new();
    for (number, size) in SIZES.iter().cycle().enumerate() {
        let first = ids.start;
        ids.start = (first + size).min(ids.end);
        if first == ids.start {
            break;
        }
        records.push(Listed::new(number, first..ids.start));
    }
    records
}
