//! One client on one connection: its identity, and its policy questions prepared.

use super::VendorState;
use super::problems::Failure;
use crate::core::PolicyGeneration;
use crate::door::identity::{IdentityError, VendorIdentity};
use psd::PsdId;
use psdd_policy::{Action, ApplianceAction, AppliancePairing, Decision, Pairing, Subject};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Pairings kept per connection; beyond it they are built anew.
const KEPT_PAIRINGS: usize = 1_024;
/// Permits kept per connection; beyond it all are asked for again.
const KEPT_PERMITS: usize = 1_024;

pub(super) struct Connection {
    pub(super) identity: VendorIdentity,
    pub(super) state: Arc<VendorState>,
    subject: Subject,
    pairings: Mutex<HashMap<PsdId, Arc<Pairing>>>,
    permits: Mutex<Permits>,
}

/// What the policy in force permitted before. A decision depends on nothing but the policy and the question, and single pieces ask
/// the same few questions all day.
#[derive(Default)]
struct Permits {
    under: Option<PolicyGeneration>,
    asked: HashSet<(PsdId, Action)>,
}

impl Permits {
    fn hold(&self, under: PolicyGeneration, question: &(PsdId, Action)) -> bool {
        self.under == Some(under) && self.asked.contains(question)
    }

    fn keep(&mut self, under: PolicyGeneration, question: (PsdId, Action)) {
        if self.under != Some(under) || self.asked.len() >= KEPT_PERMITS {
            self.asked.clear();
            self.under = Some(under);
        }
        self.asked.insert(question);
    }
}

impl Connection {
    pub(super) fn new(certificate: Option<&[u8]>, state: Arc<VendorState>) -> Result<Self, IdentityError> {
        let identity = VendorIdentity::from_certificate(certificate.ok_or(IdentityError::Unreadable)?)?;
        let subject = Subject::new(&identity.tenant, &identity.client);
        Ok(Self {
            identity,
            state,
            subject,
            pairings: Mutex::new(HashMap::new()),
            permits: Mutex::new(Permits::default()),
        })
    }

    /// Whether the client may do this on a PSD, and under which policy; `None` where there is no such PSD.
    pub(super) fn may(&self, psd: PsdId, action: Action) -> Option<Result<PolicyGeneration, Failure>> {
        let policy = self.state.policy.load();
        let permits = || self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        if permits().hold(policy.generation, &(psd, action)) {
            return Some(Ok(policy.generation));
        }
        let pairing = self.pairing(psd)?;
        Some(match policy.policies.decide(&pairing, action) {
            Decision::Permit => {
                permits().keep(policy.generation, (psd, action));
                Ok(policy.generation)
            }
            Decision::Deny { reasons } => Err(Failure::denied(&reasons)),
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

    fn pairing(&self, psd: PsdId) -> Option<Arc<Pairing>> {
        let mut pairings = self.pairings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pairing) = pairings.get(&psd) {
            return Some(Arc::clone(pairing));
        }
        let pairing = Arc::new(Pairing::new(&self.subject, self.state.psds.get(&psd)?));
        if pairings.len() < KEPT_PAIRINGS {
            pairings.insert(psd, Arc::clone(&pairing));
        }
        Some(pairing)
    }
}
