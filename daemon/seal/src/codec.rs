//! How this crate writes and reads its CBOR: one item, and nothing behind it.

use minicbor::{Decode, Encode};

/// The bytes of an item. minicbor writes the shortest form of definite length, so they are deterministic
/// (RFC 8949 §4.2.1; there are no maps).
pub fn encode<T: Encode<()>>(item: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    match minicbor::encode(item, &mut bytes) {
        Ok(()) => bytes,
        Err(error) => unreachable!("writing to memory cannot fail: {error}"),
    }
}

/// The item that fills `bytes`.
///
/// # Errors
///
/// When they are not the item, or more than it.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let item = decoder.decode()?;
    match bytes.len() - decoder.position() {
        0 => Ok(item),
        _ => Err(minicbor::decode::Error::message("bytes after the end")),
    }
}
