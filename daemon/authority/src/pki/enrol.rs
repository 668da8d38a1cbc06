//! Online enrolment: a PSD whose device key is certified has its next keys certified without a person.
//!
//! The statement of the current device key says whose the new key is, the request's own signature that the new key is had, the books
//! what may follow. A replay gives the certificate that was given.

use super::PkiError;
use super::files::read;
use super::profile::{Ca, issuer};
use super::request::{Subject, of_subject};
use crate::books::{Books, Entry, Fault, RegisterError, Registered};
use crate::directory::AuthorityDir;
use crate::statement::{StatementError, check_signer};
use psd::key::Role;
use psd::{ApplianceId, PsdId, UnixMillis};
use psdd_wire::cose::{ENROLMENT, Sign1};
use psdd_wire::enrolment::{EnrolmentClaims, EnrolmentRequest, EnrolmentResponse};
use rcgen::CertificateSigningRequestParams;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use serde_bytes::ByteBuf;

/// The CA of PSD keys, ready to certify.
pub struct Enrolment {
    ca: Ca,
    certificate: Vec<u8>,
}

/// Why a key is not certified, in the order of the checks. docs/authority.md lists the codes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EnrolRefusal {
    /// Not a statement.
    #[error("not a statement of a PSD: {0}")]
    Malformed(String),
    /// No key of such a PSD was certified.
    #[error("no PSD {0} is registered here; its first keys are certified by `psdctl authority issue`")]
    UnknownPsd(PsdId),
    /// The client's certificate names another appliance.
    #[error("your certificate is of appliance {client}; {psd} is registered for another")]
    NotPermitted {
        /// The appliance in the client's certificate.
        client: String,
        /// The PSD.
        psd: PsdId,
    },
    /// Another key signed it.
    #[error("the statement's signature is of none of the device keys certified for {0}")]
    BadSignature(PsdId),
    /// A revoked key signed it.
    #[error(
        "the device key of {psd} that signed is revoked since {since}; its next one is certified by `psdctl authority issue`"
    )]
    KeyRevoked {
        /// The PSD.
        psd: PsdId,
        /// Since when.
        since: UnixMillis,
    },
    /// The claims name another appliance than the one registered.
    #[error("the PSD is registered for appliance {registered}, the statement names another")]
    WrongAppliance {
        /// The appliance registered.
        registered: ApplianceId,
    },
    /// The statement is over another request.
    #[error("the statement is not over this request: csr_digest is another")]
    OtherRequest,
    /// The request is none for this key.
    #[error("the certification request: {problem}")]
    Request {
        /// What is wrong.
        problem: String,
    },
    /// The books do not allow it.
    #[error("{0}")]
    Register(#[from] RegisterError),
}

impl EnrolRefusal {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            EnrolRefusal::Malformed(_) => "statement-malformed",
            EnrolRefusal::UnknownPsd(_) => "psd-unknown",
            EnrolRefusal::NotPermitted { .. } => "not-permitted",
            EnrolRefusal::BadSignature(_) => "statement-bad-signature",
            EnrolRefusal::KeyRevoked { .. } => "device-key-revoked",
            EnrolRefusal::WrongAppliance { .. } => "wrong-appliance",
            EnrolRefusal::OtherRequest => "csr-other",
            EnrolRefusal::Request { .. } => "csr-malformed",
            EnrolRefusal::Register(error) => match error {
                RegisterError::Withdrawn(_) => "psd-withdrawn",
                RegisterError::Weaker { .. } => "key-weaker",
                RegisterError::Generation { .. } => "key-generation",
                RegisterError::Revoked { .. } => "key-revoked",
                RegisterError::KeyTaken { .. } => "key-taken",
                RegisterError::NoSerial => "no-serial",
                RegisterError::UnknownLicence(_)
                | RegisterError::Elsewhere { .. }
                | RegisterError::HasKey { .. }
                | RegisterError::Role(_) => "key-refused",
            },
        }
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The PSD or its key is at fault.
    #[error(transparent)]
    Refused(#[from] EnrolRefusal),
    /// The books failed: the process must stop, unless the fault says that nothing was begun.
    #[error(transparent)]
    Books(#[from] Fault),
    /// The CA did not sign.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

impl From<RegisterError> for EnrolError {
    fn from(error: RegisterError) -> Self {
        EnrolError::Refused(error.into())
    }
}

impl Enrolment {
    /// Reads the CA of PSD keys.
    pub fn open(dir: &AuthorityDir) -> Result<Self, PkiError> {
        let ca = issuer(&dir.psd_ca(), &dir.psd_ca_key())?;
        let pem = read(&dir.psd_ca())?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes());
        let certificate = certificate.map_err(|source| PkiError::Pem { path: dir.psd_ca(), source })?;
        Ok(Self { ca, certificate: certificate.to_vec() })
    }

    /// Certifies the key of a request, or gives the certificate it has. `caller` is the appliance in the client's certificate.
    pub fn enrol(
        &self,
        books: &mut Books,
        caller: Option<&str>,
        asked: &EnrolmentRequest,
        now: UnixMillis,
    ) -> Result<EnrolmentResponse, EnrolError> {
        let message = Sign1::parse(&asked.statement).map_err(malformed)?;
        if message.content_type != ENROLMENT {
            return Err(EnrolRefusal::Malformed(format!("content type {:?}", message.content_type)).into());
        }
        let claims: EnrolmentClaims = psdd_wire::read(&message.payload).map_err(malformed)?;
        let registered = books.enter(|entry| {
            Ok(match judged(entry, caller, (&message, &claims), &asked.csr)? {
                Ok((request, (appliance, licence))) => {
                    let sign = |serial| request.certificate(serial, &self.ca, now).map_err(EnrolError::from);
                    entry.certify(&request.key, (&appliance, &licence), true, now, sign)?
                }
                Err(refusal) => Err(refusal.into()),
            })
        })??;
        let (Registered::New(_, der) | Registered::Known(_, der)) = registered;
        Ok(EnrolmentResponse { chain: vec![ByteBuf::from(der), ByteBuf::from(self.certificate.clone())] })
    }
}

type Place = (ApplianceId, psd::LicenceNumber);

fn judged(
    entry: &Entry<'_>,
    caller: Option<&str>,
    (message, claims): (&Sign1, &EnrolmentClaims),
    csr: &[u8],
) -> Result<Result<(super::request::Request, Place), EnrolRefusal>, Fault> {
    let psd = claims.psd;
    let Some((appliance, licence)) = entry.registration(psd)? else { return Ok(Err(EnrolRefusal::UnknownPsd(psd))) };
    if let Some(client) = caller.filter(|client| *client != appliance.as_str()) {
        return Ok(Err(EnrolRefusal::NotPermitted { client: client.to_owned(), psd }));
    }
    if let Err(error) = check_signer(message, ENROLMENT, psd, &entry.device_keys(psd)?) {
        return Ok(Err(match error {
            StatementError::Malformed(_) | StatementError::Beyond(_) => malformed(error),
            StatementError::Signature(psd) => EnrolRefusal::BadSignature(psd),
            StatementError::Revoked { psd, since } => EnrolRefusal::KeyRevoked { psd, since },
        }));
    }
    if claims.appliance != appliance.as_str() {
        return Ok(Err(EnrolRefusal::WrongAppliance { registered: appliance }));
    }
    if claims.csr_digest != psdd_wire::sha256(csr) {
        return Ok(Err(EnrolRefusal::OtherRequest));
    }
    Ok(requested(claims, csr).map(|request| (request, (appliance, licence))))
}

fn requested(claims: &EnrolmentClaims, csr: &[u8]) -> Result<super::request::Request, EnrolRefusal> {
    let refused = |problem: String| EnrolRefusal::Request { problem };
    let role = Role::certified_named(&claims.role);
    let role = role.ok_or_else(|| refused("its role is none of indicium, certification, device".to_owned()))?;
    if claims.generation == 0 {
        return Err(refused("generations are counted from 1".to_owned()));
    }
    let subject = Subject { psd: claims.psd, role, generation: claims.generation };
    let read = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr));
    let read = read.map_err(|error| refused(error.to_string()))?;
    of_subject(read, subject).map_err(|rule| refused(rule.to_owned()))
}

fn malformed(error: impl std::fmt::Display) -> EnrolRefusal {
    EnrolRefusal::Malformed(error.to_string())
}
