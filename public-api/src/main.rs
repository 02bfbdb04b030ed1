//! The public API: accepts authorization requests and enqueues them.

use std::process::ExitCode;

fn main() -> ExitCode {
    public_api::main()
}
