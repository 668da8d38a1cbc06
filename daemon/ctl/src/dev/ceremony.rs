//! Ceremonies and certificates on a development appliance, whose operators' keys and whose authority are at hand. For tests and the bench.

use super::authority::{self, AuthorityError};
use super::genesis::{self, CeremonyFailure};
use super::{Layout, OPERATORS};
use crate::operator::{OperatorError, chain, csr_pem, request_file};
use crate::output::hex;
use psd::UnixMillis;
use psdd_authority::books::{Books, Fault};
use psdd_authority::directory::AuthorityDir;
use psdd_authority::pki::{IssueError, Order, issue};
use psdd_authority::serve::{ClockError, now};
use psdd_client::{ClientError, OperatorClient};
use psdd_wire::operator::{CeremonyResponse, InstallResult};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two questions how far a ceremony is.
const PAUSE: Duration = Duration::from_millis(20);
/// The ceremony can be begun from so long ago on, and for so long.
const WINDOW_MS: (u64, u64) = (60_000, 3_600_000);

/// Why a ceremony was not held, or keys were not certified.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The operator door.
    #[error("the operator door: {0}")]
    Client(#[from] ClientError),
    /// The approvals.
    #[error(transparent)]
    Approvals(#[from] CeremonyFailure),
    /// The authority.
    #[error("the authority: {0}")]
    Authority(#[from] AuthorityError),
    /// Its books.
    #[error("the authority: {0}")]
    Books(#[from] Fault),
    /// Its CA.
    #[error("the authority: {0}")]
    Issue(#[from] IssueError),
    /// A certificate of its CA.
    #[error(transparent)]
    Certificate(#[from] OperatorError),
    /// The clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The directory of the requests.
    #[error("{}: {source}", .path.display())]
    File {
        /// It, or a file in it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> HoldError {
    move |source| HoldError::File { path: path.to_owned(), source }
}

/// The file of the ceremony that comes next on an appliance, over this act.
pub async fn ceremony_file(door: &OperatorClient, act: &str) -> Result<String, HoldError> {
    let told = door.appliance().await?;
    let at = |ms: u64| genesis::instant(UnixMillis(ms));
    Ok(format!(
        "appliance = \"{}\"\ngenesis = \"{}\"\nnumber = {}\nnonce = \"000102030405060708090a0b0c0d0e0f\"\n\
         not_before = {}\nnot_after = {}\n\n{act}",
        told.appliance,
        hex(&told.genesis),
        told.last_ceremony + 1,
        at(told.time.saturating_sub(WINDOW_MS.0)),
        at(told.time.saturating_add(WINDOW_MS.1)),
    ))
}

/// Has two operators approve a ceremony file, runs it and waits until it has ended, whatever the end.
pub async fn hold_ceremony(layout: &Layout, door: &OperatorClient, file: &str) -> Result<CeremonyResponse, HoldError> {
    let approvals = genesis::approve(layout, file.as_bytes(), &OPERATORS[..2])?;
    let begun = door.run(file.as_bytes(), &approvals).await?;
    loop {
        let told = door.ceremony(begun.number).await?;
        if told.state.has_ended() {
            return Ok(told);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Has the authority's CA certify every key that waits for it, further generations too, and brings the certificates.
pub async fn certify(layout: &Layout, door: &OperatorClient) -> Result<Vec<InstallResult>, HoldError> {
    let exchange = layout.dir().join("certify");
    fetch_requests(door, &exchange).await?;
    let results = door.install(issue_chains(layout, &layout.authority(), &exchange)?).await?;
    std::fs::remove_dir_all(&exchange).map_err(io(&exchange))?;
    Ok(results)
}

/// Writes the request of every key that waits for its certificate into a directory.
pub async fn fetch_requests(door: &OperatorClient, exchange: &Path) -> Result<(), HoldError> {
    std::fs::create_dir_all(exchange).map_err(io(exchange))?;
    for request in door.requests().await? {
        let path = exchange.join(request_file(&request));
        std::fs::write(&path, csr_pem(&request.csr)).map_err(io(&path))?;
    }
    Ok(())
}

/// Has an authority of the appliance, in that directory, certify every request in another. Gives the chains in the order of the requests'
/// names. Whatever its plan says, the authority knows a PSD under its one licence.
pub fn issue_chains(layout: &Layout, authority: &Path, exchange: &Path) -> Result<Vec<Vec<Vec<u8>>>, HoldError> {
    let dir = AuthorityDir::at(authority);
    let (appliance, licence) = (authority::appliance(layout)?, authority::licence()?);
    let order = Order { exchange, appliance: &appliance, licence: &licence, renew: true };
    let issued = issue(&dir, &mut Books::open(&dir.books())?, &order, now()?)?;
    Ok(issued.iter().map(|key| chain(&key.file)).collect::<Result<_, _>>()?)
}
