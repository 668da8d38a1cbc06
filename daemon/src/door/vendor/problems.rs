//! Every error of the door as a problem with its HTTP status: the one place that maps them (docs/protocol.md lists all codes).

use crate::core::{Fault, Outcome, SubmitReply, ValueReply};
use crate::spine::Unavailable;
use http::StatusCode;
use psd::Refusal;
use psd::authority::InstructionRefusal;
use psd::refusal::OutOfUse;
use psdd_policy::Reason;
use psdd_wire::problem::Problem;

/// A problem and the status of the response it makes.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) problem: Problem,
    /// The one method that the route has, where another was used (RFC 9110 §15.5.6 wants it in the answer).
    pub(super) allow: Option<&'static str>,
}

/// When to come back after an overload or a fault of the token.
const SOON_MS: u64 = 100;

impl Failure {
    pub(super) fn lasting(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, problem: Problem::lasting(code, detail), allow: None }
    }

    /// A problem that may be gone soon: the request can be made again as it is.
    fn passing(code: &'static str, detail: impl Into<String>, retry_after_ms: u64) -> Self {
        Self::unavailable(Problem::passing(code, detail, retry_after_ms))
    }

    fn unavailable(problem: Problem) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, problem, allow: None }
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this route has the method {allow} only");
        Self { allow: Some(allow), ..Self::lasting(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail) }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::lasting(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub(super) fn unknown_psd(psd: &str) -> Self {
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

    pub(super) fn overloaded() -> Self {
        Self::passing("overloaded", "too much is waiting; nothing was debited", SOON_MS)
    }

    pub(super) fn stopping() -> Self {
        Self::passing("stopping", "the daemon is stopping; nothing was debited", 1_000)
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Full => Self::overloaded(),
            Unavailable::Stopping => Self::stopping(),
        }
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

/// An item that was not signed.
pub(super) fn of_outcome(outcome: &Outcome) -> Option<Problem> {
    match outcome {
        Outcome::Signed(_) => None,
        Outcome::Refused(refusal @ Refusal::ClockStopped(_)) => {
            Some(Problem::passing(refusal.code(), refusal.to_string(), 1_000))
        }
        // A token may come back without anybody doing anything.
        Outcome::Refused(refusal @ Refusal::NoPsdAvailable(OutOfUse { without_token: 1.., .. })) => {
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
pub(super) fn of_value(reply: ValueReply, psd: &str) -> Failure {
    match reply {
        ValueReply::Refused(refusal) => Failure::lasting(StatusCode::CONFLICT, refusal.code(), refusal.to_string()),
        ValueReply::InstructionRefused(refusal) => {
            let status = match refusal {
                InstructionRefusal::UnknownPsd(_) | InstructionRefusal::UnknownLicence(_) => StatusCode::NOT_FOUND,
                InstructionRefusal::WrongSigner(_) => StatusCode::BAD_REQUEST,
                InstructionRefusal::WrongAppliance(_)
                | InstructionRefusal::Stale { .. }
                | InstructionRefusal::Expired(_) => StatusCode::CONFLICT,
            };
            Failure::lasting(status, refusal.code(), refusal.to_string())
        }
        ValueReply::NoClock(stop) => Failure::passing("clock-stopped", format!("no trusted time: {stop}"), 1_000),
        ValueReply::Fault(fault) => Failure::unavailable(of_fault(&fault)),
        ValueReply::Overloaded => Failure::overloaded(),
        ValueReply::UnknownPsd => Failure::unknown_psd(psd),
        ValueReply::Stopping
        | ValueReply::Requested { .. }
        | ValueReply::Applied(_)
        | ValueReply::Voided(_)
        | ValueReply::Withdrawn(_)
        | ValueReply::Instructed(_)
        | ValueReply::EndedBefore => Failure::stopping(),
    }
}
