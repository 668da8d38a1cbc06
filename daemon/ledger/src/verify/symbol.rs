//! Indicia: what the symbol says against what its record says, and the signatures, on several threads.

use super::finding::Fault;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use psd::device::Identity;
use psd::indicium::{Decoded, Issuer, Known, compare};
use psd::record::{Environment, Indicium, Stamp};
use std::sync::Arc;

/// A signature to be verified.
pub(super) struct Job {
    pub(super) leaf: u64,
    pub(super) serial: u32,
    pub(super) key: Arc<ParsedPublicKey>,
    pub(super) decoded: Decoded,
}

/// The verification key of a P-256 SPKI; `None` if it is none.
pub(super) fn parsed_key(spki: &[u8]) -> Option<Arc<ParsedPublicKey>> {
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, spki).ok().map(Arc::new)
}

/// Reads a symbol and compares it with its record.
pub(super) fn decode(piece: &Indicium, identity: &Identity, environment: Environment) -> Result<Decoded, Fault> {
    let format = identity.format;
    let wrong = Fault::Symbol { format: format.name() };
    let Ok(decoded) = format.decode(&piece.indicium) else { return Err(wrong) };
    let ours = format.committed_ascending(&decoded.signed).is_some();
    if !ours || !decoded.special.is_empty() {
        return Err(wrong);
    }
    let issuer = Issuer {
        licensing_zip: identity.licensing_zip,
        software_id: identity.software_id,
        specimen: environment.makes_specimens(),
    };
    let currency = Some(identity.currency);
    let Stamp { psd, ref registers, .. } = piece.stamp;
    let known = Known { psd, registers, postage: Some(piece.postage), currency, issuer: Some(issuer), details: None };
    compare(format, &decoded, &known).map_err(Fault::SymbolField)?;
    Ok(decoded)
}

/// The lowest leaf whose signature does not verify, with the certificate's serial.
pub(super) fn first_bad(jobs: &[Job], threads: usize) -> Option<(u64, u32)> {
    let share = jobs.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = jobs.chunks(share).map(|jobs| scope.spawn(|| first_bad_of(jobs))).collect();
        // Shares are in order of leaf, so the first share with a bad one has the lowest.
        let mut results = workers.into_iter().map(|worker| match worker.join() {
            Ok(bad) => bad,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.find_map(|bad| bad)
    })
}

fn first_bad_of(jobs: &[Job]) -> Option<(u64, u32)> {
    let bad = jobs.iter().find(|job| job.key.verify_sig(&job.decoded.signed, &job.decoded.signature).is_err());
    bad.map(|job| (job.leaf, job.serial))
}
