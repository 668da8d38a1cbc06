//! Certification of corrected mail: the pure parts.
//!
//! Owns certification numbers (a person's way to a certification), and the registry of scales and what makes a reading of one count. Gives on
//! digital tokens, which the PSD makes. Refuses IO, clocks and keys: times are passed in, and a MAC is made by whoever holds the key, which never leaves
//! its token. docs/certification.md gives every format byte for byte.

#![forbid(unsafe_code)]

pub mod line;
pub mod number;
pub mod scale;

pub use line::{LineError, PrintedLine};
pub use number::{CertificationNumber, NumberError, Numbering};
pub use psd::mac::Mac;
pub use psd::{digital_token, mac};
