//! Words of a table that are not free: levels of sortation and kinds of discounts, and the form of those that are.

use serde::Deserialize;
use std::fmt;

/// Which pieces of a run are counted together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
pub enum Level {
    /// Those for one ZIP.
    #[serde(rename = "5-digit")]
    FiveDigit,
    /// Those for the ZIPs with the same first three digits.
    #[serde(rename = "3-digit")]
    ThreeDigit,
    /// All that are left.
    #[serde(rename = "all")]
    All,
}

/// Why mail that is sorted costs less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sorting {
    /// It is sorted; a piece has at most one such discount.
    Presort,
    /// It is bundled; a piece has at most one such discount, beside that for presort.
    Bundle,
}

impl Level {
    /// What is left of a ZIP of five digits.
    pub(crate) const fn group(self, zip: u32) -> u32 {
        match self {
            Level::FiveDigit => zip,
            Level::ThreeDigit => zip / 100,
            Level::All => 0,
        }
    }

    /// The name of a group at this level: `10001`, `100xx`, `all`.
    pub(crate) fn group_name(self, group: u32) -> String {
        match self {
            Level::FiveDigit => format!("{group:05}"),
            Level::ThreeDigit => format!("{group:03}xx"),
            Level::All => "all".to_owned(),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::FiveDigit => "5-digit",
            Level::ThreeDigit => "3-digit",
            Level::All => "all",
        })
    }
}

impl fmt::Display for Sorting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Sorting::Presort => "presort",
            Sorting::Bundle => "bundle",
        })
    }
}

/// Whether a text can be a name in a table: 1 to 40 of a-z, 0-9 and hyphens, no hyphen at either end.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}
