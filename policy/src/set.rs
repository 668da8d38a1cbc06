//! Policies in force, and the judging of requests by them.
//!
//! Owns the checked policies, sorted by the actions they can apply to, so that a request meets only those. Cedar skips
//! a policy that it cannot evaluate; here such a policy denies.

use crate::action::{Action, ActionName, ApplianceAction};
use crate::check::{Checked, check};
use crate::decision::{Decision, PolicyName, Reason};
use crate::instructed::InstructedPolicy;
use crate::pairing::{AppliancePairing, Known, Pairing, psd_of};
use crate::source::{Findings, Party, Source};
use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Context, EntityUid, Policy, PolicyId, Request, Response, Schema,
};
use psd::PsdId;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};

/// The schema of this version.
pub(crate) const SCHEMA: &str = include_str!("../psdd.cedarschema");
const SHIPPED_VENDOR: &str = include_str!("../vendor.cedar");
const SHIPPED_AUTHORITY: &str = include_str!("../authority.cedar");

/// Checked policies of vendor and authority: those of the files, and what the authority instructed beside them.
#[derive(Debug)]
pub struct PolicySet {
    sign_indicium: Slice,
    certify: Slice,
    request_value: Slice,
    apply_value: Slice,
    void_value: Slice,
    request_refund: Slice,
    withdraw: Slice,
    read_registers: Slice,
    read_certificates: Slice,
    read_result: Slice,
    read_appliance: Slice,
    carry_instruction: Slice,
    names: HashMap<PolicyId, (PolicyName, Party)>,
    authorizer: Authorizer,
    named_psds: Vec<PsdId>,
    digest: [u8; 32],
    files: Files,
}

/// What the files hold, for sets with another policy of the authority beside it.
#[derive(Debug, Clone)]
struct Files {
    ruled: Vec<Ruled>,
    digest: [u8; 32],
}

/// A checked policy and whose it is.
#[derive(Debug, Clone)]
struct Ruled {
    policy: Policy,
    name: PolicyName,
    by: Party,
}

/// The policies that can apply to one action.
#[derive(Debug)]
struct Slice {
    action: EntityUid,
    policies: cedar_policy::PolicySet,
}

impl PolicySet {
    /// The policies that psdd is shipped with: a client may do everything on the PSDs of its tenant, and no piece
    /// carries more than 10,000.00.
    ///
    /// # Errors
    ///
    /// None in a program whose tests passed.
    pub fn shipped() -> Result<Self, Findings> {
        Self::from_texts(SHIPPED_VENDOR, SHIPPED_AUTHORITY)
    }

    /// Checks these policies of the vendor and of the authority; an empty text holds none.
    pub fn from_texts(vendor: &str, authority: &str) -> Result<Self, Findings> {
        Self::of((Party::Vendor.file_name(), vendor), (Party::Authority.file_name(), authority))
    }

    /// Checks the policies of these files, given as name and text.
    pub(crate) fn of(vendor: (&str, &str), authority: (&str, &str)) -> Result<Self, Findings> {
        let sources = [
            Source { party: Party::Vendor, file: vendor.0, text: vendor.1 },
            Source { party: Party::Authority, file: authority.0, text: authority.1 },
        ];
        let checked = check(&schema(), &sources)?;
        let ruled =
            checked.into_iter().map(|Checked { name, source, policy, .. }| Ruled { policy, name, by: source.party });
        let files =
            Files { ruled: ruled.collect(), digest: digest([SCHEMA, vendor.1, authority.1].map(str::as_bytes)) };
        Ok(Self::over(files, None))
    }

    /// The same files with what the authority instructed beside them, in the place of what it instructed before. Neither can keep the other
    /// out: both were checked.
    #[must_use]
    pub fn with(&self, instructed: &InstructedPolicy) -> Self {
        Self::over(self.files.clone(), Some(instructed))
    }

    fn over(files: Files, instructed: Option<&InstructedPolicy>) -> Self {
        let beside = instructed.into_iter().flat_map(InstructedPolicy::policies);
        let beside = beside.map(|(name, policy)| (policy, name, Party::Instruction));
        let all = files.ruled.iter().map(|Ruled { policy, name, by }| (policy, name, *by));
        let all: Vec<(&Policy, &PolicyName, Party)> = all.chain(beside).collect();
        let policies: Vec<&Policy> = all.iter().map(|(policy, ..)| *policy).collect();
        let slice = |action| Slice::new(action, &policies);
        Self {
            sign_indicium: slice(ActionName::SignIndicium),
            certify: slice(ActionName::Certify),
            request_value: slice(ActionName::RequestValue),
            apply_value: slice(ActionName::ApplyValue),
            void_value: slice(ActionName::VoidValue),
            request_refund: slice(ActionName::RequestRefund),
            withdraw: slice(ActionName::Withdraw),
            read_registers: slice(ActionName::ReadRegisters),
            read_certificates: slice(ActionName::ReadCertificates),
            read_result: slice(ActionName::ReadResult),
            read_appliance: slice(ActionName::ReadAppliance),
            carry_instruction: slice(ActionName::CarryInstruction),
            names: all.iter().map(|(policy, name, by)| (policy.id().clone(), ((*name).clone(), *by))).collect(),
            authorizer: Authorizer::new(),
            named_psds: named_psds(&policies),
            digest: match instructed {
                Some(instructed) => digest([&files.digest, instructed.text().as_bytes()]),
                None => files.digest,
            },
            files,
        }
    }

    /// Names these policies: SHA-256 over schema, vendor's and authority's text, each after its length in bytes as 8 bytes big-endian; with an
    /// instructed policy, SHA-256 over that digest and the instructed text, in the same way.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The PSDs that a policy names, each once, in ascending order. All others are told apart by their [`crate::PsdAttributes`] alone, because a policy
    /// can compare a UID with those that it names and with nothing else.
    pub fn named_psds(&self) -> &[PsdId] {
        &self.named_psds
    }

    /// Whether the client of this pairing may do this on its PSD.
    pub fn decide(&self, pairing: &Pairing, action: Action) -> Decision {
        match action.context() {
            Some(context) => self.judge(&pairing.0, action.name(), context),
            None => Decision::Deny { reasons: vec![Reason::NotExpressible] },
        }
    }

    /// Whether the client of this pairing may do this on the appliance as a whole.
    pub fn decide_on_appliance(&self, pairing: &AppliancePairing, action: ApplianceAction) -> Decision {
        self.judge(&pairing.0, action.name(), Context::empty())
    }

    fn judge(&self, known: &Known, action: ActionName, context: Context) -> Decision {
        let slice = self.slice(action);
        // Not held against the schema here: the types of this crate allow nothing else, and a test shows it.
        let (principal, resource) = (known.principal.clone(), known.resource.clone());
        match Request::new(principal, slice.action.clone(), resource, context, None) {
            Ok(request) => self.conclude(&self.authorizer.is_authorized(&request, &slice.policies, &known.entities)),
            Err(_) => Decision::Deny { reasons: vec![Reason::NotExpressible] },
        }
    }

    fn conclude(&self, response: &Response) -> Decision {
        let diagnostics = response.diagnostics();
        let mut reasons: Vec<Reason> = diagnostics
            .errors()
            .map(|AuthorizationError::PolicyEvaluationError(error)| {
                let (policy, by) = self.named(error.policy_id());
                Reason::NotEvaluated { policy, by }
            })
            .collect();
        match response.decision() {
            cedar_policy::Decision::Allow if reasons.is_empty() => return Decision::Permit,
            cedar_policy::Decision::Allow => {}
            cedar_policy::Decision::Deny => {
                reasons.extend(diagnostics.reason().map(|id| {
                    let (policy, by) = self.named(id);
                    Reason::Forbidden { policy, by }
                }));
                if reasons.is_empty() {
                    reasons.push(Reason::NoPermit);
                }
            }
        }
        reasons.sort();
        Decision::Deny { reasons }
    }

    fn named(&self, id: &PolicyId) -> (PolicyName, Party) {
        self.names.get(id).cloned().expect("Cedar blames a policy that it was given")
    }

    fn slice(&self, action: ActionName) -> &Slice {
        match action {
            ActionName::SignIndicium => &self.sign_indicium,
            ActionName::Certify => &self.certify,
            ActionName::RequestValue => &self.request_value,
            ActionName::ApplyValue => &self.apply_value,
            ActionName::VoidValue => &self.void_value,
            ActionName::RequestRefund => &self.request_refund,
            ActionName::Withdraw => &self.withdraw,
            ActionName::ReadRegisters => &self.read_registers,
            ActionName::ReadCertificates => &self.read_certificates,
            ActionName::ReadResult => &self.read_result,
            ActionName::ReadAppliance => &self.read_appliance,
            ActionName::CarryInstruction => &self.carry_instruction,
        }
    }
}

impl Slice {
    /// The schema has no groups of actions, so `in [..]` is a list of actions and nothing more.
    fn new(action: ActionName, policies: &[&Policy]) -> Self {
        let action = action.uid();
        let applies = |constraint: &ActionConstraint| match constraint {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => *uid == action,
            ActionConstraint::In(uids) => uids.contains(&action),
        };
        let policies =
            policies.iter().filter(|policy| applies(&policy.action_constraint())).map(|policy| (*policy).clone());
        let policies =
            cedar_policy::PolicySet::from_policies(policies).expect("static policies with different names form a set");
        Self { action, policies }
    }
}

pub(crate) fn schema() -> Schema {
    let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).expect("a test reads the schema built in");
    schema
}

fn named_psds(policies: &[&Policy]) -> Vec<PsdId> {
    let literals = policies.iter().flat_map(|policy| policy.entity_literals());
    let named: BTreeSet<PsdId> = literals.filter_map(|uid| psd_of(&uid)).collect();
    named.into_iter().collect()
}

fn digest<const N: usize>(texts: [&[u8]; N]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        let length = u64::try_from(text.len()).expect("a length in memory fits 64 bits");
        hash.update(length.to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::SigningTotals;
    use crate::pairing::{Resource, Subject};
    use cedar_policy::Entities;
    use psd::PostageAmount;

    #[test]
    fn every_request_fits_the_schema() {
        let schema = schema();
        let tenant = "acme".parse().unwrap();
        let subject = Subject::new(&tenant, "backend-1");
        let psd = Resource::new("062S0007358267".parse().unwrap(), &"L-4711".parse().unwrap(), &tenant);
        let pairing = Pairing::new(&subject, &psd).0;
        let appliance = AppliancePairing::new(&subject, &"east-1".parse().unwrap()).0;
        let amount = PostageAmount::MAX;
        let on_psd = [
            Action::SignIndicium(SigningTotals { count: u32::MAX, total: amount, largest: amount }),
            Action::Certify {
                totals: SigningTotals { count: 1, total: amount, largest: amount },
                imprints: amount,
                receipts: 1,
            },
            Action::RequestValue { amount },
            Action::ApplyValue,
            Action::VoidValue,
            Action::RequestRefund { amount },
            Action::Withdraw,
            Action::ReadRegisters,
            Action::ReadCertificates,
            Action::ReadResult,
        ];
        let mut asked: Vec<_> = on_psd.map(|a| (&pairing, a.name().uid(), a.context().unwrap())).into();
        let on_appliance = [ApplianceAction::Read, ApplianceAction::CarryInstruction];
        asked.extend(on_appliance.map(|action| (&appliance, action.name().uid(), Context::empty())));
        assert_eq!(asked.len(), schema.actions().count(), "an action of the schema is asked by nobody");
        for (known, action, context) in asked {
            let entities = known.entities.iter().cloned();
            Entities::from_entities(entities, Some(&schema)).unwrap();
            let text = action.to_string();
            Request::new(known.principal.clone(), action, known.resource.clone(), context, Some(&schema))
                .unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    #[test]
    fn the_schema_has_no_groups_of_actions() {
        let schema = schema();
        assert_eq!(schema.action_groups().count(), 0, "Slice::new reads `in` as a list of actions");
        let (_, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        assert_eq!(warnings.count(), 0);
    }
}
