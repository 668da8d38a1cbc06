//! One PSD: identity, state, and every command that moves value.
//!
//! All checks come first, in a fixed order; then the mutation, which cannot fail. Called by the core thread of `psdd`,
//! which owns every PSD, and by replay. Commits and roll-backs are the caller's: it keeps the [`State`] it wants back.

mod piece;
mod replay;
mod value;

pub use piece::{DateWindow, Piece, PieceContext, PreparedPiece};
pub use replay::ReplayError;
pub use value::{Authorisation, Purpose, ValueRefusal, ValueTerms};

use crate::currency::Currency;
use crate::id::{LicenceNumber, PsdId, TenantName};
use crate::indicium::{Format, LicensingZip, ZipRange};
use crate::key::{Key, Role};
use crate::lifecycle::{Lifecycle, Locks};
use crate::limits::Limits;
use crate::money::PostageAmount;
use crate::record::Stamp;
use crate::register::Registers;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What a PSD is for life.
#[derive(Clone)]
pub struct Identity {
    /// The device ID.
    pub psd: PsdId,
    /// The tenant that may use it.
    pub tenant: TenantName,
    /// The licence it works under.
    pub licence: LicenceNumber,
    /// The licence's ZIP.
    pub licensing_zip: LicensingZip,
    /// The layout of its indicia.
    pub format: &'static dyn Format,
    /// Software ID in its marks.
    pub software_id: [u8; 6],
    /// Limits on value.
    pub limits: Limits,
    /// What its registers count.
    pub currency: Currency,
    /// Destinations it is meant for; `None` for all.
    pub zips: Option<ZipRange>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("psd", &self.psd)
            .field("tenant", &self.tenant)
            .field("licence", &self.licence)
            .field("format", &self.format.name())
            .finish_non_exhaustive()
    }
}

/// A value download, a refund or the withdrawal, asked for and not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingValue {
    /// Its number.
    pub sequence: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// The only amount it works for.
    pub amount: PostageAmount,
    /// The request as signed by the device key.
    pub request: Arc<[u8]>,
}

/// A key with the certificate chain installed for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertifiedKey {
    /// The key.
    pub key: Key,
    /// The certificate and its issuers up to but without the root, DER; empty until installed.
    pub chain: Arc<[Arc<[u8]>]>,
}

/// What changes in a PSD's life. Cheap to clone: the core keeps one for every chunk in flight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// Records of this PSD so far.
    pub sequence: u64,
    /// The registers.
    pub registers: Registers,
    /// Where it stands in its life.
    pub lifecycle: Lifecycle,
    /// Why it is locked, if it is.
    pub locks: Locks,
    /// Every generation of every key, in order of creation.
    pub keys: Arc<[CertifiedKey]>,
    /// Number of the last value download that ended, applied or void.
    pub value_sequence: u64,
    /// The one under way.
    pub pending: Option<PendingValue>,
    /// Leaves of the spoiled marks whose postage came back.
    pub refunded: Arc<BTreeSet<u64>>,
}

/// A Postal Security Device.
#[derive(Clone, Debug)]
pub struct Psd {
    identity: Arc<Identity>,
    state: State,
}

impl Psd {
    /// A PSD as it comes to life: registers zero, no keys.
    pub fn new(identity: Identity) -> Self {
        let state = State {
            sequence: 0,
            registers: Registers::default(),
            lifecycle: Lifecycle::Initialised,
            locks: Locks::NONE,
            keys: Arc::from([]),
            value_sequence: 0,
            pending: None,
            refunded: Arc::default(),
        };
        Self { identity: Arc::new(identity), state }
    }

    /// What it is for life.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What it is now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes the PSD back to an earlier state, after the records since then were dropped.
    pub fn restore(&mut self, state: State) {
        self.state = state;
    }

    /// Puts the PSD under these locks and no others.
    pub fn relock(&mut self, locks: Locks) {
        self.state.locks = locks;
    }

    /// Begins the next record of this PSD, with the registers as they are now.
    pub fn next_stamp(&mut self) -> Stamp {
        self.state.sequence += 1;
        self.stamp()
    }

    /// The stamp of the latest record.
    pub fn stamp(&self) -> Stamp {
        Stamp { psd: self.identity.psd, sequence: self.state.sequence, registers: self.state.registers }
    }

    /// The newest certified key of a role, with its certificate's serial number.
    pub fn certified_key(&self, role: Role) -> Option<(&Key, u32)> {
        self.state.certified_key(role)
    }
}

impl State {
    /// The newest certified key of a role, with its certificate's serial number.
    pub fn certified_key(&self, role: Role) -> Option<(&Key, u32)> {
        let of_role = self.keys.iter().rev().map(|certified| &certified.key).filter(|key| key.role == role);
        of_role.filter_map(|key| key.certificate_serial.map(|serial| (key, serial))).next()
    }

    /// Whether all that is left was asked to go back: nothing is signed from then on.
    pub fn is_withdrawing(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.purpose == Purpose::Withdrawal)
    }

    /// The newest key of a role, certified or not.
    pub fn newest_key(&self, role: Role) -> Option<&Key> {
        self.keys.iter().rev().map(|certified| &certified.key).find(|key| key.role == role)
    }
}
