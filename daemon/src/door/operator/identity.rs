//! Who is at the operator door: the name in the certificate that TLS has verified.

use crate::door::identity::{IdentityError, common_name};

/// A client of the operator door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorClient {
    /// The subject's CN. Its O is free.
    pub operator: String,
}

impl OperatorClient {
    /// From the end-entity certificate, DER.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        common_name(der).map(|operator| Self { operator })
    }
}
