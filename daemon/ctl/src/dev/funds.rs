//! Value for a development appliance: paid in, authorised by the postal authority's books, applied.

use super::Layout;
use super::authority::{self, AuthorityError};
use crate::config::{ConfigError, CtlConfig};
use psd::{PostageAmount, PsdId};
use psdd_authority::books::{Books, Fault, LicenceError};
use psdd_authority::config::Config;
use psdd_authority::funds::FundsSystem;
use psdd_authority::instructions::Purpose;
use psdd_authority::keys::KeyError;
use psdd_authority::serve::{ClockError, now};
use psdd_client::{Client, ClientError};
use psdd_wire::cose::{CoseError, Sign1};
use psdd_wire::funds::FundsVoided;
use psdd_wire::message::{RegisterView, ValueRequestClaims};

/// Why no value was loaded.
#[derive(Debug, thiserror::Error)]
pub enum FundsError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The vendor door.
    #[error("the vendor door: {0}")]
    Client(#[from] ClientError),
    /// The request is not one.
    #[error("the value request: {0}")]
    Request(#[from] CoseError),
    /// Its claims are not.
    #[error("the value request's claims: {0}")]
    Claims(#[from] psdd_wire::DecodeError),
    /// The authority cannot work.
    #[error("the authority: {0}")]
    Authority(#[from] AuthorityError),
    /// Its terms.
    #[error("the authority: {0}")]
    Terms(#[from] psdd_authority::config::ConfigError),
    /// Its funds key.
    #[error("the authority: {0}")]
    Key(#[from] KeyError),
    /// Its books.
    #[error("the authority: {0}")]
    Books(#[from] Fault),
    /// The deposit.
    #[error("the authority: {0}")]
    Deposit(#[from] LicenceError),
    /// The authority does not authorise it.
    #[error("the authority refuses: {0}")]
    Refused(#[from] psdd_authority::funds::FundsError),
    /// The clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The runtime.
    #[error("cannot start the runtime for connections: {0}")]
    Runtime(std::io::Error),
}

/// Has the authority authorise a value request, after paying in what it asks for: a COSE_Sign1. The same request again is paid once.
pub fn authorise(layout: &Layout, request: &[u8]) -> Result<Vec<u8>, FundsError> {
    let claims: ValueRequestClaims = psdd_wire::read(&Sign1::parse(request)?.payload)?;
    let mut funds = funds_system(layout)?;
    let now = now()?;
    if claims.refund.is_none() {
        let payment = format!("development {}/{} {}", claims.psd, claims.sequence, claims.amount);
        funds.books().deposit(&authority::licence()?, claims.amount, &payment, now)??;
    }
    Ok(funds.value_request(None, request, now)?.authorisation)
}

/// Pays in value that new PSDs will ask for by themselves. The same payment again is paid once.
pub fn pay_in(layout: &Layout, amount: PostageAmount, payment: &str) -> Result<(), FundsError> {
    let mut books = Books::open(&authority::directory(layout).books())?;
    books.deposit(&authority::licence()?, amount, payment, now()?)??;
    Ok(())
}

/// Carries a PSD's statement that a download is void to the authority.
pub fn carry_void(layout: &Layout, statement: &[u8]) -> Result<FundsVoided, FundsError> {
    Ok(funds_system(layout)?.void_statement(None, statement, now()?)?)
}

/// The authority's funds system in this process; the one that listens works on the same books.
fn funds_system(layout: &Layout) -> Result<FundsSystem, FundsError> {
    let dir = authority::directory(layout);
    let terms = Config::read(&dir)?.terms.into();
    Ok(FundsSystem::new(Books::open(&dir.books())?, Purpose::Funds.key(&dir)?, terms))
}

/// Loads value: request, authorisation, application. Gives the registers after it.
pub fn load_value(layout: &Layout, psd: PsdId, amount: PostageAmount) -> Result<RegisterView, FundsError> {
    let config = CtlConfig::read(Some(&layout.psdctl_config()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(FundsError::Runtime)?;
    runtime.block_on(async {
        let client = Client::connect(config.client()).await?;
        let requested = client.request_value(psd, amount).await?;
        let authorisation = authorise(layout, &requested.request)?;
        Ok(client.apply_value(psd, &authorisation).await?.registers)
    })
}
