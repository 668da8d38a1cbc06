//! A scale as the registry has it, valid by construction.

use super::Milligrams;
use psd::{MailingDate, ScaleId, UnixMillis};
use std::sync::Arc;

const DAY_MS: u64 = 86_400_000;

/// A scale.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scale {
    pub(super) id: ScaleId,
    pub(super) maker: String,
    pub(super) model: String,
    pub(super) site: String,
    pub(super) calibration: Calibration,
    pub(super) capacity: Milligrams,
    pub(super) minimum: Milligrams,
    pub(super) resolution: Milligrams,
    pub(super) signing: Signing,
}

/// The certificate of a calibration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calibration {
    pub(super) certificate: String,
    pub(super) issuer: String,
    pub(super) from: MailingDate,
    pub(super) until: MailingDate,
}

/// Whether readings of a scale are signed, by the key with this SubjectPublicKeyInfo (DER), P-256 or Ed25519.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signing {
    /// The scale has no key: a signed reading is not of it.
    Never,
    /// A signature may be absent; where there is one it must verify.
    Optional(Arc<[u8]>),
    /// A reading without a signature is refused.
    Required(Arc<[u8]>),
}

impl Scale {
    /// As readings name it.
    pub const fn id(&self) -> &ScaleId {
        &self.id
    }

    /// Who made it.
    pub fn maker(&self) -> &str {
        &self.maker
    }

    /// Its model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Where it stands.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Its calibration.
    pub const fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The greatest load (OIML R 76-1 T.3.1.1, *Max*).
    pub const fn capacity(&self) -> Milligrams {
        self.capacity
    }

    /// The smallest load (OIML R 76-1 T.3.1.2, *Min*), below which its error is too large a part of the weight.
    pub const fn minimum(&self) -> Milligrams {
        self.minimum
    }

    /// The interval that its readings are multiples of (OIML R 76-1 T.3.2.2, *d*).
    pub const fn resolution(&self) -> Milligrams {
        self.resolution
    }

    /// Whether its readings are signed.
    pub const fn signing(&self) -> &Signing {
        &self.signing
    }
}

impl Calibration {
    /// Number of the certificate.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Who issued it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// First day on which the scale counts, in UTC.
    pub const fn from(&self) -> MailingDate {
        self.from
    }

    /// Last day on which the scale counts, in UTC.
    pub const fn until(&self) -> MailingDate {
        self.until
    }

    /// The first millisecond of the first day.
    pub fn begins(&self) -> UnixMillis {
        self.from.begins()
    }

    /// The first millisecond after the last day.
    pub fn ends(&self) -> UnixMillis {
        UnixMillis(self.until.begins().0.saturating_add(DAY_MS))
    }
}

impl Signing {
    /// The scale's key (SPKI, DER).
    pub fn spki(&self) -> Option<&[u8]> {
        match self {
            Signing::Never => None,
            Signing::Optional(spki) | Signing::Required(spki) => Some(spki),
        }
    }

    /// `required`, `optional`, or `never`, which the file says by naming no key.
    pub const fn name(&self) -> &'static str {
        match self {
            Signing::Never => "never",
            Signing::Optional(_) => "optional",
            Signing::Required(_) => "required",
        }
    }
}
