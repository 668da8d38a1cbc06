//! An instruction of the authority and its effect: the record right behind it, and no other.

use crate::authority::{Act, Instruction};
use crate::custody::KeyStep;
use crate::device::State;
use crate::lifecycle::Locks;
use crate::record::{AuthorityPurpose, Event};

/// The instruction that stands right before the next record, if one does.
#[derive(Clone, Debug, Default)]
pub struct Instructed(Option<(AuthorityPurpose, Act)>);

impl Instructed {
    /// An instruction was recorded, and this is what it wants.
    pub fn note(&mut self, purpose: AuthorityPurpose, act: Act) {
        self.0 = Some((purpose, act));
    }

    /// Locks of the authority, ceilings, periods of inspection and its policy change by its instruction only, so is a key acknowledged, its change
    /// ordered and an audit report accepted, and every instruction has its effect at once. A key that the operators revoke needs none.
    /// `before` is how the PSD of the record stood before it.
    ///
    /// # Errors
    ///
    /// What does not belong together.
    pub fn admit(&mut self, event: &Event, before: Option<&State>) -> Result<(), &'static str> {
        let of_the_authority = |locks: Locks| locks.bits() & Instruction::LOCKS.bits();
        match (event, self.0.take()) {
            (Event::LifecycleChanged { stamp, lifecycle, locks }, Some((purpose, act))) => {
                let wanted = match (&act, Instruction::lock_reason(purpose), before) {
                    (Act::Lock(psd), Some(reason), Some(before)) => (*psd, before.lifecycle, before.locks.with(reason)),
                    (Act::Unlock(psd), Some(reason), Some(before)) => {
                        (*psd, before.lifecycle, before.locks.without(reason))
                    }
                    _ => return Err("the change is not the one instructed"),
                };
                if wanted == (stamp.psd, *lifecycle, *locks) {
                    return Ok(());
                }
                Err("the change is not the one instructed")
            }
            (Event::CeilingSet { licence, period, amount }, Some((AuthorityPurpose::Policy, act))) => {
                let set = Act::Ceiling { licence: licence.clone(), period: *period, amount: *amount };
                if act == set { Ok(()) } else { Err("the ceiling is not the one instructed") }
            }
            (
                Event::KeyStateChanged { stamp, key_id, step: KeyStep::Acknowledged, .. },
                Some((AuthorityPurpose::Inspection, Act::Acknowledge { psd, role, serial })),
            ) => {
                let key = before.and_then(|before| before.key(key_id)).map(|certified| &certified.key);
                let named = key.is_some_and(|key| (key.role, key.certificate_serial) == (role, Some(serial)));
                if named && stamp.psd == psd {
                    return Ok(());
                }
                Err("the key is not the one that the instruction acknowledges")
            }
            (
                Event::InspectionPeriodsSet { licence, periods },
                Some((AuthorityPurpose::Inspection, act @ Act::InspectionPeriods { .. })),
            ) => {
                let set = Act::InspectionPeriods { licence: licence.clone(), periods: *periods };
                if act == set { Ok(()) } else { Err("the periods are not those instructed") }
            }
            (
                Event::AuditAccepted { stamp, digest },
                Some((AuthorityPurpose::Inspection, act @ Act::AcceptAudit { .. })),
            ) => {
                let accepted = Act::AcceptAudit { psd: stamp.psd, digest: *digest };
                if act == accepted { Ok(()) } else { Err("the report is not the one that the instruction accepts") }
            }
            (
                Event::KeyStateChanged { stamp, key_id, step: KeyStep::Revoked, since, reason },
                Some((AuthorityPurpose::Inspection, Act::RevokeKey { psd, role, serial, revocation })),
            ) => {
                let key = before.and_then(|before| before.key(key_id)).map(|certified| &certified.key);
                let named = key.is_some_and(|key| (key.role, key.certificate_serial) == (role, Some(serial)));
                if !named || stamp.psd != psd {
                    return Err("the key is not the one that the instruction revokes");
                }
                let as_told = (*since, *reason) == (revocation.since, Some(revocation.reason));
                if as_told { Ok(()) } else { Err("time or reason of the revocation are not those instructed") }
            }
            (
                Event::KeyChangeOrdered { stamp, role },
                Some((AuthorityPurpose::Inspection, act @ Act::ChangeKey { .. })),
            ) => {
                let ordered = Act::ChangeKey { psd: stamp.psd, role: *role };
                if act == ordered { Ok(()) } else { Err("the key is not the one whose change is instructed") }
            }
            (
                Event::AuthorityPolicySet { version, text },
                Some((AuthorityPurpose::Policy, act @ Act::Policy { .. })),
            ) => {
                let set = Act::Policy { version: *version, text: text.clone() };
                if act == set { Ok(()) } else { Err("the authority's policy is not the one instructed") }
            }
            (_, Some(_)) => Err("the effect of the instruction before it is missing"),
            (Event::KeyStateChanged { step: KeyStep::Acknowledged, .. }, None) => {
                Err("a key is acknowledged without an instruction of the authority")
            }
            (Event::LifecycleChanged { locks, .. }, None) => {
                let before = before.map_or(Locks::NONE, |before| before.locks);
                if of_the_authority(*locks) == of_the_authority(before) {
                    return Ok(());
                }
                Err("a lock of the authority changes without its instruction")
            }
            (Event::CeilingSet { .. }, None) => Err("a ceiling changes without an instruction of the authority"),
            (Event::InspectionPeriodsSet { .. }, None) => {
                Err("periods of inspection change without an instruction of the authority")
            }
            (Event::AuditAccepted { .. }, None) => {
                Err("an audit report is accepted without an instruction of the authority")
            }
            (Event::KeyChangeOrdered { .. }, None) => {
                Err("the change of a key is ordered without an instruction of the authority")
            }
            (Event::AuthorityPolicySet { .. }, None) => {
                Err("the authority's policy changes without an instruction of the authority")
            }
            (_, None) => Ok(()),
        }
    }
}
