//! Certification numbers: what a person reads next to a mark, types into a checker or says on the telephone.
//!
//! Twelve characters of Crockford's base 32 in three groups of four, `7KQ4-M2XD-P0N2`. The first says the numbering epoch modulo 32, the
//! next nine are a keyed permutation of the place of the record in the log ([`Numbering`]), the last two check the ten before them. Whoever has no key learns
//! from a number that it was not misread, and which epoch it may be of; nothing else.

mod alphabet;
mod check;
mod numbering;
mod numerals;
mod place;

pub use check::Suspect;
pub use numbering::{KEY_PURPOSE, Numbering, NumberingEpoch, OtherEpoch};
pub use place::Place;

use check::CHECKS;
use std::fmt;
use std::str::FromStr;

/// Characters of a number, check characters included.
pub const LENGTH: usize = 12;
/// Characters of a group.
pub const GROUP: usize = 4;
/// Characters that the check characters check.
const CHECKED: usize = LENGTH - CHECKS;
/// Characters of the permuted part.
const PERMUTED: usize = CHECKED - 1;

/// A number whose check characters hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificationNumber([u8; LENGTH]);

/// Why a text is no certification number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Too many characters, or too few.
    #[error(
        "a certification number has {LENGTH} characters in three groups of four, such as 7KQ4-M2XD-P0N2; this has {0}"
    )]
    Length(usize),
    /// A character that stands in no number.
    #[error(
        "{character:?} stands in no certification number, and here it does in the {}; \
         it is read again: digits, and letters without I, L, O and U", ordinal(*group)
    )]
    Character {
        /// As it was given.
        character: char,
        /// Of the three groups, from 0.
        group: usize,
    },
    /// The check characters do not hold.
    #[error("the check characters of {text} do not hold: {suspect}; it is to be read again")]
    Check {
        /// The number in its groups, as it was understood.
        text: String,
        /// What can be told of where.
        suspect: Suspect,
    },
}

impl NumberError {
    /// The group that looks wrong, from 0, where that can be told.
    pub const fn group(&self) -> Option<usize> {
        match self {
            NumberError::Length(_) => None,
            NumberError::Character { group, .. } => Some(*group),
            NumberError::Check { suspect, .. } => suspect.group(),
        }
    }
}

fn ordinal(group: usize) -> &'static str {
    match group {
        0 => "first group",
        1 => "second group",
        _ => "third group",
    }
}

impl CertificationNumber {
    /// Of the ten characters before the check characters, as values below 32.
    fn of(checked: [u8; CHECKED]) -> Self {
        let mut values = [0; LENGTH];
        values[..CHECKED].copy_from_slice(&checked);
        values[CHECKED..].copy_from_slice(&check::checks(&checked));
        Self(values)
    }

    /// The numbering epoch modulo 32: the only thing that a number says to everybody.
    pub const fn epoch_modulo(&self) -> u8 {
        self.0[0]
    }

    /// The permuted part, 45 bits.
    fn permuted(&self) -> [u8; PERMUTED] {
        let mut values = [0; PERMUTED];
        values.copy_from_slice(&self.0[1..CHECKED]);
        values
    }
}

impl FromStr for CertificationNumber {
    type Err = NumberError;

    /// Reads what people write: upper or lower case, hyphens and spaces anywhere, O for 0, I and L for 1.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let written: Vec<char> = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        let values: Result<Vec<u8>, NumberError> = written
            .iter()
            .enumerate()
            .map(|(index, &character)| {
                // What stands behind the end is told as the length.
                let group = (index / GROUP).min(LENGTH / GROUP - 1);
                alphabet::value(character).ok_or(NumberError::Character { character, group })
            })
            .collect();
        let values: [u8; LENGTH] = match values {
            Ok(values) => values.try_into().map_err(|values: Vec<u8>| NumberError::Length(values.len()))?,
            Err(_) if written.len() != LENGTH => return Err(NumberError::Length(written.len())),
            Err(character) => return Err(character),
        };
        match check::suspect(&values) {
            None => Ok(Self(values)),
            Some(suspect) => Err(NumberError::Check { text: grouped(&values), suspect }),
        }
    }
}

fn grouped(values: &[u8; LENGTH]) -> String {
    let group = |group: &[u8]| group.iter().map(|value| alphabet::character(*value)).collect::<String>();
    values.chunks(GROUP).map(group).collect::<Vec<_>>().join("-")
}

impl fmt::Display for CertificationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&grouped(&self.0))
    }
}

impl fmt::Debug for CertificationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificationNumber({self})")
    }
}
