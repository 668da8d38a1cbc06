//! Errors as concise problem details (RFC 9290).

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The key of our own entry; RFC 9290 §3.2 wants a URI.
const FACTS: &str = "tag:psdd,2026:problem";

/// An error as a client sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The code in words.
    pub title: String,
    /// What, where, what to do.
    pub detail: Option<String>,
    /// What a program acts on.
    pub facts: Facts,
}

/// What a program acts on.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Stable; docs/protocol.md lists all.
    pub code: String,
    /// Whether the same request can succeed later.
    pub retry: bool,
    /// When to try again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Problem {
    /// A problem that repeating does not solve.
    pub fn lasting(code: &str, detail: impl Into<String>) -> Self {
        Self::new(code, detail.into(), false, None)
    }

    /// A problem that may be gone by the next attempt.
    pub fn passing(code: &str, detail: impl Into<String>, retry_after_ms: u64) -> Self {
        Self::new(code, detail.into(), true, Some(retry_after_ms))
    }

    fn new(code: &str, detail: String, retry: bool, retry_after_ms: Option<u64>) -> Self {
        let title = code.replace('-', " ");
        Self { title, detail: Some(detail), facts: Facts { code: code.to_owned(), retry, retry_after_ms } }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}", self.facts.code),
            None => f.write_str(&self.facts.code),
        }
    }
}

impl std::error::Error for Problem {}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(if self.detail.is_some() { 3 } else { 2 }))?;
        map.serialize_entry(&-1, &self.title)?;
        if let Some(detail) = &self.detail {
            map.serialize_entry(&-2, detail)?;
        }
        map.serialize_entry(FACTS, &self.facts)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ProblemVisitor)
    }
}

/// Keys of a problem: integers of the standard, URIs of others.
enum Key {
    Standard(i64),
    Custom(String),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or a URI")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Key, E> {
                Ok(Key::Standard(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Key, E> {
                i64::try_from(number).map(Key::Standard).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key::Custom(text.to_owned()))
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct ProblemVisitor;

impl<'de> Visitor<'de> for ProblemVisitor {
    type Value = Problem;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("concise problem details")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Problem, A::Error> {
        let (mut title, mut detail, mut facts) = (None, None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::Standard(-1) => title = Some(map.next_value()?),
                Key::Standard(-2) => detail = Some(map.next_value()?),
                Key::Custom(uri) if uri == FACTS => facts = Some(map.next_value()?),
                // RFC 9290 §3: entries that are not understood are ignored.
                Key::Standard(_) | Key::Custom(_) => {
                    map.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        let facts: Facts = facts.ok_or_else(|| de::Error::missing_field(FACTS))?;
        Ok(Problem { title: title.unwrap_or_else(|| facts.code.clone()), detail, facts })
    }
}
