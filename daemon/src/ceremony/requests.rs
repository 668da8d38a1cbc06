//! Certification requests: what a key's token signs for the authority's CA.

use super::{Ceremonies, CeremonyFailure};
use crate::birth::{RequestError, certification_request};
use psd::PsdId;
use psd::key::Key;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;

/// So many requests are with their token at a time: enough for its sessions, few beside what others have it sign.
const AT_ONCE: usize = 4;

/// PKCS#10 requests for keys, DER, each signed in its token, in the order of the keys.
///
/// # Errors
///
/// The first failure there was; no request is given then.
pub fn requests_of(ceremonies: &Ceremonies, keys: &[(PsdId, Key)]) -> Result<Vec<Vec<u8>>, CeremonyFailure> {
    let part = keys.len().div_ceil(AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let request = |(psd, key): &(PsdId, Key)| request_of(ceremonies, *psd, key);
        let parts = keys.chunks(part).map(|part| scope.spawn(move || part.iter().map(request).collect::<Vec<_>>()));
        let parts: Vec<_> = parts.collect();
        let made = parts.into_iter().flat_map(|part| match part.join() {
            Ok(requests) => requests,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        made.collect()
    })
}

pub(super) fn request_of(ceremonies: &Ceremonies, psd: PsdId, key: &Key) -> Result<Vec<u8>, CeremonyFailure> {
    let link = ceremonies.0.link_named(&key.token)?;
    let pem = certification_request(link, psd, key.role, &key.key_id, &key.spki);
    let pem = pem.map_err(|error| match error {
        RequestError::Sign(error) => CeremonyFailure::Token(error),
        RequestError::Der(error) => CeremonyFailure::Refused(error.to_string()),
    })?;
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes());
    der.map(|der| der.to_vec()).map_err(|error| CeremonyFailure::Refused(error.to_string()))
}
