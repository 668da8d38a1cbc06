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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ClockReading, ClockSource};
    use crate::lifecycle::{Lifecycle, Locks};
    use crate::record::{Event, Record, RecordError, Stamp};
    use crate::register::Registers;
    use crate::time::UnixMillis;

    fn bytes() -> Vec<u8> {
        let at = ClockReading { time: UnixMillis(1), source: ClockSource::Host, error_ms: 1, epoch: 1 };
        let amount = |mills| crate::PostageAmount::from_mills(mills).unwrap();
        let registers = Registers::from_parts(amount(3), amount(4), amount(7), 9).unwrap();
        let stamp = Stamp { psd: "PS010000001".parse().unwrap(), sequence: 12, registers };
        let event = Event::LifecycleChanged { stamp, lifecycle: Lifecycle::Active, locks: Locks::NONE };
        Record { at, event }.encode()
    }

    #[test]
    fn registers_that_do_not_add_up_are_told_although_they_are_no_record() {
        let honest = bytes();
        let claim = Claim::read(&honest).unwrap();
        assert_eq!((claim.kind, claim.sequence, claim.registers, claim.adds_up()), (5, 12, [3, 4, 7, 9], true));
        let at = honest.windows(5).position(|window| window == [0x84, 3, 4, 7, 9]).unwrap();
        let mut broken = honest;
        broken[at + 3] = 8;
        assert_eq!(Record::decode(&broken), Err(RecordError::BadValue(5)));
        let claim = Claim::read(&broken).unwrap();
        assert_eq!((claim.registers, claim.adds_up()), ([3, 4, 8, 9], false));
    }

    #[test]
    fn whatever_bytes_come_a_claim_is_read_or_not() {
        let honest = bytes();
        for end in 0..honest.len() {
            assert_eq!(Claim::read(&honest[..end]), None, "cut off at {end}");
        }
        let huge = Claim { kind: 5, psd: "PS010000001".parse().unwrap(), sequence: 1, registers: [u64::MAX, 1, 0, 0] };
        assert!(!huge.adds_up());
    }
}
