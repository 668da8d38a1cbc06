//! The destination ZIPs that a PSD is meant for.

use super::{AddressError, Destination, LicensingZip};
use std::fmt;

/// A range of five-digit destination ZIPs, both ends within. It guides the choice among the PSDs of a licence and nothing else: a
/// request that names the PSD is not held to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ZipRange {
    low: u32,
    high: u32,
}

impl ZipRange {
    /// Every ZIP there is.
    pub const ALL: Self = Self { low: 0, high: 99_999 };

    /// The range between these ends, if both are below 100,000 and do not cross.
    pub fn new(low: u32, high: u32) -> Option<Self> {
        (low <= high && high <= Self::ALL.high).then_some(Self { low, high })
    }

    /// The range between ends written as five digits each.
    pub fn parse(low: &str, high: &str) -> Result<Self, AddressError> {
        let (from, to) = (low.parse::<LicensingZip>()?, high.parse::<LicensingZip>()?);
        Self::new(from.number(), to.number()).ok_or_else(|| AddressError {
            kind: "range of ZIPs",
            text: format!("{from} to {to}"),
            rule: "the first is not above the second",
        })
    }

    /// The first ZIP.
    pub const fn low(self) -> u32 {
        self.low
    }

    /// The last ZIP.
    pub const fn high(self) -> u32 {
        self.high
    }

    /// Whether the ZIP of a destination lies in it.
    pub fn holds(self, destination: Destination) -> bool {
        (self.low..=self.high).contains(&destination.zip())
    }
}

impl fmt::Display for ZipRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:05} to {:05}", self.low, self.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_belong_to_the_range() {
        let range = ZipRange::parse("00501", "94999").unwrap();
        assert_eq!((range.low(), range.high(), range.to_string().as_str()), (501, 94_999, "00501 to 94999"));
        for (destination, within) in [("00500-9999", false), ("00501", true), ("94999-9999-99", true), ("95000", false)]
        {
            assert_eq!(range.holds(destination.parse().unwrap()), within, "{destination}");
        }
        assert!(ZipRange::ALL.holds("99999-9999-99".parse().unwrap()));
    }

    #[test]
    fn a_range_has_two_zips_in_order() {
        assert_eq!(ZipRange::new(7, 7).map(ZipRange::low), Some(7));
        assert_eq!((ZipRange::new(8, 7), ZipRange::new(0, 100_000)), (None, None));
        for (low, high) in [("94999", "94000"), ("940", "94999"), ("94000", "949999"), ("94000-0001", "94999")] {
            assert!(ZipRange::parse(low, high).is_err(), "{low} to {high}");
        }
    }
}
