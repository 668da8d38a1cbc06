//! Receipts for records (RFC 9942): the root they are made of is signed by the log key when somebody asks, off the hot path, one at a time,
//! and once for many.

use super::failure::Failure;
use super::log_readers::{LogReaders, damaged};
use super::operator::{beside, refused};
use crate::ceremony::Ceremonies;
use crate::spine::Newest;
use psdd_wire::receipt::{InclusionProof, Receipt};
use psdd_wire::spki::KeyKind;
use psdd_wire::tlog::{Hash, leaf_hash, root_of_inclusion};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A signature serves every leaf below its size for so long, though there are newer checkpoints.
const SERVES: Duration = Duration::from_secs(1);
/// Leaves of a tile.
const TILE: u64 = 256;
/// How long the token may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What makes receipts.
pub struct Receipts {
    ceremonies: Ceremonies,
    newest: Arc<Newest>,
    log: Arc<LogReaders>,
    /// How long a published checkpoint may be away.
    patience: Duration,
    /// The root that was signed last.
    kept: Mutex<Option<Arc<SignedRoot>>>,
}

/// A root of the log, of a published checkpoint, and the log key's COSE signature over it.
pub(super) struct SignedRoot {
    pub(super) size: u64,
    root: Hash,
    kind: KeyKind,
    signature: Vec<u8>,
    at: Instant,
}

impl Receipts {
    /// By the log key, over what is published; who asks for a leaf of which nothing is yet waits so long.
    pub fn new(ceremonies: Ceremonies, newest: Arc<Newest>, log: Arc<LogReaders>, patience: Duration) -> Self {
        Self { ceremonies, newest, log, patience, kept: Mutex::default() }
    }

    /// A signed root over this leaf; `None` where no published checkpoint covers it.
    pub(super) async fn over(&self, leaf: u64) -> Result<Option<Arc<SignedRoot>>, Failure> {
        // Whoever waits here for longer than a signature may take has a token that does not sign before it.
        let kept = tokio::time::timeout(2 * PATIENCE, self.kept.lock()).await;
        let mut kept = kept.ok().ok_or_else(Failure::overloaded)?;
        let serves = |signed: &&Arc<SignedRoot>| {
            leaf < signed.size && (signed.size == self.newest.size() || signed.at.elapsed() < SERVES)
        };
        if let Some(signed) = kept.as_ref().filter(serves) {
            return Ok(Some(Arc::clone(signed)));
        }
        let Some((size, root)) = self.newest.head().filter(|(size, _)| leaf < *size) else { return Ok(None) };
        let ceremonies = self.ceremonies.clone();
        let signed = beside(move || ceremonies.sign_root(&root, PATIENCE)).await?;
        let (kind, signature) = signed.map_err(|failure| refused(&failure))?;
        let signed = Arc::new(SignedRoot { size, root, kind, signature, at: Instant::now() });
        *kept = Some(Arc::clone(&signed));
        Ok(Some(signed))
    }

    /// Receipts for these records, given with their leaves in rising order, as soon as a checkpoint covers them all.
    ///
    /// # Errors
    ///
    /// `log-unsigned` where the log key stays away, and where the token or the ledger fails. The records stand, and may be asked for again.
    pub(super) async fn for_records(&self, records: Vec<(u64, Vec<u8>)>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Failure> {
        let Some((last, _)) = records.last() else { return Ok(Vec::new()) };
        let last = *last;
        let covered = self.newest.reaches(last + 1, self.patience).await;
        let signed = if covered { self.over(last).await? } else { None };
        let signed = signed.ok_or_else(|| {
            let detail = "no signed checkpoint covers the record yet";
            Failure::passing("log-unsigned", detail, super::failure::SOON_MS)
        })?;
        let made = self.log.read(move |log| {
            let leaves: Vec<u64> = records.iter().map(|(leaf, _)| *leaf).collect();
            let paths = log.inclusion_paths(&leaves, signed.size)?;
            let mut tile = None;
            let made = records.into_iter().zip(paths).map(|((leaf, record), (hash, path))| {
                // A path that leads to the root vouches for every hash of its tile: the paths of the others are made of them, and the others
                // themselves are told by their own.
                let first = tile.replace(leaf / TILE) != Some(leaf / TILE);
                let holds = leaf_hash(&record) == hash && (!first || signed.covers(leaf, &record, &path));
                holds.then(|| (record, signed.receipt(leaf, path)))
            });
            Ok(made.collect::<Option<Vec<_>>>())
        });
        made.await?.ok_or_else(|| damaged("records and their paths do not lead to the root that was signed"))
    }
}

impl SignedRoot {
    /// Whether the record and this path lead to it.
    pub(super) fn covers(&self, leaf: u64, record: &[u8], path: &[Hash]) -> bool {
        root_of_inclusion(leaf, self.size, leaf_hash(record), path) == Some(self.root)
    }

    /// The receipt of a leaf.
    pub(super) fn receipt(&self, leaf: u64, path: Vec<Hash>) -> Vec<u8> {
        Receipt::new(self.kind, InclusionProof { size: self.size, leaf, path }, &self.signature).encode()
    }
}
