//! The runtime on a real broker: its engine, what follows tasks, and their results.

mod after;
mod engine;
mod result_backend;
