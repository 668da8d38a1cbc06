//! When approvals are a quorum. Pure: what the appliance is and what time it is are passed in.

use super::approval::Claimed;
use super::{Approval, ApprovalError, Ceremony, GenesisFile, NewOperator, Operator, Subject};
use psd::{ApplianceId, OperatorName, UnixMillis};

/// The appliance at the moment of judgement.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Its name.
    pub appliance: &'a ApplianceId,
    /// SHA-256 of the bytes of its record 0.
    pub genesis: [u8; 32],
    /// Number of the last ceremony that was begun; 0 before the first.
    pub last_number: u64,
    /// Its operators, the revoked ones included.
    pub operators: &'a [Operator],
    /// How many of them a ceremony needs.
    pub quorum: u64,
    /// The time.
    pub now: UnixMillis,
}

/// A file that enough operators approved. It is made by [`quorum`] and [`unanimous`] alone, and what is carried out asks for it.
#[must_use = "a quorum is there to carry something out"]
#[derive(PartialEq, Eq, Debug)]
pub struct Quorum {
    digest: [u8; 32],
    approvers: Vec<OperatorName>,
}

impl Quorum {
    /// SHA-256 of the file that was approved.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Who approved, in the order of the approvals.
    pub fn approvers(&self) -> &[OperatorName] {
        &self.approvers
    }
}

/// Why there is no quorum. The variants stand in the order in which they are judged.
#[derive(Debug, thiserror::Error)]
pub enum QuorumRefusal {
    /// The file names another appliance.
    #[error("the file is for appliance {file}, this is {here}")]
    OtherAppliance {
        /// In the file.
        file: ApplianceId,
        /// This one.
        here: ApplianceId,
    },
    /// Of the same name, and born at another time.
    #[error("the file names another genesis than this appliance's; ask the appliance with `psdctl ceremony new`")]
    OtherGenesis,
    /// Replayed, or out of turn.
    #[error("the file is ceremony no. {file}, the next one is no. {next}")]
    WrongNumber {
        /// In the file.
        file: u64,
        /// The next one.
        next: u64,
    },
    /// Too early.
    #[error("the window begins at {0}")]
    NotBegun(UnixMillis),
    /// Too late.
    #[error("the window ended at {0}; a new file with new approvals is needed")]
    Expired(UnixMillis),
    /// An approval that has not the form documented.
    #[error("approval {approval}: {source}")]
    Malformed {
        /// From 1.
        approval: usize,
        /// What is wrong.
        source: ApprovalError,
    },
    /// An approval of another file.
    #[error("approval {approval} is for another file, whose SHA-256 is {digest}")]
    OtherFile {
        /// From 1.
        approval: usize,
        /// Of the other file, hex.
        digest: String,
    },
    /// An approval in a name that is no operator's.
    #[error("approval {approval}: {name:?} is no operator of this appliance")]
    UnknownOperator {
        /// From 1.
        approval: usize,
        /// The name.
        name: String,
    },
    /// An approval of a revoked operator.
    #[error("approval {approval}: operator {name} is revoked")]
    RevokedOperator {
        /// From 1.
        approval: usize,
        /// Who.
        name: OperatorName,
    },
    /// An approval whose signature does not verify.
    #[error("approval {approval}: the signature is not of the key of {name} over these bytes")]
    Signature {
        /// From 1.
        approval: usize,
        /// In whose name.
        name: OperatorName,
    },
    /// Two approvals of one operator.
    #[error("approval {approval}: {name} approved already; a quorum is of different people")]
    SameOperatorTwice {
        /// From 1, of the second.
        approval: usize,
        /// Who.
        name: OperatorName,
    },
    /// Too few.
    #[error("{given} approve, {needed} are needed")]
    BelowQuorum {
        /// Approvals that count.
        given: u64,
        /// Needed.
        needed: u64,
    },
}

impl QuorumRefusal {
    /// Stable; docs/protocol.md lists all.
    pub const fn code(&self) -> &'static str {
        match self {
            QuorumRefusal::OtherAppliance { .. } => "other-appliance",
            QuorumRefusal::OtherGenesis => "other-genesis",
            QuorumRefusal::WrongNumber { .. } => "wrong-ceremony-number",
            QuorumRefusal::NotBegun(_) => "window-not-begun",
            QuorumRefusal::Expired(_) => "window-expired",
            QuorumRefusal::Malformed { .. } => "malformed-approval",
            QuorumRefusal::OtherFile { .. } => "approval-of-other-file",
            QuorumRefusal::UnknownOperator { .. } => "unknown-operator",
            QuorumRefusal::RevokedOperator { .. } => "revoked-operator",
            QuorumRefusal::Signature { .. } => "bad-approval-signature",
            QuorumRefusal::SameOperatorTwice { .. } => "same-operator-twice",
            QuorumRefusal::BelowQuorum { .. } => "below-quorum",
        }
    }
}

/// Judges a ceremony with its approvals: first the file (appliance, genesis, number, window), then each approval as it stands (form,
/// file, operator, revocation, signature, repetition), then their number. One approval that does not hold refuses all, so that
/// nothing is carried out that somebody tampered with.
///
/// # Errors
///
/// With the first that does not hold.
pub fn quorum(ceremony: &Ceremony, approvals: &[Vec<u8>], situation: &Situation<'_>) -> Result<Quorum, QuorumRefusal> {
    fits(ceremony, situation)?;
    approved(Subject::Ceremony(ceremony), approvals, situation.operators, situation.quorum)
}

/// Whether a ceremony is for this appliance, next in turn and within its window: what can be told before there are approvals.
///
/// # Errors
///
/// With the first that does not hold.
pub fn fits(ceremony: &Ceremony, situation: &Situation<'_>) -> Result<(), QuorumRefusal> {
    let head = ceremony.head();
    if head.appliance != *situation.appliance {
        return Err(QuorumRefusal::OtherAppliance { file: head.appliance.clone(), here: situation.appliance.clone() });
    }
    if head.genesis != situation.genesis {
        return Err(QuorumRefusal::OtherGenesis);
    }
    // A number that cannot be followed by another ends all ceremonies rather than beginning anew.
    let next = situation.last_number.checked_add(1).unwrap_or(0);
    if next == 0 || next != head.number {
        return Err(QuorumRefusal::WrongNumber { file: head.number, next });
    }
    if situation.now < head.not_before {
        return Err(QuorumRefusal::NotBegun(head.not_before));
    }
    if situation.now > head.not_after {
        return Err(QuorumRefusal::Expired(head.not_after));
    }
    Ok(())
}

/// Judges a genesis: it needs every operator it names.
///
/// # Errors
///
/// As [`quorum`], where they can be.
pub fn unanimous(genesis: &GenesisFile, approvals: &[Vec<u8>], now: UnixMillis) -> Result<Quorum, QuorumRefusal> {
    if now > genesis.not_after() {
        return Err(QuorumRefusal::Expired(genesis.not_after()));
    }
    let named = genesis.operators().iter();
    let operators: Vec<Operator> = named
        .map(|NewOperator { name, public_key }| Operator {
            name: name.clone(),
            key: public_key.clone(),
            revoked: false,
        })
        .collect();
    approved(Subject::Genesis(genesis), approvals, &operators, count(operators.len()))
}

fn approved(
    subject: Subject<'_>,
    approvals: &[Vec<u8>],
    operators: &[Operator],
    needed: u64,
) -> Result<Quorum, QuorumRefusal> {
    let mut approvers: Vec<OperatorName> = Vec::with_capacity(approvals.len());
    for (bytes, approval) in approvals.iter().zip(1..) {
        let claimed = Claimed::read(bytes).map_err(|source| QuorumRefusal::Malformed { approval, source })?;
        if !claimed.is_of(subject) {
            return Err(QuorumRefusal::OtherFile { approval, digest: super::field::to_hex(&claimed.digest) });
        }
        let Approval { operator: name, .. } = claimed.verify(operators).map_err(|error| refused(approval, error))?;
        if approvers.contains(&name) {
            return Err(QuorumRefusal::SameOperatorTwice { approval, name });
        }
        approvers.push(name);
    }
    let given = count(approvers.len());
    // A quorum of none would be an appliance that anyone commands.
    if given < needed.max(1) {
        return Err(QuorumRefusal::BelowQuorum { given, needed: needed.max(1) });
    }
    Ok(Quorum { digest: subject.digest(), approvers })
}

fn refused(approval: usize, error: ApprovalError) -> QuorumRefusal {
    match error {
        ApprovalError::UnknownOperator(name) => QuorumRefusal::UnknownOperator { approval, name },
        ApprovalError::RevokedOperator(name) => QuorumRefusal::RevokedOperator { approval, name },
        ApprovalError::Signature(name) => QuorumRefusal::Signature { approval, name },
        source @ (ApprovalError::Malformed(_) | ApprovalError::Contradiction(_)) => {
            QuorumRefusal::Malformed { approval, source }
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
