//! `psdctl operator status`: the signed status list of all keys.

use super::{OperatorConfig, OperatorError};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{print, write_durably};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `psdctl operator status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Where the list goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn run(global: &Global, command: &Status) -> Result<Exit, OperatorError> {
    let list = OperatorConfig::read(global.config.as_deref())?.client()?.status_list().await?;
    write_durably(&command.out, &list)?;
    print(&format!("{}: {} bytes, good for an hour\n", command.out.display(), list.len()))?;
    Ok(Exit::Done)
}
