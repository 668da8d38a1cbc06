//! The daemon's binary: see the library.

use std::process::ExitCode;

/// Most of what is allocated on one thread is freed on another, which the allocator of the C library makes dear.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    psdd::cli::main()
}
