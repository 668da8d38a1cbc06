//! Fields of requests as exactly the CBOR type of the contract.
//!
//! serde's own types are obliging: a text takes a byte string, a byte string takes a text or an array of numbers, an option takes
//! null. The contract has none of these, and what one reader takes and another refuses is a place to hide something.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// A text string.
pub(crate) fn text<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'a, str>, D::Error> {
    struct Text;
    impl<'de> Visitor<'de> for Text {
        type Value = Cow<'de, str>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text string")
        }
        fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }
    }
    deserializer.deserialize_str(Text)
}

/// A text string where there may be none; null is not absence.
pub(crate) fn some_text<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    text(deserializer).map(Some)
}

/// An unsigned integer where there may be none; null is not absence.
pub(crate) fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

/// True or false where there may be neither; null is not absence.
pub(crate) fn some_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    bool::deserialize(deserializer).map(Some)
}

/// A byte string.
pub(crate) fn bytes<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'a, [u8]>, D::Error> {
    struct Bytes;
    impl<'de> Visitor<'de> for Bytes {
        type Value = Cow<'de, [u8]>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a byte string")
        }
        fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(bytes))
        }
        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(Cow::Owned(bytes.to_vec()))
        }
    }
    deserializer.deserialize_bytes(Bytes)
}

/// A byte string where there may be none; null is not absence.
pub(crate) fn some_bytes<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'a, [u8]>>, D::Error> {
    bytes(deserializer).map(Some)
}

/// A byte string, owned.
pub(crate) fn byte_vec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    bytes(deserializer).map(Cow::into_owned)
}

/// A byte string where there may be none; null is not absence.
pub(crate) fn some_byte_buf<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<serde_bytes::ByteBuf>, D::Error> {
    byte_vec(deserializer).map(|bytes| Some(serde_bytes::ByteBuf::from(bytes)))
}

/// Byte strings.
pub(crate) fn byte_vecs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<serde_bytes::ByteBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Exact(#[serde(deserialize_with = "byte_vec")] Vec<u8>);
    let all = Vec::<Exact>::deserialize(deserializer)?;
    Ok(all.into_iter().map(|Exact(bytes)| serde_bytes::ByteBuf::from(bytes)).collect())
}
