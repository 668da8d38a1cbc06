//! Who is at the operator door: the name in the certificate that TLS has verified.

use crate::door::identity::{COMMON_NAME, IdentityError, Subject};

/// A client of the operator door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorClient {
    /// The subject's CN. Its O is free.
    pub operator: String,
}

impl OperatorClient {
    /// From the end-entity certificate, DER.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let operator = Subject::of(der)?.only(COMMON_NAME).filter(|cn| !cn.is_empty());
        operator.map(|operator| Self { operator }).ok_or(IdentityError::Client)
    }
}
