//! A record told apart into its documents: nothing of it is lost, each document is judged rightly, and objects that were put
//! together come back one by one.

use ingest::documents::Documents;
use schemas::position::Position;
use schemas::rules::DecodeSettings;
use writer::encode::DEPTH_MAX;

use super::json::recognise;

const SETTINGS: DecodeSettings = DecodeSettings { documents: 64, decompress: true, decompressed_bytes: 1 << 20 };
/// What may stand between two objects.
const BETWEEN: [&[u8]; 5] = [b"", b" ", b"\n", b"\r\n\t", b"\n\n"];

pub fn run(data: &[u8]) {
    is_whole(data);
    let pieces = data.split(|byte| *byte == 0xff).filter(|piece| is_event(piece));
    let objects: Vec<&[u8]> = pieces.map(<[u8]>::trim_ascii).take(SETTINGS.documents as usize).collect();
    if objects.len() > 1 {
        let between = BETWEEN[data.len() % BETWEEN.len()];
        comes_apart(&objects, &objects.join(between));
    }
}

fn is_event(text: &[u8]) -> bool {
    recognise(text).is_some_and(|text| text.object && text.depth <= DEPTH_MAX)
}

fn is_whole(record: &[u8]) {
    let position: Position = "7.5".parse().expect("a position");
    let documents = Documents::of(record, &SETTINGS);
    let events: Vec<_> = documents.events(&position).collect();
    assert!(!events.is_empty() && events.len() == documents.count());
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event.broken.is_none(), is_event(event.data), "{:?}", event.broken);
        let document = if events.len() == 1 { 0 } else { n as u32 + 1 };
        assert_eq!((event.position.document(), event.position.record()), (document, position.clone()));
    }
    let inside = |part: &[u8]| record.as_ptr_range().contains(&part.as_ptr());
    if events.len() > 1 && events.iter().all(|event| inside(event.data)) {
        let parts: usize = events.iter().map(|event| event.data.trim_ascii().len()).sum();
        let between = events.windows(2).all(|pair| pair[0].data.as_ptr_range().end <= pair[1].data.as_ptr());
        let blank = record.iter().filter(|byte| byte.is_ascii_whitespace()).count();
        assert!(between && parts + blank >= record.len(), "bytes that are in no document");
    }
}

fn comes_apart(objects: &[&[u8]], record: &[u8]) {
    let position: Position = "7".parse().expect("a position");
    let documents = Documents::of(record, &SETTINGS);
    let found: Vec<&[u8]> = documents.events(&position).map(|event| event.data).collect();
    assert!(found == objects, "{} objects, {} documents", objects.len(), found.len());
}
