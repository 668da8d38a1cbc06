//! The ceremony file: one reviewed TOML file for one act.

use super::act::Written;
use super::{Act, CeremonyError, LONGEST_FILE, LONGEST_WINDOW_MS, effects, field};
use crate::reviewed_file;
use psd::{ApplianceId, UnixMillis};
use std::fmt;

/// A ceremony as it was read, with the bytes it was read from.
#[derive(Clone, PartialEq)]
pub struct Ceremony {
    bytes: Vec<u8>,
    head: Head,
    act: Act,
}

/// What every ceremony says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The appliance it is for.
    pub appliance: ApplianceId,
    /// SHA-256 of the bytes of record 0, so that no other appliance of that name is meant.
    pub genesis: [u8; 32],
    /// One more than that of the last ceremony.
    pub number: u64,
    /// Fresh randomness.
    pub nonce: [u8; 16],
    /// It can be begun from then.
    pub not_before: UnixMillis,
    /// And up to then.
    pub not_after: UnixMillis,
}

impl Ceremony {
    /// Reads a file, strictly: unknown and missing fields are refused, and so is more than one act.
    ///
    /// # Errors
    ///
    /// With line and field, what is wrong and what to do.
    pub fn read(bytes: &[u8]) -> Result<Self, CeremonyError> {
        let written: Written = reviewed_file::read(bytes, LONGEST_FILE)?;
        let head = Head {
            appliance: written.appliance.clone(),
            genesis: written.genesis,
            number: written.number,
            nonce: written.nonce,
            not_before: written.not_before,
            not_after: written.not_after,
        };
        head.check()?;
        let act = written.act()?;
        if let Act::Abandon(abandon) = &act
            && abandon.number >= head.number
        {
            let problem = format!("{} is not before this ceremony, no. {}", abandon.number, head.number);
            return Err(CeremonyError::new("abandon.number", problem));
        }
        Ok(Self { bytes: bytes.to_vec(), head, act })
    }

    /// What every ceremony says.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What it does.
    pub fn act(&self) -> &Act {
        &self.act
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> [u8; 32] {
        crate::sha256(&self.bytes)
    }

    /// The whole effect in words, a sentence each, told from what was read of these very bytes.
    pub fn effects(&self) -> Vec<String> {
        effects::of(self)
    }
}

impl Head {
    fn check(&self) -> Result<(), CeremonyError> {
        if self.number == 0 {
            return Err(CeremonyError::new("number", "ceremonies are counted from 1"));
        }
        let window = self.not_after.0.checked_sub(self.not_before.0).filter(|window| *window > 0);
        let window = window.ok_or_else(|| CeremonyError::new("not_after", "is not after not_before"))?;
        if window > LONGEST_WINDOW_MS {
            return Err(CeremonyError::new("not_after", "more than 7 days after not_before; choose a shorter window"));
        }
        Ok(())
    }
}

impl fmt::Debug for Ceremony {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ceremony({}, {})", self.act.table(), field::to_hex(&self.digest()))
    }
}
