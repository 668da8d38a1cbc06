//! The digest of all state (docs/ledger.md, "State digest").

use crate::id::PsdId;
use crate::record::{Event, Stamp};
use crate::register::Registers;
use crate::tree::Hash;
use minicbor::Encoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What the digest says of one PSD, or of the appliance itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Sequence of the PSD's last record.
    pub sequence: u64,
    /// Its registers.
    pub registers: Registers,
    /// Newest leaf for each slot.
    pub live: BTreeMap<String, u64>,
}

/// All that the digest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateFacts {
    /// Of the appliance; only its live records count.
    pub appliance: Facts,
    /// Of every PSD.
    pub psds: BTreeMap<PsdId, Facts>,
}

impl StateFacts {
    /// Takes in a record with its place in the log.
    pub fn note(&mut self, leaf: u64, event: &Event) {
        let facts = match event.stamp() {
            Some(Stamp { psd, sequence, registers }) => {
                let facts = self.psds.entry(*psd).or_default();
                facts.sequence = *sequence;
                facts.registers = *registers;
                facts
            }
            None => &mut self.appliance,
        };
        if let Some(slot) = event.slot() {
            facts.live.insert(slot, leaf);
        }
    }

    /// SHA-256, as docs/ledger.md defines it.
    pub fn digest(&self) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(line("", &self.appliance));
        // The order of device IDs is that of their texts: both compare byte by byte, and serials have ten digits.
        for (psd, facts) in &self.psds {
            hasher.update(line(&psd.to_string(), facts));
        }
        hasher.finalize().into()
    }
}

fn line(name: &str, facts: &Facts) -> Vec<u8> {
    let mut leaves: Vec<u64> = facts.live.values().copied().collect();
    leaves.sort_unstable();
    let registers = &facts.registers;
    let numbers = [
        facts.sequence,
        registers.ascending().mills(),
        registers.descending().mills(),
        registers.control_total().mills(),
        registers.piece_count(),
    ];
    let mut encoder = Encoder::new(Vec::with_capacity(96));
    let written = (|| {
        encoder.array(7)?.str(name)?;
        for number in numbers {
            encoder.u64(number)?;
        }
        encoder.array(u64::try_from(leaves.len()).unwrap_or(u64::MAX))?;
        for leaf in leaves {
            encoder.u64(leaf)?;
        }
        Ok::<(), minicbor::encode::Error<core::convert::Infallible>>(())
    })();
    debug_assert!(written.is_ok());
    encoder.into_writer()
}
