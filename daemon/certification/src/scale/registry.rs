//! All scales that count, as one reviewed file names them.

use super::{Scale, written};
use psd::ScaleId;
use psdd_wire::reviewed_file::FileError;
use std::collections::BTreeMap;

/// Most bytes of a registry.
pub const LONGEST_REGISTRY: usize = 1 << 20;
/// Most scales of a registry.
pub const MOST_SCALES: usize = 1_000;

/// The registry of scales.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registry {
    scales: BTreeMap<ScaleId, Scale>,
    digest: [u8; 32],
}

impl Registry {
    /// Reads a registry from a file's bytes.
    ///
    /// # Errors
    ///
    /// With the line and the field that are wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        Ok(Self { scales: written::scales(bytes)?, digest: psdd_wire::sha256(bytes) })
    }

    /// SHA-256 of the file's bytes: which registry was in force.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The scale of this name.
    pub fn scale(&self, id: &ScaleId) -> Option<&Scale> {
        self.scales.get(id)
    }

    /// All scales, by name.
    pub fn scales(&self) -> impl ExactSizeIterator<Item = &Scale> {
        self.scales.values()
    }
}
