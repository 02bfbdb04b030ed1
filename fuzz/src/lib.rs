//! The inputs that the fuzz targets build from a fuzzer's bytes.

pub mod call;
pub mod received;
