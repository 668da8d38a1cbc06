//! Value downloads (DOMAIN.md, "PVD"): value enters only by the authority's signature, and each number ends once: applied or void.

use super::{PendingValue, Psd};
use crate::id::{ApplianceId, PsdId};
use crate::lifecycle::Lifecycle;
use crate::money::PostageAmount;
use crate::time::UnixMillis;
use std::sync::Arc;

/// What a value request says; the device key signs it together with a nonce and a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueTerms {
    /// The PSD.
    pub psd: PsdId,
    /// The registers at the time of asking, mills, and the piece count.
    pub registers: crate::Registers,
    /// How much is asked for.
    pub amount: PostageAmount,
    /// Number of this download.
    pub sequence: u64,
}

/// What the authority signed, after its signature was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authorisation {
    /// The appliance it is for.
    pub appliance: ApplianceId,
    /// The PSD it is for.
    pub psd: PsdId,
    /// How much.
    pub amount: PostageAmount,
    /// The control total it leads to.
    pub control_total: PostageAmount,
    /// The download it answers.
    pub sequence: u64,
    /// It cannot be applied later than this.
    pub expires: UnixMillis,
}

/// Why value was neither asked for nor loaded. In the order of the checks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ValueRefusal {
    /// The PSD's life is past the point where it takes value.
    #[error("the PSD is {0}; only an authorised or active one takes value")]
    NotActive(Lifecycle),
    /// Another amount is already being asked for.
    #[error("download {sequence} over {amount} is under way; finish it first, its amount is the only one it works for")]
    RequestPending {
        /// Its number.
        sequence: u64,
        /// Its amount.
        amount: PostageAmount,
    },
    /// Zero is no download.
    #[error("a download needs an amount above zero")]
    NoAmount,
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
}

fn expectation(expected: Option<u64>) -> String {
    expected.map_or_else(|| "none is under way".to_owned(), |n| format!("download {n} is under way"))
}

impl ValueRefusal {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            ValueRefusal::NotActive(_) => "psd-not-active",
            ValueRefusal::RequestPending { .. } => "value-request-pending",
            ValueRefusal::NoAmount => "value-no-amount",
            ValueRefusal::WrongAppliance(_) => "value-wrong-appliance",
            ValueRefusal::WrongPsd(_) => "value-wrong-psd",
            ValueRefusal::WrongSequence { .. } => "value-wrong-sequence",
            ValueRefusal::WrongAmount { .. } => "value-wrong-amount",
            ValueRefusal::Overflow => "value-overflow",
            ValueRefusal::AboveLargestDescending { .. } => "value-above-largest-descending",
            ValueRefusal::WrongControlTotal { .. } => "value-wrong-control-total",
            ValueRefusal::Expired(_) => "value-expired",
        }
    }
}

impl Psd {
    /// The terms of the next value request, if one may be made. Changes nothing. A request over the same amount as
    /// the one under way is answered by that one; the caller looks at [`super::State::pending`] first.
    pub fn value_terms(&self, amount: PostageAmount) -> Result<ValueTerms, ValueRefusal> {
        self.takes_value()?;
        if let Some(pending) = &self.state.pending {
            return Err(ValueRefusal::RequestPending { sequence: pending.sequence, amount: pending.amount });
        }
        if amount == PostageAmount::ZERO {
            return Err(ValueRefusal::NoAmount);
        }
        self.room_for(amount)?;
        let sequence = self.state.value_sequence + 1;
        Ok(ValueTerms { psd: self.identity.psd, registers: self.state.registers, amount, sequence })
    }

    /// Notes that a request over these terms was signed.
    pub fn value_requested(&mut self, terms: &ValueTerms, request: Arc<[u8]>) {
        self.state.pending = Some(PendingValue { sequence: terms.sequence, amount: terms.amount, request });
    }

    /// The terms of the statement that the download of this number is void, if it is under way. Changes nothing. Whoever lost the way to
    /// the authority may give up in any state of the PSD's life and under any lock.
    pub fn void_terms(&self, sequence: u64) -> Result<ValueTerms, ValueRefusal> {
        let pending = self.under_way(sequence)?;
        let (psd, registers) = (self.identity.psd, self.state.registers);
        Ok(ValueTerms { psd, registers, amount: pending.amount, sequence })
    }

    /// Notes that a statement over these terms was signed: the number is used up, and no authorisation for it loads anything again.
    pub fn value_voided(&mut self, terms: &ValueTerms) {
        self.state.value_sequence = terms.sequence;
        self.state.pending = None;
    }

    /// Loads authorised value. Applied exactly once: the number must be the one under way.
    pub fn apply_value(
        &mut self,
        authorisation: &Authorisation,
        appliance: &ApplianceId,
        now: UnixMillis,
    ) -> Result<(), ValueRefusal> {
        self.takes_value()?;
        if authorisation.appliance != *appliance {
            return Err(ValueRefusal::WrongAppliance(authorisation.appliance.clone()));
        }
        if authorisation.psd != self.identity.psd {
            return Err(ValueRefusal::WrongPsd(authorisation.psd));
        }
        let given = authorisation.sequence;
        let pending = self.under_way(given)?;
        if authorisation.amount != pending.amount {
            return Err(ValueRefusal::WrongAmount { given: authorisation.amount, expected: pending.amount });
        }
        let registers = self.room_for(authorisation.amount)?;
        if authorisation.control_total != registers.control_total() {
            let (given, expected) = (authorisation.control_total, registers.control_total());
            return Err(ValueRefusal::WrongControlTotal { given, expected });
        }
        if now > authorisation.expires {
            return Err(ValueRefusal::Expired(authorisation.expires));
        }
        self.state.registers = registers;
        self.state.value_sequence = given;
        self.state.pending = None;
        Ok(())
    }

    fn under_way(&self, given: u64) -> Result<&PendingValue, ValueRefusal> {
        let pending = self.state.pending.as_ref();
        let expected = pending.map(|pending| pending.sequence);
        pending.filter(|pending| pending.sequence == given).ok_or(ValueRefusal::WrongSequence { given, expected })
    }

    fn takes_value(&self) -> Result<(), ValueRefusal> {
        match self.state.lifecycle {
            Lifecycle::Authorised | Lifecycle::Active => Ok(()),
            other @ (Lifecycle::Initialised | Lifecycle::Withdrawn | Lifecycle::Scrapped) => {
                Err(ValueRefusal::NotActive(other))
            }
        }
    }

    fn room_for(&self, amount: PostageAmount) -> Result<crate::Registers, ValueRefusal> {
        let registers = self.state.registers.loaded(amount).ok().ok_or(ValueRefusal::Overflow)?;
        let largest = self.identity.limits.largest_descending;
        if registers.descending() > largest {
            return Err(ValueRefusal::AboveLargestDescending { would_be: registers.descending(), largest });
        }
        Ok(registers)
    }
}
