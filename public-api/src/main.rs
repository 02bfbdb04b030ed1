//! The public API: accepts authorization requests and enqueues them.

use std::process::ExitCode;

use service_kit::program::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    public_api::main()
}
