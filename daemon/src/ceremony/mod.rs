//! Ceremonies in the running daemon: judged, begun, carried out step by step, ended with a transcript.
//!
//! Owns the order of things: a quorum is judged over the very bytes that are recorded, the record of the beginning is durable before the first step, and
//! each step is recorded with what it did. So whatever interrupts a ceremony, what is left of it follows from records, and it goes on by itself: after a pause
//! where what hinders it may pass, and at the next start. What a change needs of the core is judged there; keys are made in tokens by `psdd-hsm`. Called by the operator door.

mod board;
mod certificates;
mod conduct;
mod desk;
mod error;
mod perform;
mod records;
mod requests;
mod signer;
mod status;
mod steps;
mod transcript;
mod upkeep;

pub use board::{Hindrance, Progress, Standing};
pub use certificates::{CertificateRefusal, Installed};
pub use desk::{Ceremonies, CeremonyParts, LogKeyParts};
pub use error::CeremonyFailure;
pub use requests::requests_of;
pub use status::standing;
pub use transcript::line;
pub use upkeep::Enrolment;

use psdd_wire::ceremony::Ceremony;

/// How many steps a ceremony has.
pub fn steps_of(ceremony: &Ceremony) -> u64 {
    steps::steps(ceremony).map_or(0, |steps| u64::try_from(steps.len()).unwrap_or(u64::MAX))
}
