//! PKCS#11 URIs (RFC 7512), read strictly.
//!
//! What the path says and is not known matches nothing (§2.3), so it is refused at once; what the query says and is not known is
//! ignored, and told. Values compare as bytes after decoding (§2.6).

use crate::percent::{self, EncodingError};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use zeroize::Zeroizing;

/// What a URI names, and how it is reached. Debug shows no PIN.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TokenUri {
    /// CK_TOKEN_INFO.label.
    pub token: Option<String>,
    /// CK_TOKEN_INFO.manufacturerID.
    pub manufacturer: Option<String>,
    /// CK_TOKEN_INFO.serialNumber.
    pub serial: Option<String>,
    /// CK_TOKEN_INFO.model.
    pub model: Option<String>,
    /// CK_INFO.manufacturerID.
    pub library_manufacturer: Option<String>,
    /// CK_INFO.libraryDescription.
    pub library_description: Option<String>,
    /// CK_INFO.libraryVersion, major and minor; a major number alone has minor 0.
    pub library_version: Option<(u8, u8)>,
    /// CK_SLOT_INFO.slotDescription.
    pub slot_description: Option<String>,
    /// CK_SLOT_INFO.manufacturerID.
    pub slot_manufacturer: Option<String>,
    /// CK_SLOT_ID.
    pub slot_id: Option<u64>,
    /// CKA_LABEL.
    pub object: Option<String>,
    /// CKA_ID.
    pub id: Option<Vec<u8>>,
    /// CKA_CLASS.
    pub object_type: Option<ObjectType>,
    /// The module's file.
    pub module_path: Option<PathBuf>,
    /// The module's name, without path and affixes.
    pub module_name: Option<String>,
    /// Where the PIN is.
    pub pin: Option<PinOrigin>,
    /// Names of query attributes that are not known, and were ignored.
    pub ignored: Vec<String>,
}

/// CKA_CLASS of what is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectType {
    /// A public key.
    Public,
    /// A private key.
    Private,
    /// A certificate.
    Cert,
    /// A secret key.
    SecretKey,
    /// A data object.
    Data,
}

/// Where the PIN is.
#[derive(Clone, PartialEq, Eq)]
pub enum PinOrigin {
    /// In the URI.
    Value(Zeroizing<String>),
    /// In a file.
    File(PathBuf),
    /// Behind an open file descriptor of this process.
    Descriptor(u32),
}

impl fmt::Debug for PinOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PinOrigin::Value(_) => f.write_str("Value(…)"),
            PinOrigin::File(path) => write!(f, "File({})", path.display()),
            PinOrigin::Descriptor(number) => write!(f, "Descriptor({number})"),
        }
    }
}

/// The text is no URI that can be gone by. No message repeats a value, which may be a PIN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Another scheme.
    #[error("a PKCS#11 URI begins with pkcs11:")]
    Scheme,
    /// A part that is no attribute.
    #[error("attribute {0} of the {1} is not NAME=VALUE; none may be empty")]
    NoAttribute(usize, &'static str),
    /// An attribute of the path that is not known; by RFC 7512 §2.3 nothing matches it.
    #[error("{0:?} is no attribute of the path that is known here, so nothing matches it (RFC 7512 §2.3)")]
    Unknown(String),
    /// An attribute that stands there twice.
    #[error("{0} stands there twice")]
    Twice(String),
    /// A value that is not encoded rightly.
    #[error("{name}: {problem}")]
    Encoding {
        /// The attribute.
        name: String,
        /// What is wrong.
        problem: EncodingError,
    },
    /// A value that the attribute cannot have.
    #[error("{name} {rule}")]
    Value {
        /// The attribute.
        name: &'static str,
        /// What it may be.
        rule: &'static str,
    },
    /// Two sources of one PIN (RFC 7512 §2.4).
    #[error("pin-source and pin-value cannot both be there (RFC 7512 §2.4)")]
    TwoPins,
}

impl TokenUri {
    /// Whether a text means to be one: by its scheme, which is read in either case (RFC 3986 §3.1).
    pub fn is_meant_by(text: &str) -> bool {
        text.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("pkcs11"))
    }

    fn take_path(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        let bytes = decoded(name, value, percent::PATH)?;
        let text = |name| match String::from_utf8(bytes.clone()) {
            Ok(text) => Ok(text),
            Err(_) => Err(UriError::Value { name, rule: "is UTF-8, percent-encoded" }),
        };
        match name {
            "token" => set(&mut self.token, text("token")?, name),
            "manufacturer" => set(&mut self.manufacturer, text("manufacturer")?, name),
            "serial" => set(&mut self.serial, text("serial")?, name),
            "model" => set(&mut self.model, text("model")?, name),
            "library-manufacturer" => set(&mut self.library_manufacturer, text("library-manufacturer")?, name),
            "library-description" => set(&mut self.library_description, text("library-description")?, name),
            "library-version" => set(&mut self.library_version, version(&text("library-version")?)?, name),
            "slot-description" => set(&mut self.slot_description, text("slot-description")?, name),
            "slot-manufacturer" => set(&mut self.slot_manufacturer, text("slot-manufacturer")?, name),
            "slot-id" => {
                let number = digits(&text("slot-id")?);
                set(&mut self.slot_id, number.ok_or(UriError::Value { name: "slot-id", rule: "is a number" })?, name)
            }
            "object" => set(&mut self.object, text("object")?, name),
            "id" => set(&mut self.id, bytes, name),
            "type" => set(&mut self.object_type, object_type(&text("type")?)?, name),
            _ => Err(UriError::Unknown(name.chars().take(40).collect())),
        }
    }

    fn take_query(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        let bytes = decoded(name, value, percent::QUERY)?;
        let text = |name| match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => Err(UriError::Value { name, rule: "is UTF-8, percent-encoded" }),
        };
        let pin = match name {
            "pin-value" => PinOrigin::Value(Zeroizing::new(text("pin-value")?)),
            "pin-source" => pin_source(&text("pin-source")?)?,
            "module-name" => return set(&mut self.module_name, text("module-name")?, name),
            "module-path" => return set(&mut self.module_path, PathBuf::from(text("module-path")?), name),
            _ => {
                self.ignored.push(name.to_owned());
                return Ok(());
            }
        };
        let of_value = |pin: &PinOrigin| matches!(pin, PinOrigin::Value(_));
        match &self.pin {
            Some(before) if of_value(before) != of_value(&pin) => Err(UriError::TwoPins),
            _ => set(&mut self.pin, pin, name),
        }
    }
}

impl FromStr for TokenUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if !Self::is_meant_by(text) {
            return Err(UriError::Scheme);
        }
        let (_, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        for (name, value) in attributes(path, ';', "path")? {
            uri.take_path(name, value)?;
        }
        for (name, value) in attributes(query, '&', "query")? {
            uri.take_query(name, value)?;
        }
        Ok(uri)
    }
}

fn attributes<'t>(text: &'t str, by: char, of: &'static str) -> Result<Vec<(&'t str, &'t str)>, UriError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let pair = |(at, part): (usize, &'t str)| {
        let pair = part.split_once('=').filter(|(name, _)| is_name(name));
        pair.ok_or(UriError::NoAttribute(at + 1, of))
    };
    text.split(by).enumerate().map(pair).collect()
}

fn decoded(name: &str, value: &str, available: &[u8]) -> Result<Vec<u8>, UriError> {
    percent::decode(value, available).map_err(|problem| UriError::Encoding { name: name.to_owned(), problem })
}

fn set<T>(field: &mut Option<T>, value: T, name: &str) -> Result<(), UriError> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(UriError::Twice(name.to_owned())),
    }
}

fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn version(text: &str) -> Result<(u8, u8), UriError> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let version = digits(major).zip(digits(minor));
    version.ok_or(UriError::Value { name: "library-version", rule: "is MAJOR or MAJOR.MINOR, each 0 to 255" })
}

fn object_type(text: &str) -> Result<ObjectType, UriError> {
    Ok(match text {
        "public" => ObjectType::Public,
        "private" => ObjectType::Private,
        "cert" => ObjectType::Cert,
        "secret-key" => ObjectType::SecretKey,
        "data" => ObjectType::Data,
        _ => return Err(UriError::Value { name: "type", rule: "is public, private, cert, secret-key or data" }),
    })
}

/// A file by its absolute path or by a file URI (RFC 8089) of this host, or a descriptor. A program that gives the PIN (`|…`) is not run.
fn pin_source(text: &str) -> Result<PinOrigin, UriError> {
    let rule = "is file:/ABSOLUTE/PATH, /ABSOLUTE/PATH or fd:NUMBER; no program is run for a PIN";
    let wrong = || UriError::Value { name: "pin-source", rule };
    if let Some(number) = text.strip_prefix("fd:") {
        return digits(number).map(PinOrigin::Descriptor).ok_or_else(wrong);
    }
    let Some(uri) = text.strip_prefix("file:") else {
        return if text.starts_with('/') { Ok(PinOrigin::File(text.into())) } else { Err(wrong()) };
    };
    let path = match uri.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => uri,
    };
    let bytes = percent::decode(path, b"/:@!$&'()*+,;=").ok().filter(|_| path.starts_with('/'));
    let path = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    Ok(PinOrigin::File(path.into()))
}

#[cfg(test)]
mod tests;
