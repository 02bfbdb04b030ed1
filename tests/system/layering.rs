//! The walls between the crates and between the modules of each, and the length of their files.

mod circles;
mod file_length;
mod module;
mod modules;
mod tokens;
mod walls;
mod workspace;
