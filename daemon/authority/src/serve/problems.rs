//! Every error of the listener as a problem with its HTTP status: the one place that maps them (docs/authority.md lists all codes).

use crate::decide::Refusal;
use crate::pki::EnrolRefusal;
use http::StatusCode;
use psdd_wire::problem::Problem;

/// A problem and the status of the response it makes.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) problem: Problem,
    /// The one method that the route has, where another was used (RFC 9110 §15.5.6 wants it in the answer).
    pub(super) allow: Option<&'static str>,
}

impl Failure {
    pub(super) fn lasting(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, problem: Problem::lasting(code, detail), allow: None }
    }

    fn passing(code: &'static str, detail: &str, retry_after_ms: u64) -> Self {
        let problem = Problem::passing(code, detail, retry_after_ms);
        Self { status: StatusCode::SERVICE_UNAVAILABLE, problem, allow: None }
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this route has the method {allow} only");
        Self { allow: Some(allow), ..Self::lasting(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail) }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::lasting(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub(super) fn overloaded() -> Self {
        Self::passing("overloaded", "too much is waiting for the books; nothing was booked", 100)
    }

    pub(super) fn stopping() -> Self {
        Self::passing("stopping", "the funds system is stopping; send the same again", 1_000)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::UnknownPsd(_) | Refusal::UnknownLicence(_) => StatusCode::NOT_FOUND,
            Refusal::Malformed(_) | Refusal::BadSignature(_) => StatusCode::BAD_REQUEST,
            Refusal::NotPermitted { .. } | Refusal::KeyRevoked { .. } => StatusCode::FORBIDDEN,
            Refusal::WrongAppliance { .. }
            | Refusal::RegistersInconsistent
            | Refusal::Void { .. }
            | Refusal::Conflict { .. }
            | Refusal::Applied { .. }
            | Refusal::Withdrawn
            | Refusal::Gap { .. }
            | Refusal::DownloadOpen { .. }
            | Refusal::ControlTotal { .. }
            | Refusal::NoAmount
            | Refusal::LicenceLocked
            | Refusal::Overflow
            | Refusal::FundsShort { .. }
            | Refusal::RefundMark(_)
            | Refusal::RefundWindow { .. }
            | Refusal::RefundTwice { .. }
            | Refusal::VoidOfApplied { .. }
            | Refusal::VoidOfWithdrawal { .. }
            | Refusal::WithdrawalAmount
            | Refusal::WithdrawalUnknown { .. }
            | Refusal::WithdrawalRegisters { .. } => StatusCode::CONFLICT,
        };
        Self::lasting(status, refusal.code(), refusal.to_string())
    }
}

impl From<EnrolRefusal> for Failure {
    fn from(refusal: EnrolRefusal) -> Self {
        let status = match &refusal {
            EnrolRefusal::UnknownPsd(_) => StatusCode::NOT_FOUND,
            EnrolRefusal::Malformed(_) | EnrolRefusal::BadSignature(_) | EnrolRefusal::Request { .. } => {
                StatusCode::BAD_REQUEST
            }
            EnrolRefusal::NotPermitted { .. } | EnrolRefusal::KeyRevoked { .. } => StatusCode::FORBIDDEN,
            EnrolRefusal::WrongAppliance { .. } | EnrolRefusal::OtherRequest | EnrolRefusal::Register(_) => {
                StatusCode::CONFLICT
            }
        };
        Self::lasting(status, refusal.code(), refusal.to_string())
    }
}
