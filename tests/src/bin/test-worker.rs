//! The program `worker`, built in this package so that its tests always run the current code.

use std::process::ExitCode;

use service_kit::program::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    system_tests::plant_a_panic();
    worker::main()
}
