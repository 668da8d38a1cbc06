//! What the postal authority holds over an appliance: instructions with rising numbers, ceilings on the value of licences, how often their PSDs
//! are inspected, and its own policy.

use crate::custody::{KeyStep, Revocation};
use crate::device::State;
use crate::id::{ApplianceId, LicenceNumber, PsdId};
use crate::inspection::{InspectionDue, InspectionPeriods};
use crate::key::Role;
use crate::key_order::Unchangeable;
use crate::lifecycle::{LockReason, Locks};
use crate::money::PostageAmount;
use crate::policy::{AuthorityPolicy, NotTheNext, PolicyText};
use crate::record::AuthorityPurpose;
use crate::time::{MailingDate, UnixMillis};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A span of the calendar, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Period {
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// All, the shortest first.
    pub const ALL: [Period; 3] = [Period::Day, Period::Month, Period::Year];

    /// The number of the period in records.
    pub const fn number(self) -> u8 {
        match self {
            Period::Day => 1,
            Period::Month => 2,
            Period::Year => 3,
        }
    }

    /// The period with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.number() == number)
    }

    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Period::Day => "day",
            Period::Month => "month",
            Period::Year => "year",
        }
    }

    /// The period of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == word)
    }

    /// The one that a time falls into, as a number that differs from those of all others.
    fn of(self, time: UnixMillis) -> u32 {
        let day = MailingDate::of(time).map_or(0, MailingDate::yyyymmdd);
        match self {
            Period::Day => day,
            Period::Month => day / 100,
            Period::Year => day / 10_000,
        }
    }
}

/// Value loaded under a licence in the day, the month and the year of a download, that download included. Refunds do not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// In the day.
    pub day: PostageAmount,
    /// In the month.
    pub month: PostageAmount,
    /// In the year.
    pub year: PostageAmount,
}

impl Loaded {
    /// In one period.
    pub const fn in_period(&self, period: Period) -> PostageAmount {
        match period {
            Period::Day => self.day,
            Period::Month => self.month,
            Period::Year => self.year,
        }
    }
}

/// More value than the licence may load in a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{would_be} would be loaded under the licence in this {}, above its ceiling of {ceiling}", .period.as_str())]
pub struct AboveCeiling {
    /// In which.
    pub period: Period,
    /// The sum with this download.
    pub would_be: PostageAmount,
    /// The ceiling.
    pub ceiling: PostageAmount,
}

/// The value of one licence.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct LicenceValue {
    ceilings: BTreeMap<Period, PostageAmount>,
    /// As of the last download.
    loaded: Loaded,
    at: UnixMillis,
}

/// What the authority has instructed, and what it is to be held against.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuthorityState {
    /// The newest number of each purpose.
    numbers: BTreeMap<u8, u64>,
    licences: BTreeMap<LicenceNumber, LicenceValue>,
    inspections: BTreeMap<LicenceNumber, InspectionPeriods>,
    policy: AuthorityPolicy,
}

impl AuthorityState {
    /// The number of the newest instruction of a key.
    pub fn newest(&self, purpose: AuthorityPurpose) -> u64 {
        self.numbers.get(&purpose.number()).copied().unwrap_or(0)
    }

    /// Notes that an instruction of this number was taken.
    pub fn instructed(&mut self, purpose: AuthorityPurpose, number: u64) {
        self.numbers.insert(purpose.number(), number);
    }

    /// Sets or takes away a ceiling.
    pub fn set_ceiling(&mut self, licence: &LicenceNumber, period: Period, ceiling: Option<PostageAmount>) {
        let ceilings = &mut self.licences.entry(licence.clone()).or_default().ceilings;
        match ceiling {
            Some(ceiling) => ceilings.insert(period, ceiling),
            None => ceilings.remove(&period),
        };
    }

    /// Sets or takes away the periods in which the PSDs of a licence are inspected.
    pub fn set_inspection_periods(&mut self, licence: &LicenceNumber, periods: Option<InspectionPeriods>) {
        match periods {
            Some(periods) => self.inspections.insert(licence.clone(), periods),
            None => self.inspections.remove(licence),
        };
    }

    /// The periods in which PSDs are inspected, of every licence that has some.
    pub const fn inspection_periods(&self) -> &BTreeMap<LicenceNumber, InspectionPeriods> {
        &self.inspections
    }

    /// When a PSD of the licence, last inspected at this time, is to be inspected again; never where no periods are set.
    pub fn inspection_due(&self, licence: &LicenceNumber, last: UnixMillis) -> Option<InspectionDue> {
        self.inspections.get(licence).map(|periods| periods.after(last))
    }

    /// Puts the authority's policy in force in the place of the one before.
    pub fn set_policy(&mut self, version: u64, text: &PolicyText) {
        self.policy = AuthorityPolicy { version, text: text.clone() };
    }

    /// The authority's own policy; version 0 where it never instructed one.
    pub const fn policy(&self) -> &AuthorityPolicy {
        &self.policy
    }

    /// What will have been loaded under the licence with a download of this amount at this time, if its ceilings admit it.
    pub fn admit(
        &self,
        licence: &LicenceNumber,
        amount: PostageAmount,
        at: UnixMillis,
    ) -> Result<Loaded, AboveCeiling> {
        let before = self.licences.get(licence);
        let sum = |period: Period| {
            let same = before.filter(|value| period.of(value.at) == period.of(at));
            let so_far = same.map_or(PostageAmount::ZERO, |value| value.loaded.in_period(period));
            so_far.checked_add(amount).unwrap_or(PostageAmount::MAX)
        };
        for (period, ceiling) in before.into_iter().flat_map(|value| &value.ceilings) {
            if sum(*period) > *ceiling {
                return Err(AboveCeiling { period: *period, would_be: sum(*period), ceiling: *ceiling });
            }
        }
        Ok(Loaded { day: sum(Period::Day), month: sum(Period::Month), year: sum(Period::Year) })
    }

    /// Notes what has been loaded.
    pub fn loaded(&mut self, licence: &LicenceNumber, loaded: Loaded, at: UnixMillis) {
        let value = self.licences.entry(licence.clone()).or_default();
        (value.loaded, value.at) = (loaded, at);
    }
}

/// What the authority wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Lock a PSD, for the reason that the key stands for.
    Lock(PsdId),
    /// Take that reason away.
    Unlock(PsdId),
    /// Set or take away a ceiling.
    Ceiling {
        /// On which licence.
        licence: LicenceNumber,
        /// Over which period.
        period: Period,
        /// At most so much; none takes the ceiling away.
        amount: Option<PostageAmount>,
    },
    /// Verifiers know the certificate of a next key: it may take over.
    Acknowledge {
        /// Of which PSD.
        psd: PsdId,
        /// Of which of its keys.
        role: Role,
        /// Serial number of the certificate.
        serial: u32,
    },
    /// Set or take away how often the PSDs of a licence are inspected.
    InspectionPeriods {
        /// Of which licence.
        licence: LicenceNumber,
        /// The periods; none takes them away.
        periods: Option<InspectionPeriods>,
    },
    /// An audit report of a PSD is accepted: the PSD is inspected.
    AcceptAudit {
        /// Of which PSD.
        psd: PsdId,
        /// SHA-256 of the report's bytes.
        digest: [u8; 32],
    },
    /// A key is not to be trusted from a time on: it signs nothing more.
    RevokeKey {
        /// Of which PSD.
        psd: PsdId,
        /// Which of its keys.
        role: Role,
        /// Serial number of its certificate.
        serial: u32,
        /// Since when and why.
        revocation: Revocation,
    },
    /// A new key of a role is to take over.
    ChangeKey {
        /// Of which PSD.
        psd: PsdId,
        /// Of which role.
        role: Role,
    },
    /// The authority's own policy, in the place of the one before.
    Policy {
        /// One more than that of the one before; the first has 1.
        version: u64,
        /// What it forbids; empty to forbid nothing more.
        text: PolicyText,
    },
}

/// A signed instruction of the authority, after its signature was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// What the key that signed it is for.
    pub purpose: AuthorityPurpose,
    /// The appliance it is for.
    pub appliance: ApplianceId,
    /// Rises with every instruction of this key to this appliance.
    pub number: u64,
    /// It cannot be taken later than this.
    pub expires: UnixMillis,
    /// What.
    pub act: Act,
}

/// Why an instruction was not taken. In the order of the checks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InstructionRefusal {
    /// It is for another appliance.
    #[error("the instruction is for appliance {0}")]
    WrongAppliance(ApplianceId),
    /// The key is not for this.
    #[error("the authority's {} key does not instruct that", .0.as_str())]
    WrongSigner(AuthorityPurpose),
    /// Not above the newest one taken: it is old, whatever it says.
    #[error("instruction {given} is not above the newest one of this key, {newest}")]
    Stale {
        /// In the instruction.
        given: u64,
        /// Taken before.
        newest: u64,
    },
    /// Too late.
    #[error("the instruction expired at {0}")]
    Expired(UnixMillis),
    /// No such PSD.
    #[error("there is no PSD {0} here")]
    UnknownPsd(PsdId),
    /// No PSD under this licence.
    #[error("no PSD here is under licence {0}")]
    UnknownLicence(LicenceNumber),
    /// No certificate of this serial number is installed for a key of the role.
    #[error(
        "no {role} key of {psd} has a certificate of serial number {serial}: install it first, or correct the instruction"
    )]
    UnknownCertificate {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// The serial number.
        serial: u32,
    },
    /// The key does not wait for its turn any more, or was acknowledged before.
    #[error("the {role} key of {psd} with certificate {serial} does not wait for it: {why}")]
    NotWaiting {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// Serial number of the certificate.
        serial: u32,
        /// What does not hold.
        why: &'static str,
    },
    /// No such report was made here since the daemon's start, or it was accepted before, or too many followed it.
    #[error(
        "{0} gave no such report since the daemon's start that waits for acceptance: audit it again, and accept that report"
    )]
    UnknownReport(PsdId),
    /// The key is revoked already: its first time and reason stay.
    #[error("the {role} key of {psd} with certificate {serial} is revoked since {since} already")]
    KeyRevoked {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// Serial number of the certificate.
        serial: u32,
        /// Since when.
        since: UnixMillis,
    },
    /// The key is destroyed: it signs nothing more, and what it signed was signed before that.
    #[error("the {role} key of {psd} with certificate {serial} was destroyed at {at}: there is nothing to revoke")]
    KeyDestroyed {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// Serial number of the certificate.
        serial: u32,
        /// When.
        at: UnixMillis,
    },
    /// A revocation counts from its record on at the latest.
    #[error("the key is to be revoked since {since}, which is yet to come: it is {now}")]
    SinceAhead {
        /// In the instruction.
        since: UnixMillis,
        /// The time here.
        now: UnixMillis,
    },
    /// The change of the key cannot be ordered.
    #[error("the change of the {role} key of {psd}: {why}")]
    Unchangeable {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// What does not hold.
        why: Unchangeable,
    },
    /// The policy is not the next one.
    #[error("{0}, the newest here")]
    PolicyVersion(NotTheNext),
    /// The policy's text cannot be in force.
    #[error("the policy is not taken, and nothing is changed: {0}")]
    PolicyInvalid(Arc<str>),
}

impl InstructionRefusal {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            InstructionRefusal::WrongAppliance(_) => "instruction-wrong-appliance",
            InstructionRefusal::WrongSigner(_) => "instruction-wrong-signer",
            InstructionRefusal::Stale { .. } => "instruction-stale",
            InstructionRefusal::Expired(_) => "instruction-expired",
            InstructionRefusal::UnknownPsd(_) => "psd-unknown",
            InstructionRefusal::UnknownLicence(_) => "licence-unknown",
            InstructionRefusal::UnknownCertificate { .. } => "certificate-unknown",
            InstructionRefusal::NotWaiting { .. } => "key-not-waiting",
            InstructionRefusal::UnknownReport(_) => "report-unknown",
            InstructionRefusal::KeyRevoked { .. } => "key-revoked-before",
            InstructionRefusal::KeyDestroyed { .. } => "key-destroyed",
            InstructionRefusal::SinceAhead { .. } => "revocation-ahead",
            InstructionRefusal::Unchangeable { why: Unchangeable::NoKey, .. } => "key-role-unknown",
            InstructionRefusal::Unchangeable { why: Unchangeable::Ended(_), .. } => "psd-not-active",
            InstructionRefusal::Unchangeable { why: Unchangeable::Ordered(_), .. } => "key-change-ordered",
            InstructionRefusal::PolicyVersion(_) => "policy-version",
            InstructionRefusal::PolicyInvalid(_) => "policy-invalid",
        }
    }
}

impl Instruction {
    /// The lock reasons that change by instruction only.
    pub const LOCKS: Locks = Locks::NONE.with(LockReason::Authority).with(LockReason::Funds);

    /// The lock reason that the key of this purpose stands for. Each party clears its own and no other.
    pub const fn lock_reason(purpose: AuthorityPurpose) -> Option<LockReason> {
        match purpose {
            AuthorityPurpose::Funds => Some(LockReason::Funds),
            AuthorityPurpose::Inspection => Some(LockReason::Authority),
            AuthorityPurpose::Policy => None,
        }
    }

    /// Whether the key is for this act.
    fn signer_may(&self) -> bool {
        match self.act {
            Act::Lock(_) | Act::Unlock(_) => Self::lock_reason(self.purpose).is_some(),
            Act::Ceiling { .. } | Act::Policy { .. } => self.purpose == AuthorityPurpose::Policy,
            Act::Acknowledge { .. }
            | Act::InspectionPeriods { .. }
            | Act::AcceptAudit { .. }
            | Act::RevokeKey { .. }
            | Act::ChangeKey { .. } => self.purpose == AuthorityPurpose::Inspection,
        }
    }

    /// Whether it may be taken still, at a later time than it was first judged.
    pub fn check_expiry(&self, now: UnixMillis) -> Result<(), InstructionRefusal> {
        if now > self.expires { Err(InstructionRefusal::Expired(self.expires)) } else { Ok(()) }
    }

    /// Whether it may be taken now, all but whether there is what it names.
    pub fn check(
        &self,
        appliance: &ApplianceId,
        state: &AuthorityState,
        now: UnixMillis,
    ) -> Result<(), InstructionRefusal> {
        if self.appliance != *appliance {
            return Err(InstructionRefusal::WrongAppliance(self.appliance.clone()));
        }
        if !self.signer_may() {
            return Err(InstructionRefusal::WrongSigner(self.purpose));
        }
        let (given, newest) = (self.number, state.newest(self.purpose));
        if given <= newest {
            return Err(InstructionRefusal::Stale { given, newest });
        }
        self.check_expiry(now)
    }
}

/// The key of `psd`, which is as `state` says, that an acknowledgement speaks of; refused where it does not wait for one.
pub fn acknowledgeable(psd: PsdId, state: &State, role: Role, serial: u32) -> Result<Arc<[u8]>, InstructionRefusal> {
    let Some(certified) = state.certified_key(role, serial) else {
        return Err(InstructionRefusal::UnknownCertificate { psd, role, serial });
    };
    match certified.life.admit(KeyStep::Acknowledged, true, false) {
        Ok(()) => Ok(Arc::clone(&certified.key.key_id)),
        Err(why) => Err(InstructionRefusal::NotWaiting { psd, role, serial, why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::RevocationReason;

    fn mills(mills: u64) -> PostageAmount {
        PostageAmount::from_mills(mills).unwrap()
    }

    fn at(day: &str) -> UnixMillis {
        let day: MailingDate = day.parse().unwrap();
        UnixMillis(u64::try_from(day.day_number()).unwrap() * 86_400_000 + 5)
    }

    #[test]
    fn a_ceiling_holds_for_its_period_and_no_longer() {
        let licence: LicenceNumber = "L-1".parse().unwrap();
        let mut state = AuthorityState::default();
        state.set_ceiling(&licence, Period::Month, Some(mills(100)));
        let mut load = |amount, day: &str| {
            let loaded = state.admit(&licence, mills(amount), at(day))?;
            state.loaded(&licence, loaded, at(day));
            Ok::<_, AboveCeiling>((loaded.day.mills(), loaded.month.mills(), loaded.year.mills()))
        };
        assert_eq!(load(60, "2026-11-29"), Ok((60, 60, 60)));
        assert_eq!(load(40, "2026-11-30"), Ok((40, 100, 100)));
        assert_eq!(load(1, "2026-11-30").unwrap_err().would_be, mills(101));
        assert_eq!(load(100, "2026-12-01"), Ok((100, 100, 200)), "the next month begins anew");
        assert!(load(1, "2026-12-31").is_err());
        assert_eq!(load(7, "2027-01-01"), Ok((7, 7, 7)));
        let other: LicenceNumber = "L-2".parse().unwrap();
        assert!(state.admit(&other, PostageAmount::MAX, at("2027-01-01")).is_ok(), "each licence by itself");
        state.set_ceiling(&licence, Period::Day, Some(mills(50)));
        assert_eq!(state.admit(&licence, mills(44), at("2027-01-01")).unwrap_err().period, Period::Day);
        state.set_ceiling(&licence, Period::Day, None);
        assert!(state.admit(&licence, mills(44), at("2027-01-01")).is_ok());
    }

    #[test]
    fn an_instruction_is_taken_once_and_by_its_own_key() {
        let appliance: ApplianceId = "dev-1".parse().unwrap();
        let psd: PsdId = "PS010000000001".parse().unwrap();
        let mut state = AuthorityState::default();
        let instruction = |purpose, number, act| Instruction {
            purpose,
            appliance: appliance.clone(),
            number,
            expires: UnixMillis(1_000),
            act,
        };
        let code = |state: &AuthorityState, instruction: &Instruction, now| {
            instruction.check(&appliance, state, UnixMillis(now)).map_err(|refusal| refusal.code())
        };
        let lock = instruction(AuthorityPurpose::Inspection, 5, Act::Lock(psd));
        assert_eq!(code(&state, &lock, 1_000), Ok(()));
        assert_eq!(code(&state, &lock, 1_001), Err("instruction-expired"));
        state.instructed(AuthorityPurpose::Inspection, 5);
        assert_eq!(code(&state, &lock, 1_000), Err("instruction-stale"), "taken before");
        let unlock = instruction(AuthorityPurpose::Inspection, 4, Act::Unlock(psd));
        assert_eq!(code(&state, &unlock, 1_000), Err("instruction-stale"), "older than the lock");
        let by_funds = instruction(AuthorityPurpose::Funds, 1, Act::Unlock(psd));
        assert_eq!(code(&state, &by_funds, 1_000), Ok(()), "each key counts for itself");
        let ceiling = |purpose| {
            let licence = "L-1".parse().unwrap();
            instruction(purpose, 9, Act::Ceiling { licence, period: Period::Day, amount: None })
        };
        assert_eq!(code(&state, &ceiling(AuthorityPurpose::Policy), 0), Ok(()));
        assert_eq!(code(&state, &ceiling(AuthorityPurpose::Funds), 0), Err("instruction-wrong-signer"));
        let by_policy = instruction(AuthorityPurpose::Policy, 9, Act::Lock(psd));
        assert_eq!(code(&state, &by_policy, 0), Err("instruction-wrong-signer"));
        let acknowledge = |purpose| instruction(purpose, 9, Act::Acknowledge { psd, role: Role::Indicium, serial: 1 });
        assert_eq!(code(&state, &acknowledge(AuthorityPurpose::Inspection), 0), Ok(()));
        let periods = |purpose| {
            let licence = "L-1".parse().unwrap();
            instruction(purpose, 9, Act::InspectionPeriods { licence, periods: None })
        };
        let accept = |purpose| instruction(purpose, 9, Act::AcceptAudit { psd, digest: [1; 32] });
        assert_eq!(code(&state, &periods(AuthorityPurpose::Inspection), 0), Ok(()));
        assert_eq!(code(&state, &accept(AuthorityPurpose::Inspection), 0), Ok(()));
        let revocation = Revocation { since: UnixMillis(0), reason: RevocationReason::KeyCompromise };
        let revoke = Act::RevokeKey { psd, role: Role::Indicium, serial: 1, revocation };
        let about_keys = [revoke, Act::ChangeKey { psd, role: Role::TokenMac }];
        for act in &about_keys {
            assert_eq!(code(&state, &instruction(AuthorityPurpose::Inspection, 9, act.clone()), 0), Ok(()));
        }
        for other in [AuthorityPurpose::Funds, AuthorityPurpose::Policy] {
            assert_eq!(code(&state, &acknowledge(other), 0), Err("instruction-wrong-signer"));
            assert_eq!(code(&state, &periods(other), 0), Err("instruction-wrong-signer"));
            assert_eq!(code(&state, &accept(other), 0), Err("instruction-wrong-signer"));
            for act in &about_keys {
                assert_eq!(code(&state, &instruction(other, 9, act.clone()), 0), Err("instruction-wrong-signer"));
            }
        }
        let policy = |purpose| instruction(purpose, 9, Act::Policy { version: 1, text: PolicyText::default() });
        assert_eq!(code(&state, &policy(AuthorityPurpose::Policy), 0), Ok(()));
        for other in [AuthorityPurpose::Funds, AuthorityPurpose::Inspection] {
            assert_eq!(code(&state, &policy(other), 0), Err("instruction-wrong-signer"));
        }
        let elsewhere = Instruction { appliance: "dev-2".parse().unwrap(), ..by_policy };
        assert_eq!(code(&state, &elsewhere, 0), Err("instruction-wrong-appliance"));
    }

    #[test]
    fn inspections_are_due_where_the_licence_has_periods() {
        let (licence, other): (LicenceNumber, LicenceNumber) = ("L-1".parse().unwrap(), "L-2".parse().unwrap());
        let mut state = AuthorityState::default();
        let last = UnixMillis(7);
        assert_eq!(state.inspection_due(&licence, last), None);
        let periods = InspectionPeriods::new(48, 72).unwrap();
        state.set_inspection_periods(&licence, Some(periods));
        assert_eq!(state.inspection_due(&licence, last), Some(periods.after(last)));
        assert_eq!(state.inspection_due(&other, last), None, "each licence by itself");
        state.set_inspection_periods(&licence, None);
        assert_eq!(state.inspection_due(&licence, last), None);
    }
}
