//! What is in force at the vendor door: the policies of the files, what the postal authority instructed beside them, and the rate tables and scales that
//! pieces are certified by.
//!
//! Each part is replaced by itself and keeps the others: files of policies at SIGHUP, the instructed policy and tables and scales when the core takes some. Who replaces
//! one waits for the other; who asks waits for nobody.

use crate::certify::Desk;
use crate::core::PolicyGeneration;
use arc_swap::{ArcSwap, Guard};
use psdd_policy::{InstructedPolicy, PolicySet};
use std::sync::{Arc, Mutex, PoisonError};

/// A policy in force, with the generation that the core knows it by.
pub struct PolicyInForce {
    /// Which reading of files, which version of the instructed policy, and which set of tables and scales.
    pub generation: PolicyGeneration,
    /// Both together.
    pub policies: PolicySet,
    /// Tables and scales; none where nothing is certified.
    pub certifying: Option<Arc<Desk>>,
    instructed: Arc<InstructedPolicy>,
}

/// The policies in force.
pub struct Policies {
    in_force: ArcSwap<PolicyInForce>,
    replacing: Mutex<()>,
}

impl Policies {
    /// These files, this instructed policy and these tables and scales.
    pub fn new(
        files: &PolicySet,
        instructed: Arc<InstructedPolicy>,
        certifying: Option<Arc<Desk>>,
        generation: PolicyGeneration,
    ) -> Self {
        let policies = files.with(&instructed);
        let in_force = ArcSwap::from_pointee(PolicyInForce { generation, policies, certifying, instructed });
        Self { in_force, replacing: Mutex::new(()) }
    }

    /// Those in force now.
    pub fn load(&self) -> Guard<Arc<PolicyInForce>> {
        self.in_force.load()
    }

    /// Puts in force policies that were read anew from files, and gives which reading that is.
    pub fn replace_files(&self, files: &PolicySet) -> u64 {
        let _alone = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let PolicyInForce { generation, certifying, instructed, .. } = &**self.in_force.load();
        let generation = PolicyGeneration { files: generation.files + 1, ..*generation };
        let (policies, instructed, certifying) = (files.with(instructed), Arc::clone(instructed), certifying.clone());
        self.in_force.store(Arc::new(PolicyInForce { generation, policies, certifying, instructed }));
        generation.files
    }

    /// Puts rate tables and scales in force, under this generation.
    pub fn replace_desk(&self, desk: u64, certifying: Arc<Desk>) {
        let _alone = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let PolicyInForce { generation, policies, instructed, .. } = &**self.in_force.load();
        let generation = PolicyGeneration { desk, ..*generation };
        let (policies, instructed, certifying) = (policies.with(instructed), Arc::clone(instructed), Some(certifying));
        self.in_force.store(Arc::new(PolicyInForce { generation, policies, certifying, instructed }));
    }

    /// Puts in force what the authority instructed under this version.
    pub fn replace_instructed(&self, version: u64, instructed: Arc<InstructedPolicy>) {
        let _alone = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let PolicyInForce { generation, policies, certifying, .. } = &**self.in_force.load();
        let generation = PolicyGeneration { instructed: version, ..*generation };
        let (policies, certifying) = (policies.with(&instructed), certifying.clone());
        self.in_force.store(Arc::new(PolicyInForce { generation, policies, certifying, instructed }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::policy::PolicyText;
    use psdd_policy::{Action, Decision, Pairing, Resource, Subject};

    const OWN: &str =
        r#"@id("own") permit (principal, action, resource is Psd) when { principal in resource.tenant };"#;

    fn instructed(text: &str) -> Arc<InstructedPolicy> {
        Arc::new(InstructedPolicy::read(&PolicyText::new(text).unwrap()).unwrap())
    }

    /// The generation in force, and whether registers can be read and certificates.
    fn state(policies: &Policies) -> (u64, u64, bool, bool) {
        let tenant = "acme".parse().unwrap();
        let psd = Resource::new("062S0007358267".parse().unwrap(), &"L-1".parse().unwrap(), &tenant);
        let pairing = Pairing::new(&Subject::new(&tenant, "b"), &psd);
        let in_force = policies.load();
        let may = |action| in_force.policies.decide(&pairing, action) == Decision::Permit;
        let PolicyGeneration { files, instructed, .. } = in_force.generation;
        (files, instructed, may(Action::ReadRegisters), may(Action::ReadCertificates))
    }

    #[test]
    fn each_half_is_replaced_by_itself_and_keeps_the_other() {
        let forbid = |action: &str| format!(r#"@id("x") forbid (principal, action == Action::"{action}", resource);"#);
        let files = |authority: &str| PolicySet::from_texts(OWN, authority).unwrap();
        let generation = PolicyGeneration { files: 1, instructed: 4, desk: 0 };
        let policies = Policies::new(&files(""), instructed(&forbid("read_registers")), None, generation);
        assert_eq!(state(&policies), (1, 4, false, true), "from the start on");
        assert_eq!(policies.replace_files(&files(&forbid("read_certificates"))), 2);
        assert_eq!(state(&policies), (2, 4, false, false), "the instructed one stays");
        policies.replace_instructed(5, instructed(""));
        assert_eq!(state(&policies), (2, 5, true, false), "the file's stays, whatever its name");
        policies.replace_instructed(6, instructed(&forbid("read_registers")));
        assert_eq!(policies.replace_files(&files("")), 3);
        assert_eq!(state(&policies), (3, 6, false, true));
    }
}
