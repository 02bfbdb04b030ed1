//! The ACL service: which driver may charge at which station.

use std::process::ExitCode;

fn main() -> ExitCode {
    acl_service::main()
}
