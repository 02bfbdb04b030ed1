//! Boundaries between the crates and between each crate's modules, and the length of their files.

mod circles;
mod file_length;
mod module;
mod modules;
mod tokens;
mod walls;
mod workspace;
