//! The core under a simulated shell: real ledger, virtual time, a token that signs when the test says so.
//!
//! One file a guarantee of DESIGN.md §4; [`model`] drives all of them at random against an independent model.

mod certify;
mod changes;
mod commit_order;
mod desks;
mod digital_tokens;
mod duplicates;
mod fairness;
mod gates;
mod inspection;
mod key_orders;
mod model;
mod policy;
mod pool;
mod refusals;
mod runs;
pub(super) mod shell;
mod top_up;
mod value;
