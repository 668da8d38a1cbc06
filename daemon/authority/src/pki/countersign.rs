//! The authority's word on a genesis file, by the root's key where it is kept.

use super::PkiError;
use super::files::FileError;
use crate::directory::AuthorityDir;
use crate::keys::SigningKey;
use psd::UnixMillis;
use psd::record::Environment;
use psdd_wire::countersignature::{GENESIS_COUNTERSIGNATURE, claims_over};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use std::path::Path;

/// What the authority looks at in a genesis file; operators have approved all of it.
#[derive(Deserialize, Debug)]
struct Named {
    appliance: String,
    environment: String,
    authority_root: String,
}

/// A genesis file that was countersigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Countersigned {
    /// The appliance it names.
    pub appliance: String,
    /// Its environment.
    pub environment: Environment,
    /// COSE_Sign1 by the root's key.
    pub bytes: Vec<u8>,
}

/// Why a genesis file is not countersigned.
#[derive(Debug, thiserror::Error)]
pub enum CountersignError {
    /// The file or the root's key.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Not a genesis file.
    #[error("not a genesis file:\n{0}")]
    Malformed(#[from] Box<toml::de::Error>),
    /// No such environment.
    #[error("environment {0:?} is neither production nor development")]
    Environment(String),
    /// The appliance would trust another authority.
    #[error("authority_root in the file is not this authority's root certificate")]
    OtherRoot,
}

/// Countersigns the exact bytes of a genesis file.
pub fn countersign(
    dir: &AuthorityDir,
    file: &Path,
    permit_software_token: bool,
    now: UnixMillis,
) -> Result<Countersigned, CountersignError> {
    let bytes = std::fs::read(file);
    let bytes = bytes.map_err(|source| PkiError::File(FileError { path: file.to_owned(), source }))?;
    let named: Named = toml::from_slice(&bytes).map_err(Box::new)?;
    let environment = [Environment::Production, Environment::Development];
    let environment = environment.into_iter().find(|known| known.as_str() == named.environment);
    let environment = environment.ok_or(CountersignError::Environment(named.environment))?;
    let key = SigningKey::read(&dir.root_certificate(), &dir.root_key()).map_err(PkiError::from)?;
    let root = CertificateDer::from_pem_slice(named.authority_root.as_bytes());
    if root.is_ok_and(|root| *root == *key.certificate()) {
        let claims = claims_over(&bytes, (&named.appliance, environment), permit_software_token, now);
        let signed = key.sign_plain(GENESIS_COUNTERSIGNATURE, psdd_wire::encode(&claims)).map_err(PkiError::from)?;
        return Ok(Countersigned { appliance: named.appliance, environment, bytes: signed });
    }
    Err(CountersignError::OtherRoot)
}
