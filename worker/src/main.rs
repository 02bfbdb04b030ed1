//! The program `worker`; everything is in the library.

use std::process::ExitCode;

use service_kit::program::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    worker::main()
}
