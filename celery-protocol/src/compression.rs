//! The header `compression` (`kombu/compression.py`, contract A.7).

use std::io::{self, Read};

/// How large a body may become when unpacked. A message that is larger is refused as undecodable, so that a few
/// kilobytes in a queue cannot take a worker's memory.
pub const MAX_BODY: u64 = 64 * 1024 * 1024;

/// How much memory the xz decoder may take, bytes: the largest preset of xz needs 65 MiB.
const LZMA_MEMORY: u64 = 80 * 1024 * 1024;

/// A compression that kombu knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `application/x-gzip`: **a zlib stream, not gzip**.
    Zlib,
    /// `application/x-bz2`
    Bzip2,
    /// `application/x-lzma`: an xz container; the older `.lzma` form is read too.
    Lzma,
    /// `application/x-brotli`
    Brotli,
    /// `application/zstd`
    Zstd,
}

/// Why a body cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// More than [`MAX_BODY`] bytes.
    #[error("the body unpacks to more than {MAX_BODY} bytes")]
    TooLarge,
    /// The bytes are not of that compression.
    #[error("cannot unpack {} data", .compression.header())]
    Corrupt {
        /// The compression that was asked for.
        compression: Compression,
        /// What the decoder says.
        source: io::Error,
    },
}

impl Compression {
    /// The compression of a header value: the content type or one of kombu's alias names, case-sensitive.
    pub fn from_header(value: &str) -> Option<Compression> {
        match value {
            "application/x-gzip" | "gzip" | "zlib" => Some(Compression::Zlib),
            "application/x-bz2" | "bzip2" | "bzip" => Some(Compression::Bzip2),
            "application/x-lzma" | "lzma" | "xz" => Some(Compression::Lzma),
            "application/x-brotli" | "brotli" => Some(Compression::Brotli),
            "application/zstd" | "zstd" | "zstandard" => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The header value that kombu sends.
    pub fn header(self) -> &'static str {
        match self {
            Compression::Zlib => "application/x-gzip",
            Compression::Bzip2 => "application/x-bz2",
            Compression::Lzma => "application/x-lzma",
            Compression::Brotli => "application/x-brotli",
            Compression::Zstd => "application/zstd",
        }
    }

    /// Unpacks a body of at most [`MAX_BODY`] bytes.
    ///
    /// # Errors
    /// [`CompressionError::Corrupt`] and [`CompressionError::TooLarge`].
    pub fn decompress(self, body: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let corrupt = |source| CompressionError::Corrupt {
            compression: self,
            source,
        };
        match self {
            Compression::Zlib => read(flate2::bufread::ZlibDecoder::new(body), body),
            Compression::Bzip2 => read(bzip2::bufread::MultiBzDecoder::new(body), body),
            Compression::Lzma => {
                let stream =
                    liblzma::stream::Stream::new_auto_decoder(LZMA_MEMORY, liblzma::stream::CONCATENATED)
                        .map_err(|error| corrupt(error.into()))?;
                read(liblzma::bufread::XzDecoder::new_stream(body, stream), body)
            }
            Compression::Brotli => read(brotli::Decompressor::new(body, 4096), body),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(corrupt)?;
                read(decoder, body)
            }
        }
        .map_err(corrupt)?
        .ok_or(CompressionError::TooLarge)
    }

    /// Packs a body as kombu's defaults do; the bytes may differ from Python's where the libraries differ.
    ///
    /// # Errors
    /// None that is known: all five write to memory.
    pub fn compress(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut packed = Vec::new();
        match self {
            Compression::Zlib => flate2::bufread::ZlibEncoder::new(body, flate2::Compression::default())
                .read_to_end(&mut packed)?,
            Compression::Bzip2 => {
                bzip2::bufread::BzEncoder::new(body, bzip2::Compression::best()).read_to_end(&mut packed)?
            }
            Compression::Lzma => liblzma::bufread::XzEncoder::new(body, 6).read_to_end(&mut packed)?,
            Compression::Brotli => {
                brotli::CompressorReader::new(body, 4096, 11, 22).read_to_end(&mut packed)?
            }
            Compression::Zstd => {
                zstd::stream::read::Encoder::with_buffer(body, 3)?.read_to_end(&mut packed)?
            }
        };
        Ok(packed)
    }
}

/// All there is, or `None` if it is too much.
fn read(decoder: impl Read, packed: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::with_capacity(packed.len().saturating_mul(2));
    let length = decoder.take(MAX_BODY + 1).read_to_end(&mut body)?;
    Ok((length as u64 <= MAX_BODY).then_some(body))
}
