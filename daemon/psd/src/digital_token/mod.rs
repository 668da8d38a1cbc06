//! Digital tokens: two short MACs over postal data and the recipient's address, printed as digits beside or instead of a symbol.
//!
//! One is under a key of the vendor's, one under a key of the post's. Each party checks its own half without the other's key and
//! learns nothing of the other half from it. A token is short: that a guess holds is improbable, not impossible, and docs/certification.md
//! says how improbable.

mod address;
mod check_digit;
mod data;
mod half;
mod printed;

pub use address::{AddressCode, AddressCodeError};
pub use data::{MESSAGE_PURPOSE, Party, TokenData, TokenDataError};
pub use half::{Half, LengthError, Lengths};
pub use printed::{DigitalToken, Judged, TokenError};
