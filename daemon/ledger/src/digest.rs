//! The digest of all state (docs/ledger.md, "State digest").

use crate::rows::LiveRow;
use crate::tree::Hash;
use minicbor::Encoder;
use psd::record::Stamp;
use psd::{PsdId, Registers};
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
    pub fn note(&mut self, leaf: u64, event: &psd::record::Event) {
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

    /// The rows of `live` for these facts, in their order.
    pub(crate) fn live_rows(&self) -> impl Iterator<Item = LiveRow> {
        // The order of device IDs is that of their texts, and that of no name comes first.
        let psds = self.psds.iter().map(|(psd, facts)| (psd.to_string(), facts));
        [(String::new(), &self.appliance)].into_iter().chain(psds).flat_map(|(name, facts)| {
            let row =
                move |(slot, leaf): (&String, &u64)| LiveRow { name: name.clone(), slot: slot.clone(), leaf: *leaf };
            facts.live.iter().map(row)
        })
    }

    /// Whether this is a row of `live` for these facts.
    pub(crate) fn has(&self, row: &LiveRow) -> bool {
        let facts = match row.name.parse() {
            Ok(psd) => self.psds.get(&psd),
            Err(_) => row.name.is_empty().then_some(&self.appliance),
        };
        facts.is_some_and(|facts| facts.live.get(&row.slot) == Some(&row.leaf))
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
