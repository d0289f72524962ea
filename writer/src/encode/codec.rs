//! Compresses pages.
//!
//! The parquet crate makes a context to compress and one to decompress for each column of each file: in files of some hundred
//! kilobytes they cost as much as compressing. Here one is used for all columns of a file, and then by the next file.

use std::io::Write;

use ::parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use ::parquet::errors::ParquetError;
use flate2::write::GzEncoder;
use schemas::table::Compression;
use zstd::bulk::Compressor;
use zstd::zstd_safe;

use super::spare::Spare;
use crate::error::WriterError;

/// Memory that stays with a context at most, bytes: enough for pages of the usual size, which one long value may exceed.
const SCRATCH_MAX: usize = 4 << 20;

/// What a table's files are compressed with.
#[derive(Debug)]
pub(super) struct Codecs {
    compression: Compression,
    codec: Codec,
    spare: Spare<Context>,
}

/// What compressing one page after the other needs.
pub(super) struct Context {
    codec: Codec,
    coder: Coder,
    /// Where a page is compressed to: memory that stays, since the worst case is longer than the page.
    scratch: Vec<u8>,
}

enum Coder {
    None,
    Zstd(Compressor<'static>),
    Snappy(Box<snap::raw::Encoder>),
    Lz4,
    Gzip(flate2::Compression),
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl Codecs {
    pub(super) fn new(compression: Compression) -> Result<Codecs, WriterError> {
        let level = |what: &str, range: &str| WriterError::Config(format!("parquet: {what} has levels {range}"));
        let codec = match compression {
            Compression::Zstd(n) => Codec::ZSTD(ZstdLevel::try_new(n).map_err(|_| level("zstd", "1 to 22"))?),
            Compression::Gzip(n) => Codec::GZIP(GzipLevel::try_new(n).map_err(|_| level("gzip", "0 to 9"))?),
            Compression::Snappy => Codec::SNAPPY,
            Compression::Lz4 => Codec::LZ4_RAW,
            Compression::None => Codec::UNCOMPRESSED,
        };
        Ok(Codecs { compression, codec, spare: Spare::default() })
    }

    #[cfg(test)]
    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) fn take(&self) -> Result<Context, ParquetError> {
        if let Some(spare) = self.spare.take() {
            return Ok(spare);
        }
        let coder = match self.compression {
            Compression::Zstd(level) => Coder::Zstd(Compressor::new(level)?),
            Compression::Gzip(level) => Coder::Gzip(flate2::Compression::new(level)),
            Compression::Snappy => Coder::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Lz4 => Coder::Lz4,
            Compression::None => Coder::None,
        };
        Ok(Context { codec: self.codec, coder, scratch: Vec::new() })
    }

    pub(super) fn give_back(&self, mut context: Context) {
        if context.scratch.capacity() > SCRATCH_MAX {
            context.scratch = Vec::new();
        }
        self.spare.give_back(context);
    }
}

impl Context {
    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// `plain` compressed, or as it is.
    pub(super) fn compress_if<'a>(&'a mut self, compress: bool, plain: &'a [u8]) -> Result<&'a [u8], ParquetError> {
        if compress { self.compress(plain) } else { Ok(plain) }
    }

    fn compress<'a>(&'a mut self, plain: &'a [u8]) -> Result<&'a [u8], ParquetError> {
        let scratch = &mut self.scratch;
        scratch.clear();
        match &mut self.coder {
            Coder::None => return Ok(plain),
            Coder::Zstd(zstd) => {
                scratch.reserve(zstd_safe::compress_bound(plain.len()));
                zstd.compress_to_buffer(plain, scratch)?;
            }
            Coder::Snappy(snappy) => {
                scratch.resize(snap::raw::max_compress_len(plain.len()), 0);
                let length = snappy.compress(plain, scratch).map_err(|e| ParquetError::External(Box::new(e)))?;
                scratch.truncate(length);
            }
            Coder::Lz4 => {
                scratch.resize(lz4_flex::block::get_maximum_output_size(plain.len()), 0);
                let length = lz4_flex::block::compress_into(plain, scratch);
                scratch.truncate(length.map_err(|e| ParquetError::External(Box::new(e)))?);
            }
            Coder::Gzip(level) => {
                let mut gzip = GzEncoder::new(scratch, *level);
                gzip.write_all(plain)?;
                gzip.finish()?;
            }
        }
        Ok(&self.scratch)
    }
}
