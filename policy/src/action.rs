//! What a client may ask of a PSD, with what policies may know about the asking.
//!
//! An action and its context are one value, so that neither is judged with the other's.

use cedar_policy::{Context, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use psd::PostageAmount;

/// The sums over the items of one request on one PSD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SigningTotals {
    /// Items.
    pub count: u32,
    /// Their postage, or what is debited for them, together.
    pub total: PostageAmount,
    /// The largest of them.
    pub largest: PostageAmount,
}

/// What a client asks of a PSD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Signatures on indicia.
    SignIndicium(SigningTotals),
    /// Certifications of corrected mail.
    Certify {
        /// What is debited.
        totals: SigningTotals,
        /// What is said to be printed on the pieces as paid, together: nothing proves it.
        imprints: PostageAmount,
        /// How many of them a receipt is to prove, and no signature.
        receipts: u32,
    },
    /// A signed request for value.
    RequestValue {
        /// The value asked for.
        amount: PostageAmount,
    },
    /// The authority's answer to a request for value.
    ApplyValue,
    /// The end of a request for value that nobody will answer.
    VoidValue,
    /// A signed request that the postage of a spoiled mark comes back.
    RequestRefund {
        /// The postage.
        amount: PostageAmount,
    },
    /// That all that is left goes back to the authority, and its acknowledgement.
    Withdraw,
    /// The register readings.
    ReadRegisters,
    /// The certificates of the PSD's keys.
    ReadCertificates,
    /// The stored result of an earlier request.
    ReadResult,
}

impl Action {
    pub(crate) fn name(self) -> ActionName {
        match self {
            Action::SignIndicium(_) => ActionName::SignIndicium,
            Action::Certify { .. } => ActionName::Certify,
            Action::RequestValue { .. } => ActionName::RequestValue,
            Action::ApplyValue => ActionName::ApplyValue,
            Action::VoidValue => ActionName::VoidValue,
            Action::RequestRefund { .. } => ActionName::RequestRefund,
            Action::Withdraw => ActionName::Withdraw,
            Action::ReadRegisters => ActionName::ReadRegisters,
            Action::ReadCertificates => ActionName::ReadCertificates,
            Action::ReadResult => ActionName::ReadResult,
        }
    }

    /// The context of the schema; `None` for an amount that a Long cannot hold, which no [`PostageAmount`] is.
    pub(crate) fn context(self) -> Option<Context> {
        match self {
            Action::SignIndicium(SigningTotals { count, total, largest }) => {
                longs([("count", i64::from(count)), ("total", long(total)?), ("largest", long(largest)?)])
            }
            Action::Certify { totals: SigningTotals { count, total, largest }, imprints, receipts } => longs([
                ("count", i64::from(count)),
                ("total", long(total)?),
                ("largest", long(largest)?),
                ("imprints", long(imprints)?),
                ("receipts", i64::from(receipts)),
            ]),
            Action::RequestValue { amount } | Action::RequestRefund { amount } => longs([("amount", long(amount)?)]),
            Action::ApplyValue
            | Action::VoidValue
            | Action::Withdraw
            | Action::ReadRegisters
            | Action::ReadCertificates
            | Action::ReadResult => Some(Context::empty()),
        }
    }
}

/// What a client asks of the appliance as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApplianceAction {
    /// What it is.
    Read,
    /// To take an instruction of the postal authority, which proves itself.
    CarryInstruction,
}

impl ApplianceAction {
    pub(crate) fn name(self) -> ActionName {
        match self {
            ApplianceAction::Read => ActionName::ReadAppliance,
            ApplianceAction::CarryInstruction => ActionName::CarryInstruction,
        }
    }
}

fn long(amount: PostageAmount) -> Option<i64> {
    i64::try_from(amount.mills()).ok()
}

fn longs<const N: usize>(pairs: [(&str, i64); N]) -> Option<Context> {
    Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), RestrictedExpression::new_long(value)))).ok()
}

/// The actions of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionName {
    SignIndicium,
    Certify,
    RequestValue,
    ApplyValue,
    VoidValue,
    RequestRefund,
    Withdraw,
    ReadRegisters,
    ReadCertificates,
    ReadResult,
    ReadAppliance,
    CarryInstruction,
}

impl ActionName {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            ActionName::SignIndicium => "sign_indicium",
            ActionName::Certify => "certify",
            ActionName::RequestValue => "request_value",
            ActionName::ApplyValue => "apply_value",
            ActionName::VoidValue => "void_value",
            ActionName::RequestRefund => "request_refund",
            ActionName::Withdraw => "withdraw",
            ActionName::ReadRegisters => "read_registers",
            ActionName::ReadCertificates => "read_certificates",
            ActionName::ReadResult => "read_result",
            ActionName::ReadAppliance => "read_appliance",
            ActionName::CarryInstruction => "carry_instruction",
        }
    }

    pub(crate) fn uid(self) -> EntityUid {
        let kind: EntityTypeName = "Action".parse().expect("a plain word is the name of an entity type");
        EntityUid::from_type_name_and_id(kind, EntityId::new(self.as_str()))
    }
}
