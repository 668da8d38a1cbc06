//! Value in and out (DOMAIN.md, "PVD", "Refund of spoiled marks", "Lifecycle"): it moves only by the authority's signature, and each
//! number ends once.

use super::{PendingValue, Psd};
use crate::Registers;
use crate::authority::AboveCeiling;
use crate::id::{ApplianceId, PsdId, RunId};
use crate::lifecycle::Lifecycle;
use crate::money::PostageAmount;
use crate::time::UnixMillis;
use std::sync::Arc;

/// What value is asked for. All three share one numbering, and one is under way at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// New value; ends applied or void.
    Download,
    /// The postage of a spoiled mark, back; ends applied or void.
    Refund(Spoiled),
    /// All that is left goes back to the authority; ends withdrawn and never void, since the authority may have credited it.
    Withdrawal,
}

/// A spoiled mark of a PSD, by both its names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spoiled {
    /// Leaf of the piece in the log.
    pub leaf: u64,
    /// The ascending register in the mark, which no other of the PSD with a postage has.
    pub ascending: PostageAmount,
}

impl Purpose {
    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::Download => "download",
            Purpose::Refund(_) => "refund",
            Purpose::Withdrawal => "withdrawal",
        }
    }

    /// Leaf of the spoiled mark.
    pub const fn refund(self) -> Option<u64> {
        match self {
            Purpose::Refund(spoiled) => Some(spoiled.leaf),
            Purpose::Download | Purpose::Withdrawal => None,
        }
    }
}

/// What a statement about value says; the device key signs it together with a nonce and a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueTerms {
    /// The PSD.
    pub psd: PsdId,
    /// The registers at the time of asking, or of the report.
    pub registers: Registers,
    /// How much is asked for, or goes back.
    pub amount: PostageAmount,
    /// Its number.
    pub sequence: u64,
    /// What for.
    pub purpose: Purpose,
}

/// What the authority signed, after its signature was verified: an authorisation, or the acknowledgement of a withdrawal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authorisation {
    /// The appliance it is for.
    pub appliance: ApplianceId,
    /// The PSD it is for.
    pub psd: PsdId,
    /// How much.
    pub amount: PostageAmount,
    /// Leaf of the spoiled mark, for a refund.
    pub refund: Option<u64>,
    /// The control total it leads to.
    pub control_total: PostageAmount,
    /// The number it answers.
    pub sequence: u64,
    /// It cannot be applied later than this.
    pub expires: UnixMillis,
}

/// Why value was neither asked for nor moved. In the order of the checks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ValueRefusal {
    /// The PSD's life is not at the point where value moves.
    #[error("the PSD is {0}; value moves only in an authorised or active one")]
    NotActive(Lifecycle),
    /// The postage of this piece came back before.
    #[error("the postage of the piece at leaf {leaf} came back before")]
    RefundedBefore {
        /// The piece.
        leaf: u64,
    },
    /// The PSD is on its way out.
    #[error(
        "the PSD is being withdrawn: {sequence} is the number of the withdrawal, and only its acknowledgement ends it"
    )]
    Withdrawing {
        /// The withdrawal's number.
        sequence: u64,
    },
    /// Something else is already being asked for.
    #[error("download {sequence} over {amount} is under way; finish it first, its amount is the only one it works for")]
    RequestPending {
        /// Its number.
        sequence: u64,
        /// Its amount.
        amount: PostageAmount,
    },
    /// Zero is no download, and nothing comes back of it.
    #[error("a download or a refund needs an amount above zero")]
    NoAmount,
    /// Less than one refill may be.
    #[error("{amount} is below the smallest refill, {smallest}")]
    BelowSmallestRefill {
        /// Asked for.
        amount: PostageAmount,
        /// The limit.
        smallest: PostageAmount,
    },
    /// More than one refill may be.
    #[error("{amount} is above the largest refill, {largest}")]
    AboveLargestRefill {
        /// Asked for.
        amount: PostageAmount,
        /// The limit.
        largest: PostageAmount,
    },
    /// The authorisation is for another appliance.
    #[error("the authorisation is for appliance {0}")]
    WrongAppliance(ApplianceId),
    /// The authorisation is for another PSD.
    #[error("the authorisation is for PSD {0}")]
    WrongPsd(PsdId),
    /// The number ended before, or is not the one under way.
    #[error("this is for download {given}; {}", expectation(*.expected))]
    WrongSequence {
        /// Asked for.
        given: u64,
        /// The one under way.
        expected: Option<u64>,
    },
    /// The refund is of another piece, or what is under way is no refund.
    #[error("the authorisation is for {}; {} is under way", piece(*.given), piece(*.expected))]
    WrongPiece {
        /// In the authorisation.
        given: Option<u64>,
        /// Asked for.
        expected: Option<u64>,
    },
    /// Not the amount asked for.
    #[error("the authorisation is over {given}, the request was over {expected}")]
    WrongAmount {
        /// In the authorisation.
        given: PostageAmount,
        /// Asked for.
        expected: PostageAmount,
    },
    /// A register would leave its range.
    #[error("a register would leave its range")]
    Overflow,
    /// The descending register may not hold so much.
    #[error("the descending register would hold {would_be}, above its limit of {largest}")]
    AboveLargestDescending {
        /// What it would hold.
        would_be: PostageAmount,
        /// Its limit.
        largest: PostageAmount,
    },
    /// It does not lead to the control total that the authority believes.
    #[error("the authorisation leads to control total {given}, the registers to {expected}")]
    WrongControlTotal {
        /// In the authorisation.
        given: PostageAmount,
        /// By the registers.
        expected: PostageAmount,
    },
    /// Too late.
    #[error("the authorisation expired at {0}")]
    Expired(UnixMillis),
    /// More than the licence may load in a period. Rests on the downloads of all its PSDs.
    #[error(transparent)]
    AboveCeiling(#[from] AboveCeiling),
    /// A run that is open may still be owed for.
    #[error("run {0} is open: close it first, what it lacks is debited then")]
    RunOpen(RunId),
    /// The mark of this piece paid for a certification. Known to the ledger alone, and so the last to be told.
    #[error("the indicium at leaf {leaf} paid for a certification: its postage is used up and does not come back")]
    PaidBefore {
        /// The piece.
        leaf: u64,
    },
}

fn expectation(expected: Option<u64>) -> String {
    expected.map_or_else(|| "none is under way".to_owned(), |n| format!("download {n} is under way"))
}

fn piece(leaf: Option<u64>) -> String {
    leaf.map_or_else(|| "new value".to_owned(), |leaf| format!("a refund of leaf {leaf}"))
}

impl ValueRefusal {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            ValueRefusal::NotActive(_) => "psd-not-active",
            ValueRefusal::RefundedBefore { .. } => "refunded-before",
            ValueRefusal::Withdrawing { .. } => "psd-withdrawing",
            ValueRefusal::RequestPending { .. } => "value-request-pending",
            ValueRefusal::NoAmount => "value-no-amount",
            ValueRefusal::BelowSmallestRefill { .. } => "value-below-smallest-refill",
            ValueRefusal::AboveLargestRefill { .. } => "value-above-largest-refill",
            ValueRefusal::WrongAppliance(_) => "value-wrong-appliance",
            ValueRefusal::WrongPsd(_) => "value-wrong-psd",
            ValueRefusal::WrongSequence { .. } => "value-wrong-sequence",
            ValueRefusal::WrongPiece { .. } => "value-wrong-piece",
            ValueRefusal::WrongAmount { .. } => "value-wrong-amount",
            ValueRefusal::Overflow => "value-overflow",
            ValueRefusal::AboveLargestDescending { .. } => "value-above-largest-descending",
            ValueRefusal::WrongControlTotal { .. } => "value-wrong-control-total",
            ValueRefusal::Expired(_) => "value-expired",
            ValueRefusal::AboveCeiling(_) => "value-above-ceiling",
            ValueRefusal::RunOpen(_) => "run-open",
            ValueRefusal::PaidBefore { .. } => "refund-of-paying-indicium",
        }
    }
}

impl Psd {
    /// The terms of the next value request, if one may be made. Changes nothing. A request over the same amount as
    /// the one under way is answered by that one; the caller looks at [`super::State::pending`] first.
    pub fn value_terms(&self, amount: PostageAmount) -> Result<ValueTerms, ValueRefusal> {
        self.takes_value()?;
        self.nothing_under_way()?;
        if amount == PostageAmount::ZERO {
            return Err(ValueRefusal::NoAmount);
        }
        let limits = &self.identity.limits;
        if amount < limits.smallest_refill {
            return Err(ValueRefusal::BelowSmallestRefill { amount, smallest: limits.smallest_refill });
        }
        if amount > limits.largest_refill {
            return Err(ValueRefusal::AboveLargestRefill { amount, largest: limits.largest_refill });
        }
        self.room_for(amount)?;
        Ok(self.next_terms(amount, Purpose::Download))
    }

    /// The terms of a request that the postage of a spoiled mark comes back, at most once a piece. Changes nothing. The caller knows
    /// the piece to be of this PSD, and to have paid for no certification; its window is the authority's to judge.
    pub fn refund_terms(&self, spoiled: Spoiled, postage: PostageAmount) -> Result<ValueTerms, ValueRefusal> {
        self.takes_value()?;
        if self.state.refunded.contains(&spoiled.ascending) {
            return Err(ValueRefusal::RefundedBefore { leaf: spoiled.leaf });
        }
        self.nothing_under_way()?;
        // A mark without postage has its ascending register in common with the one before it.
        if postage == PostageAmount::ZERO {
            return Err(ValueRefusal::NoAmount);
        }
        self.room_for(postage)?;
        Ok(self.next_terms(postage, Purpose::Refund(spoiled)))
    }

    /// The terms of a request that all that is left goes back. Changes nothing.
    pub fn withdrawal_terms(&self) -> Result<ValueTerms, ValueRefusal> {
        self.takes_value()?;
        self.nothing_under_way()?;
        if let Some(run) = self.state.runs.open().next() {
            return Err(ValueRefusal::RunOpen(run.id.clone()));
        }
        Ok(self.next_terms(self.state.registers.descending(), Purpose::Withdrawal))
    }

    /// Notes that a request over these terms was signed. From a request for withdrawal on, the PSD signs no piece.
    pub fn value_requested(&mut self, terms: &ValueTerms, request: Arc<[u8]>) {
        let (sequence, amount, purpose) = (terms.sequence, terms.amount, terms.purpose);
        self.state.pending = Some(PendingValue { sequence, purpose, amount, request });
    }

    /// The terms of the statement that the download of this number is void, if it is under way. Changes nothing. Whoever lost the way to
    /// the authority may give up in any state of the PSD's life and under any lock.
    pub fn void_terms(&self, sequence: u64) -> Result<ValueTerms, ValueRefusal> {
        let pending = self.under_way(sequence)?;
        if pending.purpose == Purpose::Withdrawal {
            return Err(ValueRefusal::Withdrawing { sequence });
        }
        let (psd, registers) = (self.identity.psd, self.state.registers);
        Ok(ValueTerms { psd, registers, amount: pending.amount, sequence, purpose: pending.purpose })
    }

    /// Notes that a statement over these terms was signed: the number is used up, and no authorisation for it loads anything again.
    pub fn value_voided(&mut self, terms: &ValueTerms) {
        self.state.value_sequence = terms.sequence;
        self.state.pending = None;
    }

    /// Loads authorised value. Applied exactly once: the number must be the one under way. `admitted` is what the licence's ceilings say
    /// to a download; refunds pass under them. Gives what it was for, and what was admitted.
    pub fn apply_value<T>(
        &mut self,
        authorisation: &Authorisation,
        appliance: &ApplianceId,
        now: UnixMillis,
        admitted: Result<T, AboveCeiling>,
    ) -> Result<(Purpose, Option<T>), ValueRefusal> {
        let purpose = self.addressed(authorisation, appliance)?.purpose;
        if purpose == Purpose::Withdrawal {
            return Err(ValueRefusal::Withdrawing { sequence: authorisation.sequence });
        }
        let registers = self.room_for(authorisation.amount)?;
        in_force(authorisation, registers, now)?;
        let admitted = if purpose == Purpose::Download { Some(admitted?) } else { None };
        self.state.registers = registers;
        self.ended(authorisation.sequence, purpose);
        if purpose == Purpose::Download {
            self.state.inspected = now;
        }
        Ok((purpose, admitted))
    }

    /// The terms of the final report, if the acknowledgement is that of the withdrawal under way. Changes nothing.
    pub fn report_terms(
        &self,
        acknowledgement: &Authorisation,
        appliance: &ApplianceId,
        now: UnixMillis,
    ) -> Result<ValueTerms, ValueRefusal> {
        let given = acknowledgement.sequence;
        let pending = self.addressed(acknowledgement, appliance)?;
        let (amount, purpose) = (pending.amount, pending.purpose);
        if purpose != Purpose::Withdrawal {
            return Err(ValueRefusal::WrongSequence { given, expected: Some(pending.sequence) });
        }
        let registers = self.state.registers.withdrawn();
        in_force(acknowledgement, registers, now)?;
        Ok(ValueTerms { psd: self.identity.psd, registers, amount, sequence: given, purpose })
    }

    /// Notes that the final report over these terms was signed: the PSD is withdrawn, and its descending register zero.
    pub fn withdrawn(&mut self, terms: &ValueTerms) {
        self.state.registers = terms.registers;
        self.state.lifecycle = Lifecycle::Withdrawn;
        self.ended(terms.sequence, terms.purpose);
    }

    /// Uses the number up.
    pub(super) fn ended(&mut self, sequence: u64, purpose: Purpose) {
        self.state.value_sequence = sequence;
        self.state.pending = None;
        if let Purpose::Refund(spoiled) = purpose {
            Arc::make_mut(&mut self.state.refunded).insert(spoiled.ascending);
        }
    }

    fn next_terms(&self, amount: PostageAmount, purpose: Purpose) -> ValueTerms {
        let (psd, registers) = (self.identity.psd, self.state.registers);
        ValueTerms { psd, registers, amount, sequence: self.state.value_sequence + 1, purpose }
    }

    /// What the authority's answer answers, if it is for this PSD and for what is under way.
    fn addressed(&self, answer: &Authorisation, appliance: &ApplianceId) -> Result<&PendingValue, ValueRefusal> {
        self.takes_value()?;
        if answer.appliance != *appliance {
            return Err(ValueRefusal::WrongAppliance(answer.appliance.clone()));
        }
        if answer.psd != self.identity.psd {
            return Err(ValueRefusal::WrongPsd(answer.psd));
        }
        let pending = self.under_way(answer.sequence)?;
        let expected = pending.purpose.refund();
        if answer.refund != expected {
            return Err(ValueRefusal::WrongPiece { given: answer.refund, expected });
        }
        if answer.amount != pending.amount {
            return Err(ValueRefusal::WrongAmount { given: answer.amount, expected: pending.amount });
        }
        Ok(pending)
    }

    fn under_way(&self, given: u64) -> Result<&PendingValue, ValueRefusal> {
        let pending = self.state.pending.as_ref();
        let expected = pending.map(|pending| pending.sequence);
        pending.filter(|pending| pending.sequence == given).ok_or(ValueRefusal::WrongSequence { given, expected })
    }

    fn nothing_under_way(&self) -> Result<(), ValueRefusal> {
        match &self.state.pending {
            None => Ok(()),
            Some(PendingValue { sequence, purpose: Purpose::Withdrawal, .. }) => {
                Err(ValueRefusal::Withdrawing { sequence: *sequence })
            }
            Some(PendingValue { sequence, amount, .. }) => {
                Err(ValueRefusal::RequestPending { sequence: *sequence, amount: *amount })
            }
        }
    }

    fn takes_value(&self) -> Result<(), ValueRefusal> {
        match self.state.lifecycle {
            Lifecycle::Authorised | Lifecycle::Active => Ok(()),
            other @ (Lifecycle::Initialised | Lifecycle::Withdrawn | Lifecycle::Scrapped) => {
                Err(ValueRefusal::NotActive(other))
            }
        }
    }

    fn room_for(&self, amount: PostageAmount) -> Result<Registers, ValueRefusal> {
        let registers = self.state.registers.loaded(amount).ok().ok_or(ValueRefusal::Overflow)?;
        let largest = self.identity.limits.largest_descending;
        if registers.descending() > largest {
            return Err(ValueRefusal::AboveLargestDescending { would_be: registers.descending(), largest });
        }
        Ok(registers)
    }
}

/// The authority's answer leads to these registers, and not too late.
fn in_force(answer: &Authorisation, registers: Registers, now: UnixMillis) -> Result<(), ValueRefusal> {
    if answer.control_total != registers.control_total() {
        let (given, expected) = (answer.control_total, registers.control_total());
        return Err(ValueRefusal::WrongControlTotal { given, expected });
    }
    if now > answer.expires {
        return Err(ValueRefusal::Expired(answer.expires));
    }
    Ok(())
}
