//! Why a PSD refuses a piece: stable codes in a fixed order.
//!
//! The variants stand in the order in which they are checked; where several hold, the first is told. The order is part
//! of the contract (docs/protocol.md, "Order of refusals"), so a client may rely on it.

use crate::certification::{MarkId, NotCertifiable};
use crate::clock::ClockStop;
use crate::custody::Revocation;
use crate::device::RunRefusal;
use crate::indicium::Kind;
use crate::key::Role;
use crate::lifecycle::{Lifecycle, Locks};
use crate::money::PostageAmount;
use crate::time::MailingDate;
use std::fmt;
use std::sync::Arc;

/// A refusal of one piece. Nothing was debited, and nothing is bound to the key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The client, or its tenant as a whole, was revoked.
    #[error("the client was revoked at {}: {}", .0.since, .0.reason)]
    ClientRevoked(Revocation),
    /// The key's time lies before the retention horizon, so that its use could no longer be looked up.
    #[error(
        "the key's time is {key_ms}, older than the retention horizon {horizon_ms}; make a new key for a new piece"
    )]
    KeyTooOld {
        /// Time inside the key, ms since 1970.
        key_ms: u64,
        /// Oldest time accepted, ms since 1970.
        horizon_ms: u64,
    },
    /// The key's time lies further ahead than clocks may differ.
    #[error(
        "the key's time {key_ms} is ahead of this clock by more than the skew allowed (limit {limit_ms}); check the client's clock"
    )]
    KeyFromFuture {
        /// Time inside the key, ms since 1970.
        key_ms: u64,
        /// Latest time accepted, ms since 1970.
        limit_ms: u64,
    },
    /// The key was used for another content.
    #[error("this key was used before for another content; a new piece needs a new key")]
    KeyReused,
    /// The indicium that is to pay for the piece has paid for another.
    #[error("the indicium of {} with the ascending register {} was certified before, with another key", .0.psd, .0.ascending)]
    MarkCertified(MarkId),
    /// The postage of the indicium that is to pay came back, or was asked to.
    #[error("the postage of the indicium of {} with the ascending register {} came back or was asked to: it pays nothing", .0.psd, .0.ascending)]
    MarkRefunded(MarkId),
    /// Of the PSDs of the licence that could sign, none has the funds. Rests on uncommitted state while debits are in flight.
    #[error("postage {postage} is above what any PSD of the licence can spend, {most}")]
    NoneHasFunds {
        /// Asked for; of an `all_or_none` request, all of it together.
        postage: PostageAmount,
        /// What the richest of them can spend.
        most: PostageAmount,
    },
    /// No PSD of the licence is in a state to sign the piece.
    #[error("no PSD of the licence can take it: {0}")]
    NoPsdAvailable(OutOfUse),
    /// The PSD's life is not at the point where it signs.
    #[error("the PSD is {0}, not active")]
    NotActive(Lifecycle),
    /// The PSD is locked.
    #[error("the PSD is locked: {}", list(*.0))]
    Locked(Locks),
    /// All that is left was asked to go back to the authority.
    #[error("the PSD is being withdrawn; it signs nothing any more")]
    Withdrawing,
    /// There is no time that can be believed.
    #[error("no trusted time: {0}")]
    ClockStopped(#[from] ClockStop),
    /// No certified key of the role that signs.
    #[error("the PSD has no certified {0} key")]
    NoCertifiedKey(Role),
    /// A digital token was asked for, and no key of the role that makes half of it is in use.
    #[error("the PSD has no {0} key in use; a digital token needs a token-mac key and a postal-mac key")]
    NoTokenKey(Role),
    /// The item is not of the kind that the PSD's layout takes.
    #[error("this PSD signs indicia of the {format} layout, made of a {takes}; this is a {asked}")]
    WrongKind {
        /// Name of the layout.
        format: &'static str,
        /// What it takes.
        takes: Kind,
        /// What was asked.
        asked: Kind,
    },
    /// What was asked for cannot be certified.
    #[error("{0}")]
    NotCertifiable(Arc<NotCertifiable>),
    /// The run that the piece is to be part of does not take it.
    #[error(transparent)]
    Run(#[from] RunRefusal),
    /// The date of mailing, or the first day of a voucher, is outside the window.
    #[error("the date {date} is outside {from} to {to}")]
    DateOutOfWindow {
        /// The date asked for.
        date: MailingDate,
        /// First day accepted.
        from: MailingDate,
        /// Last day accepted.
        to: MailingDate,
    },
    /// The postage is below the smallest.
    #[error("postage {postage} is below the smallest, {smallest}")]
    PostageTooSmall {
        /// Asked for.
        postage: PostageAmount,
        /// The limit.
        smallest: PostageAmount,
    },
    /// The postage is above the largest.
    #[error("postage {postage} is above the largest, {largest}")]
    PostageTooLarge {
        /// Asked for.
        postage: PostageAmount,
        /// The limit.
        largest: PostageAmount,
    },
    /// A field or register does not fit the layout of the indicium.
    #[error("{field} does not fit the {format} layout")]
    Unencodable {
        /// Name of the layout.
        format: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// The descending register is too small. Rests on uncommitted state while debits are in flight.
    #[error("postage {postage} is above the descending register, {descending}")]
    InsufficientFunds {
        /// Asked for.
        postage: PostageAmount,
        /// Left at this point of the sequence.
        descending: PostageAmount,
    },
    /// Another item of an `all_or_none` request was refused.
    #[error("item {index} of this all-or-none request was refused")]
    AllOrNone {
        /// Index of the first refused item.
        index: usize,
    },
}

/// Why the PSDs of a licence that a client may use are of no use to a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutOfUse {
    /// Locked, or not active.
    pub barred: usize,
    /// Without a certified indicium key.
    pub uncertified: usize,
    /// In a token that does not answer.
    pub without_token: usize,
    /// In order, but not for this destination or this postage.
    pub unsuited: usize,
}

impl fmt::Display for OutOfUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { barred, uncertified, without_token, unsuited } = self;
        write!(
            f,
            "{barred} locked or not active, {uncertified} without a certified key, {without_token} in a token that does not \
             answer, {unsuited} not for this destination or postage"
        )
    }
}

pub(crate) fn list(locks: Locks) -> String {
    let words: Vec<&str> = locks.reasons().map(|reason| reason.as_str()).collect();
    words.join(", ")
}

impl Refusal {
    /// The stable code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::ClientRevoked(_) => "client-revoked",
            Refusal::KeyTooOld { .. } => "key-too-old",
            Refusal::KeyFromFuture { .. } => "key-from-future",
            Refusal::KeyReused => "key-reused",
            Refusal::MarkCertified(_) => "indicium-certified",
            Refusal::MarkRefunded(_) => "indicium-refunded",
            Refusal::NoneHasFunds { .. } => "insufficient-funds",
            Refusal::NoPsdAvailable(_) => "no-psd-available",
            Refusal::NotActive(_) => "psd-not-active",
            Refusal::Locked(_) => "psd-locked",
            Refusal::Withdrawing => "psd-withdrawing",
            Refusal::ClockStopped(_) => "clock-stopped",
            Refusal::NoCertifiedKey(_) => "no-certified-key",
            Refusal::NoTokenKey(_) => "no-token-key",
            Refusal::WrongKind { .. } => "item-wrong-kind",
            Refusal::NotCertifiable(not) => not.code,
            Refusal::Run(refusal) => refusal.code(),
            Refusal::DateOutOfWindow { .. } => "date-out-of-window",
            Refusal::PostageTooSmall { .. } => "postage-too-small",
            Refusal::PostageTooLarge { .. } => "postage-too-large",
            Refusal::Unencodable { .. } => "field-unencodable",
            Refusal::InsufficientFunds { .. } => "insufficient-funds",
            Refusal::AllOrNone { .. } => "all-or-none",
        }
    }
}
