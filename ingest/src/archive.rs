//! What a record leaves in the archive, where one is kept: one line, whatever becomes of its events.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::archive::{Raw, folder, is_plain, line};
use schemas::log_entry::Target;
use schemas::position::ShardId;
use writer::{Given, Intake, Writer};

use crate::documents::Documents;
use crate::record::Record;

/// A function of the record and the rules it is told apart by, as its rows are.
pub fn archive_line(shard: &ShardId, record: &Record, documents: &Documents<'_>) -> Vec<u8> {
    let write = |raw| line(shard.as_str(), &record.position, record.arrived_at, raw);
    if documents.is_one_as_given() && is_plain(&record.data) {
        write(Raw::Json(&record.data))
    } else {
        write(Raw::Base64(&STANDARD.encode(&record.data)))
    }
}

/// Where the line goes.
pub fn archive_target(record: &Record) -> Target {
    Target::Archive(folder(record.arrived_at).into())
}

/// The line for the writer.
pub fn archive_given<'a>(record: &'a Record, line: &'a [u8]) -> Given<'a> {
    Given { position: &record.position, arrived_at: record.arrived_at, data: line, outline: &[], origin: None }
}

/// Takes the line in, before the events of the record. Returns the bytes that went into the buffer.
pub fn archive(writer: &mut Writer, intake: &mut Intake, record: &Record, documents: &Documents<'_>) -> u64 {
    if !writer.keeps_archive() {
        return 0;
    }
    let line = archive_line(&intake.shard, record, documents);
    writer.archive(intake, &folder(record.arrived_at), archive_given(record, &line));
    line.len() as u64
}

#[cfg(test)]
mod tests {
    use schemas::archive::Line;
    use schemas::position::Position;
    use schemas::rules::DecodeSettings;

    use super::*;

    fn kept(data: &[u8]) -> (bool, Vec<u8>) {
        let record =
            Record { position: Position::from_numbers(5, 1), arrived_at: 7, data: bytes::Bytes::copy_from_slice(data) };
        let documents = Documents::of(&record.data, &DecodeSettings::default());
        let text = archive_line(&ShardId::new("s:0"), &record, &documents);
        assert!(!text.contains(&b'\n'));
        let line = Line::parse(&text).expect("a line of the archive");
        assert_eq!((&*line.shard, line.position, line.arrived_at), ("s:0", record.position, 7));
        match (line.record, line.raw_data) {
            (Some(object), None) => (true, object.get().as_bytes().to_vec()),
            (None, Some(text)) => (false, STANDARD.decode(text).expect("base64")),
            both => panic!("{both:?}"),
        }
    }

    #[test]
    fn every_record_comes_back_byte_for_byte_and_one_object_is_readable() {
        let gzipped = {
            use std::io::Read;
            let mut out = Vec::new();
            let mut encoder = flate2::read::GzEncoder::new(&b"{\"a\":1}"[..], flate2::Compression::fast());
            encoder.read_to_end(&mut out).expect("compresses");
            out
        };
        for (data, plain) in [
            (&b"{\"a\":1.0}"[..], true),
            ("{ \"é\":\"\\ud800\" }".as_bytes(), true),
            (b"{\"a\":1}\n", false),
            (b"{\"a\":\n1}", false),
            (b" {\"a\":1}", false),
            (b"{\"a\":1}{\"a\":2}", false),
            (b"{\"a\":1", false),
            (b"{\"a\":\"\xff\"}", false),
            (b"", false),
            (b"5", false),
            (&gzipped, false),
        ] {
            assert_eq!(kept(data), (plain, data.to_vec()), "{}", data.escape_ascii());
        }
    }
}
