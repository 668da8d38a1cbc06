//! `psdctl authority serve`: the funds system as a process.

use super::{At, AuthorityError};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{print, print_json, write_durably};
use clap::Args;
use psdd_authority::serve::{self, Listen, Open, ServeError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// For requests under way when the process is asked to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `psdctl authority serve`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority serve /srv/authority

SIGTERM stops it after the requests under way; SIGHUP takes certificates and revocation list anew. RUST_LOG sets what is logged.")]
pub struct Serve {
    #[command(flatten)]
    at: At,
    /// Where to listen, in place of the configuration's; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where to publish revocation lists over plain HTTP, in place of the configuration's
    #[arg(long, value_name = "ADDRESS")]
    publish: Option<SocketAddr>,
    /// Write the address to a file once the funds system listens
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

pub(super) fn serve(global: &Global, command: &Serve) -> Result<Exit, AuthorityError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("info"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(AuthorityError::Runtime)?.block_on(run(global, command))
}

async fn run(global: &Global, command: &Serve) -> Result<Exit, AuthorityError> {
    let mut open =
        serve::open(&command.at.authority(), Listen { funds: command.listen, lists: command.publish }).await?;
    let on = |kind| signal(kind).map_err(AuthorityError::Runtime);
    let (mut stop, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let mut reload = on(SignalKind::hangup())?;
    if global.json {
        print_json(&serde_json::json!({
            "address": open.address.to_string(),
            "lists": open.published.map(|address| address.to_string()),
        }))?;
    } else {
        print(&format!("funds system on {}\n", open.address))?;
        if let Some(address) = open.published {
            print(&format!("revocation lists on http://{address}\n"))?;
        }
    }
    if let Some(path) = &command.address_file {
        write_durably(path, format!("{}\n", open.address).as_bytes())?;
    }
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => take_anew(&open),
            // What the books say may not be on stable storage: nothing is answered any more, and the process ends.
            fault = open.failed() => return Err(ServeError::Books(fault).into()),
        }
    }
    open.close(PATIENCE).await;
    Ok(Exit::Done)
}

fn take_anew(open: &Open) {
    match open.reload() {
        Ok(()) => tracing::info!("certificates and revocation list are taken anew"),
        Err(error) => tracing::error!(%error, "TLS is not reloaded; what was in force stays"),
    }
}
