//! What signed messages beside the records must agree with.
//!
//! Only the facts: the messages are COSE, which this crate does not know. `psdd-wire` verifies them; a ledger's verification and
//! inspectors ask it to.

use crate::id::{ApplianceId, PsdId};
use crate::money::PostageAmount;
use crate::record::Indicium;
use crate::register::Registers;
use crate::time::UnixMillis;
use std::sync::Arc;

/// What the payload of a value message must say.
#[derive(Clone, Debug)]
pub struct ValueFacts<'a> {
    /// The appliance.
    pub appliance: &'a ApplianceId,
    /// The PSD.
    pub psd: PsdId,
    /// Number of the download.
    pub sequence: u64,
    /// How much.
    pub amount: PostageAmount,
    /// Leaf and record of the spoiled mark, for a refund.
    pub refund: Option<(u64, &'a Indicium)>,
    /// The registers after the event.
    pub registers: Registers,
    /// Time of the record.
    pub at: UnixMillis,
}

/// A key of the authority, as it was installed.
#[derive(Clone, Debug)]
pub struct AuthorityKey {
    /// Its certificate, DER.
    pub certificate: Arc<[u8]>,
    /// Its public half, SPKI DER.
    pub spki: Arc<[u8]>,
}

/// What a device key signs of value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statement {
    /// It is asked for.
    Request,
    /// It is void.
    Void,
    /// All that is left shall go back.
    WithdrawalRequest,
    /// All that was left went back.
    WithdrawalReport,
}

/// What the funds key signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Value comes in.
    Authorisation,
    /// A withdrawal is acknowledged.
    Acknowledgement,
}
