//! Compressed payloads: gzip and zstd, known by their first bytes, which no JSON text begins with.
//!
//! A small record may unfold to any size, so nothing is decompressed beyond the limit. What comes out is not looked at for
//! another compression.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use schemas::reject::{Reason, Reject};
use schemas::rules::DecodeSettings;

/// Largest zstd window, log2 (64 MiB): a frame may ask for memory of this size before it has given a byte.
const ZSTD_WINDOW_LOG_MAX: u32 = 26;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Behind a first byte of 0x50 to 0x5f: a zstd frame that decoders pass over (RFC 8878, 3.1.2). Some tools put one in front.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Gzip,
    Zstd,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
        }
    }
}

/// The record's text: its own bytes, or what they decompress to, at most `decompressed_bytes`. All members or frames that follow
/// each other count; anything else behind them makes the record a reject.
pub fn text<'a>(data: &'a [u8], settings: &DecodeSettings) -> Result<Cow<'a, [u8]>, Reject> {
    let Some(format) = format(data).filter(|_| settings.decompress) else { return Ok(Cow::Borrowed(data)) };
    let limit = settings.decompressed_bytes;
    match decompress(data, format, limit) {
        Ok(plain) if plain.len() as u64 <= limit => Ok(Cow::Owned(plain)),
        Ok(_) => {
            let message = format!("record has more than {limit} bytes decompressed (`decompressed_size`)");
            Err(Reject::new(Reason::TooLarge, message))
        }
        Err(error) => {
            let why = error.to_string().to_ascii_lowercase();
            Err(Reject::new(Reason::BrokenCompression, format!("record is no valid {}: {why}", format.name())))
        }
    }
}

/// Whether the data is compressed, by its first four bytes.
pub fn format(data: &[u8]) -> Option<Format> {
    match data {
        _ if data.starts_with(GZIP) => Some(Format::Gzip),
        _ if data.starts_with(ZSTD) => Some(Format::Zstd),
        [0x50..=0x5f, rest @ ..] if rest.starts_with(ZSTD_SKIPPABLE) => Some(Format::Zstd),
        _ => None,
    }
}

fn decompress(data: &[u8], format: Format, limit: u64) -> io::Result<Vec<u8>> {
    match format {
        Format::Gzip => read(flate2::bufread::MultiGzDecoder::new(data), limit),
        Format::Zstd => read(unzstd(data)?, limit),
    }
}

fn unzstd<R: BufRead>(data: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(data)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

/// Decompresses as it is read: of any length, with the window's bound on memory alone.
pub fn reader(data: impl BufRead + Send + 'static, format: Format) -> io::Result<Box<dyn Read + Send>> {
    Ok(match format {
        Format::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(data)),
        Format::Zstd => Box::new(unzstd(data)?),
    })
}

/// Everything, or one byte more than the limit.
fn read(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut plain)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::GzEncoder;
    use proptest::prelude::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzEncoder::new(plain, Compression::default()).read_to_end(&mut out).expect("compresses");
        out
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::encode_all(plain, 3).expect("compresses")
    }

    fn settings(decompressed_bytes: u64) -> DecodeSettings {
        DecodeSettings { decompressed_bytes, ..DecodeSettings::default() }
    }

    fn reason(data: &[u8]) -> Option<Reason> {
        text(data, &settings(1_000)).err().map(|reject| reject.reason)
    }

    #[test]
    fn members_and_frames_in_a_row_are_one_text() {
        let skippable = [&[0x53], ZSTD_SKIPPABLE, &[2, 0, 0, 0, 7, 7]].concat();
        for data in [
            gzip(b"{}{}"),
            [gzip(b"{}"), gzip(b""), gzip(b"{}")].concat(),
            zstd(b"{}{}"),
            [skippable, zstd(b"{}"), zstd(b"{}")].concat(),
        ] {
            assert_eq!(text(&data, &settings(4)).as_deref(), Ok(b"{}{}".as_slice()));
        }
    }

    #[test]
    fn what_is_broken_cut_short_or_followed_by_something_is_rejected() {
        for whole in [gzip(b"{\"a\":1}"), zstd(b"{\"a\":1}")] {
            assert_eq!(reason(&whole), None);
            for end in 4..whole.len() {
                assert_eq!(reason(&whole[..end]), Some(Reason::BrokenCompression), "cut at {end}");
            }
            for behind in [&b"{}"[..], b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"\x1f\x8bxx"] {
                let followed = [&whole, behind].concat();
                assert_eq!(reason(&followed), Some(Reason::BrokenCompression), "{behind:?}");
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![b'0'; 1_001];
        for bomb in [gzip(&zeros), zstd(&zeros), [gzip(&zeros[..999]), gzip(b"00")].concat()] {
            assert_eq!(reason(&bomb), Some(Reason::TooLarge));
            assert_eq!(text(&bomb, &settings(1_001)).map(|t| t.len()), Ok(1_001));
        }
        // A frame header alone that asks for a window of 2 GiB.
        let wide = [ZSTD, &[0x00, 0xa8, 0x01, 0x00, 0x00]].concat();
        assert_eq!(reason(&wide), Some(Reason::BrokenCompression));
    }

    #[test]
    fn one_level_is_undone_and_none_where_it_is_off() {
        let twice = gzip(&zstd(b"{}"));
        assert_eq!(text(&twice, &settings(1_000)).as_deref(), Ok(zstd(b"{}").as_slice()));
        let off = DecodeSettings { decompress: false, ..settings(1_000) };
        assert_eq!(text(&twice, &off).as_deref(), Ok(twice.as_slice()));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(head in 0usize..3, rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let data = [[GZIP, ZSTD, &[]][head], rest.as_slice()].concat();
            if let Ok(text) = text(&data, &settings(500)) {
                prop_assert!(text.len() <= 500);
            }
        }

        #[test]
        fn what_was_compressed_comes_back(plain in prop::collection::vec(any::<u8>(), 0..500)) {
            for data in [gzip(&plain), zstd(&plain)] {
                let out = text(&data, &settings(500));
                prop_assert_eq!(out.as_deref(), Ok(plain.as_slice()));
            }
        }
    }
}
