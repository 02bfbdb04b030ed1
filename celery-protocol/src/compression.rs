//! The header `compression` (`kombu/compression.py`, contract A.7).

use std::io::{self, Read};

/// The maximum size of an unpacked body, in bytes. A larger message is refused as undecodable, so that a few
/// kilobytes in a queue cannot use up a worker's memory.
pub const MAX_BODY: u64 = 64 * 1024 * 1024;

/// The maximum memory of the xz decoder, in bytes: the largest preset of xz needs 65 MiB.
#[cfg(feature = "lzma")]
const LZMA_MEMORY: u64 = 80 * 1024 * 1024;

/// A compression that kombu supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `application/x-gzip`, which is **a zlib stream, not gzip**.
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

/// The reason why a body cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// More than [`MAX_BODY`] bytes.
    #[error("the body unpacks to more than {MAX_BODY} bytes")]
    TooLarge,
    /// The bytes are not valid for the compression.
    #[error("cannot unpack {} data", .compression.header())]
    Corrupt {
        /// The compression in the header.
        compression: Compression,
        /// The error of the decoder.
        source: io::Error,
    },
    /// The cargo feature for this compression is off.
    #[error("cannot unpack {} data: this program was built without that compression", .0.header())]
    NotBuiltIn(Compression),
}

impl Compression {
    /// Returns the compression of a header value: the content type or one of kombu's alias names, case-sensitive.
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

    /// Returns the header value that kombu sends.
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
        self.decompress_up_to(MAX_BODY, body)
    }

    fn decompress_up_to(self, limit: u64, body: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let mut unpacked = Vec::with_capacity(body.len().saturating_mul(2));
        let result = match self {
            Compression::Zlib => read(limit, flate2::bufread::ZlibDecoder::new(body), &mut unpacked),
            #[cfg(feature = "bzip2")]
            Compression::Bzip2 if body.is_empty() => Ok(()),
            #[cfg(feature = "bzip2")]
            Compression::Bzip2 => streams(body, &mut unpacked, |rest, unpacked| {
                read(limit, bzip2::bufread::BzDecoder::new(rest), unpacked)
            }),
            #[cfg(feature = "lzma")]
            Compression::Lzma => streams(body, &mut unpacked, |rest, unpacked| xz(limit, rest, unpacked)),
            #[cfg(feature = "brotli")]
            Compression::Brotli => brotli(limit, body, &mut unpacked),
            #[cfg(feature = "zstd")]
            Compression::Zstd => zstd::stream::read::Decoder::with_buffer(body)
                .and_then(|decoder| read(limit, decoder, &mut unpacked)),
            #[cfg(not(all(feature = "brotli", feature = "bzip2", feature = "lzma", feature = "zstd")))]
            left_out => return Err(CompressionError::NotBuiltIn(left_out)),
        };
        if let Err(source) = result {
            return Err(CompressionError::Corrupt {
                compression: self,
                source,
            });
        }
        if unpacked.len() as u64 > limit {
            return Err(CompressionError::TooLarge);
        }
        Ok(unpacked)
    }

    /// Packs a body with kombu's default settings. The bytes may differ from Python's if the libraries differ.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if the cargo feature for this compression is off. No other error is known,
    /// because all five compressions write to memory.
    pub fn compress(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut packed = Vec::new();
        match self {
            Compression::Zlib => flate2::bufread::ZlibEncoder::new(body, flate2::Compression::default())
                .read_to_end(&mut packed)?,
            #[cfg(feature = "bzip2")]
            Compression::Bzip2 => {
                bzip2::bufread::BzEncoder::new(body, bzip2::Compression::best()).read_to_end(&mut packed)?
            }
            #[cfg(feature = "lzma")]
            Compression::Lzma => liblzma::bufread::XzEncoder::new(body, 6).read_to_end(&mut packed)?,
            #[cfg(feature = "brotli")]
            Compression::Brotli => {
                brotli::CompressorReader::new(body, 4096, 11, 22).read_to_end(&mut packed)?
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                zstd::stream::read::Encoder::with_buffer(body, 3)?.read_to_end(&mut packed)?
            }
            #[cfg(not(all(feature = "brotli", feature = "bzip2", feature = "lzma", feature = "zstd")))]
            _left_out => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(packed)
    }
}

/// Appends the rest of the data, or one byte more than the limit allows.
fn read(limit: u64, decoder: impl Read, unpacked: &mut Vec<u8>) -> io::Result<()> {
    let left = (limit + 1).saturating_sub(unpacked.len() as u64);
    decoder.take(left).read_to_end(unpacked).map(drop)
}

/// Reads one stream after another, as Python's `bz2` and `lzma` do: data after a complete stream that is not another
/// stream is ignored, unless it might be the beginning of one.
#[cfg(any(feature = "bzip2", feature = "lzma"))]
fn streams(
    body: &[u8],
    unpacked: &mut Vec<u8>,
    read_one: impl Fn(&mut &[u8], &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut rest = body;
    read_one(&mut rest, unpacked)?;
    while !rest.is_empty() {
        let whole = unpacked.len();
        match read_one(&mut rest, unpacked) {
            Ok(()) if unpacked.len() > whole || rest.is_empty() => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::OutOfMemory
                ) =>
            {
                return Err(error);
            }
            Ok(()) | Err(_) => {
                unpacked.truncate(whole);
                break;
            }
        }
    }
    Ok(())
}

/// Reads one xz container or `.lzma` stream.
#[cfg(feature = "lzma")]
fn xz(limit: u64, packed: &mut &[u8], unpacked: &mut Vec<u8>) -> io::Result<()> {
    let stream = liblzma::stream::Stream::new_auto_decoder(LZMA_MEMORY, 0)?;
    let read = read(
        limit,
        liblzma::bufread::XzDecoder::new_stream(packed, stream),
        unpacked,
    );
    read.map_err(|error| match error.kind() {
        io::ErrorKind::Other => io::Error::new(io::ErrorKind::OutOfMemory, error),
        _ => error,
    })
}

/// Reads one stream with nothing behind it. Large windows are refused, as in Python's decoder.
#[cfg(feature = "brotli")]
fn brotli(limit: u64, packed: &[u8], unpacked: &mut Vec<u8>) -> io::Result<()> {
    use brotli::enc::StandardAlloc;
    let alloc = StandardAlloc::default;
    let mut state = brotli::BrotliState::new_strict(alloc(), alloc(), alloc());
    let mut block = vec![0; 16 * 1024];
    let (mut left, mut position, mut total) = (packed.len(), 0, 0);
    loop {
        let (mut room, mut filled) = (block.len(), 0);
        let result = brotli::BrotliDecompressStream(
            &mut left,
            &mut position,
            packed,
            &mut room,
            &mut filled,
            &mut block,
            &mut total,
            &mut state,
        );
        unpacked.extend_from_slice(block.get(..filled).unwrap_or_default());
        match result {
            brotli::BrotliResult::ResultSuccess if left == 0 => return Ok(()),
            brotli::BrotliResult::NeedsMoreOutput if unpacked.len() as u64 <= limit => {}
            brotli::BrotliResult::NeedsMoreOutput => return Ok(()),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "brotli: decoder failed",
                ));
            }
        }
    }
}

#[cfg(all(
    test,
    feature = "brotli",
    feature = "bzip2",
    feature = "lzma",
    feature = "zstd"
))]
mod tests;
