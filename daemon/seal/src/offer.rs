//! The keeper's unsealing offer: which tokens want a PIN, and the key of this start to seal shares to.
//!
//! Signed by the host identity key over all of it, so that whoever carries it cannot put another key in its place.

use crate::codec;
use crate::gather::hex;
use crate::host_key::{HostKey, HostKeyError, HostPublicKey};
use crate::hpke::RecipientPublicKey;
use crate::set::{SetId, TokenName};
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// The format of offers and envelopes.
pub(crate) const VERSION: u8 = 1;

/// What the keeper offers.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    #[n(0)]
    version: u8,
    /// SubjectPublicKeyInfo of the host identity key.
    #[n(1)]
    host_key: ByteVec,
    #[n(2)]
    incarnation: ByteArray<16>,
    #[n(3)]
    key: RecipientPublicKey,
    #[n(4)]
    tokens: Vec<TokenOffer>,
}

/// One token that is sealed, or was at this start.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct TokenOffer {
    /// Its name in psdd-hsm.toml.
    #[n(0)]
    pub name: String,
    /// Its label and serial number.
    #[n(1)]
    pub token: TokenName,
    #[n(2)]
    set: ByteArray<16>,
    /// How many shares are needed.
    #[n(3)]
    pub threshold: u8,
    /// How many shares there are.
    #[n(4)]
    pub shares: u8,
    /// The indices of the shares that are in.
    #[n(5)]
    pub held: Vec<u8>,
    /// Whether the PIN is rebuilt, so that no share is wanted.
    #[n(6)]
    pub unsealed: bool,
}

impl TokenOffer {
    pub(crate) fn new(name: String, set: &crate::set::ShareSet, held: Vec<u8>, unsealed: bool) -> Self {
        Self {
            name,
            token: set.token().clone(),
            set: set.id().into(),
            threshold: set.threshold(),
            shares: set.shares(),
            held,
            unsealed,
        }
    }

    /// The set whose shares are wanted.
    pub fn set_id(&self) -> SetId {
        *self.set
    }

    /// The set in hex, for people.
    pub fn set_text(&self) -> String {
        hex(&*self.set)
    }
}

#[derive(Encode, Decode)]
struct SignedOffer {
    #[cbor(n(0), with = "minicbor::bytes")]
    body: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    signature: Vec<u8>,
}

/// Why an offer is not believed.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// It is not of the form.
    #[error("not an unsealing offer: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    /// It is of another version.
    #[error("the offer is of format {0}; this version reads {VERSION}")]
    Version(u8),
    /// It was made by another host than the one pinned.
    #[error("the offer is of host {found}, not of host {pinned} that is pinned: give it no share")]
    OtherHost {
        /// The digest of the key in the offer, in hex.
        found: String,
        /// The digest of the pinned key, in hex.
        pinned: String,
    },
    /// The signature does not verify under the pinned key.
    #[error("the offer is not signed by host {pinned}: give it no share")]
    Signature {
        /// The digest of the pinned key, in hex.
        pinned: String,
    },
}

impl Offer {
    pub(crate) fn new(host: &HostKey, incarnation: [u8; 16], key: RecipientPublicKey, tokens: Vec<TokenOffer>) -> Self {
        let host_key = host.public().spki().to_vec().into();
        Self { version: VERSION, host_key, incarnation: incarnation.into(), key, tokens }
    }

    pub(crate) fn sign(&self, host: &HostKey) -> Result<Vec<u8>, HostKeyError> {
        let body = codec::encode(self);
        let signature = host.sign(&body)?;
        Ok(codec::encode(&SignedOffer { body, signature }))
    }

    /// Reads a signed offer, and believes it only if the pinned host made it.
    ///
    /// # Errors
    ///
    /// When it is malformed, of another host, or not signed by the pinned key.
    pub fn verify(bytes: &[u8], pinned: &HostPublicKey) -> Result<Self, OfferError> {
        let signed: SignedOffer = codec::decode(bytes)?;
        let offer: Self = codec::decode(&signed.body)?;
        if offer.version != VERSION {
            return Err(OfferError::Version(offer.version));
        }
        if offer.host_key.as_slice() != pinned.spki() {
            let found = HostPublicKey::from_spki(&offer.host_key)
                .map_or_else(|_| "without a key of P-256".to_owned(), |key| key.fingerprint());
            return Err(OfferError::OtherHost { found, pinned: pinned.fingerprint() });
        }
        if !pinned.verifies(&signed.body, &signed.signature) {
            return Err(OfferError::Signature { pinned: pinned.fingerprint() });
        }
        Ok(offer)
    }

    /// Random, one per start of the keeper.
    pub fn incarnation(&self) -> [u8; 16] {
        *self.incarnation
    }

    /// The tokens that are sealed, or were at this start.
    pub fn tokens(&self) -> &[TokenOffer] {
        &self.tokens
    }

    pub(crate) fn key(&self) -> &RecipientPublicKey {
        &self.key
    }
}
