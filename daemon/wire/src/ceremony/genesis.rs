//! The genesis file: what an appliance is born with, approved by every operator and countersigned by the authority.

use super::{CeremonyError, LONGEST_FILE, NewOperator, P256PublicKey, TokenName, effects, field, instant, operator};
use crate::reviewed_file;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::Decode;
use psd::record::{AuthorityPurpose, Environment};
use psd::{ApplianceId, UnixMillis};
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use x509_cert::Certificate;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A genesis as it was read, with the bytes it was read from.
#[derive(Clone, PartialEq)]
pub struct GenesisFile {
    bytes: Vec<u8>,
    written: Written,
}

#[derive(Deserialize, Clone, PartialEq)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(deserialize_with = "field::parsed")]
    appliance: ApplianceId,
    #[serde(deserialize_with = "environment")]
    environment: Environment,
    quorum: u64,
    #[serde(deserialize_with = "field::parsed")]
    log_token: TokenName,
    #[serde(deserialize_with = "field::hex")]
    nonce: [u8; 16],
    #[serde(deserialize_with = "instant::read")]
    not_after: UnixMillis,
    #[serde(default, deserialize_with = "host_key")]
    host_key: Option<P256PublicKey>,
    #[serde(deserialize_with = "certificate")]
    authority_root: Vec<u8>,
    authority_keys: AuthorityKeys,
    operators: Vec<NewOperator>,
}

#[derive(Deserialize, Clone, PartialEq)]
#[serde(deny_unknown_fields)]
struct AuthorityKeys {
    #[serde(deserialize_with = "certificate")]
    funds: Vec<u8>,
    #[serde(default, deserialize_with = "some_certificate")]
    inspection: Option<Vec<u8>>,
    #[serde(default, deserialize_with = "some_certificate")]
    policy: Option<Vec<u8>>,
}

impl GenesisFile {
    /// Reads a file, strictly. Whether the authority's certificates lead to its root is not judged here.
    ///
    /// # Errors
    ///
    /// With line and field, what is wrong and what to do.
    pub fn read(bytes: &[u8]) -> Result<Self, CeremonyError> {
        let written: Written = reviewed_file::read(bytes, LONGEST_FILE)?;
        match operator::fault(&written.operators, written.quorum) {
            None => Ok(Self { bytes: bytes.to_vec(), written }),
            Some((field, problem)) => Err(CeremonyError::new(field, problem)),
        }
    }

    /// The appliance's name.
    pub fn appliance(&self) -> &ApplianceId {
        &self.written.appliance
    }

    /// What its marks are worth, for ever.
    pub fn environment(&self) -> Environment {
        self.written.environment
    }

    /// How many operators a ceremony needs.
    pub fn quorum(&self) -> u64 {
        self.written.quorum
    }

    /// All operators, in order. Each of them approves the genesis.
    pub fn operators(&self) -> &[NewOperator] {
        &self.written.operators
    }

    /// The token that gets the log key.
    pub fn log_token(&self) -> &TokenName {
        &self.written.log_token
    }

    /// Fresh randomness.
    pub fn nonce(&self) -> [u8; 16] {
        self.written.nonce
    }

    /// The appliance can be born up to then.
    pub fn not_after(&self) -> UnixMillis {
        self.written.not_after
    }

    /// The key that proves the host to operators who give shares of a PIN, if there is one.
    pub fn host_key(&self) -> Option<&P256PublicKey> {
        self.written.host_key.as_ref()
    }

    /// The postal authority's root certificate, DER.
    pub fn authority_root(&self) -> &[u8] {
        &self.written.authority_root
    }

    /// Certificates of the authority's keys by purpose, DER.
    pub fn authority_keys(&self) -> Vec<(AuthorityPurpose, &[u8])> {
        let AuthorityKeys { funds, inspection, policy } = &self.written.authority_keys;
        let keys = [
            (AuthorityPurpose::Funds, Some(funds)),
            (AuthorityPurpose::Inspection, inspection.as_ref()),
            (AuthorityPurpose::Policy, policy.as_ref()),
        ];
        keys.into_iter().filter_map(|(purpose, certificate)| Some((purpose, certificate?.as_slice()))).collect()
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> [u8; 32] {
        crate::sha256(&self.bytes)
    }

    /// The whole effect in words, a sentence each, told from what was read of these very bytes.
    pub fn effects(&self) -> Vec<String> {
        let Written { appliance, environment, log_token, nonce, not_after, host_key, .. } = &self.written;
        let worth = match environment {
            Environment::Development => "development: its marks are specimens",
            Environment::Production => "production: its marks are money",
        };
        let mut told = vec![
            format!("appliance {appliance} is born, in {worth}; this can never be changed"),
            format!("to be born up to {not_after}; nonce {}", field::to_hex(nonce)),
            format!("its log key is made in token {log_token}"),
        ];
        told.push(match host_key {
            Some(key) => format!("its host proves itself with key SHA-256 {}", key.fingerprint()),
            None => "no key of the host: PINs cannot be split among operators".to_owned(),
        });
        told.push(format!("the postal authority's root certificate has SHA-256 {}", print_of(self.authority_root())));
        told.extend(self.authority_keys().into_iter().map(|(purpose, certificate)| {
            format!("the authority's certificate for {} has SHA-256 {}", purpose_word(purpose), print_of(certificate))
        }));
        told.extend(effects::of_operators("these are its operators", self.operators(), self.quorum()));
        told
    }
}

impl fmt::Debug for GenesisFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GenesisFile({}, {})", self.written.appliance, field::to_hex(&self.digest()))
    }
}

fn print_of(certificate: &[u8]) -> String {
    field::to_groups(&crate::sha256(certificate))
}

const fn purpose_word(purpose: AuthorityPurpose) -> &'static str {
    match purpose {
        AuthorityPurpose::Funds => "funds",
        AuthorityPurpose::Inspection => "inspection",
        AuthorityPurpose::Policy => "policy",
    }
}

fn environment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Environment, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "development" => Ok(Environment::Development),
        "production" => Ok(Environment::Production),
        other => Err(de::Error::custom(format!("{other:?} is neither development nor production"))),
    }
}

fn host_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<P256PublicKey>, D::Error> {
    field::parsed(deserializer).map(Some)
}

fn certificate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body = body.map(|body| body.split_ascii_whitespace().collect::<String>());
    let der = body.and_then(|body| STANDARD.decode(body).ok());
    let der = der.ok_or_else(|| de::Error::custom(format!("not one certificate in PEM: {BEGIN} … {END}")))?;
    Certificate::from_der(&der).map_err(|error| de::Error::custom(format!("not an X.509 certificate: {error}")))?;
    Ok(der)
}

fn some_certificate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    certificate(deserializer).map(Some)
}
