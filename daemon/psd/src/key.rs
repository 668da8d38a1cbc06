//! Keys as the PSD knows them: a role, a generation, a public half, a certificate.
//!
//! Private halves never leave the token, so there is nothing of them here.

use std::fmt;
use std::sync::Arc;

/// What every message begins with that a MAC key may MAC, so that its MACs are good for nothing else. A MAC has no
/// structure, so what follows begins with the name of what the MAC is for (docs/certification.md); one byte at least
/// does.
pub const TOKEN_MAC_DOMAIN: &[u8] = b"psdd/token-mac/v1\0";

/// What a key may sign. One key, one role (DESIGN.md §6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Signs indicia.
    Indicium,
    /// Signs certifications of corrected mail.
    Certification,
    /// Makes the vendor's halves of digital tokens, and the keys of certification numbers.
    TokenMac,
    /// Signs value requests, audits and refunds.
    Device,
    /// Signs checkpoints of the log.
    Log,
    /// Makes the post's halves of digital tokens, and nothing else.
    PostalMac,
}

impl Role {
    /// The roles whose keys the authority certifies.
    pub const CERTIFIED: [Role; 3] = [Role::Indicium, Role::Certification, Role::Device];

    /// The role of that name, where its keys are certified.
    pub fn certified_named(name: &str) -> Option<Self> {
        Self::CERTIFIED.into_iter().find(|role| role.to_string() == name)
    }

    /// Whether its keys are secrets that make MACs: they have no public half, and nobody certifies them.
    pub const fn is_mac(self) -> bool {
        matches!(self, Role::TokenMac | Role::PostalMac)
    }

    /// The number of the role on the wire to the token worker and in records.
    pub const fn number(self) -> u8 {
        match self {
            Role::Indicium => 1,
            Role::Certification => 2,
            Role::TokenMac => 3,
            Role::Device => 4,
            Role::Log => 5,
            Role::PostalMac => 6,
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
            6 => Role::PostalMac,
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
            Role::PostalMac => "postal-mac",
        })
    }
}

/// The algorithm of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256; signatures are r‖s, 64 bytes (FIPS 186-5, SEC 1).
    EcdsaP256,
    /// Ed25519; signatures are 64 bytes (RFC 8032).
    Ed25519,
    /// ECDSA on P-384 with SHA-384; signatures are r‖s, 96 bytes (FIPS 186-5, SEC 1).
    EcdsaP384,
    /// HMAC with SHA-256 under a secret of 32 bytes; MACs are whole, 32 bytes (RFC 2104, FIPS 198-1).
    HmacSha256,
}

impl Algorithm {
    /// The number of the algorithm in records.
    pub const fn number(self) -> u8 {
        match self {
            Algorithm::EcdsaP256 => 1,
            Algorithm::Ed25519 => 2,
            Algorithm::EcdsaP384 => 3,
            Algorithm::HmacSha256 => 4,
        }
    }

    /// The algorithm with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Algorithm::EcdsaP256,
            2 => Algorithm::Ed25519,
            3 => Algorithm::EcdsaP384,
            4 => Algorithm::HmacSha256,
            _ => return None,
        })
    }

    /// The length of every signature, or MAC, in bytes.
    pub const fn signature_len(self) -> usize {
        match self {
            Algorithm::EcdsaP256 | Algorithm::Ed25519 => 64,
            Algorithm::EcdsaP384 => 96,
            Algorithm::HmacSha256 => 32,
        }
    }

    /// The security strength in bits (NIST SP 800-57 part 1 revision 5, tables 2 and 3): a curve of f bits has f/2, a MAC
    /// the bits of its key, up to those of its hash.
    ///
    /// Ed25519 is counted as a curve of 255 bits, as the table's column for 128 bits has it.
    pub const fn strength_bits(self) -> u16 {
        match self {
            Algorithm::EcdsaP256 | Algorithm::Ed25519 => 128,
            Algorithm::EcdsaP384 => 192,
            Algorithm::HmacSha256 => 256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Algorithm::EcdsaP256 => "ecdsa-p256",
            Algorithm::Ed25519 => "ed25519",
            Algorithm::EcdsaP384 => "ecdsa-p384",
            Algorithm::HmacSha256 => "hmac-sha256",
        })
    }
}

/// Where the private half of a key is kept (DESIGN.md §6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Residence {
    /// An object of the token that cannot be extracted.
    Resident,
    /// In the ledger, encrypted under the token's wrapping key, and in the token only while it signs.
    Wrapped,
}

impl Residence {
    /// The number of the residence in records and on the wire to the token worker.
    pub const fn number(self) -> u8 {
        match self {
            Residence::Resident => 1,
            Residence::Wrapped => 2,
        }
    }

    /// The residence with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Residence::Resident,
            2 => Residence::Wrapped,
            _ => return None,
        })
    }

    /// Its name in files and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Residence::Resident => "resident",
            Residence::Wrapped => "wrapped",
        }
    }
}

impl fmt::Display for Residence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
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

impl Key {
    /// Which generation of its role it is: the last byte of its CKA_ID, which is made of role, PSD and generation.
    pub fn generation(&self) -> u8 {
        generation(&self.key_id)
    }
}

/// The generation that a CKA_ID names; 1 where it is none of ours.
pub fn generation(key_id: &[u8]) -> u8 {
    key_id.last().copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_names_one_algorithm_and_one_residence() {
        let algorithms: Vec<Algorithm> = (0..=u8::MAX).filter_map(Algorithm::from_number).collect();
        let rows = [
            (Algorithm::EcdsaP256, 1, 64, 128),
            (Algorithm::Ed25519, 2, 64, 128),
            (Algorithm::EcdsaP384, 3, 96, 192),
            (Algorithm::HmacSha256, 4, 32, 256),
        ];
        assert_eq!(algorithms, rows.map(|(algorithm, ..)| algorithm));
        for (algorithm, number, signature_len, strength_bits) in rows {
            let is = (algorithm.number(), algorithm.signature_len(), algorithm.strength_bits());
            assert_eq!(is, (number, signature_len, strength_bits), "{algorithm}");
        }
        let residences: Vec<Residence> = (0..=u8::MAX).filter_map(Residence::from_number).collect();
        assert_eq!(residences, [Residence::Resident, Residence::Wrapped]);
        assert!(residences.iter().all(|residence| Residence::from_number(residence.number()) == Some(*residence)));
    }
}
