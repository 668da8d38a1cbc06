//! What becomes of a key: in use, out of use, revoked, destroyed; and how long and how much it signed.
//!
//! A key signs from its activation on, until another of its role is activated or it is retired, revoked or destroyed. The public half stays
//! for as long as the log does, so that what it signed can be verified.

use crate::register::Registers;
use crate::time::UnixMillis;
use std::fmt;
use std::str::FromStr;

/// A step in the life of a key that was certified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyStep {
    /// It signs from now on, in place of the one before it.
    Activated,
    /// It is kept for nothing any more, and may be destroyed.
    Retired,
    /// Its private half is gone from the token, and every copy of it.
    Destroyed,
    /// It is not to be trusted from a time on.
    Revoked,
    /// The authority says that verifiers know its certificate: by its signed instruction alone.
    Acknowledged,
}

impl KeyStep {
    /// The number of the step in records.
    pub const fn number(self) -> u8 {
        match self {
            KeyStep::Activated => 1,
            KeyStep::Retired => 2,
            KeyStep::Destroyed => 3,
            KeyStep::Revoked => 4,
            KeyStep::Acknowledged => 5,
        }
    }

    /// The step with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => KeyStep::Activated,
            2 => KeyStep::Retired,
            3 => KeyStep::Destroyed,
            4 => KeyStep::Revoked,
            5 => KeyStep::Acknowledged,
            _ => return None,
        })
    }

    /// The word for people, for slots of live records and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyStep::Activated => "activated",
            KeyStep::Retired => "retired",
            KeyStep::Destroyed => "destroyed",
            KeyStep::Revoked => "revoked",
            KeyStep::Acknowledged => "acknowledged",
        }
    }
}

/// Why something is revoked (RFC 5280 §5.3.1, CRLReason; those that end trust for good).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RevocationReason {
    /// No reason is told.
    Unspecified,
    /// Somebody else may have the private key.
    KeyCompromise,
    /// The names in the certificate are not right any more.
    AffiliationChanged,
    /// Another takes its place.
    Superseded,
    /// It is not used any more.
    CessationOfOperation,
    /// What it stood for was taken away.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [RevocationReason; 6] = [
        RevocationReason::Unspecified,
        RevocationReason::KeyCompromise,
        RevocationReason::AffiliationChanged,
        RevocationReason::Superseded,
        RevocationReason::CessationOfOperation,
        RevocationReason::PrivilegeWithdrawn,
    ];

    /// The value of CRLReason.
    pub const fn number(self) -> u8 {
        match self {
            RevocationReason::Unspecified => 0,
            RevocationReason::KeyCompromise => 1,
            RevocationReason::AffiliationChanged => 3,
            RevocationReason::Superseded => 4,
            RevocationReason::CessationOfOperation => 5,
            RevocationReason::PrivilegeWithdrawn => 9,
        }
    }

    /// The reason with this value of CRLReason.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// The name of RFC 5280.
    pub const fn as_str(self) -> &'static str {
        match self {
            RevocationReason::Unspecified => "unspecified",
            RevocationReason::KeyCompromise => "keyCompromise",
            RevocationReason::AffiliationChanged => "affiliationChanged",
            RevocationReason::Superseded => "superseded",
            RevocationReason::CessationOfOperation => "cessationOfOperation",
            RevocationReason::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }
}

/// The word is the name of no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no reason; one of unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn"
)]
pub struct ReasonError(String);

impl FromStr for RevocationReason {
    type Err = ReasonError;

    /// From the name of RFC 5280.
    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        found.ok_or_else(|| ReasonError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Since when something is revoked, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// From this time on.
    pub since: UnixMillis,
    /// Why.
    pub reason: RevocationReason,
}

/// When a key took over, and what the registers of its PSD read then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activation {
    /// The time of the record.
    pub at: UnixMillis,
    /// The number of the record among those of its PSD: of two keys of a role, the greater one took over.
    pub sequence: u64,
    /// The registers at that record.
    pub registers: Registers,
}

/// The life of a key so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyLife {
    /// When it was made.
    pub created: UnixMillis,
    /// When its certificate was installed.
    pub certified: Option<UnixMillis>,
    /// When the authority's word came that verifiers know its certificate.
    pub acknowledged: Option<UnixMillis>,
    /// When it took over.
    pub activated: Option<Activation>,
    /// When it was retired.
    pub retired: Option<UnixMillis>,
    /// When its private half was destroyed.
    pub destroyed: Option<UnixMillis>,
    /// Since when it is revoked.
    pub revoked: Option<Revocation>,
}

impl KeyLife {
    /// That of a key just made.
    pub const fn begun(created: UnixMillis) -> Self {
        Self {
            created,
            certified: None,
            acknowledged: None,
            activated: None,
            retired: None,
            destroyed: None,
            revoked: None,
        }
    }

    /// Whether it may sign at all.
    pub const fn is_sound(&self) -> bool {
        self.retired.is_none() && self.destroyed.is_none() && self.revoked.is_none()
    }

    /// Whether it may take this step.
    ///
    /// # Errors
    ///
    /// What the life of a key does not allow.
    pub const fn admit(&self, step: KeyStep, certified: bool, in_use: bool) -> Result<(), &'static str> {
        match step {
            KeyStep::Activated if !certified => Err("a key is activated before its certificate is installed"),
            KeyStep::Activated if !self.is_sound() => Err("a key that is retired, destroyed or revoked is activated"),
            KeyStep::Activated if self.activated.is_some() => Err("a key is activated twice"),
            KeyStep::Retired if in_use => Err("the key in use is retired"),
            KeyStep::Retired if self.retired.is_some() => Err("a key is retired twice"),
            KeyStep::Destroyed if self.retired.is_none() && self.revoked.is_none() => {
                Err("a key is destroyed that was neither retired nor revoked")
            }
            KeyStep::Destroyed if self.destroyed.is_some() => Err("a key is destroyed twice"),
            KeyStep::Revoked if self.revoked.is_some() => Err("a key is revoked twice"),
            KeyStep::Acknowledged if self.certified.is_none() => {
                Err("a key is acknowledged before its certificate is installed")
            }
            KeyStep::Acknowledged if !self.is_sound() => {
                Err("a key that is retired, destroyed or revoked is acknowledged")
            }
            KeyStep::Acknowledged if self.activated.is_some() => {
                Err("a key is acknowledged that has taken over already")
            }
            KeyStep::Acknowledged if self.acknowledged.is_some() => Err("a key is acknowledged twice"),
            KeyStep::Activated | KeyStep::Retired | KeyStep::Destroyed | KeyStep::Revoked | KeyStep::Acknowledged => {
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_go_both_ways() {
        for reason in RevocationReason::ALL {
            assert_eq!(RevocationReason::from_number(reason.number()), Some(reason));
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert_eq!(RevocationReason::from_number(6), None, "a hold ends trust for a while only");
        for number in 0..=u8::MAX {
            assert!(KeyStep::from_number(number).is_none_or(|step| step.number() == number));
        }
    }

    #[test]
    fn each_step_has_its_place_in_a_life() {
        use KeyStep::{Acknowledged, Activated, Destroyed, Retired, Revoked};
        let time = Some(UnixMillis(7));
        let young = KeyLife::begun(UnixMillis(1));
        let waiting = KeyLife { certified: time, ..young };
        let acknowledged = KeyLife { acknowledged: time, ..waiting };
        let active = KeyLife {
            activated: Some(Activation { at: UnixMillis(2), sequence: 3, registers: Registers::default() }),
            ..waiting
        };
        let retired = KeyLife { retired: time, ..active };
        let destroyed = KeyLife { destroyed: time, ..retired };
        let revocation = Revocation { since: UnixMillis(5), reason: RevocationReason::KeyCompromise };
        let revoked = KeyLife { revoked: Some(revocation), ..active };
        let never_used = KeyLife { retired: time, ..waiting };
        // Activated, retired, destroyed, revoked, acknowledged.
        let rows = [
            ("uncertified", young, false, false, [false, true, false, true, false]),
            ("certified", waiting, true, false, [true, true, false, true, true]),
            ("acknowledged", acknowledged, true, false, [true, true, false, true, false]),
            ("in use", active, true, true, [false, false, false, true, false]),
            ("superseded", active, true, false, [false, true, false, true, false]),
            ("retired", retired, true, false, [false, false, true, true, false]),
            ("retired unused", never_used, true, false, [false, false, true, true, false]),
            ("destroyed", destroyed, true, false, [false, false, false, true, false]),
            ("revoked", revoked, true, false, [false, true, true, false, false]),
        ];
        for (name, life, certified, in_use, expected) in rows {
            let steps = [Activated, Retired, Destroyed, Revoked, Acknowledged];
            let taken = steps.map(|step| life.admit(step, certified, in_use).is_ok());
            assert_eq!(taken, expected, "{name}");
        }
    }
}
