//! psdd-hsm: keeper of the PINs, and a worker per token.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    psdd_hsm::cli::main()
}
