//! What the fuzz targets read from a fuzzer's bytes.

pub mod call;
pub mod received;
