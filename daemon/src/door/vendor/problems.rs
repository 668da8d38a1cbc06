//! Every error of the door as a problem with its HTTP status: the one place that maps them (docs/protocol.md lists all codes).

use crate::core::{Fault, Outcome, SubmitReply, ValueReply};
pub(super) use crate::door::failure::Failure;
use crate::door::failure::SOON_MS;
use http::StatusCode;
use psd::Refusal;
use psd::authority::InstructionRefusal;
use psd::device::RunRefusal;
use psd::key_order::Unchangeable;
use psd::refusal::OutOfUse;
use psdd_policy::Reason;
use psdd_wire::problem::Problem;

impl Failure {
    pub(in crate::door) fn unknown_psd(psd: &str) -> Self {
        let shown: String = psd.chars().take(40).collect();
        Self::lasting(StatusCode::NOT_FOUND, "psd-unknown", format!("there is no PSD {shown:?} here"))
    }

    pub(super) fn unknown_licence(licence: &str) -> Self {
        let shown: String = licence.chars().take(64).collect();
        let detail = format!("there is no PSD under a licence {shown:?} here");
        Self::lasting(StatusCode::NOT_FOUND, "licence-unknown", detail)
    }

    pub(super) fn denied(reasons: &[Reason]) -> Self {
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        Self::lasting(StatusCode::FORBIDDEN, "not-permitted", reasons.join("; "))
    }
}

/// A submission that was not judged.
pub(super) fn not_judged(reply: &SubmitReply, signer: &str) -> Failure {
    match reply {
        SubmitReply::Overloaded => Failure::overloaded(),
        SubmitReply::UnknownPsd => Failure::unknown_psd(signer),
        SubmitReply::UnknownLicence => Failure::unknown_licence(signer),
        SubmitReply::Stopping | SubmitReply::Judged(_) => Failure::stopping(),
    }
}

/// Where time is not trusted, whoever asks again after a while may get an answer.
const CLOCK_STOPPED: &str = "clock-stopped";

/// An item that was not signed.
pub(super) fn of_outcome(outcome: &Outcome) -> Option<Problem> {
    match outcome {
        Outcome::Signed(_) => None,
        // Of a certification as well, whose reading cannot be judged without the time.
        Outcome::Refused(refusal) if refusal.code() == CLOCK_STOPPED => {
            Some(Problem::passing(refusal.code(), refusal.to_string(), 1_000))
        }
        // A token may come back without anybody doing anything.
        Outcome::Refused(refusal @ Refusal::NoPsdAvailable(OutOfUse { without_token: 1.., .. })) => {
            Some(Problem::passing(refusal.code(), refusal.to_string(), SOON_MS))
        }
        // A closing that comes to nothing leaves the run open.
        Outcome::Refused(refusal @ Refusal::Run(RunRefusal::Closing(_))) => {
            Some(Problem::passing(refusal.code(), refusal.to_string(), SOON_MS))
        }
        Outcome::Refused(refusal) => Some(Problem::lasting(refusal.code(), refusal.to_string())),
        Outcome::Fault(fault) => Some(of_fault(fault)),
        Outcome::Stale => Some(Problem::passing("overloaded", "the policy changes too often", SOON_MS)),
    }
}

fn of_fault(fault: &Fault) -> Problem {
    let detail = format!("{fault}; nothing was debited");
    if fault.retryable() {
        Problem::passing(fault.code(), detail, SOON_MS)
    } else {
        Problem::lasting(fault.code(), detail)
    }
}

/// A value command that had no effect.
pub(in crate::door) fn of_value(reply: ValueReply, psd: &str) -> Failure {
    match reply {
        ValueReply::Refused(refusal) => Failure::lasting(StatusCode::CONFLICT, refusal.code(), refusal.to_string()),
        ValueReply::RunRefused(refusal @ RunRefusal::Closing(_)) => {
            Failure::passing(refusal.code(), refusal.to_string(), SOON_MS)
        }
        ValueReply::RunRefused(refusal) => Failure::lasting(StatusCode::CONFLICT, refusal.code(), refusal.to_string()),
        ValueReply::InstructionRefused(refusal) => {
            let status = match refusal {
                InstructionRefusal::UnknownPsd(_)
                | InstructionRefusal::UnknownLicence(_)
                | InstructionRefusal::UnknownCertificate { .. }
                | InstructionRefusal::Unchangeable { why: Unchangeable::NoKey, .. } => StatusCode::NOT_FOUND,
                InstructionRefusal::WrongSigner(_) | InstructionRefusal::PolicyInvalid(_) => StatusCode::BAD_REQUEST,
                InstructionRefusal::WrongAppliance(_)
                | InstructionRefusal::Stale { .. }
                | InstructionRefusal::NotWaiting { .. }
                | InstructionRefusal::UnknownReport(_)
                | InstructionRefusal::KeyRevoked { .. }
                | InstructionRefusal::KeyDestroyed { .. }
                | InstructionRefusal::SinceAhead { .. }
                | InstructionRefusal::Unchangeable { why: Unchangeable::Ended(_) | Unchangeable::Ordered(_), .. }
                | InstructionRefusal::PolicyVersion(_)
                | InstructionRefusal::Expired(_) => StatusCode::CONFLICT,
            };
            Failure::lasting(status, refusal.code(), refusal.to_string())
        }
        ValueReply::NoClock(stop) => Failure::passing("clock-stopped", format!("no trusted time: {stop}"), 1_000),
        ValueReply::Fault(fault) => Failure::unavailable(of_fault(&fault)),
        ValueReply::Overloaded => Failure::overloaded(),
        ValueReply::UnknownPsd => Failure::unknown_psd(psd),
        ValueReply::ClientRevoked => {
            Failure::lasting(StatusCode::FORBIDDEN, "client-revoked", "this client was revoked".to_owned())
        }
        ValueReply::Stopping
        | ValueReply::Changed(_)
        | ValueReply::ChangeRefused(_)
        | ValueReply::Requested { .. }
        | ValueReply::Applied(_)
        | ValueReply::Voided(_)
        | ValueReply::Withdrawn(_)
        | ValueReply::RunOpened(_)
        | ValueReply::RunKnown
        | ValueReply::RunSealed(_)
        | ValueReply::RunUnsealed
        | ValueReply::RunClosed(_)
        | ValueReply::Instructed(_)
        | ValueReply::EndedBefore => Failure::stopping(),
    }
}
