//! Records: the form of everything that ever happened to an appliance (docs/ledger.md).
//!
//! Owns the encoding, one deterministic CBOR map a record, and its strict decoding. Each record is a leaf of the log.
//! What personal fields hold is never here, only a salted hash of it.

mod certifying;
mod claim;
mod decode;
mod encode;
mod map;
mod repeated;

pub use claim::Claim;
pub use map::RecordError;
pub use repeated::Repeated;

use crate::authority::{Loaded, Period};
use crate::certification::MarkId;
use crate::certifying::{RegisteredScale, TakenTable, rates_slot, scale_slot};
use crate::clock::ClockReading;
use crate::currency::Currency;
use crate::custody::{KeyStep, Revocation, RevocationReason};
use crate::device::{Purpose, Spoiled};
use crate::digital_token::DigitalToken;
use crate::governance::{CeremonyEnd, Operator, Subject};
use crate::id::{ApplianceId, LicenceNumber, PieceKey, PsdId, RunId, ScaleId, TenantName};
use crate::indicium::ZipRange;
use crate::inspection::InspectionPeriods;
use crate::key::{Algorithm, Role};
use crate::lifecycle::{Lifecycle, Locks};
use crate::limits::Limits;
use crate::money::PostageAmount;
use crate::policy::PolicyText;
use crate::register::Registers;
use crate::run::{ClosedRun, Dues, Run};
use crate::time::UnixMillis;
use std::sync::Arc;

/// Most bytes of an encoded record: an entry of a C2SP tlog has a length of 16 bits.
pub const LONGEST_RECORD: usize = 65_535;

/// One event, with the clock reading it happened at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// When.
    pub at: ClockReading,
    /// What.
    pub event: Event,
}

/// What every record about one PSD begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The device.
    pub psd: PsdId,
    /// Rises by one with every record of this PSD; the first has 1.
    pub sequence: u64,
    /// The registers after the event.
    pub registers: Registers,
}

/// Whether what an appliance signs is worth money.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Environment {
    /// Marks are specimens.
    Development,
    /// Marks are money.
    Production,
}

impl Environment {
    /// Whether marks are specimens, and say so in their signed bytes.
    pub const fn makes_specimens(self) -> bool {
        match self {
            Environment::Development => true,
            Environment::Production => false,
        }
    }

    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Environment::Development => "development",
            Environment::Production => "production",
        }
    }
}

/// What an authority key may sign (DESIGN.md §1: separate keys, certified by an offline root).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AuthorityPurpose {
    /// Value authorisations.
    Funds,
    /// Audits, locks, unlocks.
    Inspection,
    /// The authority's own policy.
    Policy,
}

impl AuthorityPurpose {
    /// The number of the purpose in records.
    pub const fn number(self) -> u8 {
        match self {
            AuthorityPurpose::Funds => 1,
            AuthorityPurpose::Inspection => 2,
            AuthorityPurpose::Policy => 3,
        }
    }

    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            AuthorityPurpose::Funds => "funds",
            AuthorityPurpose::Inspection => "inspection",
            AuthorityPurpose::Policy => "policy",
        }
    }

    /// The purpose with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => AuthorityPurpose::Funds,
            2 => AuthorityPurpose::Inspection,
            3 => AuthorityPurpose::Policy,
            _ => return None,
        })
    }
}

/// Leaf 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Genesis {
    /// The appliance's name.
    pub appliance: ApplianceId,
    /// Immutable.
    pub environment: Environment,
    /// The operators.
    pub operators: Vec<Operator>,
    /// How many of them a ceremony needs.
    pub quorum: u64,
    /// The postal authority's root certificate, DER.
    pub authority_root: Arc<[u8]>,
    /// CKA_ID of the key that signs checkpoints.
    pub log_key_id: Arc<[u8]>,
    /// Its public half, SPKI DER.
    pub log_spki: Arc<[u8]>,
    /// The token it lives in, by its name in the configuration.
    pub log_token: Arc<str>,
    /// What the operators and the authority signed.
    pub charter: Charter,
}

/// The ceremony an appliance was born by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Charter {
    /// The reviewed file.
    pub file: Arc<[u8]>,
    /// Approvals of all operators: COSE_Sign1 each, with the file in its payload.
    pub approvals: Vec<Arc<[u8]>>,
    /// By the authority's root: COSE_Sign1.
    pub countersignature: Arc<[u8]>,
    /// Identity keys of the hosts that may unseal its tokens, SPKI DER.
    pub hosts: Vec<Arc<[u8]>>,
}

/// One indicium: the debit together with its proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Indicium {
    /// The PSD and its registers after this piece.
    pub stamp: Stamp,
    /// Scope of the key.
    pub tenant: TenantName,
    /// The client's idempotency key.
    pub key: PieceKey,
    /// SHA-256 of the content as received.
    pub digest: [u8; 32],
    /// The debit.
    pub postage: PostageAmount,
    /// The symbol's bytes, signature included.
    pub indicium: Vec<u8>,
    /// Salted hash of the recipient, if one was given.
    pub recipient: Option<[u8; 32]>,
    /// The client's own reference, if given.
    pub reference: Option<Arc<str>>,
    /// Weight in grams, if given.
    pub weight_g: Option<u64>,
    /// Its digital token, if one was asked for.
    pub token: Option<DigitalToken>,
}

/// One certification: the debit together with its proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertifiedPiece {
    /// The PSD and its registers after this piece.
    pub stamp: Stamp,
    /// Scope of the key.
    pub tenant: TenantName,
    /// The client's idempotency key.
    pub key: PieceKey,
    /// SHA-256 of the content as received.
    pub digest: [u8; 32],
    /// The debit: what was due beyond what was paid; zero where nothing was.
    pub debited: PostageAmount,
    /// COSE_Sign1 by the certification key ([`crate::certification`]).
    pub certification: Vec<u8>,
    /// The client's own reference, if given.
    pub reference: Option<Arc<str>>,
    /// The indicium that paid for the piece, if one did: it pays for no other.
    pub mark: Option<MarkId>,
    /// The run it is part of, if it is of one.
    pub run: Option<InRun>,
}

/// The place of a piece in a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InRun {
    /// The run, open at the time.
    pub id: RunId,
    /// What the piece owes under each tariff of the run.
    pub dues: Dues,
}

/// What is alike in every record of a piece: indicium or certification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Debit<'r> {
    /// The PSD and its registers after the piece.
    pub stamp: &'r Stamp,
    /// Scope of the key.
    pub tenant: &'r TenantName,
    /// The client's idempotency key.
    pub key: PieceKey,
    /// SHA-256 of the content as received.
    pub digest: &'r [u8; 32],
    /// What moved from the descending register to the ascending one.
    pub amount: PostageAmount,
}

/// What authorised value was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// New value.
    Download {
        /// Loaded under the licence so far.
        loaded: Loaded,
    },
    /// The postage of a spoiled mark.
    Refund(Spoiled),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The appliance was born.
    Genesis(Genesis),
    /// A PSD was created: identity and limits.
    PsdCreated {
        /// PSD and registers, all zero.
        stamp: Stamp,
        /// Whose it is.
        tenant: TenantName,
        /// Under which licence.
        licence: LicenceNumber,
        /// ZIP of the licence.
        licensing_zip: u32,
        /// Name of the indicium layout.
        format: Arc<str>,
        /// Software ID in the marks.
        software_id: [u8; 6],
        /// Limits on value.
        limits: Limits,
        /// What the registers count.
        currency: Currency,
        /// Destinations it is meant for; `None` for all.
        zips: Option<ZipRange>,
    },
    /// A key pair was made in a token.
    KeyCreated {
        /// PSD and registers.
        stamp: Stamp,
        /// CKA_ID.
        key_id: Arc<[u8]>,
        /// What it may sign.
        role: Role,
        /// How it signs.
        algorithm: Algorithm,
        /// The token, by its name in the configuration.
        token: Arc<str>,
        /// Public half, SPKI DER; empty for a secret key.
        spki: Arc<[u8]>,
        /// Where it does not live in the token but wrapped beside the record: the salted hash of what the token wrapped.
        wrapped: Option<[u8; 32]>,
    },
    /// A key took a step in its life.
    KeyStateChanged {
        /// PSD and registers.
        stamp: Stamp,
        /// CKA_ID of the key.
        key_id: Arc<[u8]>,
        /// Which.
        step: KeyStep,
        /// From this time on; before the record's only where a key is revoked from an earlier time on.
        since: UnixMillis,
        /// Why, where it is revoked.
        reason: Option<RevocationReason>,
    },
    /// A certificate of the postal authority's CA was installed for a key.
    CertificateInstalled {
        /// PSD and registers.
        stamp: Stamp,
        /// CKA_ID of the key.
        key_id: Arc<[u8]>,
        /// Serial number of the certificate; at most 32 bits, the room the IBI layout has.
        serial: u32,
        /// The certificate and then its issuers up to but without the root, DER.
        chain: Vec<Arc<[u8]>>,
    },
    /// The lifecycle or the lock reasons changed.
    LifecycleChanged {
        /// PSD and registers.
        stamp: Stamp,
        /// From now on.
        lifecycle: Lifecycle,
        /// From now on.
        locks: Locks,
    },
    /// The PSD asked for value, for the postage of a spoiled mark, or that all that is left goes back.
    ValueRequested {
        /// PSD and registers.
        stamp: Stamp,
        /// Who asked.
        tenant: TenantName,
        /// Number of the value download, rising by one.
        value_sequence: u64,
        /// How much.
        amount: PostageAmount,
        /// What for.
        purpose: Purpose,
        /// COSE_Sign1 by the device key.
        request: Arc<[u8]>,
    },
    /// Value authorised by the postal authority was loaded.
    ValueApplied {
        /// PSD and registers after.
        stamp: Stamp,
        /// Who brought the authorisation.
        tenant: TenantName,
        /// Number of the value download.
        value_sequence: u64,
        /// How much.
        amount: PostageAmount,
        /// COSE_Sign1 by the funds key.
        authorisation: Arc<[u8]>,
        /// What for.
        applied: Applied,
    },
    /// A value download that was asked for was given up for ever: the authority may credit it again.
    ValueVoided {
        /// PSD and registers, unchanged.
        stamp: Stamp,
        /// Who gave it up.
        tenant: TenantName,
        /// Number of the value download.
        value_sequence: u64,
        /// How much it would have been.
        amount: PostageAmount,
        /// COSE_Sign1 by the device key.
        statement: Arc<[u8]>,
    },
    /// The authority acknowledged that all that was left goes back: the PSD is withdrawn.
    Withdrawn {
        /// PSD and registers after; descending is zero.
        stamp: Stamp,
        /// Who brought the acknowledgement.
        tenant: TenantName,
        /// Number of the withdrawal.
        value_sequence: u64,
        /// What went back.
        amount: PostageAmount,
        /// COSE_Sign1 by the funds key.
        acknowledgement: Arc<[u8]>,
        /// The final report: COSE_Sign1 by the device key.
        report: Arc<[u8]>,
    },
    /// A signed instruction of the authority was taken; the record of its effect follows at once.
    InstructionTaken {
        /// Of the key that signed.
        purpose: AuthorityPurpose,
        /// Rises with every instruction of the key.
        number: u64,
        /// COSE_Sign1 by the key.
        instruction: Arc<[u8]>,
    },
    /// The ceiling of a licence was set or taken away.
    CeilingSet {
        /// The licence.
        licence: LicenceNumber,
        /// Over which period.
        period: Period,
        /// At most so much may be loaded; none takes the ceiling away.
        amount: Option<PostageAmount>,
    },
    /// The authority set how often the PSDs of a licence are inspected, or took that away.
    InspectionPeriodsSet {
        /// The licence.
        licence: LicenceNumber,
        /// From now on; none where they are taken away.
        periods: Option<InspectionPeriods>,
    },
    /// The authority accepted an audit report: the PSD is inspected, and no longer locked for want of that.
    AuditAccepted {
        /// PSD and registers.
        stamp: Stamp,
        /// SHA-256 of the report.
        digest: [u8; 32],
    },
    /// The authority ordered that the key of a role changes: one made after this record is to take over.
    KeyChangeOrdered {
        /// PSD and registers.
        stamp: Stamp,
        /// The role.
        role: Role,
    },
    /// The authority's own policy came in the place of the one before.
    AuthorityPolicySet {
        /// Rises by one.
        version: u64,
        /// From now on; empty where it forbids nothing more.
        text: PolicyText,
    },
    /// A ceremony that a quorum approved begins.
    CeremonyBegun {
        /// Rises by one.
        number: u64,
        /// SHA-256 of the file.
        digest: [u8; 32],
        /// The reviewed file.
        file: Arc<[u8]>,
        /// COSE_Sign1 of the operators, each with the file in its payload.
        approvals: Vec<Arc<[u8]>>,
    },
    /// A step of it is done; what it did stands before it in the same commit.
    CeremonyStep {
        /// Of the ceremony.
        number: u64,
        /// Rises by one, from one.
        step: u64,
        /// What was done.
        text: Arc<str>,
    },
    /// It ended.
    CeremonyEnded {
        /// Of the ceremony.
        number: u64,
        /// How.
        end: CeremonyEnd,
        /// COSE_Sign1 by the log key over what was done; absent where it was given up.
        transcript: Option<Arc<[u8]>>,
    },
    /// A ceremony named operators and quorum anew.
    OperatorsChanged {
        /// From now on.
        operators: Vec<Operator>,
        /// From now on.
        quorum: u64,
    },
    /// An operator, a client or an account was revoked.
    Revoked {
        /// Whom it is about.
        subject: Subject,
        /// Since when and why.
        revocation: Revocation,
    },
    /// The digest of all state before this record.
    StateDigest {
        /// SHA-256, as docs/ledger.md defines it.
        digest: [u8; 32],
        /// How many PSDs went into it.
        psds: u64,
    },
    /// The daemon started serving.
    Started {
        /// Its version.
        version: Arc<str>,
        /// The owner epoch it wrote into every token.
        owner_epoch: [u8; 16],
    },
    /// A certificate of the authority for one purpose was installed.
    AuthorityKeyInstalled {
        /// What it may sign.
        purpose: AuthorityPurpose,
        /// The certificate, signed by the root of leaf 0, DER.
        certificate: Arc<[u8]>,
    },
    /// Refusals that matter, counted since the last such record.
    RefusalsNoted {
        /// Whose requests.
        tenant: TenantName,
        /// The stable code.
        code: Arc<str>,
        /// How many.
        count: u64,
    },
    /// A piece was debited and signed.
    Indicium(Indicium),
    /// A piece of corrected mail was certified, and what it still owed debited.
    Certification(CertifiedPiece),
    /// A mail run was announced: from now on its pieces are certified by the tariffs that it qualified for.
    RunOpened {
        /// PSD and registers.
        stamp: Stamp,
        /// Who announced it.
        tenant: TenantName,
        /// What was announced.
        run: Arc<Run>,
    },
    /// A mail run was counted and closed, and what its pieces had paid too little by that count was debited.
    RunClosed {
        /// PSD and registers after the debit; it is no piece.
        stamp: Stamp,
        /// Who closed it.
        tenant: TenantName,
        /// What was counted.
        closed: Arc<ClosedRun>,
    },
    /// A published rate table was taken: pieces may be rated by it on its days.
    RatesTaken(TakenTable),
    /// A scale was registered, or its entry changed: its readings count from now on, as far as its calibration holds.
    ScaleRegistered(RegisteredScale),
    /// A scale was taken out of the registry: its readings count no more.
    ScaleRemoved {
        /// Which.
        scale: ScaleId,
    },
}

impl Event {
    /// The PSD this is about, with its registers after it.
    pub fn stamp(&self) -> Option<&Stamp> {
        match self {
            Event::PsdCreated { stamp, .. }
            | Event::KeyCreated { stamp, .. }
            | Event::KeyStateChanged { stamp, .. }
            | Event::CertificateInstalled { stamp, .. }
            | Event::LifecycleChanged { stamp, .. }
            | Event::ValueRequested { stamp, .. }
            | Event::ValueApplied { stamp, .. }
            | Event::ValueVoided { stamp, .. }
            | Event::Withdrawn { stamp, .. }
            | Event::AuditAccepted { stamp, .. }
            | Event::KeyChangeOrdered { stamp, .. }
            | Event::Indicium(Indicium { stamp, .. })
            | Event::Certification(CertifiedPiece { stamp, .. })
            | Event::RunOpened { stamp, .. }
            | Event::RunClosed { stamp, .. } => Some(stamp),
            Event::Genesis(_)
            | Event::StateDigest { .. }
            | Event::Started { .. }
            | Event::AuthorityKeyInstalled { .. }
            | Event::InstructionTaken { .. }
            | Event::CeilingSet { .. }
            | Event::InspectionPeriodsSet { .. }
            | Event::AuthorityPolicySet { .. }
            | Event::CeremonyBegun { .. }
            | Event::CeremonyStep { .. }
            | Event::CeremonyEnded { .. }
            | Event::OperatorsChanged { .. }
            | Event::Revoked { .. }
            | Event::RefusalsNoted { .. }
            | Event::RatesTaken(_)
            | Event::ScaleRegistered(_)
            | Event::ScaleRemoved { .. } => None,
        }
    }

    /// The debit, where this is a piece.
    pub fn debit(&self) -> Option<Debit<'_>> {
        match self {
            Event::Indicium(Indicium { stamp, tenant, key, digest, postage: amount, .. })
            | Event::Certification(CertifiedPiece { stamp, tenant, key, digest, debited: amount, .. }) => {
                Some(Debit { stamp, tenant, key: *key, digest, amount: *amount })
            }
            _ => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The slot of the record that made a key.
pub fn key_slot(key_id: &[u8]) -> String {
    format!("key:{}", hex(key_id))
}

/// The slot of a run, open or closed.
pub fn run_slot(run: &RunId) -> String {
    format!("run:{run}")
}

impl Event {
    /// The slot this fact fills in the state of its PSD, or of the appliance: a later record of the same slot
    /// supersedes it. `None` for what leaves no fact behind but registers (docs/ledger.md, "Live records").
    pub fn slot(&self) -> Option<String> {
        Some(match self {
            Event::Genesis(_) => "genesis".to_owned(),
            Event::PsdCreated { .. } => "created".to_owned(),
            Event::KeyCreated { key_id, .. } => key_slot(key_id),
            Event::CertificateInstalled { key_id, .. } => format!("certificate:{}", hex(key_id)),
            Event::KeyStateChanged { key_id, step, .. } => format!("{}:{}", step.as_str(), hex(key_id)),
            Event::CeremonyBegun { number, .. } => format!("ceremony:{number}"),
            Event::CeremonyStep { number, step, .. } => format!("ceremony-step:{number}:{step}"),
            Event::CeremonyEnded { number, .. } => format!("ceremony-ended:{number}"),
            Event::OperatorsChanged { .. } => "operators".to_owned(),
            Event::Revoked { subject, .. } => format!("revoked:{}:{subject}", subject.number()),
            Event::LifecycleChanged { .. } => "lifecycle".to_owned(),
            Event::ValueRequested { .. } => "value-requested".to_owned(),
            Event::ValueApplied { applied: Applied::Download { .. }, .. } => "value-applied".to_owned(),
            Event::ValueApplied { applied: Applied::Refund(spoiled), .. } => format!("refunded:{}", spoiled.leaf),
            Event::ValueVoided { .. } => "value-voided".to_owned(),
            Event::Withdrawn { .. } => "withdrawn".to_owned(),
            Event::InstructionTaken { purpose, .. } => format!("instruction:{}", purpose.number()),
            Event::CeilingSet { licence, period, .. } => format!("ceiling:{licence}:{}", period.number()),
            Event::InspectionPeriodsSet { licence, .. } => format!("inspection-periods:{licence}"),
            Event::AuditAccepted { .. } => "audit-accepted".to_owned(),
            Event::KeyChangeOrdered { role, .. } => format!("key-change:{}", role.number()),
            Event::AuthorityPolicySet { .. } => "authority-policy".to_owned(),
            Event::AuthorityKeyInstalled { purpose, .. } => format!("authority-key:{}", purpose.number()),
            Event::RunOpened { run, .. } => run_slot(&run.id),
            Event::RunClosed { closed, .. } => run_slot(&closed.id),
            Event::RatesTaken(table) => rates_slot(&table.name, table.version),
            Event::ScaleRegistered(RegisteredScale { scale, .. }) | Event::ScaleRemoved { scale } => scale_slot(scale),
            Event::StateDigest { .. }
            | Event::Started { .. }
            | Event::RefusalsNoted { .. }
            | Event::Indicium(_)
            | Event::Certification(_) => return None,
        })
    }
}
