//! Full verification of a ledger, offline or beside a running daemon: every record, every row, every signature.
//!
//! Reads only, in snapshots of a few thousand records, so that a daemon's WAL can begin again meanwhile. Memory is bounded by
//! the PSDs and not by the records. What needs X.509, COSE or signed notes is asked of a [`Judge`], because this crate
//! knows no other than `psd`. Called by `psdctl ledger verify`.

mod finding;
mod runs;
mod symbol;
mod tables;
mod walk;

pub use finding::{Fault, Finding};
pub use psd::evidence::{Answer, AuthorityKey, Statement, ValueFacts};

use crate::open::ProvenHead;
use crate::{Hash, StoreFault, schema};
use psd::authority::Act;
use psd::record::Genesis;
use psd::{ApplianceId, Currency, PsdId, Registers, TenantName, UnixMillis};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a judge found wrong.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Refuted(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// A certificate whose chain to the authority root of leaf 0 was proven.
#[derive(Clone, Debug)]
pub struct Certified {
    /// Public key, SPKI DER.
    pub spki: Arc<[u8]>,
    /// Serial number, where it has at most 32 bits.
    pub serial: Option<u32>,
}

/// Verifies what this crate has no formats for.
pub trait Judge {
    /// A checkpoint's note under the log key of leaf 0; `None` if it does not verify.
    fn checkpoint(&self, genesis: &Genesis, note: &str) -> Option<ProvenHead>;
    /// A certificate and its issuers up to but without the root, DER, at the time it was installed.
    fn chain(&self, chain: &[&[u8]], root: &[u8], at: UnixMillis) -> Result<Certified, Refuted>;
    /// A COSE_Sign1 by a PSD's device key (SPKI DER).
    fn device_statement(
        &self,
        statement: Statement,
        message: &[u8],
        spki: &[u8],
        facts: &ValueFacts<'_>,
    ) -> Result<(), Refuted>;
    /// A COSE_Sign1 by the authority's funds key.
    fn funds_answer(
        &self,
        answer: Answer,
        message: &[u8],
        key: &AuthorityKey,
        facts: &ValueFacts<'_>,
    ) -> Result<(), Refuted>;
    /// An instruction to this appliance, a COSE_Sign1 by a key of the authority, taken at this time: its number, and what it wants.
    fn instruction(
        &self,
        message: &[u8],
        key: &AuthorityKey,
        appliance: &ApplianceId,
        at: UnixMillis,
    ) -> Result<(u64, Act), Refuted>;
}

/// How to verify.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The authority root, DER, that leaf 0 must name; `None` to take the one it names.
    pub authority_root: Option<Vec<u8>>,
    /// Threads that verify signatures of indicia; at least one.
    pub threads: usize,
}

/// How far the verification is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Records verified.
    pub records: u64,
    /// Records there were at the last look.
    pub of: u64,
}

/// A PSD at the end of a ledger that holds.
#[derive(Clone, Debug)]
pub struct PsdSummary {
    /// Device ID.
    pub psd: PsdId,
    /// Whose it is.
    pub tenant: TenantName,
    /// Its registers.
    pub registers: Registers,
    /// What they count.
    pub currency: Currency,
    /// Its records.
    pub sequence: u64,
}

/// A ledger that holds.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Leaf 0.
    pub genesis: Genesis,
    /// Every PSD.
    pub psds: Vec<PsdSummary>,
    /// Records verified.
    pub records: u64,
    /// Indicia among them, each with its signature.
    pub pieces: u64,
    /// Signed checkpoints.
    pub checkpoints: u64,
    /// Size of the newest, 0 without one: records after it are bound by the head alone.
    pub signed_size: u64,
    /// Personal fields that are there and match.
    pub bodies: u64,
    /// Root over all records.
    pub root: Hash,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came of a verification.
#[derive(Debug)]
pub enum Outcome {
    /// Everything holds.
    Holds(Box<Summary>),
    /// The first thing that does not.
    Broken(Box<Finding>),
}

/// Why a verification could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No ledger there, or no permission.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Written by another version.
    #[error("it has format {0}, and this version reads format {wanted} alone", wanted = schema::FORMAT)]
    Format(i64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// Verifies the ledger in a state directory, and tells how far it is after every few thousand records.
pub fn verify<J: Judge>(
    state_dir: &Path,
    judge: &J,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, VerifyError> {
    let begun = Instant::now();
    let path = state_dir.join(schema::FILE);
    std::fs::File::open(&path).map_err(|source| VerifyError::Io { path: path.clone(), source })?;
    let mut connection = schema::witness(&path)?;
    let format = crate::rows::format(&connection)?;
    if format != schema::FORMAT {
        return Err(VerifyError::Format(format));
    }
    match walk::Walk::new(judge, settings).all(&mut connection, progress) {
        Ok(mut summary) => {
            summary.elapsed = begun.elapsed();
            Ok(Outcome::Holds(Box::new(summary)))
        }
        Err(walk::Stop::Found(finding)) => Ok(Outcome::Broken(finding)),
        Err(walk::Stop::Store(fault)) => Err(fault.into()),
    }
}
