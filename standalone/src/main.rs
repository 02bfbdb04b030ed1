//! The three services in one process on one SQLite file.

use std::process::ExitCode;

fn main() -> ExitCode {
    standalone::main()
}
