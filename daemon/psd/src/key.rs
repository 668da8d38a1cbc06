//! Keys as the PSD knows them: a role, a generation, a public half, a certificate.
//!
//! Private halves never leave the token, so there is nothing of them here.

use std::fmt;
use std::sync::Arc;

/// What a key may sign. One key, one role (DESIGN.md §6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Signs indicia.
    Indicium,
    /// Signs certifications of corrected mail.
    Certification,
    /// Makes digital tokens.
    TokenMac,
    /// Signs value requests, audits and refunds.
    Device,
    /// Signs checkpoints of the log.
    Log,
}

impl Role {
    /// The number of the role on the wire to the token worker and in records.
    pub const fn number(self) -> u8 {
        match self {
            Role::Indicium => 1,
            Role::Certification => 2,
            Role::TokenMac => 3,
            Role::Device => 4,
            Role::Log => 5,
        }
    }

    /// The role with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Role::Indicium,
            2 => Role::Certification,
            3 => Role::TokenMac,
            4 => Role::Device,
            5 => Role::Log,
            _ => return None,
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Indicium => "indicium",
            Role::Certification => "certification",
            Role::TokenMac => "token-mac",
            Role::Device => "device",
            Role::Log => "log",
        })
    }
}

/// The algorithm of a key pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256; signatures are r‖s, 64 bytes (FIPS 186-5, SEC 1).
    EcdsaP256,
    /// Ed25519; signatures are 64 bytes (RFC 8032).
    Ed25519,
}

impl Algorithm {
    /// The number of the algorithm in records.
    pub const fn number(self) -> u8 {
        match self {
            Algorithm::EcdsaP256 => 1,
            Algorithm::Ed25519 => 2,
        }
    }

    /// The algorithm with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Algorithm::EcdsaP256,
            2 => Algorithm::Ed25519,
            _ => return None,
        })
    }
}

/// One generation of a key of a PSD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// CKA_ID in the token.
    pub key_id: Arc<[u8]>,
    /// What it may sign.
    pub role: Role,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The token's name in the configuration of `psdd`.
    pub token: Arc<str>,
    /// SubjectPublicKeyInfo, DER (RFC 5280 §4.1).
    pub spki: Arc<[u8]>,
    /// Serial number of the installed certificate; a key without one signs nothing that leaves the appliance.
    pub certificate_serial: Option<u32>,
}
