//! Who may do what to an appliance: operators and their quorum, ceremonies in turn, and who was revoked.
//!
//! Pure state, folded from records. The core judges by it, and replay holds every record against it.

use crate::custody::Revocation;
use crate::id::{OperatorName, TenantName};
use crate::record::{Event, Genesis};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A key ceremony operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator {
    /// By which people and approvals know them.
    pub name: OperatorName,
    /// Public key, SPKI DER.
    pub spki: Arc<[u8]>,
}

/// Whom a revocation at a door is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// An operator: their approvals count no more.
    Operator(OperatorName),
    /// A client of the vendor door, by the O and the CN of its certificates.
    Client {
        /// O.
        tenant: TenantName,
        /// CN.
        client: Arc<str>,
    },
    /// All clients of a tenant.
    Account(TenantName),
}

impl Subject {
    /// The number of the kind in records.
    pub const fn number(&self) -> u8 {
        match self {
            Subject::Operator(_) => 1,
            Subject::Client { .. } => 2,
            Subject::Account(_) => 3,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Operator(name) => write!(f, "operator {name}"),
            Subject::Client { tenant, client } => write!(f, "client {client} of {tenant}"),
            Subject::Account(tenant) => write!(f, "account {tenant}"),
        }
    }
}

/// How a ceremony ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CeremonyEnd {
    /// Every step was done.
    Done,
    /// Another ceremony gave it up; what was done before stays.
    Abandoned,
}

impl CeremonyEnd {
    /// The number in records.
    pub const fn number(self) -> u8 {
        match self {
            CeremonyEnd::Done => 1,
            CeremonyEnd::Abandoned => 2,
        }
    }

    /// The end with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => CeremonyEnd::Done,
            2 => CeremonyEnd::Abandoned,
            _ => return None,
        })
    }

    /// The word for people and for the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            CeremonyEnd::Done => "done",
            CeremonyEnd::Abandoned => "abandoned",
        }
    }
}

/// A ceremony that has begun and not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenCeremony {
    /// Its number.
    pub number: u64,
    /// The reviewed file.
    pub file: Arc<[u8]>,
    /// Steps done.
    pub steps: u64,
}

/// Operators, ceremonies, revocations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Governance {
    operators: Vec<Operator>,
    quorum: u64,
    /// Number of the newest ceremony begun.
    newest: u64,
    open: Option<OpenCeremony>,
    revoked: BTreeMap<Subject, Revocation>,
}

impl Governance {
    /// As leaf 0 says.
    pub fn born(genesis: &Genesis) -> Self {
        Self { operators: genesis.operators.clone(), quorum: genesis.quorum, ..Self::default() }
    }

    /// The operators, those that were revoked included.
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// How many of them a ceremony needs.
    pub const fn quorum(&self) -> u64 {
        self.quorum
    }

    /// Number of the newest ceremony; the next one has the number after it.
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// The ceremony under way.
    pub const fn open(&self) -> Option<&OpenCeremony> {
        self.open.as_ref()
    }

    /// Since when a subject is revoked.
    pub fn revocation(&self, subject: &Subject) -> Option<Revocation> {
        self.revoked.get(subject).copied()
    }

    /// Everyone revoked.
    pub fn revocations(&self) -> impl Iterator<Item = (&Subject, &Revocation)> {
        self.revoked.iter()
    }

    /// Whether a client of the vendor door is revoked, itself or with its tenant.
    pub fn client_revocation(&self, tenant: &TenantName, client: &Arc<str>) -> Option<Revocation> {
        if self.revoked.is_empty() {
            return None;
        }
        let client = Subject::Client { tenant: tenant.clone(), client: Arc::clone(client) };
        self.revocation(&Subject::Account(tenant.clone())).or_else(|| self.revocation(&client))
    }

    /// Whether the record follows.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn check(&self, event: &Event) -> Result<(), &'static str> {
        match event {
            Event::CeremonyBegun { number, .. } if *number != self.newest + 1 => Err("a ceremony is out of turn"),
            Event::CeremonyBegun { .. } if self.open.is_some() => {
                Err("a ceremony begins while another one is under way")
            }
            Event::CeremonyStep { number, step, .. } => {
                let open = self.open.as_ref().filter(|open| open.number == *number);
                open.filter(|open| open.steps + 1 == *step).map(drop).ok_or("a step of a ceremony is out of turn")
            }
            Event::CeremonyEnded { number, .. } if self.open.as_ref().is_none_or(|open| open.number != *number) => {
                Err("a ceremony ends that is not under way")
            }
            Event::OperatorsChanged { operators, quorum } => check_operators(operators, *quorum),
            Event::Revoked { subject, .. } if self.revoked.contains_key(subject) => Err("revoked twice"),
            Event::Revoked { subject: Subject::Operator(name), .. } => self.check_operator_revoked(name),
            _ => Ok(()),
        }
    }

    /// Without this operator, a quorum must be left: else nobody could ever name another.
    fn check_operator_revoked(&self, name: &OperatorName) -> Result<(), &'static str> {
        if !self.operators.iter().any(|operator| operator.name == *name) {
            return Err("no operator of that name");
        }
        let sound = |operator: &&Operator| {
            operator.name != *name && !self.revoked.contains_key(&Subject::Operator(operator.name.clone()))
        };
        let left = self.operators.iter().filter(sound).count();
        if u64::try_from(left).is_ok_and(|left| left >= self.quorum) { Ok(()) } else { Err("no quorum would be left") }
    }

    /// Takes a record in.
    pub fn fold(&mut self, event: &Event) {
        match event {
            Event::Genesis(genesis) => *self = Self::born(genesis),
            Event::CeremonyBegun { number, file, .. } => {
                self.newest = (*number).max(self.newest);
                self.open = Some(OpenCeremony { number: *number, file: Arc::clone(file), steps: 0 });
            }
            Event::CeremonyStep { number, step, .. } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.number == *number) {
                    open.steps = *step;
                }
            }
            Event::CeremonyEnded { number, .. } => {
                self.open.take_if(|open| open.number == *number);
            }
            Event::OperatorsChanged { operators, quorum } => {
                // Who is named anew is sound again: the ceremony that names them knows their key.
                self.revoked.retain(|subject, _| !matches!(subject, Subject::Operator(_)));
                (self.operators, self.quorum) = (operators.clone(), *quorum);
            }
            Event::Revoked { subject, revocation } => {
                self.revoked.insert(subject.clone(), *revocation);
            }
            _ => {}
        }
    }
}

/// Whether these can be the operators: a quorum that they can make up, and each name and key once.
///
/// # Errors
///
/// What does not hold.
pub fn check_operators(operators: &[Operator], quorum: u64) -> Result<(), &'static str> {
    let count = u64::try_from(operators.len()).unwrap_or(u64::MAX);
    if !(1..=64).contains(&count) {
        return Err("there must be 1 to 64 operators");
    }
    if quorum == 0 || quorum > count {
        return Err("the quorum must be at least one, and at most the number of operators");
    }
    let mut names: Vec<_> = operators.iter().map(|operator| &operator.name).collect();
    let mut keys: Vec<_> = operators.iter().map(|operator| &operator.spki).collect();
    names.sort();
    keys.sort();
    names.dedup();
    keys.dedup();
    if names.len() != operators.len() || keys.len() != operators.len() {
        return Err("an operator or a key is named twice");
    }
    Ok(())
}
