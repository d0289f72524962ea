//! The text of an object, decompressed as it comes: gzip and zstd are known by their first bytes, as within records.

use std::io::{self, BufReader, Read};

use crate::inflate;

/// Bytes that decompression looks at once.
const BUFFER: usize = 256 << 10;

/// The text of what `raw` gives. Memory: the buffer, and a zstd window as far as records may have one.
pub fn text(mut raw: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut head)?;
    let format = inflate::format(&head);
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(raw));
    Ok(match format {
        Some(format) => inflate::reader(whole, format)?,
        None => Box::new(whole),
    })
}

/// Fills `buffer` behind what it holds with up to `more` bytes; less than that come at the end alone, however the text comes in.
pub fn fill(text: &mut dyn Read, buffer: &mut Vec<u8>, more: usize) -> io::Result<bool> {
    let read = text.take(more as u64).read_to_end(buffer)?;
    Ok(read < more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_whatever_it_is_compressed_with() {
        let plain = b"{\"a\":1}\n".repeat(10_000);
        let mut gzip = Vec::new();
        let encoder = |text: &'static [u8]| flate2::read::GzEncoder::new(text, flate2::Compression::fast());
        // Two members, as appended gzip files have them.
        for _ in 0..2 {
            encoder(b"{}").read_to_end(&mut gzip).expect("compresses");
        }
        let zstd = zstd::encode_all(&*plain, 3).expect("compresses");
        for (raw, want) in
            [(plain.clone(), plain.clone()), (gzip, b"{}{}".to_vec()), (zstd, plain.clone()), (vec![], vec![])]
        {
            let mut out = Vec::new();
            text(io::Cursor::new(raw)).expect("begins").read_to_end(&mut out).expect("reads");
            assert!(out == want, "{} bytes, not {}", out.len(), want.len());
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error_after_what_came() {
        let zstd = zstd::encode_all(&*b"{\"a\":1}\n".repeat(100_000), 1).expect("compresses");
        let mut out = Vec::new();
        let half = io::Cursor::new(zstd[..zstd.len() - 3].to_vec());
        assert!(text(half).expect("begins").read_to_end(&mut out).is_err());
    }

    #[test]
    fn a_buffer_is_filled_whatever_a_read_gives() {
        struct One(usize);
        impl Read for One {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                self.0 = self.0.saturating_sub(1);
                out[..1.min(self.0)].fill(b'x');
                Ok(1.min(self.0))
            }
        }
        let (mut source, mut buffer) = (One(11), vec![]);
        assert!(!fill(&mut source, &mut buffer, 7).expect("reads"));
        assert_eq!(buffer.len(), 7);
        assert!(fill(&mut source, &mut buffer, 7).expect("reads"));
        assert_eq!(buffer.len(), 10);
    }
}
