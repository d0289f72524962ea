//! The archive's side of the crash tests: each record in it once, with every byte it came with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::archive::Line;
use tests::listed_source::ListedSource;

/// Position, arrival and bytes of one record; the shard's name in front.
pub(super) type Kept = (String, String, i64, Vec<u8>);

/// The records of one file.
pub(super) fn read(file: &[u8]) -> Vec<Kept> {
    let text = zstd::decode_all(file).expect("zstd");
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(kept).collect()
}

fn kept(text: &[u8]) -> Kept {
    let line = Line::parse(text).unwrap_or_else(|| panic!("no line of the archive: {}", text.escape_ascii()));
    let data = match (line.record, line.raw_data) {
        (Some(object), _) => object.get().as_bytes().to_vec(),
        (None, text) => STANDARD.decode(text.expect("one of both")).expect("base64"),
    };
    (line.shard.into_owned(), line.position.to_string(), line.arrived_at, data)
}

/// What the archive of a source should hold, sorted.
pub(super) fn expected(source: &ListedSource) -> Vec<Kept> {
    let records = source.records().map(|(shard, record)| {
        (shard.to_string(), record.position.to_string(), record.arrived_at, record.data.to_vec())
    });
    let mut all: Vec<Kept> = records.collect();
    all.sort();
    all
}
