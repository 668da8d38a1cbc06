//! What the funds system answers, decided without IO: the books of one PSD and one statement in, a verdict out.
//!
//! Owns the rules of docs/authority.md, "Rules". The caller reads the books and writes the outcome in one transaction; nothing here
//! remembers anything.

mod refund;
mod refusal;
mod value;
mod void;
mod withdrawal;

pub(crate) use refund::read_mark;
pub use refund::{EarlierRefund, MarkKey, RefundCase, mark_digest};
pub use refusal::{BadMark, Refusal};
pub use value::{Grant, value_request};
pub use void::{Voided, void_statement};
pub use withdrawal::{Acknowledged, withdrawal_report, withdrawal_request};

use psd::{ApplianceId, PostageAmount, UnixMillis};
use psdd_wire::message::ValueRequestClaims;

/// What the books hold of a PSD, as far as a decision needs it.
#[derive(Clone, Debug)]
pub struct PsdBook {
    /// The appliance it was registered for.
    pub appliance: ApplianceId,
    /// Value that is in it by the books: the control total its registers must show when no download is open.
    pub booked: PostageAmount,
    /// Whether it may still take value.
    pub standing: Standing,
    /// Whether the account of its licence is locked.
    pub licence_locked: bool,
    /// What the account of its licence holds.
    pub balance: PostageAmount,
    /// The download with the highest number.
    pub last: Option<Download>,
    /// The download that the statement names, if it is known.
    pub named: Option<Download>,
}

/// Where a PSD stands with the authority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It takes value.
    Open,
    /// Its withdrawal was acknowledged; nothing is authorised any more.
    Withdrawing,
    /// It reported that it holds nothing.
    Closed,
}

/// A download by the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Download {
    /// Its number.
    pub number: u64,
    /// What was asked for.
    pub kind: DownloadKind,
    /// What became of it.
    pub state: DownloadState,
    /// How much was authorised; zero where nothing was.
    pub amount: PostageAmount,
    /// SHA-256 of the request, where one was seen.
    pub request: Option<[u8; 32]>,
    /// When the newest authorisation ends.
    pub expires: UnixMillis,
}

/// What a download is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DownloadKind {
    /// Value from the licence's account.
    Value,
    /// The postage of a spoiled mark, from the authority's refunds account.
    Refund,
    /// Value back to the licence's account.
    Withdrawal,
    /// Void before any request of this number was seen.
    Unseen,
}

/// What became of a download.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DownloadState {
    /// Authorised; whether the PSD applied it is not known yet.
    Authorised,
    /// The PSD's own statements show that it was applied.
    Applied,
    /// The PSD has given it up, for ever.
    Void,
}

/// The authority's terms.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long an authorisation can be applied, milliseconds.
    pub authorisation_ms: u64,
    /// How many days before or after today the date of a mark may lie that is refunded.
    pub refund_days: u32,
    /// Whether the postage of specimens is refunded; they are worth nothing, so only a development authority does.
    pub refund_specimens: bool,
}

/// A decision, and what the statement proved on the way to it, whatever the decision was.
#[derive(Debug)]
pub struct Verdict<T> {
    /// The number of the download that is now known to be applied.
    pub applied: Option<u64>,
    /// Yes or no.
    pub outcome: Result<T, Refusal>,
}

impl<T> Verdict<T> {
    fn of(judge: impl FnOnce(&mut Option<u64>) -> Result<T, Refusal>) -> Self {
        let mut applied = None;
        let outcome = judge(&mut applied);
        Self { applied, outcome }
    }
}

impl PsdBook {
    /// What every statement must be: of the appliance that the PSD was registered for, with registers that add up.
    fn check_origin(&self, claims: &ValueRequestClaims) -> Result<(), Refusal> {
        if claims.appliance != self.appliance.as_str() {
            return Err(Refusal::WrongAppliance { registered: self.appliance.clone() });
        }
        let registers = &claims.registers;
        if registers.ascending.checked_add(registers.descending) != Some(registers.control_total) {
            return Err(Refusal::RegistersInconsistent);
        }
        Ok(())
    }

    /// A new number must follow the last one known: what lies between was voided without a word to the authority.
    fn check_number(&self, number: u64) -> Result<(), Refusal> {
        let expected = self.last.as_ref().map_or(Some(1), |last| last.number.checked_add(1));
        if expected == Some(number) {
            return Ok(());
        }
        Err(Refusal::Gap { number, expected: expected.unwrap_or(u64::MAX) })
    }

    /// Whether the registers show that the download before ended as the books have it. Gives its number where they prove that it was
    /// applied.
    fn check_previous(&self, claims: &ValueRequestClaims) -> Result<Option<u64>, Refusal> {
        let said = claims.registers.control_total;
        let open = self.last.as_ref().filter(|last| last.state == DownloadState::Authorised);
        match open {
            _ if said == self.booked => Ok(open.map(|open| open.number)),
            Some(open) if said.checked_add(open.amount) == Some(self.booked) => {
                Err(Refusal::DownloadOpen { number: open.number })
            }
            Some(_) | None => Err(Refusal::ControlTotal { said, booked: self.booked }),
        }
    }

    fn check_standing(&self) -> Result<(), Refusal> {
        match self.standing {
            Standing::Open => Ok(()),
            Standing::Withdrawing | Standing::Closed => Err(Refusal::Withdrawn),
        }
    }
}
