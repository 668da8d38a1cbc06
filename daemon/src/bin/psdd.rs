//! The daemon's binary: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    psdd::cli::main()
}
