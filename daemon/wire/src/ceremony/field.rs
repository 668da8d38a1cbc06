//! Fields of the files as the types of the domain.

use serde::{Deserialize, Deserializer, de};
use std::fmt::Display;
use std::str::FromStr;

/// A text that is one of a domain type.
pub(super) fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

/// A fixed number of bytes in lower-case hex; hyphens and spaces between them are left out, so that printed groups can be typed.
pub(super) fn hex<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(deserializer)?;
    hex_bytes(&text).ok_or_else(|| de::Error::custom(format!("not {N} bytes as {} hex digits", 2 * N)))
}

fn hex_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '-'))
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let pairs: Vec<u8> =
        digits.filter(|digits| digits.len() == 2 * N)?.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect();
    pairs.try_into().ok()
}

/// Lower-case hex.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same in groups of four digits.
pub(super) fn to_groups(bytes: &[u8]) -> String {
    bytes.chunks(2).map(to_hex).collect::<Vec<_>>().join(" ")
}
