//! One PSD: identity, state, and every command that moves value.
//!
//! All checks come first, in a fixed order; then the mutation, which cannot fail. Called by the core thread of `psdd`,
//! which owns every PSD, and by replay. Commits and roll-backs are the caller's: it keeps the [`State`] it wants back.

mod change;
mod piece;
mod replay;
mod run;
mod value;

pub use change::Change;
pub use piece::{DateWindow, Piece, PieceContext, PreparedPiece};
pub use replay::ReplayError;
pub use run::RunRefusal;
pub use value::{Authorisation, Purpose, Spoiled, ValueRefusal, ValueTerms};

use crate::currency::Currency;
use crate::custody::{Activation, KeyLife};
use crate::id::{LicenceNumber, PsdId, TenantName};
use crate::indicium::{Format, LicensingZip, ZipRange};
use crate::key::{Key, Role};
use crate::key_order::ChangeOrder;
use crate::lifecycle::{Lifecycle, Locks};
use crate::limits::Limits;
use crate::money::PostageAmount;
use crate::record::Stamp;
use crate::register::Registers;
use crate::run::Runs;
use crate::time::UnixMillis;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Where it does not live in the token: the salted hash of what the token wrapped.
    pub wrapped: Option<[u8; 32]>,
    /// What became of it so far.
    pub life: KeyLife,
}

impl CertifiedKey {
    /// Whether it may be activated as far as certificates go. A secret key has none.
    pub const fn is_certified(&self) -> bool {
        self.key.certificate_serial.is_some() || self.key.role.is_mac()
    }
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
    /// Ascending registers of the spoiled marks whose postage came back.
    pub refunded: Arc<BTreeSet<PostageAmount>>,
    /// When it was last inspected: created, its audit report accepted by the authority, or value loaded; whichever came last.
    pub inspected: UnixMillis,
    /// The authority's newest order to change the key of a role, carried out or not.
    pub change_orders: Arc<BTreeMap<Role, ChangeOrder>>,
    /// Its mail runs, those that are over by their names alone.
    pub runs: Arc<Runs>,
}

/// A Postal Security Device.
#[derive(Clone, Debug)]
pub struct Psd {
    identity: Arc<Identity>,
    state: State,
}

impl Psd {
    /// A PSD as it comes to life at this time: registers zero, no keys.
    pub fn new(identity: Identity, at: UnixMillis) -> Self {
        let state = State {
            sequence: 0,
            registers: Registers::default(),
            lifecycle: Lifecycle::Initialised,
            locks: Locks::NONE,
            keys: Arc::from([]),
            value_sequence: 0,
            pending: None,
            refunded: Arc::default(),
            inspected: at,
            change_orders: Arc::default(),
            runs: Arc::default(),
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

    /// The key of a role that is in use.
    pub fn key_in_use(&self, role: Role) -> Option<&CertifiedKey> {
        self.state.key_in_use(role)
    }
}

impl State {
    /// The key of a role that signs: the one that was activated last, unless it was revoked or retired since. No other takes its place by itself.
    pub fn key_in_use(&self, role: Role) -> Option<&CertifiedKey> {
        let activated =
            |certified: &&CertifiedKey| certified.life.activated.map(|Activation { sequence, .. }| sequence);
        let of_role = self.keys.iter().filter(|certified| certified.key.role == role);
        of_role.max_by_key(activated).filter(|last| last.life.activated.is_some() && last.life.is_sound())
    }

    /// Whether a key of the role was ever in use.
    pub fn has_used(&self, role: Role) -> bool {
        self.keys.iter().any(|certified| certified.key.role == role && certified.life.activated.is_some())
    }

    /// The key with this CKA_ID.
    pub fn key(&self, key_id: &[u8]) -> Option<&CertifiedKey> {
        self.keys.iter().find(|certified| *certified.key.key_id == *key_id)
    }

    /// The newest key of a role whose certificate has this serial number.
    pub fn certified_key(&self, role: Role, serial: u32) -> Option<&CertifiedKey> {
        let of_role = self.keys.iter().rev().filter(|certified| certified.key.role == role);
        of_role.into_iter().find(|certified| certified.key.certificate_serial == Some(serial))
    }

    /// Whether all that is left was asked to go back: nothing is signed from then on.
    pub fn is_withdrawing(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.purpose == Purpose::Withdrawal)
    }

    /// Whether the postage of the mark with this ascending register came back, or was asked to.
    pub fn gives_back(&self, ascending: PostageAmount) -> bool {
        let asked = |pending: &PendingValue| matches!(pending.purpose, Purpose::Refund(spoiled) if spoiled.ascending == ascending);
        self.refunded.contains(&ascending) || self.pending.as_ref().is_some_and(asked)
    }

    /// The newest key of a role, certified or not.
    pub fn newest_key(&self, role: Role) -> Option<&Key> {
        self.keys.iter().rev().map(|certified| &certified.key).find(|key| key.role == role)
    }
}
