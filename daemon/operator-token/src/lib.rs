//! An operator's key in a PKCS#11 token, named by a URI of RFC 7512.
//!
//! Owns the reading of the URI, the way from it to the one key it names, and the making of such a key. Refuses to guess: a URI that
//! more than one token or key matches is refused with a list, and a PIN is tried once. `psdctl` calls it on the operator's own
//! machine; the module is loaded into that process, which has no other secrets.

#![forbid(unsafe_code)]

mod error;
mod key;
mod make;
mod percent;
mod pin;
mod token;
mod uri;

pub use error::TokenError;
pub use key::TokenKey;
pub use pin::{AskPin, PinError};
pub use uri::{ObjectType, PinOrigin, TokenUri, UriError};
