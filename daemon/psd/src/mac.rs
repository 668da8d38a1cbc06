//! HMAC-SHA-256 under a key that is elsewhere, and the messages it is made of.

use crate::key::TOKEN_MAC_DOMAIN;
use minicbor::Encoder;
use minicbor::encode::Error;
use std::convert::Infallible;

/// Bytes of a MAC.
pub const MAC_LENGTH: usize = 32;

/// Who makes HMAC-SHA-256 (RFC 2104, FIPS 198-1) under one key: a token's worker, an HSM of the post's, a test.
pub trait Mac {
    /// Why there is none.
    type Error;

    /// The whole MAC of a message.
    ///
    /// # Errors
    ///
    /// As the holder of the key says; nothing here makes one up.
    fn mac(&self, message: &[u8]) -> Result<[u8; MAC_LENGTH], Self::Error>;
}

/// A message for a MAC key: [`TOKEN_MAC_DOMAIN`], what the MAC is for, then one CBOR item, which the caller writes deterministically
/// (RFC 8949 §4.2.1). The worker of a token MACs nothing else (`daemon/hsm/src/worker/form.rs`).
pub fn message(purpose: &str, write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Result<(), Error<Infallible>>) -> Vec<u8> {
    let mut encoder = Encoder::new([TOKEN_MAC_DOMAIN, purpose.as_bytes()].concat());
    infallible(write(&mut encoder));
    encoder.into_writer()
}

/// Writing to memory fails only where an encoding does, and none of those used here can.
pub fn infallible(written: Result<(), Error<Infallible>>) {
    debug_assert!(written.is_ok());
}
