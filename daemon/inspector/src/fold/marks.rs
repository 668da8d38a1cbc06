//! Pieces: symbol or certification against record, signatures on several threads, and the indexes that find duplicates.

use super::{Fold, FoldError};
use crate::finding::Code;
use crate::index::{Entry, Index};
use crate::mirror::Mirror;
use psd::certification::{self, RecordedError};
use psd::indicium::decode_recorded;
use psd::key::Role;
use psd::record::{CertifiedPiece, Indicium, Record};
use psd::{PieceKey, PostageAmount, PsdId, TenantName, UnixMillis};
use psdd_wire::certificate::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of the index beside a mark's key: its leaf, and 24 bytes of the digest of what it signs.
pub(crate) const MARK: usize = 32;

/// Pieces that wait to be indexed: 5 MB.
const MOST_WAITING: usize = 65_536;

/// A signature to be verified.
pub(super) struct Job {
    leaf: u64,
    time: UnixMillis,
    psd: PsdId,
    key: Arc<CertifiedKey>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

/// Pieces on their way into the indexes, and the numbers of tenants there.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    numbers: HashMap<TenantName, u32>,
    marks: Vec<Entry<16, MARK>>,
    keys: Vec<Entry<20, 8>>,
}

impl Pieces {
    pub(super) fn resumed(tenants: Vec<String>) -> Self {
        let numbers = (0u32..).zip(tenants).filter_map(|(number, tenant)| Some((tenant.parse().ok()?, number)));
        Self { numbers: numbers.collect(), ..Self::default() }
    }

    /// Tenants in the order of their numbers.
    pub(super) fn tenants(&self) -> Vec<String> {
        let mut tenants: Vec<_> = self.numbers.iter().map(|(tenant, number)| (*number, tenant.to_string())).collect();
        tenants.sort_unstable();
        tenants.into_iter().map(|(_, tenant)| tenant).collect()
    }

    fn push_key(&mut self, leaf: u64, tenant: &TenantName, piece: PieceKey) {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let tenant = *self.numbers.entry(tenant.clone()).or_insert(next);
        let mut key = [0; 20];
        key[..4].copy_from_slice(&tenant.to_be_bytes());
        key[4..].copy_from_slice(piece.as_bytes());
        self.keys.push((key, leaf.to_be_bytes()));
    }

    pub(super) fn push_certified(&mut self, leaf: u64, piece: &CertifiedPiece) {
        self.push_key(leaf, &piece.tenant, piece.key);
    }

    pub(super) fn push(&mut self, leaf: u64, piece: &Indicium, digest: [u8; 24]) {
        self.push_key(leaf, &piece.tenant, piece.key);
        let mut mark = [0; MARK];
        mark[..8].copy_from_slice(&leaf.to_be_bytes());
        mark[8..].copy_from_slice(&digest);
        self.marks.push((symbol_key(piece.stamp.psd, piece.stamp.registers.ascending()), mark));
    }
}

/// What a symbol is found by: device and ascending register. A device never signs twice at one ascending register, so this stands for one
/// debit, and whoever alters a signature (r, n − s) does not get another symbol by it.
pub(crate) fn symbol_key(psd: PsdId, ascending: PostageAmount) -> [u8; 16] {
    let mut key = [0; 16];
    key[..2].copy_from_slice(&psd.manufacturer());
    key[2..4].copy_from_slice(&psd.model());
    key[4..8].copy_from_slice(&psd.serial().to_be_bytes());
    key[8..].copy_from_slice(&ascending.mills().to_be_bytes());
    key
}

/// What a symbol signs, as the index holds it: a device that signs two symbols at one ascending register, and records one, is found out.
/// 24 bytes of SHA-256: whoever makes both symbols needs 2^96 tries to make them look alike.
pub(crate) fn mark_digest(signed: &[u8]) -> [u8; 24] {
    let mut digest = [0; 24];
    digest.copy_from_slice(psdd_wire::sha256(signed).get(..24).unwrap_or(&[0; 24]));
    digest
}

/// The leaf in a value of an index.
pub(crate) fn leaf_of(value: &[u8]) -> u64 {
    value.first_chunk::<8>().map_or(0, |leaf| u64::from_be_bytes(*leaf))
}

pub(super) fn device_of(key: &[u8; 16]) -> Option<PsdId> {
    let [a, b, c, d, s0, s1, s2, s3, ..] = *key;
    PsdId::new([a, b], [c, d], u32::from_be_bytes([s0, s1, s2, s3]))
}

impl Fold {
    /// The signature to verify, where the symbol is that of its record and of the key in use.
    pub(super) fn symbol(&mut self, leaf: u64, time: UnixMillis, piece: &Indicium) -> Option<Job> {
        let appliance = self.appliance.as_ref()?;
        let id = piece.stamp.psd;
        let psd = appliance.psds.get(&id)?;
        let decoded = match decode_recorded(piece, psd.identity(), appliance.genesis.environment) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.find(Code::MarkDiffers, Some(id), &[leaf], time, format!("record {leaf}: {error}"));
                return None;
            }
        };
        let key = self.named_key(leaf, time, (id, Role::Indicium, decoded.certificate_serial), "symbol");
        key.map(|key| Job { leaf, time, psd: id, key, signed: decoded.signed, signature: decoded.signature })
    }

    /// The same of a certification.
    pub(super) fn certification(&mut self, leaf: u64, time: UnixMillis, piece: &CertifiedPiece) -> Option<Job> {
        let appliance = self.appliance.as_ref()?;
        let id = piece.stamp.psd;
        let psd = appliance.psds.get(&id)?;
        let read = match certification::decode_recorded(piece, psd.identity(), appliance.genesis.environment) {
            Ok(read) => read,
            Err(error) => {
                let unpaid = matches!(error, RecordedError::Field { field: "debit" | "registers" });
                let code = if unpaid { Code::CertificationWithoutDebit } else { Code::MarkDiffers };
                self.find(code, Some(id), &[leaf], time, format!("record {leaf}: {error}"));
                return None;
            }
        };
        self.weighed(leaf, time, id, &read.certification);
        // Where a receipt is to prove it, the log is the proof.
        let signature = read.signature?;
        let serial = signature.certificate_serial;
        let key = self.named_key(leaf, time, (id, Role::Certification, serial), "certification");
        key.map(|key| Job { leaf, time, psd: id, key, signed: signature.signed, signature: signature.bytes })
    }

    /// The key that a symbol or a certification names, which must be the one in use.
    fn named_key(
        &mut self,
        leaf: u64,
        time: UnixMillis,
        (id, role, serial): (PsdId, Role, u32),
        what: &str,
    ) -> Option<Arc<CertifiedKey>> {
        let psd = self.appliance.as_ref()?.psds.get(&id)?;
        let in_use = psd.key_in_use(role).and_then(|certified| certified.key.certificate_serial);
        let key = self.certificates.get(&(id, role, serial)).cloned();
        let says = match (&key, in_use == Some(serial)) {
            (Some(_), true) => return key,
            (None, _) => format!("which the authority certified for no {role} key of this PSD"),
            (Some(_), false) => "whose key was not in use".to_owned(),
        };
        let says = format!("the {what} at record {leaf} names certificate {serial}, {says}");
        self.find(Code::MarkKey, Some(id), &[leaf], time, says);
        key
    }

    /// Verifies the signatures that wait, on all cores.
    pub(super) fn signatures(&mut self, jobs: &mut Vec<Job>) {
        let share = jobs.len().div_ceil(self.threads).max(1);
        let bad: Vec<usize> = std::thread::scope(|scope| {
            let verify = |jobs: &[Job]| -> Vec<bool> {
                jobs.iter().map(|job| job.key.verifies(&job.signed, &job.signature)).collect()
            };
            let workers: Vec<_> = jobs.chunks(share).map(|jobs| scope.spawn(move || verify(jobs))).collect();
            let verified = workers.into_iter().flat_map(|worker| match worker.join() {
                Ok(verified) => verified,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            verified.enumerate().filter_map(|(at, verified)| (!verified).then_some(at)).collect()
        });
        for job in bad.into_iter().filter_map(|at| jobs.get(at)) {
            let Job { leaf, time, psd, key, .. } = job;
            let serial = key.serial();
            let says =
                format!("the signature of the piece at record {leaf} does not verify under certificate {serial}");
            self.find(Code::BadSignature, Some(*psd), &[*leaf], *time, says);
        }
        jobs.clear();
    }

    pub(super) fn index_when_many(&mut self, mirror: &mut Mirror) -> Result<(), FoldError> {
        if self.pieces.keys.len() < MOST_WAITING { Ok(()) } else { self.index(mirror) }
    }

    /// Puts the pieces that wait into the indexes. What is there already is a duplicate.
    pub(super) fn index(&mut self, mirror: &mut Mirror) -> Result<(), FoldError> {
        let marks = std::mem::take(&mut self.pieces.marks);
        for (key, earlier, leaf) in indexed(&mut self.marks, marks)? {
            let time = time_of(mirror, leaf)?;
            let says = format!("records {earlier} and {leaf} are of the same device and ascending register");
            self.find(Code::DuplicateMark, device_of(&key), &[earlier, leaf], time, says);
        }
        self.index_payments(mirror)?;
        let keys = std::mem::take(&mut self.pieces.keys);
        for (_, earlier, leaf) in indexed(&mut self.keys, keys)? {
            let record = Record::decode(mirror.entry(leaf)?).ok();
            let psd = record.as_ref().and_then(|record| record.event.stamp()).map(|stamp| stamp.psd);
            let time = record.map_or(UnixMillis(0), |record| record.at.time);
            let says = format!("records {earlier} and {leaf} are of the same tenant and idempotency key");
            self.find(Code::DuplicateKey, psd, &[earlier, leaf], time, says);
        }
        Ok(())
    }
}

pub(super) fn time_of(mirror: &mut Mirror, leaf: u64) -> Result<UnixMillis, FoldError> {
    Ok(Record::decode(mirror.entry(leaf)?).map_or(UnixMillis(0), |record| record.at.time))
}

/// A key that was there before, the leaf it had then, and the one it has now.
type Duplicate<const K: usize> = ([u8; K], u64, u64);

/// Takes in new entries; the first leaf of a key counts. Gives the others.
pub(super) fn indexed<const K: usize, const V: usize>(
    index: &mut Index<K, V>,
    mut entries: Vec<Entry<K, V>>,
) -> Result<Vec<Duplicate<K>>, FoldError> {
    entries.sort_unstable();
    let keys: Vec<[u8; K]> = entries.iter().map(|(key, _)| *key).collect();
    let mut known = index.look_up(&keys)?.into_iter();
    let mut duplicates = Vec::new();
    let mut fresh: Vec<Entry<K, V>> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let before = known.next().flatten();
        let earlier = before.or_else(|| fresh.last().filter(|(last, _)| *last == key).map(|(_, value)| *value));
        match earlier {
            Some(earlier) => duplicates.push((key, leaf_of(&earlier), leaf_of(&value))),
            None => fresh.push((key, value)),
        }
    }
    index.insert(&fresh)?;
    duplicates.sort_unstable_by_key(|(_, _, leaf)| *leaf);
    Ok(duplicates)
}
