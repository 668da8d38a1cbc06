//! `psdctl vendor status`: the signed status list of the tenant's PSDs, for `indicium verify --status`.

use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::output::{print, write_durably};
use clap::Args;
use psdd_client::Client;
use std::path::PathBuf;

/// Arguments of `psdctl vendor status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Where the list goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn run(global: &Global, command: &Status) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let list = Client::connect(config.client()).await?.status_list().await?;
    write_durably(&command.out, &list)?;
    print(&format!("{}: {} bytes, good for an hour\n", command.out.display(), list.len()))?;
    Ok(Exit::Done)
}
