//! The three services in one process on one SQLite file.

use std::process::ExitCode;

use service_kit::program::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    standalone::main()
}
