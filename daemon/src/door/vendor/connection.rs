//! One client on one connection: its identity, and its policy questions prepared.
//!
//! PSDs that the policies in force cannot tell apart share question and answer, so what is kept does not grow with the fleet.

use super::VendorState;
use super::places::TenantPlace;
use super::policies::PolicyInForce;
use super::problems::Failure;
use crate::core::{Licences, PolicyGeneration, Span};
use crate::door::identity::VendorIdentity;
use psd::device::Identity;
use psd::{LicenceNumber, PsdId};
use psdd_policy::{
    Action, ApplianceAction, AppliancePairing, Decision, Pairing, PsdAttributes, Reason, Resource, Subject,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Pairings kept per connection; beyond it they are built anew.
const KEPT_PAIRINGS: usize = 256;
/// Permits kept per connection; beyond it all are asked for again.
const KEPT_PERMITS: usize = 1_024;

/// One client on one connection.
pub struct Connection {
    pub(super) identity: VendorIdentity,
    pub(super) state: Arc<VendorState>,
    subject: Subject,
    judged: Mutex<Judged>,
    _place: TenantPlace,
}

/// What a policy set can tell of a PSD.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Seen {
    /// One that no policy names: only this.
    As(PsdAttributes),
    /// One that a policy names.
    Named(PsdId),
}

impl Seen {
    fn of(identity: &Identity, policy: &PolicyInForce) -> Self {
        let Identity { psd, licence, tenant, .. } = identity;
        match policy.policies.named_psds().binary_search(psd) {
            Ok(_) => Self::Named(*psd),
            Err(_) => Self::As(PsdAttributes::of(*psd, licence, tenant)),
        }
    }
}

/// Questions to one generation of the policy. A decision depends on nothing but the policy and the question, and single pieces ask
/// the same few questions all day.
#[derive(Default)]
struct Judged {
    under: Option<PolicyGeneration>,
    pairings: HashMap<Seen, Arc<Pairing>>,
    permits: HashSet<(Seen, Action)>,
}

impl Judged {
    /// What was asked under this generation; nothing where another was in force since.
    fn under(&mut self, generation: PolicyGeneration) -> &mut Self {
        if self.under != Some(generation) {
            *self = Self { under: Some(generation), ..Self::default() };
        }
        self
    }

    fn permit(&mut self, question: (Seen, Action)) {
        if self.permits.len() >= KEPT_PERMITS {
            self.permits.clear();
        }
        self.permits.insert(question);
    }

    /// The client with any PSD that is seen so: the policies answer the same for all of them.
    fn pairing(&mut self, seen: &Seen, subject: &Subject, identity: &Identity) -> Arc<Pairing> {
        if let Some(pairing) = self.pairings.get(seen) {
            return Arc::clone(pairing);
        }
        let resource = Resource::new(identity.psd, &identity.licence, &identity.tenant);
        let pairing = Arc::new(Pairing::new(subject, &resource));
        if self.pairings.len() < KEPT_PAIRINGS {
            self.pairings.insert(seen.clone(), Arc::clone(&pairing));
        }
        pairing
    }
}

/// Members of a licence that a client may use.
pub(super) struct Permitted {
    /// In ascending order.
    pub(super) within: Vec<Span>,
    /// What they are places in.
    pub(super) licences: Arc<Licences>,
    /// By which policy.
    pub(super) policy: PolicyGeneration,
}

impl Connection {
    pub(super) fn new(identity: VendorIdentity, place: TenantPlace, state: Arc<VendorState>) -> Self {
        let subject = Subject::new(&identity.tenant, &identity.client);
        Self { identity, state, subject, judged: Mutex::new(Judged::default()), _place: place }
    }

    /// Whether the client may do this on a PSD, and under which policy; `None` where there is no such PSD.
    pub(super) fn may(&self, psd: PsdId, action: Action) -> Option<Result<PolicyGeneration, Failure>> {
        let policy = self.state.policy.load();
        let decided = self.decide(&policy, psd, action)?;
        Some(decided.map(|()| policy.generation).map_err(|reasons| Failure::denied(&reasons)))
    }

    /// Which members of a licence the client may do this on, and under which policy; `None` where there is no such licence.
    ///
    /// Each member is judged as if it were named. Those that the policies in force cannot tell apart are judged once.
    pub(super) fn may_under(&self, licence: &LicenceNumber, action: Action) -> Option<Result<Permitted, Failure>> {
        let (policy, licences) = (self.state.policy.load(), self.state.licences.load());
        let (number, members) = licences.find(licence)?;
        let places = policy.policies.named_psds().iter().filter_map(|psd| licences.place(*psd));
        let mut named: Vec<usize> = places.filter(|place| place.licence == number).map(|place| place.member).collect();
        named.sort_unstable();
        let mut within: Vec<Span> = Vec::new();
        let mut denied = Vec::new();
        for class in members.classes() {
            let singly = named.iter().copied().filter(|member| class.contains(member));
            for stretch in stretches(class, singly) {
                match self.decide(&policy, members.psd(stretch.start), action)? {
                    Ok(()) => match within.last_mut().filter(|last| last.end == stretch.start) {
                        Some(last) => last.end = stretch.end,
                        None => within.push(stretch),
                    },
                    Err(reasons) => denied.extend(reasons),
                }
            }
        }
        denied.sort();
        denied.dedup();
        if within.is_empty() {
            return Some(Err(Failure::denied(&denied)));
        }
        Some(Ok(Permitted { within, licences: Arc::clone(&licences), policy: policy.generation }))
    }

    fn decide(&self, policy: &PolicyInForce, psd: PsdId, action: Action) -> Option<Result<(), Vec<Reason>>> {
        let licences = self.state.licences.load();
        let identity = licences.identity(psd)?;
        let judged = || self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let question = (Seen::of(identity, policy), action);
        let pairing = {
            let mut judged = judged();
            let judged = judged.under(policy.generation);
            if judged.permits.contains(&question) {
                return Some(Ok(()));
            }
            judged.pairing(&question.0, &self.subject, identity)
        };
        Some(match policy.policies.decide(&pairing, action) {
            Decision::Permit => {
                judged().under(policy.generation).permit(question);
                Ok(())
            }
            Decision::Deny { reasons } => Err(reasons),
        })
    }

    /// Whether the client may do this on the appliance as a whole.
    pub(super) fn may_on_appliance(&self, action: ApplianceAction) -> Result<(), Failure> {
        let pairing = AppliancePairing::new(&self.subject, &self.state.appliance);
        match self.state.policy.load().policies.decide_on_appliance(&pairing, action) {
            Decision::Permit => Ok(()),
            Decision::Deny { reasons } => Err(Failure::denied(&reasons)),
        }
    }
}

/// A class of members cut where a policy names one of them: each of these by itself, the others together where they are neighbours.
fn stretches(class: &Span, named: impl Iterator<Item = usize>) -> Vec<Span> {
    let mut cut = Vec::new();
    let mut from = class.start;
    for member in named {
        if from < member {
            cut.push(from..member);
        }
        cut.push(member..member + 1);
        from = member + 1;
    }
    if from < class.end {
        cut.push(from..class.end);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_cut_at_the_members_that_are_named() {
        let cut = |named: &[usize]| stretches(&(3..7), named.iter().copied());
        assert_eq!(cut(&[]), [Span { start: 3, end: 7 }]);
        assert_eq!(cut(&[3]), [3..4, 4..7]);
        assert_eq!(cut(&[4, 5]), [3..4, 4..5, 5..6, 6..7]);
        assert_eq!(cut(&[6]), [3..6, 6..7]);
    }
}
