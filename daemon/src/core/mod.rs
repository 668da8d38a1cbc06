//! The core: one owner of every PSD, as a pure state machine (DESIGN.md §4).
//!
//! Events go in, actions come out; time is passed in. The shell around it ([`crate::spine`]) looks keys up, has frames signed,
//! commits and answers. What the core decides is in the order in which it decides it: that is the linearisation point.

mod administer;
mod desks;
mod engine;
mod inspection;
mod instruct;
mod judge;
mod keys;
mod licence;
mod pipeline;
mod pool;
mod runs;
mod schedule;
mod token;
mod top_up;
mod tree;
mod turn;
mod value;

#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineSettings};
pub use licence::{Licences, Members, Place, Span};

use crate::certify::Desk;
use psd::authority::{Act, Instruction, InstructionRefusal};
use psd::certification::MarkId;
use psd::certifying::Basis;
use psd::clock::{ClockReading, ClockSample, ClockStop};
use psd::device::{Authorisation, Change as PsdChange, Identity, Piece, Purpose, RunRefusal, ValueRefusal};
use psd::digital_token::Party;
use psd::governance::Governance;
use psd::inspection::InspectionPeriods;
use psd::key::Role;
use psd::lifecycle::Lifecycle;
use psd::policy::AuthorityPolicy;
use psd::record::Event as RecordEvent;
use psd::run::{ClosedRun, Run};
use psd::{LicenceNumber, PieceKey, PostageAmount, PsdId, Refusal, RunId, State, TenantName, UnixMillis};
use psdd_hsm::link::{SignFrame, Signatures};
use psdd_hsm::protocol::HsmFault;
use psdd_ledger::{Body, Durable, NewRecord};
use psdd_policy::{Findings, InstructedPolicy};
use psdd_wire::message::{InspectionView, RefundClaims};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A request of a client, for the time it is in the core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// What is prepared, signed and committed as one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChunkId(pub u64);

/// A token, by its place in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenIndex(pub usize);

/// Which generation of policy a request was authorised under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyGeneration {
    /// Which reading of the files, counted from [`FIRST_FILES`].
    pub files: u64,
    /// Version of the authority's instructed policy; 0 where there is none.
    pub instructed: u64,
    /// Which set of rate tables and scales, counted from 0 at the start.
    pub desk: u64,
}

/// The reading of the policy files that a start begins with.
pub const FIRST_FILES: u64 = 1;

/// A sign request that was decoded and authorised.
#[derive(Debug)]
pub struct Submission {
    /// Its name.
    pub request: RequestId,
    /// Scope of its keys, and of fairness.
    pub tenant: TenantName,
    /// Which client of the tenant asks.
    pub client: Arc<str>,
    /// Who shall sign.
    pub target: SignTarget,
    /// Its items, each with its personal field. All are signed by keys of one role.
    pub pieces: Vec<(Piece, Option<Body>)>,
    /// Whether one refusal refuses all.
    pub all_or_none: bool,
    /// What it was authorised under.
    pub policy: PolicyGeneration,
}

/// Who shall sign the items of a request.
#[derive(Clone, Debug)]
pub enum SignTarget {
    /// This PSD.
    Psd(PsdId),
    /// Any PSD of a licence.
    Licence {
        /// The licence.
        licence: LicenceNumber,
        /// How one is chosen.
        selection: Selection,
        /// What the members are places in.
        licences: Arc<Licences>,
        /// Its members that the client may use, in ascending order.
        within: Vec<Span>,
    },
}

/// How a PSD is chosen among those of a licence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selection {
    /// In turn.
    RoundRobin,
    /// The one that can spend most.
    MostFunds,
    /// In turn among those that are meant for the destination.
    Zip,
}

/// A command on the value of one PSD.
#[derive(Debug)]
pub struct ValueCommand {
    /// Its name.
    pub request: RequestId,
    /// Who gives it.
    pub tenant: TenantName,
    /// Which client of the tenant; none where the daemon itself does.
    pub client: Option<Arc<str>>,
    /// The PSD.
    pub psd: PsdId,
    /// What.
    pub step: ValueStep,
}

/// A signed instruction of the postal authority; the signature is verified already.
#[derive(Debug)]
pub struct InstructionCommand {
    /// The name of the request.
    pub request: RequestId,
    /// What the authority signed.
    instruction: Instruction,
    /// The bytes it signed.
    bytes: Arc<[u8]>,
    /// The text of a policy, judged.
    policy: Option<Result<Arc<InstructedPolicy>, Findings>>,
}

impl InstructionCommand {
    /// An instruction with the bytes that were signed. The text of a policy is judged here, on the thread of whoever carries it, because that
    /// takes milliseconds; whether it counts is for the core to say.
    pub fn new(request: RequestId, instruction: Instruction, bytes: Arc<[u8]>) -> Self {
        let text = if let Act::Policy { text, .. } = &instruction.act { Some(text) } else { None };
        let policy = text.map(|text| InstructedPolicy::read(text).map(Arc::new));
        Self { request, instruction, bytes, policy }
    }

    /// The policy that it brings, or why its text cannot be in force.
    fn policy(&self) -> Result<Arc<InstructedPolicy>, InstructionRefusal> {
        match &self.policy {
            Some(Ok(policy)) => Ok(Arc::clone(policy)),
            Some(Err(findings)) => Err(InstructionRefusal::PolicyInvalid(findings.to_string().into())),
            None => Err(InstructionRefusal::PolicyInvalid("there is no text".into())),
        }
    }
}

/// A change that a ceremony, the custodian of keys or a reload makes.
#[derive(Debug)]
pub struct ChangeCommand {
    /// Its name.
    pub request: RequestId,
    /// What.
    pub change: Change,
}

/// What is to change.
#[derive(Debug)]
pub enum Change {
    /// Something of one PSD, all in one commit.
    Psd {
        /// Which.
        psd: PsdId,
        /// In this order; a new key that lives wrapped comes with what the token wrapped.
        changes: Vec<(PsdChange, Option<Body>)>,
        /// The step of a ceremony that is done with it.
        step: Option<StepDone>,
    },
    /// New PSDs, all in one commit.
    Create {
        /// Which.
        psds: Vec<NewPsd>,
        /// The step of a ceremony that is done with it.
        step: Option<StepDone>,
    },
    /// Other rate tables and scales: they bind the very next item, and what is new of them is recorded before it.
    Desk(NewDesk),
    /// Facts about the appliance, all in one commit.
    Appliance {
        /// In this order.
        events: Vec<RecordEvent>,
    },
}

/// A step of a ceremony that is done.
#[derive(Clone, Debug)]
pub struct StepDone {
    /// The ceremony.
    pub number: u64,
    /// The step, from one.
    pub step: u64,
    /// What was done.
    pub text: Arc<str>,
}

/// Rate tables and scales to come into force.
#[derive(Debug)]
pub struct NewDesk {
    /// What pieces are weighed and rated by.
    pub desk: Arc<Desk>,
    /// What the log is to know of it.
    pub basis: Basis,
}

/// A PSD to come.
#[derive(Debug)]
pub struct NewPsd {
    /// Its first record.
    pub created: RecordEvent,
    /// Its keys.
    pub keys: Vec<(PsdChange, Option<Body>)>,
}

/// A key came, ended or went.
#[derive(Debug)]
pub enum KeyNews {
    /// Its record is durable.
    Made {
        /// CKA_ID.
        key_id: Arc<[u8]>,
        /// What it may sign.
        role: Role,
        /// Where it lives, where that is configured.
        token: Option<TokenIndex>,
        /// Public half, SPKI DER.
        spki: Arc<[u8]>,
        /// Whether it is an object of the token.
        resident: bool,
    },
    /// It is retired or revoked: it signs nothing more, and may be destroyed.
    Ended {
        /// CKA_ID.
        key_id: Arc<[u8]>,
    },
    /// It is gone from its token.
    Destroyed {
        /// CKA_ID.
        key_id: Arc<[u8]>,
    },
}

/// The steps by which value comes in and goes back.
#[derive(Clone, Debug)]
pub enum ValueStep {
    /// Ask.
    Request {
        /// How much.
        amount: PostageAmount,
        /// Fresh randomness.
        nonce: [u8; 16],
    },
    /// Load what was authorised; the signature is verified already.
    Apply {
        /// What the authority signed.
        authorisation: Authorisation,
        /// The bytes it signed.
        bytes: Arc<[u8]>,
    },
    /// Ask that the postage of a spoiled mark of this PSD comes back.
    Refund {
        /// The piece, as it stands in the log.
        piece: RefundClaims,
        /// The ascending register in its mark.
        ascending: PostageAmount,
        /// Its postage.
        postage: PostageAmount,
        /// Fresh randomness.
        nonce: [u8; 16],
    },
    /// Ask that all that is left goes back.
    Withdraw {
        /// Fresh randomness.
        nonce: [u8; 16],
    },
    /// End the withdrawal; the signature is verified already.
    Acknowledge {
        /// What the authority signed.
        acknowledgement: Authorisation,
        /// The bytes it signed.
        bytes: Arc<[u8]>,
        /// Fresh randomness.
        nonce: [u8; 16],
    },
    /// Give it up for ever.
    Void {
        /// Number of the download.
        sequence: u64,
        /// Fresh randomness.
        nonce: [u8; 16],
    },
    /// Of a mail run: what it lacks in the end is value.
    Run(RunStep),
}

/// The steps of a mail run.
#[derive(Clone, Debug)]
pub enum RunStep {
    /// Announce it.
    Open(Arc<Run>),
    /// Take no more pieces of it, so that it can be counted: all that it has are durable then. Lasts until it is closed, or whoever sealed it last
    /// takes that back, or until the daemon stops.
    Seal {
        /// The run.
        run: RunId,
        /// Who seals it: one that was sealed by another is theirs from now on.
        by: RequestId,
    },
    /// Take pieces again, unless somebody else sealed it since.
    Unseal {
        /// The run.
        run: RunId,
        /// Who sealed it.
        by: RequestId,
    },
    /// Close a sealed run with what was counted.
    Close {
        /// What was counted.
        closed: Arc<ClosedRun>,
        /// Who sealed it last; another's count may be of a time before.
        by: RequestId,
    },
}

/// What is looked up of an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sought {
    /// Its key.
    pub key: PieceKey,
    /// The indicium that is to pay for it.
    pub mark: Option<MarkId>,
}

impl Sought {
    /// What a piece may use but once.
    pub fn of(piece: &Piece) -> Self {
        Self { key: piece.key, mark: piece.details.paying_mark() }
    }
}

/// What the disk knows of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The piece that the key was used for.
    pub piece: Option<Durable>,
    /// Whether the indicium has paid for a certification.
    pub mark_used: bool,
}

/// What goes in.
#[derive(Debug)]
pub enum Event {
    /// A sign request.
    Submit(Submission),
    /// A value command.
    Value(ValueCommand),
    /// An instruction of the authority.
    Instruct(InstructionCommand),
    /// A change by a ceremony or the custodian.
    Change(ChangeCommand),
    /// Answer to [`Action::LookUp`], in its order.
    LookedUp(RequestId, Vec<Found>),
    /// Answer to [`Action::LookUpPaid`]: whether it has.
    PaidLookedUp(ChunkId, bool),
    /// A frame is signed.
    Signed(ChunkId, Signatures),
    /// A frame of halves of digital tokens is MACed, see [`Action::Mac`].
    Maced(ChunkId, Party, Signatures),
    /// A frame could not be signed, or not be MACed.
    SignFailed(ChunkId, HsmFault),
    /// A chunk is durable.
    Committed(ChunkId, Vec<Durable>),
    /// A look at the clock source.
    Clock(ClockSample),
    /// A token answers, with these keys usable as recorded.
    TokenUp(TokenIndex),
    /// A token does not answer.
    TokenDown(TokenIndex),
    /// Whether the log has gone unsigned for longer than its bound.
    LogOverdue(bool),
    /// The policy files were read anew, and this is which reading: from the next item on, older authorisations are stale.
    PolicyFiles(u64),
    /// Read committed state.
    View(RequestId, Sight),
    /// A PSD gave an audit report with this SHA-256: the authority may accept it.
    Reported(PsdId, [u8; 32]),
    /// Asking for value of a PSD ended, see [`Action::TopUp`].
    TopUpEnded(PsdId),
    /// Say which PSDs need value.
    TopUpAll,
    /// Count refusals into the log.
    NoteRefusals,
    /// Take nothing new; say so when all is done.
    Stop,
}

/// What comes out.
#[derive(Debug)]
pub enum Action {
    /// Read these keys from a snapshot not older than now.
    LookUp(RequestId, TenantName, Vec<Sought>),
    /// Read whether this indicium has paid for a certification, from a snapshot not older than now.
    LookUpPaid(ChunkId, MarkId),
    /// Have a frame signed.
    Sign(ChunkId, TokenIndex, SignFrame),
    /// Have this party's halves of the digital tokens of a chunk MACed, beside its signatures.
    Mac(ChunkId, Party, TokenIndex, SignFrame),
    /// Write records; chunks arrive in the order to write them in.
    Commit(Option<ChunkId>, Vec<NewRecord>),
    /// Answer a sign request.
    Reply(RequestId, SubmitReply),
    /// Answer a value command.
    ValueReply(RequestId, ValueReply),
    /// The PSD needs value: ask for it. [`Event::TopUpEnded`] must follow.
    TopUp {
        /// Which.
        psd: PsdId,
        /// Whose it is.
        tenant: TenantName,
        /// How much.
        amount: PostageAmount,
    },
    /// Answer a view.
    ViewReply(RequestId, View),
    /// There are more PSDs than before.
    Fleet(Arc<Licences>),
    /// A key came or went.
    Keys(KeyNews),
    /// What the authority instructed as its own policy is in force from now on, under this version; older authorisations are stale.
    Policy(u64, Arc<InstructedPolicy>),
    /// These rate tables and scales are in force from now on, under this generation; what was computed by older ones is stale.
    Desk(u64, Arc<Desk>),
    /// After [`Event::Stop`]: nothing is in flight any more.
    Drained(Option<ClockReading>),
}

/// The answer to a submission.
#[derive(Debug)]
pub enum SubmitReply {
    /// One outcome an item.
    Judged(Vec<Outcome>),
    /// The queue of the tenant, or of all, is full; nothing was judged.
    Overloaded,
    /// The daemon is stopping; nothing was judged.
    Stopping,
    /// No such PSD.
    UnknownPsd,
    /// No such licence.
    UnknownLicence,
}

/// What became of an item.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Debited, signed and on stable storage, now or before.
    Signed(Durable),
    /// Refused by the PSD.
    Refused(Refusal),
    /// Something broke; nothing was debited.
    Fault(Fault),
    /// The policy changed before this item was judged; authorise it again.
    Stale,
}

/// Something of ours broke; nothing was debited.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The token does not answer, or failed to sign.
    #[error("the token cannot sign at present: {0}")]
    Token(String),
    /// The token refused the frame in a way that repeating does not cure.
    #[error("the token refused to sign: {0}")]
    TokenRefused(String),
    /// The key was revoked before the debit was durable.
    #[error("the key was revoked before the debit was durable: {0}")]
    KeyRevoked(String),
    /// The log could not be signed for longer than its bound.
    #[error("the log has not been signed for longer than its bound")]
    LogUnsigned,
}

impl Fault {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            Fault::Token(_) => "token-unavailable",
            Fault::TokenRefused(_) => "token-refused",
            Fault::KeyRevoked(_) => "key-revoked",
            Fault::LogUnsigned => "log-unsigned",
        }
    }

    /// Whether the same request can succeed later.
    pub const fn retryable(&self) -> bool {
        match self {
            Fault::Token(_) | Fault::KeyRevoked(_) | Fault::LogUnsigned => true,
            Fault::TokenRefused(_) => false,
        }
    }
}

/// The answer to a value command.
#[derive(Debug)]
pub enum ValueReply {
    /// The request that is under way: made now, or before over the same amount.
    Requested {
        /// Number of the download.
        sequence: u64,
        /// Its amount.
        amount: PostageAmount,
        /// What for.
        purpose: Purpose,
        /// COSE_Sign1 by the device key.
        request: Arc<[u8]>,
    },
    /// Loaded, and on stable storage.
    Applied(Durable),
    /// The run is announced, and on stable storage.
    RunOpened(Durable),
    /// A run of this name is open on this PSD, with the same manifest.
    RunKnown,
    /// The run takes no more pieces.
    RunSealed(Arc<Run>),
    /// The run takes pieces again, if it is open.
    RunUnsealed,
    /// The run is closed and what it lacked debited, and that is on stable storage.
    RunClosed(Durable),
    /// The step of a run had no effect.
    RunRefused(RunRefusal),
    /// Given up, and on stable storage.
    Voided(Durable),
    /// All that was left went back, and that is on stable storage.
    Withdrawn(Durable),
    /// The instruction is taken, its effect with it, and on stable storage.
    Instructed(Durable),
    /// The change is made, and on stable storage.
    Changed(Vec<Durable>),
    /// The change does not follow from what is; nothing changed.
    ChangeRefused(String),
    /// The client was revoked.
    ClientRevoked,
    /// A download of this number ended before; the ledger tells how. Or an instruction of this number was taken before.
    EndedBefore,
    /// The instruction is refused.
    InstructionRefused(InstructionRefusal),
    /// Refused by the PSD.
    Refused(ValueRefusal),
    /// There is no time that can be believed.
    NoClock(ClockStop),
    /// Something broke; nothing changed.
    Fault(Fault),
    /// Too many commands wait on this PSD.
    Overloaded,
    /// No such PSD.
    UnknownPsd,
    /// The daemon is stopping.
    Stopping,
}

/// Which PSDs a view shows. The core copies those and no others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// The appliance alone.
    Appliance,
    /// This one, if there is one.
    Psd(PsdId),
    /// Every one.
    All,
}

/// Committed state.
#[derive(Debug)]
pub struct View {
    /// The reading it was taken at, or why there is none.
    pub clock: Result<ClockReading, ClockStop>,
    /// The PSDs in sight.
    pub psds: Vec<(Arc<Identity>, State)>,
    /// Operators, ceremonies and who was revoked.
    pub governance: Arc<Governance>,
    /// How often the PSDs of licences are inspected.
    pub periods: Arc<PeriodsByLicence>,
    /// PSDs whose inspection is to come.
    pub inspections: InspectionCounts,
    /// The authority's own policy; version 0 where it never instructed one.
    pub policy: Arc<AuthorityPolicy>,
}

/// Periods of inspection of the licences that have some.
pub type PeriodsByLicence = BTreeMap<LicenceNumber, InspectionPeriods>;

/// When a PSD is to be inspected; none where its licence has no periods, and none of one that is at the end of its life.
pub fn inspection_view(identity: &Identity, state: &State, periods: &PeriodsByLicence) -> Option<InspectionView> {
    let lives = !matches!(state.lifecycle, Lifecycle::Withdrawn | Lifecycle::Scrapped);
    let periods = periods.get(&identity.licence).filter(|_| lives)?;
    Some(periods.after(state.inspected).into())
}

/// PSDs whose inspection is to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InspectionCounts {
    /// Active, and past their warning.
    pub warned: usize,
    /// Active, and locked because it is overdue.
    pub overdue: usize,
    /// When the first of those that are not locked locks itself.
    pub first_due: Option<UnixMillis>,
}
