//! Several events in one record, in the ways producers send them.

use std::io::Read;

/// Events of one record, in turn.
const SIZES: [usize; 5] = [1, 3, 25, 2, 7];

/// Records that hold all events in order: on lines or one behind the other, plain or compressed. An event that is broken stands on
/// a line of its own.
pub fn bundle(events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut records, mut rest) = (Vec::new(), events);
    while !rest.is_empty() {
        let number = records.len();
        let (these, after) = rest.split_at(SIZES[number % SIZES.len()].min(rest.len()));
        let whole = these.iter().all(|event| event.ends_with(b"}"));
        let plain = these.join([b"\n".as_slice(), b""][usize::from(whole && number % 2 == 1)]);
        records.push(match number % 4 {
            2 => gzip(&plain),
            3 => zstd(&plain),
            _ => plain,
        });
        rest = after;
    }
    records
}

/// A record without its compression, if it has any.
pub fn unpacked(record: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    match record.get(..2) {
        Some([0x1f, 0x8b]) => {
            flate2::read::GzDecoder::new(&record[..]).read_to_end(&mut out).expect("gzip");
            out
        }
        Some([0x28, 0xb5]) => zstd::decode_all(&record[..]).expect("zstd"),
        _ => record,
    }
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzEncoder::new(plain, flate2::Compression::fast()).read_to_end(&mut out).expect("compresses");
    out
}

pub fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).expect("compresses")
}
