//! What bytes say of a PSD although they are no record.

use super::map::MapReader;
use crate::id::PsdId;

/// Device, sequence and registers as bytes claim them. Nothing of it is proven, and the registers need not add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Kind of the record, whether known or not.
    pub kind: u64,
    /// The device.
    pub psd: PsdId,
    /// Its sequence.
    pub sequence: u64,
    /// Ascending, descending, control total (mills) and piece count.
    pub registers: [u64; 4],
}

impl Claim {
    /// What an inspector can say of a record that [`super::Record::decode`] refuses; `None` where it names no PSD.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut map = MapReader::new(bytes).ok()?;
        let kind = map.uint(0).ok()?;
        let psd = map.text(3).ok()?.parse().ok()?;
        Some(Self { kind, psd, sequence: map.uint(4).ok()?, registers: map.uints(5).ok()? })
    }

    /// Whether ascending + descending is the control total.
    pub fn adds_up(&self) -> bool {
        let [ascending, descending, control_total, _] = self.registers;
        ascending.checked_add(descending) == Some(control_total)
    }
}
