//! What PSDs sign as COSE_Sign1 of their own: maps of claims with text keys, in the one deterministic encoding.
//!
//! Owns how such a map is written and read key by key (RFC 8949 §4.2.1), and the message around it (RFC 9052 §4.2, §4.4). Nothing but the
//! one encoding is read: what a reader passed over could say something else to another reader. The meaning is its callers'.

use minicbor::{Decoder, Encoder};
use std::str::FromStr;

/// Writes a map with text keys. Writing to memory cannot fail, and minicbor's error type says so.
pub(crate) struct ClaimsWriter(Encoder<Vec<u8>>);

impl ClaimsWriter {
    pub(crate) fn begin(entries: u64) -> Self {
        let mut encoder = Encoder::new(Vec::with_capacity(512));
        let written = encoder.map(entries).map(drop);
        debug_assert!(written.is_ok());
        Self(encoder)
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        let written = self.0.str(key).and_then(|e| e.str(value)).map(drop);
        debug_assert!(written.is_ok());
    }

    pub(crate) fn bytes(&mut self, key: &str, value: &[u8]) {
        let written = self.0.str(key).and_then(|e| e.bytes(value)).map(drop);
        debug_assert!(written.is_ok());
    }

    pub(crate) fn uint(&mut self, key: &str, value: u64) {
        let written = self.0.str(key).and_then(|e| e.u64(value)).map(drop);
        debug_assert!(written.is_ok());
    }

    pub(crate) fn truth(&mut self, key: &str) {
        let written = self.0.str(key).and_then(|e| e.bool(true)).map(drop);
        debug_assert!(written.is_ok());
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

/// Reads such a map, key by key in the one order. Errors say what is wrong.
pub(crate) struct ClaimsReader<'a>(Decoder<'a>);

impl<'a> ClaimsReader<'a> {
    pub(crate) fn begin(payload: &'a [u8]) -> Result<Self, &'static str> {
        let mut decoder = Decoder::new(payload);
        // How many entries it says shows when the claims are written again.
        match decoder.map() {
            Ok(Some(_)) => Ok(Self(decoder)),
            Ok(None) | Err(_) => Err("the payload is not a map"),
        }
    }

    pub(crate) fn next_is(&mut self, key: &str) -> bool {
        self.0.probe().str().is_ok_and(|found| found == key)
    }

    fn value<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Decoder<'a>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, &'static str> {
        if !self.0.str().is_ok_and(|found| found == key) {
            return Err("a claim is missing, unknown or out of its place");
        }
        read(&mut self.0).ok().ok_or("a claim is not of its type")
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<&'a str, &'static str> {
        self.value(key, Decoder::str)
    }

    pub(crate) fn bytes(&mut self, key: &str) -> Result<&'a [u8], &'static str> {
        self.value(key, Decoder::bytes)
    }

    pub(crate) fn uint(&mut self, key: &str) -> Result<u64, &'static str> {
        self.value(key, Decoder::u64)
    }

    pub(crate) fn truth(&mut self, key: &str) -> Result<bool, &'static str> {
        self.value(key, Decoder::bool)
    }

    pub(crate) fn parsed<T: FromStr>(&mut self, key: &str) -> Result<T, &'static str> {
        self.text(key)?.parse().ok().ok_or("a claim is not what its name says")
    }
}

/// A byte string (major type 2) with its length in the shortest form.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let written = Encoder::new(out).bytes(bytes).map(drop);
    debug_assert!(written.is_ok(), "writing to memory does not fail");
}
