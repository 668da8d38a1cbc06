//! COSE_Sign1 (RFC 9052 §4.2) in the one fixed form used here: payload embedded, no external data, the algorithm that the key has.

use crate::spki::{KeyKind, PublicKey};
use crate::strict::DecodeError;
use minicbor::data::Tag;
use minicbor::{Decoder, Encoder};

/// Content type of a value request.
pub const VALUE_REQUEST: &str = "application/psdd-value-request+cbor";
/// Content type of a statement that a value download is void.
pub const VALUE_VOID: &str = "application/psdd-value-void+cbor";
/// Content type of a value authorisation.
pub const VALUE_AUTHORISATION: &str = "application/psdd-value-authorisation+cbor";

/// Content type of a request for withdrawal.
pub const WITHDRAWAL_REQUEST: &str = "application/psdd-withdrawal-request+cbor";
/// Content type of the acknowledgement of a withdrawal.
pub const WITHDRAWAL_ACKNOWLEDGEMENT: &str = "application/psdd-withdrawal-acknowledgement+cbor";
/// Content type of the final report of a PSD.
pub const WITHDRAWAL_REPORT: &str = "application/psdd-withdrawal-report+cbor";
/// Content type of a PSD's request for the certificate of its next key.
pub const ENROLMENT: &str = "application/psdd-enrolment+cbor";
/// Content type of an instruction of the postal authority.
pub const INSTRUCTION: &str = "application/psdd-instruction+cbor";
/// Content type of a rate table: the payload is its TOML text.
pub const RATES: &str = "application/psdd-rates+toml";

const SIGN1: u64 = 18;

/// The algorithm in the protected header: ES256, EdDSA or ES384 (RFC 9053 §2.1, §2.2).
pub(crate) const fn label(kind: KeyKind) -> i8 {
    match kind {
        KeyKind::P256 => -7,
        KeyKind::Ed25519 => -8,
        KeyKind::P384 => -35,
    }
}

pub(crate) const fn kind_labelled(label: i8) -> Option<KeyKind> {
    match label {
        -7 => Some(KeyKind::P256),
        -8 => Some(KeyKind::Ed25519),
        -35 => Some(KeyKind::P384),
        _ => None,
    }
}

/// A message taken apart. Nothing in it is proven until the signature over [`Sign1::to_be_signed`] is verified.
#[derive(Clone, Debug)]
pub struct Sign1 {
    protected: Vec<u8>,
    /// What kind of key signs; the protected header says it as an algorithm.
    pub kind: KeyKind,
    /// Content type from the protected header.
    pub content_type: String,
    /// Certificate from the protected header (x5chain, RFC 9360), DER.
    pub certificate: Option<Vec<u8>>,
    /// The payload.
    pub payload: Vec<u8>,
    /// r‖s, or an Ed25519 signature.
    pub signature: Vec<u8>,
}

/// Why bytes are no such message.
#[derive(Debug, thiserror::Error)]
pub enum CoseError {
    /// Not the fixed form of COSE_Sign1.
    #[error("not a COSE_Sign1 of the form documented: {0}")]
    Form(#[from] minicbor::decode::Error),
    /// The payload is not the one expected.
    #[error("payload: {0}")]
    Payload(#[from] DecodeError),
    /// Another content type.
    #[error("content type {0:?} is not the one expected here")]
    ContentType(String),
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}

impl Sign1 {
    /// A message that waits for the signature of a P-256 key.
    pub fn unsigned(content_type: &str, certificate: Option<&[u8]>, payload: Vec<u8>) -> Self {
        Self::unsigned_by(KeyKind::P256, content_type, certificate, payload)
    }

    /// A message that waits for the signature of a key of this kind.
    pub fn unsigned_by(kind: KeyKind, content_type: &str, certificate: Option<&[u8]>, payload: Vec<u8>) -> Self {
        let mut header = Encoder::new(Vec::new());
        let written = (|| {
            header.map(if certificate.is_some() { 3 } else { 2 })?.u8(1)?.i8(label(kind))?.u8(3)?.str(content_type)?;
            if let Some(certificate) = certificate {
                header.u8(33)?.bytes(certificate)?;
            }
            Ok::<(), minicbor::encode::Error<core::convert::Infallible>>(())
        })();
        debug_assert!(written.is_ok());
        let certificate = certificate.map(<[u8]>::to_vec);
        Self {
            protected: header.into_writer(),
            kind,
            content_type: content_type.to_owned(),
            certificate,
            payload,
            signature: Vec::new(),
        }
    }

    /// The Sig_structure (RFC 9052 §4.4), which the key signs.
    pub fn to_be_signed(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::with_capacity(self.payload.len() + self.protected.len() + 32));
        let written = (|| {
            encoder.array(4)?.str("Signature1")?.bytes(&self.protected)?.bytes(&[])?.bytes(&self.payload)?;
            Ok::<(), minicbor::encode::Error<core::convert::Infallible>>(())
        })();
        debug_assert!(written.is_ok());
        encoder.into_writer()
    }

    /// The whole message with this signature.
    pub fn with_signature(mut self, signature: &[u8]) -> Vec<u8> {
        self.signature = signature.to_vec();
        let mut encoder = Encoder::new(Vec::with_capacity(self.payload.len() + self.protected.len() + 96));
        let written = (|| {
            encoder.tag(Tag::new(SIGN1))?.array(4)?.bytes(&self.protected)?.map(0)?;
            encoder.bytes(&self.payload)?.bytes(&self.signature)?;
            Ok::<(), minicbor::encode::Error<core::convert::Infallible>>(())
        })();
        debug_assert!(written.is_ok());
        encoder.into_writer()
    }

    /// Takes a message apart, strictly: only the form that [`Sign1::with_signature`] gives.
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseError> {
        let form = |what: &'static str| CoseError::Form(minicbor::decode::Error::message(what));
        let mut decoder = Decoder::new(bytes);
        if decoder.tag()? != Tag::new(SIGN1) || decoder.array()? != Some(4) {
            return Err(form("tag 18 and four elements"));
        }
        let protected = decoder.bytes()?.to_vec();
        if decoder.map()? != Some(0) {
            return Err(form("the unprotected header must be empty"));
        }
        let payload = decoder.bytes()?.to_vec();
        let signature = decoder.bytes()?.to_vec();
        let mut header = Decoder::new(&protected);
        let entries = header.map()?;
        let kind = if header.u8()? == 1 { kind_labelled(header.i8()?) } else { None };
        let (Some(kind), 3) = (kind, header.u8()?) else {
            return Err(form("the protected header must begin with ES256, EdDSA or ES384 and a content type"));
        };
        let content_type = header.str()?.to_owned();
        let certificate = if entries == Some(3) && header.u8()? == 33 { Some(header.bytes()?.to_vec()) } else { None };
        let message = Self { protected, kind, content_type, certificate, payload, signature };
        // Whatever was left over or written in another way shows in the comparison.
        let (certificate, payload) = (message.certificate.as_deref(), message.payload.clone());
        let again = Self::unsigned_by(kind, &message.content_type, certificate, payload);
        if again.with_signature(&message.signature) != bytes {
            return Err(form("the encoding is not the deterministic one"));
        }
        Ok(message)
    }

    /// Verifies the signature under a public key (SPKI, DER) and the content type. The key decides the algorithm: a message that names
    /// another than the key has is not signed by it.
    pub fn verify(&self, content_type: &str, spki: &[u8]) -> Result<(), CoseError> {
        if self.content_type != content_type {
            return Err(CoseError::ContentType(self.content_type.clone()));
        }
        let key = PublicKey::of_spki(spki).filter(|key| key.kind() == self.kind).ok_or(CoseError::Signature)?;
        key.signed(&self.to_be_signed(), &self.signature).then_some(()).ok_or(CoseError::Signature)
    }
}
