//! The program `public-api`, built in this package so that its tests always run the current code.

use std::process::ExitCode;

fn main() -> ExitCode {
    public_api::main()
}
