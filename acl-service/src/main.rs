//! The ACL service: stores which driver may charge at which station.

use std::process::ExitCode;

use service_kit::program::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    acl_service::main()
}
