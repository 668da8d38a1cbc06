//! From text to policies that may be used: everything about a policy that can be wrong is found here, at once.
//!
//! In order: all texts are Cedar; each policy is static, named, named once, and its party's to write; all of them fit
//! the schema strictly and can apply to something. A doubt of the validator refuses too, because a forbid that can
//! never apply protects nobody while its author believes it does.

use crate::decision::PolicyName;
use crate::source::{Findings, Party, Problem, Source};
use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use std::collections::HashSet;

/// A policy that passed every check; its Cedar id is its name.
pub(crate) struct Checked<'a> {
    pub(crate) name: PolicyName,
    pub(crate) source: Source<'a>,
    pub(crate) policy: Policy,
    offset: usize,
}

/// The policies of these texts.
pub(crate) fn check<'a>(schema: &Schema, sources: &[Source<'a>]) -> Result<Vec<Checked<'a>>, Findings> {
    let parsed = parse(sources)?;
    let named = name(&parsed)?;
    validate(schema, &named)?;
    Ok(named)
}

fn parse<'a>(sources: &[Source<'a>]) -> Result<Vec<(Source<'a>, PolicySet)>, Findings> {
    let mut findings = Vec::new();
    let parse = |source: &Source<'a>| match source.text.parse::<PolicySet>() {
        Ok(policies) => (*source, policies),
        Err(errors) => {
            findings.extend(errors.iter().map(|error| {
                source.finding(labelled(error).unwrap_or(source.text.len()), Problem::Syntax(words(error)))
            }));
            (*source, PolicySet::new())
        }
    };
    let parsed = sources.iter().map(parse).collect();
    Findings::none_of(findings)?;
    Ok(parsed)
}

fn name<'a>(parsed: &[(Source<'a>, PolicySet)]) -> Result<Vec<Checked<'a>>, Findings> {
    let mut findings = Vec::new();
    let mut taken = HashSet::new();
    let mut named = Vec::new();
    for (source, policies) in parsed {
        findings.extend(policies.templates().map(|template| {
            source.finding(template.as_ref().loc().map_or(0, |place| place.start()), Problem::Template)
        }));
        let mut policies: Vec<(usize, &Policy)> = policies
            .policies()
            .map(|policy| (policy.as_ref().loc().map_or(0, |place| place.start()), policy))
            .collect();
        policies.sort_by_key(|(offset, _)| *offset);
        for (offset, policy) in policies {
            match admit(source.party, policy, &mut taken) {
                Ok(name) => {
                    let policy = policy.new_id(PolicyId::new(name.as_str()));
                    named.push(Checked { name, source: *source, policy, offset });
                }
                Err(problem) => findings.push(source.finding(offset, problem)),
            }
        }
    }
    Findings::none_of(findings)?;
    Ok(named)
}

fn admit(party: Party, policy: &Policy, taken: &mut HashSet<PolicyName>) -> Result<PolicyName, Problem> {
    let id = policy.annotation("id").ok_or(Problem::NoId)?;
    let name = PolicyName::parse(id).ok_or_else(|| Problem::BadId(id.chars().take(80).collect()))?;
    if !taken.insert(name.clone()) {
        return Err(Problem::DuplicateId(name));
    }
    match (party, policy.effect()) {
        (Party::Authority | Party::Instruction, Effect::Permit) => Err(Problem::PermitByAuthority(name)),
        (Party::Authority | Party::Instruction, Effect::Forbid) | (Party::Vendor, Effect::Permit | Effect::Forbid) => {
            Ok(name)
        }
    }
}

fn validate(schema: &Schema, named: &[Checked<'_>]) -> Result<(), Findings> {
    let all = PolicySet::from_policies(named.iter().map(|checked| checked.policy.clone()))
        .expect("static policies with different names form a set");
    let verdict = Validator::new(schema.clone()).validate(&all, ValidationMode::Strict);
    let finding = |id: &PolicyId, diagnostic: &dyn Diagnostic| {
        let blamed = named.iter().find(|checked| checked.policy.id() == id);
        let blamed = blamed.expect("the validator blames a policy that it was given");
        let problem = Problem::Invalid { policy: blamed.name.clone(), message: words(diagnostic) };
        blamed.source.finding(labelled(diagnostic).unwrap_or(blamed.offset), problem)
    };
    let errors = verdict.validation_errors().map(|error| finding(error.policy_id(), error));
    let doubts = verdict.validation_warnings().map(|doubt| finding(doubt.policy_id(), doubt));
    Findings::none_of(errors.chain(doubts).collect())
}

fn labelled(diagnostic: &dyn Diagnostic) -> Option<usize> {
    diagnostic.labels()?.next().map(|label| label.offset())
}

fn words(diagnostic: &dyn Diagnostic) -> String {
    match diagnostic.help() {
        Some(help) => format!("{diagnostic} ({help})"),
        None => diagnostic.to_string(),
    }
}
