//! The authority's funds system in small: it authorises what a PSD asks for.

use super::Layout;
use crate::config::{ConfigError, CtlConfig};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use psd::{PostageAmount, PsdId};
use psdd_client::{Client, ClientError};
use psdd_wire::cose::{CoseError, Sign1, VALUE_AUTHORISATION};
use psdd_wire::message::{RegisterView, ValueAuthorisationClaims, ValueRequestClaims};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::time::{Duration, SystemTime};

/// How long an authorisation can be applied.
const VALID: Duration = Duration::from_secs(24 * 3600);

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
    /// A key or certificate file.
    #[error("the funds key: {0}")]
    Key(#[from] pem::Error),
    /// The key is no P-256 key, or there is no randomness.
    #[error("the funds key cannot sign")]
    Sign,
    /// The host's clock stands before 1970.
    #[error("the clock of this machine stands before 1970; set it")]
    Clock,
    /// The control total would overflow.
    #[error("no register holds that much")]
    Overflow,
    /// The runtime.
    #[error("cannot start the runtime for connections: {0}")]
    Runtime(std::io::Error),
}

/// Authorises a value request with the development funds key: a COSE_Sign1. The request's signature is not judged here; the
/// reference authority does that.
pub fn authorise(layout: &Layout, request: &[u8]) -> Result<Vec<u8>, FundsError> {
    let request = Sign1::parse(request)?;
    let claims: ValueRequestClaims = psdd_wire::read(&request.payload)?;
    let control_total = claims.registers.control_total.checked_add(claims.amount).ok_or(FundsError::Overflow)?;
    #[expect(clippy::disallowed_methods, reason = "the authority's clock, on the authority's machine")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().ok_or(FundsError::Clock)?;
    let answer = ValueAuthorisationClaims {
        psd: claims.psd,
        amount: claims.amount,
        refund: None,
        expires: u64::try_from((now + VALID).as_millis()).unwrap_or(u64::MAX),
        sequence: claims.sequence,
        appliance: claims.appliance,
        control_total,
    };
    sign_authorisation(layout, &answer)
}

/// Signs claims with the development funds key.
fn sign_authorisation(layout: &Layout, claims: &ValueAuthorisationClaims) -> Result<Vec<u8>, FundsError> {
    let certificate = CertificateDer::from_pem_file(layout.funds())?;
    let key = PrivatePkcs8KeyDer::from_pem_file(layout.funds_key())?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der());
    let key = key.ok().ok_or(FundsError::Sign)?;
    let message = Sign1::unsigned(VALUE_AUTHORISATION, Some(&certificate), psdd_wire::encode(claims));
    let signature = key.sign(&SystemRandom::new(), &message.to_be_signed()).ok().ok_or(FundsError::Sign)?;
    Ok(message.with_signature(signature.as_ref()))
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
