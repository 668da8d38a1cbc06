//! Who may do what at the vendor door: Cedar policies over clients, tenants, licences and PSDs.
//!
//! The vendor writes permits, the postal authority writes forbids that nothing overrides, and what nobody permits is
//! denied. The authority's forbids are a file and, beside it, what it signed in an instruction ([`InstructedPolicy`]). Policies are checked in full when they are read; judging a request is pure, synchronous and takes `&self`.
//! Called by the daemon: the vendor door builds a [`Pairing`] for each client and PSD it meets and asks
//! [`PolicySet::decide`] before anything else happens to a request.

mod action;
mod check;
mod decision;
mod instructed;
mod load;
mod pairing;
mod set;
mod source;

pub use action::{Action, ApplianceAction, SigningTotals};
pub use decision::{Decision, PolicyName, Reason};
pub use instructed::InstructedPolicy;
pub use load::LoadError;
pub use pairing::{AppliancePairing, Pairing, PsdAttributes, Resource, Subject};
pub use set::PolicySet;
pub use source::{Finding, Findings, Party, Problem};
