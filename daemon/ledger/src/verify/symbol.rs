//! Signatures of indicia and certifications, on several threads.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use psd::key::Algorithm;
use std::sync::Arc;

/// A signature to be verified.
pub(super) struct Job {
    pub(super) leaf: u64,
    pub(super) serial: u32,
    pub(super) key: Arc<ParsedPublicKey>,
    pub(super) signed: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// The verification key of an SPKI of this algorithm; `None` if it is none, or one that signs no pieces.
pub(super) fn parsed_key(algorithm: Algorithm, spki: &[u8]) -> Option<Arc<ParsedPublicKey>> {
    let algorithm: &EcdsaVerificationAlgorithm = match algorithm {
        Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::EcdsaP384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::Ed25519 | Algorithm::HmacSha256 => return None,
    };
    ParsedPublicKey::new(algorithm, spki).ok().map(Arc::new)
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
    let bad = jobs.iter().find(|job| job.key.verify_sig(&job.signed, &job.signature).is_err());
    bad.map(|job| (job.leaf, job.serial))
}
