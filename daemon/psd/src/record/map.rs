//! Deterministic CBOR maps with small integer keys (RFC 8949 §4.2.1), the one shape every record has.
//!
//! Home-made only in that it fixes the shape; the encoding itself is minicbor's.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// Writes a map of fewer than 24 entries whose keys rise.
pub(super) struct MapWriter {
    encoder: Encoder<Vec<u8>>,
    entries: u8,
    last: Option<u8>,
}

impl MapWriter {
    /// Writes into this buffer, which is emptied first.
    pub(super) fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        // One byte for the head, patched when the number of entries is known.
        buffer.push(0xa0);
        Self { encoder: Encoder::new(buffer), entries: 0, last: None }
    }

    /// The encoder, to write one value under this key.
    pub(super) fn key(&mut self, key: u8) -> &mut Encoder<Vec<u8>> {
        debug_assert!(self.last < Some(key) && key < 24, "keys of a record rise and stay below 24");
        self.last = Some(key);
        self.entries += 1;
        self.encoder.writer_mut().push(key);
        &mut self.encoder
    }

    pub(super) fn uint(&mut self, key: u8, value: u64) {
        never_fails(self.key(key).u64(value));
    }

    pub(super) fn text(&mut self, key: u8, value: &str) {
        never_fails(self.key(key).str(value));
    }

    pub(super) fn bytes(&mut self, key: u8, value: &[u8]) {
        never_fails(self.key(key).bytes(value));
    }

    pub(super) fn uints(&mut self, key: u8, values: &[u64]) {
        let encoder = self.key(key);
        array_head(encoder, values.len());
        for value in values {
            never_fails(encoder.u64(*value));
        }
    }

    pub(super) fn byte_strings<'a>(&mut self, key: u8, values: impl ExactSizeIterator<Item = &'a [u8]>) {
        let encoder = self.key(key);
        array_head(encoder, values.len());
        for value in values {
            never_fails(encoder.bytes(value));
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut buffer = self.encoder.into_writer();
        buffer[0] |= self.entries;
        buffer
    }
}

fn array_head(encoder: &mut Encoder<Vec<u8>>, len: usize) {
    never_fails(encoder.array(u64::try_from(len).unwrap_or(u64::MAX)));
}

/// Writing to memory cannot fail, and minicbor's error type says so.
fn never_fails<T>(result: Result<T, minicbor::encode::Error<core::convert::Infallible>>) {
    debug_assert!(result.is_ok());
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not one CBOR map with rising small keys.
    #[error("not a CBOR map with rising keys below 24")]
    NotAMap,
    /// A key that this kind of record has not.
    #[error("key {0} does not belong to this kind of record")]
    UnknownKey(u8),
    /// A key that this kind of record must have.
    #[error("key {0} is missing")]
    Missing(u8),
    /// The value under a key is not of its type or out of its range.
    #[error("the value of key {0} is not valid")]
    BadValue(u8),
    /// A kind this version does not know.
    #[error("kind {0} is not known to this version")]
    UnknownKind(u64),
    /// Longer than any entry of the log may be.
    #[error("{0} bytes are more than a record may have")]
    TooLong(usize),
    /// The same record has another, shorter encoding.
    #[error("the encoding is not the deterministic one")]
    NotDeterministic,
}

/// Reads such a map; every key must be taken.
pub(super) struct MapReader<'a> {
    values: [Option<&'a [u8]>; 24],
}

impl<'a> MapReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let malformed = |_: minicbor::decode::Error| RecordError::NotAMap;
        let mut decoder = Decoder::new(bytes);
        let entries = decoder.map().map_err(malformed)?.ok_or(RecordError::NotAMap)?;
        let mut values = [None; 24];
        let mut last = None;
        for _ in 0..entries {
            let key = decoder.u8().map_err(malformed)?;
            if last >= Some(key) || key >= 24 {
                return Err(RecordError::NotAMap);
            }
            last = Some(key);
            let start = decoder.position();
            decoder.skip().map_err(malformed)?;
            values[usize::from(key)] = Some(&bytes[start..decoder.position()]);
        }
        if decoder.position() == bytes.len() { Ok(Self { values }) } else { Err(RecordError::NotAMap) }
    }

    fn take(&mut self, key: u8) -> Option<Decoder<'a>> {
        self.values[usize::from(key)].take().map(Decoder::new)
    }

    pub(super) fn value<T>(
        &mut self,
        key: u8,
        read: impl FnOnce(&mut Decoder<'a>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, RecordError> {
        let mut decoder = self.take(key).ok_or(RecordError::Missing(key))?;
        read(&mut decoder).ok().ok_or(RecordError::BadValue(key))
    }

    pub(super) fn has(&self, key: u8) -> bool {
        self.values[usize::from(key)].is_some()
    }

    pub(super) fn uint(&mut self, key: u8) -> Result<u64, RecordError> {
        self.value(key, Decoder::u64)
    }

    pub(super) fn text(&mut self, key: u8) -> Result<&'a str, RecordError> {
        self.value(key, Decoder::str)
    }

    pub(super) fn bytes(&mut self, key: u8) -> Result<&'a [u8], RecordError> {
        self.value(key, Decoder::bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, key: u8) -> Result<[u8; N], RecordError> {
        self.bytes(key)?.try_into().ok().ok_or(RecordError::BadValue(key))
    }

    pub(super) fn uints<const N: usize>(&mut self, key: u8) -> Result<[u64; N], RecordError> {
        self.value(key, |decoder| {
            let fits = decoder.array()? == u64::try_from(N).ok();
            let mut values = [0; N];
            for value in &mut values {
                *value = decoder.u64()?;
            }
            if fits { Ok(values) } else { Err(minicbor::decode::Error::message("length")) }
        })
    }

    pub(super) fn many_uints(&mut self, key: u8) -> Result<Vec<u64>, RecordError> {
        self.value(key, |decoder| {
            let len = decoder.array()?.ok_or_else(|| minicbor::decode::Error::type_mismatch(Type::ArrayIndef))?;
            (0..len).map(|_| decoder.u64()).collect()
        })
    }

    pub(super) fn byte_strings(&mut self, key: u8) -> Result<Vec<&'a [u8]>, RecordError> {
        self.value(key, |decoder| {
            let len = decoder.array()?.ok_or_else(|| minicbor::decode::Error::type_mismatch(Type::ArrayIndef))?;
            (0..len).map(|_| decoder.bytes()).collect()
        })
    }

    pub(super) fn finish(self) -> Result<(), RecordError> {
        match (0u8..).zip(&self.values).find(|(_, value)| value.is_some()) {
            Some((key, _)) => Err(RecordError::UnknownKey(key)),
            None => Ok(()),
        }
    }
}
