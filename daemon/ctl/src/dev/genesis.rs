//! The genesis ceremony of a development appliance: three operators, two of whom make a quorum, and the reference authority's root.

use super::Layout;
use super::authority::{AuthorityError, directory};
use crate::ceremony::{Environment, GenesisDraft};
use crate::operator::{KeyFile, OperatorError};
use psd::{ApplianceId, OperatorName, UnixMillis};
use psdd_authority::pki::{CountersignError, countersign};
use psdd_authority::serve::{ClockError, now};
use psdd_wire::ceremony::{Approval, Ceremony, CeremonyError, GenesisFile, OperatorKey, SignError, Subject};
use std::path::{Path, PathBuf};

/// Operators of every development appliance. Any two of them make a quorum.
pub const OPERATORS: [&str; 3] = ["anna", "ben", "cleo"];
const QUORUM: usize = 2;
const DAY_MS: u64 = 86_400_000;

/// The ceremony could not be held.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyFailure {
    /// An operator's key.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The file.
    #[error(transparent)]
    File(#[from] CeremonyError),
    /// An approval.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Its countersignature.
    #[error(transparent)]
    Countersign(#[from] CountersignError),
    /// The clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A name.
    #[error("an operator's name: {0}")]
    Name(String),
    /// A file on the disk.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> CeremonyFailure {
    move |source| CeremonyFailure::Io { path: path.to_owned(), source }
}

/// What the console command takes.
pub(super) struct Held {
    pub(super) file: PathBuf,
    pub(super) approvals: Vec<PathBuf>,
    pub(super) countersignature: PathBuf,
}

fn operator_key(layout: &Layout, name: &str) -> PathBuf {
    layout.operators().join(format!("{name}.key"))
}

fn named(name: &str) -> Result<OperatorName, CeremonyFailure> {
    name.parse().map_err(|_invalid| CeremonyFailure::Name(name.to_owned()))
}

/// Makes the operators' keys, the genesis file, every approval and the countersignature.
pub(super) fn hold(layout: &Layout, appliance: &ApplianceId) -> Result<Held, CeremonyFailure> {
    let dir = layout.operators();
    std::fs::create_dir_all(&dir).map_err(io(&dir))?;
    let keys = OPERATORS.map(|name| Ok::<_, CeremonyFailure>((name, KeyFile::create(&operator_key(layout, name))?)));
    let keys = keys.into_iter().collect::<Result<Vec<_>, _>>()?;
    for (name, key) in &keys {
        let public = dir.join(format!("{name}.key.pub"));
        std::fs::write(&public, key.public_key().to_pem()).map_err(io(&public))?;
    }
    let pem = |path: &Path| std::fs::read_to_string(path).map_err(io(path));
    let (root, funds) = (pem(&layout.authority_root())?, pem(&layout.funds())?);
    let (inspection, policy) = (pem(&layout.inspection())?, pem(&layout.policy())?);
    let draft = GenesisDraft {
        appliance: appliance.as_str(),
        environment: Environment::Development,
        quorum: QUORUM,
        log_token: "main",
        nonce: GenesisDraft::nonce()?,
        not_after: UnixMillis(now()?.0 + DAY_MS),
        authority_root: Some(root),
        funds: Some(funds),
        inspection: Some(inspection),
        policy: Some(policy),
        host_key: None,
        operators: keys.iter().map(|(name, key)| ((*name).to_owned(), key.public_key().to_pem())).collect(),
    };
    let text = draft.text();
    let file = dir.join("genesis.toml");
    std::fs::write(&file, &text).map_err(io(&file))?;
    let genesis = GenesisFile::read(text.as_bytes())?;
    let mut approvals = Vec::with_capacity(keys.len());
    for (name, key) in &keys {
        let approval = Approval::sign(Subject::Genesis(&genesis), &named(name)?, key)?;
        let path = dir.join(format!("genesis.{name}.approval"));
        std::fs::write(&path, approval).map_err(io(&path))?;
        approvals.push(path);
    }
    let countersigned = countersign(&directory(layout), &file, false, now()?)?;
    let countersignature = dir.join("genesis.countersignature");
    std::fs::write(&countersignature, countersigned.bytes).map_err(io(&countersignature))?;
    Ok(Held { file, approvals, countersignature })
}

/// Approvals of a ceremony file by the first operators of a development appliance.
pub fn approve(layout: &Layout, file: &[u8], operators: &[&str]) -> Result<Vec<Vec<u8>>, CeremonyFailure> {
    let ceremony = Ceremony::read(file)?;
    let approve = |name: &&str| {
        let key = KeyFile::read(&operator_key(layout, name))?;
        Ok(Approval::sign(Subject::Ceremony(&ceremony), &named(name)?, &key)?)
    };
    operators.iter().map(approve).collect()
}

/// A time as ceremony files write it: UTC, whole seconds.
pub fn instant(time: UnixMillis) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}
