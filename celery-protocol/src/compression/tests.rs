//! kombu's names, and damaged or hostile bodies.

use super::*;

const ALL: [Compression; 5] = [
    Compression::Zlib,
    Compression::Bzip2,
    Compression::Lzma,
    Compression::Brotli,
    Compression::Zstd,
];

#[test]
fn they_are_found_by_content_type_and_alias() {
    for compression in ALL {
        assert_eq!(Compression::from_header(compression.header()), Some(compression));
    }
    let aliases = [
        "gzip",
        "zlib",
        "bzip2",
        "bzip",
        "lzma",
        "xz",
        "brotli",
        "zstd",
        "zstandard",
    ];
    assert!(
        aliases
            .iter()
            .all(|alias| Compression::from_header(alias).is_some())
    );
    let unknown = [
        "",
        "GZIP",
        "bz2",
        "br",
        "deflate",
        "application/gzip",
        "application/x-foo",
    ];
    assert!(
        unknown
            .iter()
            .all(|name| Compression::from_header(name).is_none())
    );
}

#[test]
fn gzip_is_zlib() {
    let packed = Compression::Zlib.compress(b"body").expect("packed");
    assert_eq!(packed.get(..2), Some(&[0x78, 0x9C][..]));
    let mut gzip = Vec::new();
    flate2::bufread::GzEncoder::new(&b"body"[..], flate2::Compression::default())
        .read_to_end(&mut gzip)
        .expect("packed");
    assert!(matches!(
        Compression::Zlib.decompress(&gzip),
        Err(CompressionError::Corrupt { .. })
    ));
}

#[test]
fn truncated_bodies_are_refused() {
    for compression in ALL {
        let packed = compression.compress(&b"body ".repeat(100)).expect("packed");
        let cut = packed.get(..packed.len() - 3).expect("longer than that");
        assert!(compression.decompress(cut).is_err(), "{compression:?}");
    }
}

#[test]
fn a_bomb_is_refused() {
    let body = vec![b' '; 100_001];
    for compression in ALL {
        let packed = compression.compress(&body).expect("packed");
        let refused = compression.decompress_up_to(100_000, &packed);
        assert!(
            matches!(refused, Err(CompressionError::TooLarge)),
            "{compression:?}"
        );
        let unpacked = compression
            .decompress_up_to(100_001, &packed)
            .expect("just small enough");
        assert_eq!(unpacked.len(), body.len(), "{compression:?}");
    }
    let limit = usize::try_from(MAX_BODY).expect("64 bits");
    let packed = Compression::Zstd
        .compress(&vec![b' '; limit + 1])
        .expect("packed");
    assert!(matches!(
        Compression::Zstd.decompress(&packed),
        Err(CompressionError::TooLarge)
    ));
}

/// The results of kombu 5.7 for a valid body with something behind it, and for an empty body.
#[test]
fn data_after_a_body_is_treated_as_in_python() {
    let one = Some(b"hello world".to_vec());
    let two = Some(b"hello worldhello world".to_vec());
    let nothing = || Some(Vec::new());
    for (compression, garbage, again, zeros, empty) in [
        (Compression::Zlib, &one, &one, &one, None),
        (Compression::Bzip2, &one, &two, &one, nothing()),
        (Compression::Lzma, &one, &two, &None, None),
        (Compression::Brotli, &None, &None, &None, None),
        (Compression::Zstd, &None, &two, &None, None),
    ] {
        let packed = compression.compress(b"hello world").expect("packed");
        let unpack = |more: &[u8]| compression.decompress(&[&packed, more].concat()).ok();
        assert_eq!(unpack(b"garbage"), *garbage, "{compression:?}");
        assert_eq!(unpack(&packed), *again, "{compression:?}");
        assert_eq!(unpack(&[0; 4]), *zeros, "{compression:?}");
        assert_eq!(compression.decompress(b"").ok(), empty, "{compression:?}");
    }
    let alone = "5d00008000ffffffffffffffff00341949ee8de917893a336005f7cf64fffb782000";
    let alone: Vec<u8> = (0..alone.len() / 2)
        .map(|i| u8::from_str_radix(alone.get(2 * i..2 * i + 2).expect("a pair"), 16).expect("hex"))
        .collect();
    assert_eq!(Compression::Lzma.decompress(&alone).ok(), one);
}

/// An xz header may ask for a dictionary of 4 GiB.
#[test]
fn an_xz_dictionary_is_bounded() {
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(
        liblzma::stream::LzmaOptions::new_preset(0)
            .expect("a preset")
            .dict_size(256 * 1024 * 1024),
    );
    let check = liblzma::stream::Check::Crc32;
    let stream = liblzma::stream::Stream::new_stream_encoder(&filters, check).expect("an encoder");
    let mut packed = Vec::new();
    liblzma::bufread::XzEncoder::new_stream(&b"body"[..], stream)
        .read_to_end(&mut packed)
        .expect("packed");
    assert!(matches!(
        Compression::Lzma.decompress(&packed),
        Err(CompressionError::Corrupt { .. })
    ));
}
