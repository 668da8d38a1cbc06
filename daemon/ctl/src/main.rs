//! `psdctl`: the command line of `psdd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    psdctl::main()
}
