//! The lifecycle of a PSD and the reasons for which it may be locked.
//!
//! DOMAIN.md: manufactured → initialised → authorised → active ⇄ locked → withdrawn → scrapped. "Locked" is not a
//! state that replaces another but a set of reasons beside it, so that clearing one reason never clears another.

use std::fmt;

/// Where a PSD stands in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lifecycle {
    /// Keys and identity exist.
    Initialised,
    /// Licence and certificates are installed.
    Authorised,
    /// May sign.
    Active,
    /// Funds returned; registers read zero.
    Withdrawn,
    /// Keys destroyed.
    Scrapped,
}

impl Lifecycle {
    /// The number of the state in records.
    pub const fn number(self) -> u8 {
        match self {
            Lifecycle::Initialised => 1,
            Lifecycle::Authorised => 2,
            Lifecycle::Active => 3,
            Lifecycle::Withdrawn => 4,
            Lifecycle::Scrapped => 5,
        }
    }

    /// The state with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Lifecycle::Initialised,
            2 => Lifecycle::Authorised,
            3 => Lifecycle::Active,
            4 => Lifecycle::Withdrawn,
            5 => Lifecycle::Scrapped,
            _ => return None,
        })
    }

    /// Whether the life of a PSD may go from here to there in one step.
    pub const fn may_become(self, next: Lifecycle) -> bool {
        use Lifecycle::{Active, Authorised, Initialised, Scrapped, Withdrawn};
        matches!(
            (self, next),
            (Initialised, Authorised)
                | (Authorised, Active)
                | (Authorised | Active, Withdrawn)
                | (Initialised | Withdrawn, Scrapped)
        )
    }

    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Lifecycle::Initialised => "initialised",
            Lifecycle::Authorised => "authorised",
            Lifecycle::Active => "active",
            Lifecycle::Withdrawn => "withdrawn",
            Lifecycle::Scrapped => "scrapped",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a PSD is locked. Each reason is cleared only by the party that set it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LockReason {
    /// An inspection by the postal authority is overdue.
    InspectionOverdue,
    /// The clock cannot be believed.
    Clock,
    /// The vendor's operators locked it.
    Operator,
    /// The postal authority locked it.
    Authority,
    /// The funds system locked it, for instance for a returned payment.
    Funds,
    /// Something in the appliance broke that only a person can judge.
    Fault,
}

impl LockReason {
    /// All reasons, in the order of their bits.
    pub const ALL: [LockReason; 6] = [
        LockReason::InspectionOverdue,
        LockReason::Clock,
        LockReason::Operator,
        LockReason::Authority,
        LockReason::Funds,
        LockReason::Fault,
    ];

    const fn bit(self) -> u8 {
        match self {
            LockReason::InspectionOverdue => 1,
            LockReason::Clock => 2,
            LockReason::Operator => 4,
            LockReason::Authority => 8,
            LockReason::Funds => 16,
            LockReason::Fault => 32,
        }
    }

    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            LockReason::InspectionOverdue => "inspection-overdue",
            LockReason::Clock => "clock",
            LockReason::Operator => "operator",
            LockReason::Authority => "authority",
            LockReason::Funds => "funds",
            LockReason::Fault => "fault",
        }
    }
}

/// The set of reasons for which a PSD is locked; empty means not locked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Locks(u8);

impl Locks {
    /// Not locked.
    pub const NONE: Locks = Locks(0);

    /// The set with these bits, if each is a reason's.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits < 64 { Some(Self(bits)) } else { None }
    }

    /// The bits: inspection overdue 1, clock 2, operator 4, authority 8, funds 16, fault 32.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether there is no reason.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with this reason too.
    pub const fn with(self, reason: LockReason) -> Self {
        Self(self.0 | reason.bit())
    }

    /// The set without this reason.
    pub const fn without(self, reason: LockReason) -> Self {
        Self(self.0 & !reason.bit())
    }

    /// Whether this reason is in it.
    pub const fn has(self, reason: LockReason) -> bool {
        self.0 & reason.bit() != 0
    }

    /// The reasons in it.
    pub fn reasons(self) -> impl Iterator<Item = LockReason> {
        LockReason::ALL.into_iter().filter(move |reason| self.0 & reason.bit() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_never_clears_another() {
        let all = LockReason::ALL.into_iter().fold(Locks::NONE, Locks::with);
        for reason in LockReason::ALL {
            let rest = all.without(reason);
            assert_eq!(rest.reasons().count(), LockReason::ALL.len() - 1);
            assert_eq!(rest.with(reason), all);
        }
        assert_eq!(Locks::from_bits(64), None);
    }

    #[test]
    fn no_life_goes_backwards() {
        use Lifecycle::*;
        let states = [Initialised, Authorised, Active, Withdrawn, Scrapped];
        for from in states {
            for to in states.into_iter().filter(|to| *to <= from) {
                assert!(!from.may_become(to), "{from} → {to}");
            }
            assert_eq!(Lifecycle::from_number(from.number()), Some(from));
        }
    }
}
