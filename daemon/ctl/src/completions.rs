//! `psdctl completions`.

use crate::cli::Cli;
use crate::error::{CtlError, Exit};
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::io;

/// Arguments of `psdctl completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    shell: Supported,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub fn run(command: &Completions) -> Result<Exit, CtlError> {
    let shell = match command.shell {
        Supported::Bash => Shell::Bash,
        Supported::Zsh => Shell::Zsh,
        Supported::Fish => Shell::Fish,
    };
    clap_complete::generate(shell, &mut Cli::command(), "psdctl", &mut io::stdout());
    Ok(Exit::Done)
}
