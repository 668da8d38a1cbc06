//! Names of things: appliances, tenants, licences, PSDs, pieces.
//!
//! Each is a type of its own, valid by construction, so that none is taken for another.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The text is not a valid name of the kind wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}: {rule}")]
pub struct NameError {
    /// What was wanted.
    pub kind: &'static str,
    /// The first 64 characters of what was given.
    pub text: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

fn refused(kind: &'static str, text: &str, rule: &'static str) -> NameError {
    NameError { kind, text: text.chars().take(64).collect(), rule }
}

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let rule = "1 to 64 of the characters a-z A-Z 0-9 . _ -, beginning with a letter or digit";
                let valid = (1..=64).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                    && text.as_bytes()[0].is_ascii_alphanumeric();
                if valid { Ok(Self(text.into())) } else { Err(refused($kind, text, rule)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

short_name!(
    /// The name an appliance was born with (leaf 0); the origin of its log is derived from it.
    ApplianceId, "appliance id"
);
short_name!(
    /// A customer of the appliance. Idempotency keys are scoped by it; it survives certificate renewal.
    TenantName, "tenant name"
);
short_name!(
    /// A key ceremony operator, as approvals name them.
    OperatorName, "operator name"
);
short_name!(
    /// The postal authority's licence; one licence may cover many PSDs.
    LicenceNumber, "licence number"
);
short_name!(
    /// A scale, as the registry of scales and its signed readings name it.
    ScaleId, "scale id"
);
short_name!(
    /// A mail run, as its sender names it.
    RunId, "run id"
);
short_name!(
    /// A rate table, a class of mail in one, or a tariff of a class.
    RateName, "name of rates"
);

/// The device ID of a PSD: manufacturer and model of two characters each, and a serial number.
///
/// Its text is the human-readable device ID of DOMAIN.md, `062S0007358267`: written with ten digits of serial,
/// read with seven or more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PsdId {
    manufacturer: [u8; 2],
    model: [u8; 2],
    serial: u32,
}

impl PsdId {
    /// The device ID of these parts; manufacturer and model are upper-case letters and digits.
    pub fn new(manufacturer: [u8; 2], model: [u8; 2], serial: u32) -> Option<Self> {
        let valid = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        (manufacturer.iter().chain(&model).all(valid)).then_some(Self { manufacturer, model, serial })
    }

    /// Two upper-case ASCII letters or digits.
    pub fn manufacturer(self) -> [u8; 2] {
        self.manufacturer
    }

    /// Two upper-case ASCII letters or digits.
    pub fn model(self) -> [u8; 2] {
        self.model
    }

    /// The serial number.
    pub fn serial(self) -> u32 {
        self.serial
    }

    /// The text without the cost of formatting; every record has it.
    pub fn text(self) -> PsdIdText {
        let mut bytes = [b'0'; 14];
        bytes[..2].copy_from_slice(&self.manufacturer);
        bytes[2..4].copy_from_slice(&self.model);
        let mut rest = self.serial;
        for digit in bytes[4..].iter_mut().rev() {
            *digit += (rest % 10).to_le_bytes()[0];
            rest /= 10;
        }
        PsdIdText(bytes)
    }
}

/// The text of a device ID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PsdIdText([u8; 14]);

impl PsdIdText {
    /// The text.
    pub fn as_str(&self) -> &str {
        // Upper-case letters and digits by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for PsdId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let rule = "two characters of manufacturer, two of model (A-Z 0-9), then the serial in 7 to 10 digits";
        let wrong = || refused("PSD id", text, rule);
        let bytes = text.as_bytes();
        let [m0, m1, d0, d1, serial @ ..] = bytes else { return Err(wrong()) };
        let digits = (7..=10).contains(&serial.len()) && serial.iter().all(u8::is_ascii_digit);
        if !digits {
            return Err(wrong());
        }
        let number = serial.iter().fold(0u64, |n, b| n * 10 + u64::from(b - b'0'));
        u32::try_from(number).ok().and_then(|serial| Self::new([*m0, *m1], [*d0, *d1], serial)).ok_or_else(wrong)
    }
}

impl fmt::Display for PsdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_str())
    }
}

impl fmt::Debug for PsdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PsdId({self})")
    }
}

/// The idempotency key of a piece: a UUID of version 7 (RFC 9562 §5.7), so that it carries its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceKey([u8; 16]);

impl PieceKey {
    /// The key of these 16 bytes, if they are a UUID of version 7 and variant 10.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes[6] >> 4 == 7 && bytes[8] >> 6 == 0b10).then_some(Self(bytes))
    }

    /// The 16 bytes, in network order; they sort by time.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The time inside the key, in milliseconds since 1970.
    pub fn unix_millis(&self) -> u64 {
        self.0[..6].iter().fold(0, |n, b| n << 8 | u64::from(*b))
    }
}

impl fmt::Display for PieceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PieceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_text() {
        let id: PsdId = "062S7358267".parse().unwrap();
        assert_eq!(id.to_string(), "062S0007358267");
        assert_eq!("062S0007358267".parse(), Ok(id));
        assert_eq!("PS014294967295".parse::<PsdId>().unwrap().serial(), u32::MAX);
        for text in ["", "PS01", "PS01123456", "PS014294967296", "ps011234567", "PS01123456x", "PS0112345678901"] {
            assert!(text.parse::<PsdId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!("acme-1.west_2".parse::<TenantName>().is_ok());
        for text in ["", "-a", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(text.parse::<TenantName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_version_7_is_a_piece_key() {
        let mut bytes = [0u8; 16];
        bytes[..6].copy_from_slice(&1_795_176_000_000u64.to_be_bytes()[2..]);
        bytes[6] = 0x70;
        bytes[8] = 0x80;
        let key = PieceKey::from_bytes(bytes).unwrap();
        assert_eq!(key.unix_millis(), 1_795_176_000_000);
        assert_eq!(key.to_string().len(), 36);
        for (index, value) in [(6, 0x40), (8, 0xc0), (8, 0x00)] {
            let mut other = bytes;
            other[index] = value;
            assert_eq!(PieceKey::from_bytes(other), None);
        }
    }
}
