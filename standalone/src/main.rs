//! The three services in one process on one SQLite file.

use std::process::ExitCode;

#[cfg(feature = "allocator")]
#[global_allocator]
static ALLOCATOR: service_kit::program::Allocator = service_kit::program::Allocator;

fn main() -> ExitCode {
    standalone::main()
}
