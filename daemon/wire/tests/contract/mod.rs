//! The contract as a judge of bytes: `psdd.cddl`, and the deterministic encoding of RFC 8949 §4.2.1.
//!
//! Shares no code with psdd: CDDL is judged by `cddl-cat`, the encoding by a walker written from the RFC. Used by the tests of this
//! crate on what the types encode, and by the end-to-end tests of the vendor door on what the daemon sends.
#![allow(dead_code, reason = "each test binary uses its part")]

use cddl_cat::cbor::validate_cbor;
use cddl_cat::context::BasicContext;
use cddl_cat::flatten::flatten_from_str;
use std::fmt::Write;

const CDDL: &str = include_str!("../../psdd.cddl");

/// One CBOR item, as far as messages have it. Maps keep their order, so that wrong orders can be written too.
#[derive(Clone, PartialEq, Debug)]
pub enum V {
    Int(i128),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<V>),
    Map(Vec<(V, V)>),
    Bool(bool),
    /// Bytes that stand for themselves when written: what no honest encoder writes.
    Raw(Vec<u8>),
}

impl V {
    pub fn text(text: &str) -> Self {
        V::Text(text.to_owned())
    }

    pub fn map<const N: usize>(entries: [(&str, V); N]) -> Self {
        V::Map(entries.into_iter().map(|(key, value)| (V::text(key), value)).collect())
    }

    /// The value of a text key.
    pub fn find(&self, key: &str) -> Option<&V> {
        let V::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| *name == V::text(key)).map(|(_, value)| value)
    }

    /// The value of a text key that must be there.
    pub fn get(&self, key: &str) -> &V {
        self.find(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }

    pub fn str(&self) -> &str {
        let V::Text(text) = self else { panic!("no text: {self:?}") };
        text
    }

    pub fn u64(&self) -> u64 {
        let V::Int(number) = self else { panic!("no integer: {self:?}") };
        u64::try_from(*number).unwrap_or_else(|_| panic!("not 0 to 2^64: {number}"))
    }

    pub fn bytes(&self) -> &[u8] {
        let V::Bytes(bytes) = self else { panic!("no byte string: {self:?}") };
        bytes
    }

    pub fn list(&self) -> &[V] {
        let V::Array(items) = self else { panic!("no array: {self:?}") };
        items
    }

    /// With an entry in place of the one of this key, or added.
    pub fn with(mut self, key: &str, value: V) -> Self {
        let V::Map(entries) = &mut self else { panic!("no map") };
        match entries.iter_mut().find(|(name, _)| *name == V::text(key)) {
            Some(entry) => entry.1 = value,
            None => entries.push((V::text(key), value)),
        }
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        let V::Map(entries) = &mut self else { panic!("no map") };
        entries.retain(|(name, _)| *name != V::text(key));
        self
    }

    /// Definite lengths, shortest integers, entries in the order given.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, false);
        out
    }

    /// Indefinite lengths wherever there is one, strings in chunks of at most 7 characters.
    pub fn encode_indefinite(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, true);
        out
    }

    fn write(&self, out: &mut Vec<u8>, indefinite: bool) {
        match self {
            V::Int(n) if *n < 0 => head(out, 1, u64::try_from(-1 - n).expect("within CBOR's range")),
            V::Int(n) => head(out, 0, u64::try_from(*n).expect("within CBOR's range")),
            V::Bytes(bytes) => write_string(out, 2, bytes.chunks(7), bytes.len(), indefinite),
            V::Text(text) => {
                let ascii = text.is_ascii();
                let chunk = if ascii { 7 } else { text.len().max(1) };
                write_string(out, 3, text.as_bytes().chunks(chunk), text.len(), indefinite);
            }
            V::Array(items) => {
                open(out, 4, items.len(), indefinite);
                items.iter().for_each(|item| item.write(out, indefinite));
                close(out, indefinite);
            }
            V::Map(entries) => {
                open(out, 5, entries.len(), indefinite);
                for (key, value) in entries {
                    key.write(out, indefinite);
                    value.write(out, indefinite);
                }
                close(out, indefinite);
            }
            V::Bool(value) => out.push(0xf4 | u8::from(*value)),
            V::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }
}

fn head(out: &mut Vec<u8>, major: u8, n: u64) {
    let bytes = n.to_be_bytes();
    let (info, from) = match n {
        0..24 => return out.push(major << 5 | bytes[7]),
        24..0x100 => (24, 7),
        0x100..0x1_0000 => (25, 6),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 0),
    };
    out.push(major << 5 | info);
    out.extend_from_slice(&bytes[from..]);
}

fn length(n: usize) -> u64 {
    u64::try_from(n).expect("a length in memory")
}

fn open(out: &mut Vec<u8>, major: u8, n: usize, indefinite: bool) {
    if indefinite { out.push(major << 5 | 31) } else { head(out, major, length(n)) }
}

fn close(out: &mut Vec<u8>, indefinite: bool) {
    if indefinite {
        out.push(0xff);
    }
}

fn write_string<'a>(
    out: &mut Vec<u8>,
    major: u8,
    chunks: impl Iterator<Item = &'a [u8]>,
    len: usize,
    indefinite: bool,
) {
    open(out, major, len, indefinite);
    for chunk in chunks {
        if indefinite {
            head(out, major, length(chunk.len()));
        }
        out.extend_from_slice(chunk);
    }
    close(out, indefinite);
}

/// Reads one item that must be all of the bytes, in the one deterministic encoding.
pub fn deterministic(bytes: &[u8]) -> Result<V, String> {
    let mut walker = Walker { bytes, at: 0 };
    let item = walker.item()?;
    if walker.at == bytes.len() { Ok(item) } else { Err(format!("{} bytes follow the item", bytes.len() - walker.at)) }
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walker<'_> {
    fn take(&mut self, n: u64) -> Result<&[u8], String> {
        let from = self.at;
        let to = usize::try_from(n).ok().and_then(|n| from.checked_add(n)).filter(|to| *to <= self.bytes.len());
        self.at = to.ok_or_else(|| format!("truncated at {from}"))?;
        Ok(&self.bytes[from..self.at])
    }

    fn argument(&mut self, info: u8) -> Result<u64, String> {
        let at = self.at;
        let (n, least) = match info {
            0..24 => return Ok(u64::from(info)),
            24..28 => {
                let width = 1u64 << (info - 24);
                let n = self.take(width)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
                (n, if width == 1 { 24 } else { 1u64 << (8 * (width / 2)) })
            }
            31 => return Err(format!("indefinite length at {at}")),
            _ => return Err(format!("reserved additional information {info} at {at}")),
        };
        if n < least { Err(format!("{n} at {at} is not in its shortest form")) } else { Ok(n) }
    }

    fn item(&mut self) -> Result<V, String> {
        let at = self.at;
        let initial = self.take(1)?[0];
        let (major, info) = (initial >> 5, initial & 31);
        if major == 7 {
            return match info {
                20 => Ok(V::Bool(false)),
                21 => Ok(V::Bool(true)),
                _ => Err(format!("a simple value or float no message has at {at}")),
            };
        }
        let n = self.argument(info)?;
        match major {
            0 => Ok(V::Int(i128::from(n))),
            1 => Ok(V::Int(-1 - i128::from(n))),
            2 => Ok(V::Bytes(self.take(n)?.to_vec())),
            3 => match std::str::from_utf8(self.take(n)?) {
                Ok(text) => Ok(V::text(text)),
                Err(error) => Err(format!("text at {at}: {error}")),
            },
            4 => (0..n).map(|_| self.item()).collect::<Result<_, _>>().map(V::Array),
            5 => self.map(n),
            _ => Err(format!("a tag at {at}")),
        }
    }

    fn map(&mut self, n: u64) -> Result<V, String> {
        let mut entries = Vec::new();
        let mut before: Option<Vec<u8>> = None;
        for _ in 0..n {
            let from = self.at;
            let key = self.item()?;
            let written = self.bytes[from..self.at].to_vec();
            // Bytewise lexicographic order of the encoded keys; equal ones are duplicates.
            if before.is_some_and(|before| before >= written) {
                return Err(format!("key {key:?} at {from} is out of order or stands twice"));
            }
            before = Some(written);
            entries.push((key, self.item()?));
        }
        Ok(V::Map(entries))
    }
}

/// `psdd.cddl`, read once.
pub struct Contract(BasicContext);

impl Contract {
    pub fn read() -> Self {
        // Regular expressions of CDDL match the whole text; those of cddl-cat match anywhere in it.
        let mut anchored = String::new();
        for line in CDDL.lines() {
            match line.split_once(".regexp \"") {
                Some((before, rest)) => {
                    let (pattern, after) = rest.split_once('"').expect("a closed pattern");
                    writeln!(anchored, "{before}.regexp \"^({pattern})$\"{after}")
                }
                None => writeln!(anchored, "{line}"),
            }
            .expect("memory");
        }
        Self(BasicContext::new(flatten_from_str(&anchored).expect("psdd.cddl is CDDL")))
    }

    /// Whether bytes are a message of this rule.
    pub fn judge(&self, rule: &str, bytes: &[u8]) -> Result<(), String> {
        let definition = self.0.rules.get(rule).unwrap_or_else(|| panic!("psdd.cddl has no rule {rule}"));
        let value: ciborium::Value = ciborium::from_reader(bytes).map_err(|error| error.to_string())?;
        validate_cbor(definition, &value, &self.0).map_err(|error| error.to_string())
    }

    /// A message of this rule in its deterministic encoding, or why not.
    pub fn message(&self, rule: &str, bytes: &[u8]) -> Result<V, String> {
        let value = deterministic(bytes).map_err(|why| format!("{rule} is not deterministic: {why}"))?;
        self.judge(rule, bytes).map_err(|why| format!("not a {rule}: {why}"))?;
        Ok(value)
    }

    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.0.rules.keys().map(String::as_str)
    }
}
