//! Why the funds system does not do what a statement asks.

use psd::indicium::DecodeError;
use psd::{ApplianceId, PostageAmount, PsdId, UnixMillis};

/// A refusal, with all that a person needs to see why. docs/authority.md lists the codes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// No certificate was issued for such a PSD.
    #[error("no PSD {0} is registered here: its certificates were issued by another authority, or not yet")]
    UnknownPsd(PsdId),
    /// No such licence, or none that the client may see.
    #[error("there is no licence {0} with a PSD on your appliance")]
    UnknownLicence(String),
    /// Not a statement.
    #[error("not a statement of a PSD: {0}")]
    Malformed(String),
    /// Another key signed it.
    #[error("the signature is of none of the device keys certified for {0}")]
    BadSignature(PsdId),
    /// A revoked key signed it.
    #[error("the device key of {psd} that signed is revoked since {since}; have the PSD's next device key certified")]
    KeyRevoked {
        /// The PSD.
        psd: PsdId,
        /// Since when.
        since: UnixMillis,
    },
    /// The client's certificate names another appliance.
    #[error("your certificate is of appliance {client}; {psd} is registered for another")]
    NotPermitted {
        /// The appliance in the client's certificate.
        client: String,
        /// The PSD.
        psd: PsdId,
    },
    /// The claims name another appliance than the one registered.
    #[error("the PSD is registered for appliance {registered}, the statement names another")]
    WrongAppliance {
        /// The appliance registered.
        registered: ApplianceId,
    },
    /// The registers do not add up.
    #[error("ascending + descending is not the control total in the statement")]
    RegistersInconsistent,
    /// The number was given up.
    #[error("download {number} is void for ever; ask for value anew")]
    Void {
        /// Its number.
        number: u64,
    },
    /// The number is known with other content.
    #[error("download {number} is known here with another request: the PSD was rolled back, or two have its key")]
    Conflict {
        /// Its number.
        number: u64,
    },
    /// It was applied, and its authorisation is past.
    #[error("download {number} was applied long ago")]
    Applied {
        /// Its number.
        number: u64,
    },
    /// The PSD is withdrawn.
    #[error("the PSD is withdrawn; nothing is authorised for it again")]
    Withdrawn,
    /// Numbers are missing.
    #[error(
        "download {number} was not expected, {expected} is the next: if the PSD gave up the numbers between, carry the void \
         statement of each here first, in order (they are in its ledger)"
    )]
    Gap {
        /// Its number.
        number: u64,
        /// The next number.
        expected: u64,
    },
    /// The download before was authorised and is not in the registers.
    #[error(
        "download {number} was authorised and not applied: apply it, or carry the PSD's void statement of it here first"
    )]
    DownloadOpen {
        /// The number of the download before.
        number: u64,
    },
    /// The registers are not what the books say.
    #[error("the PSD says control total {said}, the books say {booked}: tell the authority")]
    ControlTotal {
        /// In the statement.
        said: PostageAmount,
        /// By the books.
        booked: PostageAmount,
    },
    /// Nothing is asked for.
    #[error("a download needs an amount above zero")]
    NoAmount,
    /// The licence's account is locked.
    #[error("the account of the licence is locked; the authority unlocks it")]
    LicenceLocked,
    /// A control total would leave its range.
    #[error("no control total holds that much")]
    Overflow,
    /// The account does not cover it.
    #[error(
        "the account of the licence holds {balance}, {amount} is asked for; pay in, then send the same request again"
    )]
    FundsShort {
        /// On the account.
        balance: PostageAmount,
        /// Asked for.
        amount: PostageAmount,
    },
    /// The spoiled mark is none of this PSD over this amount.
    #[error("the mark to be refunded: {0}")]
    RefundMark(#[from] BadMark),
    /// The mark is too old, or dated too far ahead.
    #[error("the mark to be refunded is dated {date}, more than {days} days from today")]
    RefundWindow {
        /// Date in the mark, YYYYMMDD.
        date: u32,
        /// The window.
        days: u32,
    },
    /// The piece was refunded before.
    #[error("the piece was refunded before, by download {number} of {psd}")]
    RefundTwice {
        /// The PSD.
        psd: PsdId,
        /// The download.
        number: u64,
    },
    /// The registers show that the download was applied.
    #[error("download {number} was applied: the PSD's own registers show it, so it cannot be void")]
    VoidOfApplied {
        /// Its number.
        number: u64,
    },
    /// The value was credited already.
    #[error("download {number} is a withdrawal that was acknowledged and credited, so it cannot be void")]
    VoidOfWithdrawal {
        /// Its number.
        number: u64,
    },
    /// The amount is not what the descending register holds.
    #[error("a withdrawal is over all that the descending register holds, and over nothing else")]
    WithdrawalAmount,
    /// No withdrawal of this number was acknowledged.
    #[error("no withdrawal {number} was acknowledged")]
    WithdrawalUnknown {
        /// Its number.
        number: u64,
    },
    /// The registers after a withdrawal are not those acknowledged.
    #[error("after the withdrawal the descending register must read 0.00 and the control total {booked}")]
    WithdrawalRegisters {
        /// The control total acknowledged.
        booked: PostageAmount,
    },
}

/// Why a mark is not refunded as it is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadMark {
    /// Of no layout known.
    #[error("{0}")]
    Layout(#[from] DecodeError),
    /// No layout is known at all.
    #[error("no layout is known here")]
    NoLayout,
    /// Another PSD's.
    #[error("it is of {0}")]
    Device(String),
    /// Another amount.
    #[error("its postage is {0}, and that is the only amount it is refunded with")]
    Postage(PostageAmount),
    /// It would be newer than the statement.
    #[error("its ascending register is above the PSD's")]
    Ascending,
    /// No certificate of that serial number was issued for the PSD's indicium key.
    #[error("no certificate {0} of an indicium key of this PSD was issued here")]
    Certificate(u32),
    /// The signature does not verify.
    #[error("its signature does not verify")]
    Signature,
    /// It is dated on or after the day from which its key is not trusted.
    #[error("its certificate {0} is revoked, and the mark is dated on that day or later")]
    Revoked(u32),
    /// Worth nothing.
    #[error("it is a specimen and was never worth anything")]
    Specimen,
}

impl Refusal {
    /// The stable code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::UnknownPsd(_) => "psd-unknown",
            Refusal::UnknownLicence(_) => "licence-unknown",
            Refusal::Malformed(_) => "statement-malformed",
            Refusal::BadSignature(_) => "statement-bad-signature",
            Refusal::KeyRevoked { .. } => "device-key-revoked",
            Refusal::NotPermitted { .. } => "not-permitted",
            Refusal::WrongAppliance { .. } => "wrong-appliance",
            Refusal::RegistersInconsistent => "registers-inconsistent",
            Refusal::Void { .. } => "download-void",
            Refusal::Conflict { .. } => "download-conflict",
            Refusal::Applied { .. } => "download-applied",
            Refusal::Withdrawn => "psd-withdrawn",
            Refusal::Gap { .. } => "download-gap",
            Refusal::DownloadOpen { .. } => "download-open",
            Refusal::ControlTotal { .. } => "control-total",
            Refusal::NoAmount => "no-amount",
            Refusal::LicenceLocked => "licence-locked",
            Refusal::Overflow => "overflow",
            Refusal::FundsShort { .. } => "funds-short",
            Refusal::RefundMark(_) => "refund-mark",
            Refusal::RefundWindow { .. } => "refund-window",
            Refusal::RefundTwice { .. } => "refund-twice",
            Refusal::VoidOfApplied { .. } => "void-of-applied",
            Refusal::VoidOfWithdrawal { .. } => "void-of-withdrawal",
            Refusal::WithdrawalAmount => "withdrawal-amount",
            Refusal::WithdrawalUnknown { .. } => "withdrawal-unknown",
            Refusal::WithdrawalRegisters { .. } => "withdrawal-registers",
        }
    }

    /// Whether it contradicts the books: what a PSD signed is kept as evidence, and the authority looks into it.
    pub const fn is_finding(&self) -> bool {
        match self {
            Refusal::WrongAppliance { .. }
            | Refusal::RegistersInconsistent
            | Refusal::Conflict { .. }
            | Refusal::Gap { .. }
            | Refusal::ControlTotal { .. }
            | Refusal::RefundMark(_)
            | Refusal::RefundTwice { .. }
            | Refusal::VoidOfApplied { .. }
            | Refusal::VoidOfWithdrawal { .. }
            | Refusal::WithdrawalAmount
            | Refusal::WithdrawalUnknown { .. }
            | Refusal::WithdrawalRegisters { .. } => true,
            Refusal::UnknownPsd(_)
            | Refusal::UnknownLicence(_)
            | Refusal::Malformed(_)
            | Refusal::BadSignature(_)
            | Refusal::KeyRevoked { .. }
            | Refusal::NotPermitted { .. }
            | Refusal::Void { .. }
            | Refusal::Applied { .. }
            | Refusal::Withdrawn
            | Refusal::DownloadOpen { .. }
            | Refusal::NoAmount
            | Refusal::LicenceLocked
            | Refusal::Overflow
            | Refusal::FundsShort { .. }
            | Refusal::RefundWindow { .. } => false,
        }
    }
}
