//! Signatures of indicia, on several threads.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use psd::indicium::Decoded;
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
