//! A holder of a MAC key outside of any token, and one that makes no MAC.

use aws_lc_rs::hmac;
use psdd_certification::Mac;
use std::convert::Infallible;

/// Whoever has this secret.
pub struct Holder(pub [u8; 32]);

/// A token that does not answer.
pub struct Silent;

impl Mac for Holder {
    type Error = Infallible;

    fn mac(&self, message: &[u8]) -> Result<[u8; 32], Infallible> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), message);
        let mut mac = [0; 32];
        mac.copy_from_slice(tag.as_ref());
        Ok(mac)
    }
}

impl Mac for Silent {
    type Error = &'static str;

    fn mac(&self, _: &[u8]) -> Result<[u8; 32], &'static str> {
        Err("token-unavailable")
    }
}
