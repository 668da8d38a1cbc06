//! Why a ceremony is not run, or stops.

use crate::birth::ConsoleError;
use crate::core::{Fault, ValueReply};
use crate::spine::Unavailable;
use psd::PsdId;
use psdd_hsm::link::CallError;
use psdd_wire::ceremony::{CeremonyError, QuorumRefusal};
use psdd_wire::cose::CoseError;

/// Why a ceremony is not run, or stops between two steps.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyFailure {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] CeremonyError),
    /// It has no quorum.
    #[error("{0}")]
    Quorum(#[from] QuorumRefusal),
    /// File and approvals together are more than a record holds.
    #[error(
        "file and approvals together have {bytes} bytes; a record holds 60000: split the act over several ceremonies"
    )]
    TooLarge {
        /// Together.
        bytes: usize,
    },
    /// Another one has not ended.
    #[error("ceremony no. {0} is under way; run it to its end with its own file, or give it up with an act `abandon`")]
    UnderWay(u64),
    /// What the appliance is differs from what was approved.
    #[error("{0}")]
    Unexpected(String),
    /// It is done at the host's console.
    #[error("{act} is done at the host's console: {command}")]
    AtTheConsole {
        /// The act.
        act: &'static str,
        /// What does it.
        command: &'static str,
    },
    /// The key waits for its certificate.
    #[error(
        "the new {role} key of {psd} waits for its certificate: fetch the request, bring the certificate, run the ceremony again"
    )]
    AwaitingCertificate {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: psd::key::Role,
    },
    /// A rule of the appliance demands that verifiers acknowledge the key first.
    #[error(
        "the new {role} key of {psd} waits for the verifiers' acknowledgement of its certificate{}: carry the authority's instruction and run the ceremony again, or give it up and order a rotation `without_acknowledgement`",
        .serial.map_or_else(String::new, |serial| format!(" {serial}"))
    )]
    AwaitingAcknowledgement {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: psd::key::Role,
        /// Serial number of the certificate.
        serial: Option<u32>,
    },
    /// The configuration names no such token.
    #[error("the configuration names no token {0:?}")]
    NoSuchToken(String),
    /// The token does not do it.
    #[error("token: {0}")]
    Token(#[from] CallError),
    /// The token's signature is not one of the key that was to sign.
    #[error("token: what it signed does not verify under the key that was to sign ({0}): take the token out")]
    WrongSignature(#[source] CoseError),
    /// A key could not be made.
    #[error("{0}")]
    Key(#[from] ConsoleError),
    /// The core refuses the change.
    #[error("{0}")]
    Refused(String),
    /// There is no time.
    #[error("no trusted time: {0}")]
    NoClock(#[from] psd::clock::ClockStop),
    /// Something broke.
    #[error("{0}")]
    Fault(Fault),
    /// The core takes nothing more now.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    /// A file of the back-up.
    #[error("the back-up: {0}")]
    BackUp(String),
}

impl CeremonyFailure {
    /// The code of [`CeremonyFailure::AwaitingCertificate`].
    pub const AWAITING_CERTIFICATE: &str = "awaiting-certificate";
    /// The code of [`CeremonyFailure::AwaitingAcknowledgement`].
    pub const AWAITING_ACKNOWLEDGEMENT: &str = "awaiting-acknowledgement";

    /// The stable code on the wire (docs/protocol.md, "Operator door").
    pub fn code(&self) -> &'static str {
        match self {
            CeremonyFailure::File(_) => "ceremony-malformed",
            CeremonyFailure::Quorum(refusal) => refusal.code(),
            CeremonyFailure::TooLarge { .. } => "ceremony-too-large",
            CeremonyFailure::UnderWay(_) => "ceremony-under-way",
            CeremonyFailure::Unexpected(_) => "ceremony-unexpected-state",
            CeremonyFailure::AtTheConsole { .. } => "ceremony-at-the-console",
            CeremonyFailure::AwaitingCertificate { .. } => Self::AWAITING_CERTIFICATE,
            CeremonyFailure::AwaitingAcknowledgement { .. } => Self::AWAITING_ACKNOWLEDGEMENT,
            CeremonyFailure::NoSuchToken(_) => "token-unknown",
            CeremonyFailure::Key(ConsoleError::UnfitKey { .. }) => "key-unfit",
            CeremonyFailure::Token(_) | CeremonyFailure::Key(_) => "token-unavailable",
            CeremonyFailure::WrongSignature(_) => "token-signs-wrongly",
            CeremonyFailure::Refused(_) => "change-refused",
            CeremonyFailure::NoClock(_) => "clock-stopped",
            CeremonyFailure::Fault(fault) => fault.code(),
            CeremonyFailure::Unavailable(_) => "overloaded",
            CeremonyFailure::BackUp(_) => "back-up-failed",
        }
    }

    /// Whether the same request can succeed later as it is.
    pub const fn retryable(&self) -> bool {
        self.may_pass() || matches!(self, CeremonyFailure::Unavailable(Unavailable::Stopping))
    }

    /// Whether a step that failed so can succeed in this very daemon without anybody's help.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            CeremonyFailure::Token(error) | CeremonyFailure::Key(ConsoleError::Token { source: error, .. }) => {
                may_pass(error)
            }
            CeremonyFailure::Fault(fault) => fault.retryable(),
            CeremonyFailure::NoClock(_) | CeremonyFailure::Unavailable(Unavailable::Full) => true,
            CeremonyFailure::File(_)
            | CeremonyFailure::Quorum(_)
            | CeremonyFailure::TooLarge { .. }
            | CeremonyFailure::UnderWay(_)
            | CeremonyFailure::Unexpected(_)
            | CeremonyFailure::AtTheConsole { .. }
            | CeremonyFailure::AwaitingCertificate { .. }
            | CeremonyFailure::AwaitingAcknowledgement { .. }
            | CeremonyFailure::NoSuchToken(_)
            | CeremonyFailure::WrongSignature(_)
            | CeremonyFailure::Key(
                ConsoleError::UnfitKey { .. }
                | ConsoleError::NoSuchToken(_)
                | ConsoleError::Start(_)
                | ConsoleError::Ledger(_)
                | ConsoleError::Clock(_),
            )
            | CeremonyFailure::Refused(_)
            | CeremonyFailure::Unavailable(Unavailable::Stopping)
            | CeremonyFailure::BackUp(_) => false,
        }
    }

    /// A reply of the core that is no success.
    pub(super) fn of_reply(reply: ValueReply) -> Self {
        match reply {
            ValueReply::ChangeRefused(why) => CeremonyFailure::Refused(why),
            ValueReply::NoClock(stop) => CeremonyFailure::NoClock(stop),
            ValueReply::Fault(fault) => CeremonyFailure::Fault(fault),
            ValueReply::Overloaded => CeremonyFailure::Unavailable(Unavailable::Full),
            ValueReply::UnknownPsd => CeremonyFailure::Refused("there is no such PSD".to_owned()),
            ValueReply::Requested { .. }
            | ValueReply::Applied(_)
            | ValueReply::Voided(_)
            | ValueReply::Withdrawn(_)
            | ValueReply::RunOpened(_)
            | ValueReply::RunKnown
            | ValueReply::RunSealed(_)
            | ValueReply::RunUnsealed
            | ValueReply::RunClosed(_)
            | ValueReply::RunRefused(_)
            | ValueReply::Instructed(_)
            | ValueReply::Changed(_)
            | ValueReply::ClientRevoked
            | ValueReply::EndedBefore
            | ValueReply::InstructionRefused(_)
            | ValueReply::Refused(_)
            | ValueReply::Stopping => CeremonyFailure::Unavailable(Unavailable::Stopping),
        }
    }
}

/// A worker that went away comes back; what it refuses it refuses again.
const fn may_pass(error: &CallError) -> bool {
    match error {
        CallError::Down | CallError::Full | CallError::Ended => true,
        CallError::Failed(fault) => fault.retryable,
        CallError::TooLong => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psdd_hsm::protocol::{FaultClass, HsmFault};

    fn failed(retryable: bool) -> CallError {
        CallError::Failed(HsmFault { class: FaultClass::Refused, code: String::new(), step: String::new(), retryable })
    }

    #[test]
    fn what_a_person_must_mend_is_not_tried_again() {
        let token = || "main".to_owned();
        let unfit = ConsoleError::UnfitKey { token: token(), key: String::new(), problem: String::new() };
        for (failure, may_pass, retryable) in [
            (CeremonyFailure::Token(CallError::Down), true, true),
            (CeremonyFailure::Token(failed(true)), true, true),
            (CeremonyFailure::Token(failed(false)), false, false),
            (CeremonyFailure::Key(ConsoleError::Token { token: token(), source: CallError::Ended }), true, true),
            (CeremonyFailure::Key(unfit), false, false),
            (CeremonyFailure::NoClock(psd::clock::ClockStop::Unsynchronised), true, true),
            (CeremonyFailure::Fault(Fault::LogUnsigned), true, true),
            (CeremonyFailure::Fault(Fault::TokenRefused(String::new())), false, false),
            (CeremonyFailure::Unavailable(Unavailable::Full), true, true),
            (CeremonyFailure::Unavailable(Unavailable::Stopping), false, true),
            (CeremonyFailure::WrongSignature(CoseError::Signature), false, false),
            (CeremonyFailure::BackUp(String::new()), false, false),
        ] {
            assert_eq!((failure.may_pass(), failure.retryable()), (may_pass, retryable), "{failure:?}");
        }
    }
}
