//! Percent-encoding in the components of a PKCS#11 URI (RFC 7512 §2.3, RFC 3986 §2.1).

/// Allowed unencoded in the path: pk11-path-res-avail.
pub(crate) const PATH: &[u8] = b":[]@!$'()*+,=&";
/// Allowed unencoded in the query: pk11-query-res-avail.
pub(crate) const QUERY: &[u8] = b":[]@!$'()*+,=/?|";

/// A value that is not encoded as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// A percent sign without two hex digits behind it.
    #[error("a % without two hex digits behind it")]
    Percent,
    /// A character that must be percent-encoded.
    #[error("the character {0:?} must be percent-encoded")]
    Bare(char),
}

/// The bytes of a value; beside the unreserved characters, those of `available` stand for themselves.
pub(crate) fn decode(text: &str, available: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character == '%' {
            let mut digit = || rest.next()?.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = digit().zip(digit()).ok_or(EncodingError::Percent)?;
            bytes.push(high << 4 | low);
            continue;
        }
        match u8::try_from(character) {
            Ok(byte) if is_unreserved(byte) || available.contains(&byte) => bytes.push(byte),
            _ => return Err(EncodingError::Bare(character)),
        }
    }
    Ok(bytes)
}

/// A text as a value in the path.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let one = |byte: &u8| if is_unreserved(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    bytes.iter().map(one).collect()
}

/// Every byte encoded, as an id is best read.
pub(crate) fn encode_all(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
