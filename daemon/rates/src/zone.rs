//! Zones: which one a piece travels through, by the first three digits of the ZIPs at either end.

use psd::indicium::{AddressError, Destination, LicensingZip};
use std::fmt;
use std::str::FromStr;

/// A ZIP of five digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Zip(u32);

/// The text is no ZIP.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a ZIP such as 00501: five digits")]
pub struct ZipError(pub String);

/// The areas of a table and the zones between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Zones {
    /// The nearest first.
    pub(crate) names: Vec<String>,
    /// The area of each first three digits, from zero.
    area_of: Box<[Option<u8>; 1000]>,
    areas: usize,
    /// The zone from an area to an area, origin by origin.
    between: Vec<u8>,
}

impl Zip {
    /// The ZIP with this number, if it is below 100,000.
    pub const fn from_number(number: u32) -> Option<Self> {
        if number < 100_000 { Some(Self(number)) } else { None }
    }

    /// Five decimal digits.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl From<Destination> for Zip {
    fn from(destination: Destination) -> Self {
        Self(destination.zip())
    }
}

impl From<LicensingZip> for Zip {
    fn from(zip: LicensingZip) -> Self {
        Self(zip.number())
    }
}

impl FromStr for Zip {
    type Err = ZipError;

    fn from_str(text: &str) -> Result<Self, ZipError> {
        let zip = text.parse::<LicensingZip>();
        zip.map(Self::from).map_err(|AddressError { text, .. }| ZipError(text))
    }
}

impl fmt::Display for Zip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:05}", self.0))
    }
}

impl Zones {
    /// Areas as the table numbers them, with the zone from each to each, origin by origin.
    pub(crate) fn new(names: Vec<String>, area_of: Box<[Option<u8>; 1000]>, areas: usize, between: Vec<u8>) -> Self {
        Self { names, area_of, areas, between }
    }

    /// The area of a ZIP, from zero; nothing where the table does not know it.
    fn area(&self, zip: Zip) -> Option<usize> {
        let digits = usize::try_from(zip.0 / 100).ok()?;
        self.area_of.get(digits).copied().flatten().map(usize::from)
    }

    /// Whether the table knows the ZIP.
    pub(crate) fn knows(&self, zip: Zip) -> bool {
        self.area(zip).is_some()
    }

    /// The zone between two ZIPs, from zero; the ZIP that the table does not know where there is one.
    pub(crate) fn zone(&self, origin: Zip, destination: Zip) -> Result<usize, Zip> {
        let from = self.area(origin).ok_or(origin)?;
        let to = self.area(destination).ok_or(destination)?;
        self.between.get(from * self.areas + to).copied().map(usize::from).ok_or(destination)
    }
}
