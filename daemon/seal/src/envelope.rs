//! A share on its way: sealed to the key of one start of one keeper.

use crate::codec;
use crate::host_key::HostPublicKey;
use crate::hpke::{HpkeError, Sealed};
use crate::offer::{Offer, OfferError, VERSION};
use crate::set::{SetId, TokenName};
use crate::share::Share;
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

/// A sealed share and where it is meant to go.
#[derive(Encode, Decode)]
pub(crate) struct Envelope {
    #[n(0)]
    pub(crate) version: u8,
    /// The token's name in psdd-hsm.toml.
    #[n(1)]
    pub(crate) name: String,
    #[n(2)]
    pub(crate) incarnation: ByteArray<16>,
    #[n(3)]
    pub(crate) sealed: Sealed,
}

/// Why a share was not sealed. Nothing of it has left.
#[derive(Debug, thiserror::Error)]
pub enum SealShareError {
    /// The offer is not believed.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The share is damaged.
    #[error("share {index} is not as it was made: it was altered, or damaged")]
    Altered {
        /// Its index.
        index: u8,
    },
    /// The host has no such sealed token.
    #[error("the host has no sealed token with serial {:?} and label {:?}", .0.serial, .0.label)]
    NoSuchToken(TokenName),
    /// The token waits for shares of another ceremony.
    #[error("token {name} waits for shares of set {wanted}; this share is of set {found}")]
    OtherSet {
        /// The token.
        name: String,
        /// The set that is waited for, in hex.
        wanted: String,
        /// The set of the share, in hex.
        found: String,
    },
    /// The PIN is there already.
    #[error("token {0} is unsealed already; no share is wanted")]
    Unsealed(String),
    /// This share is in.
    #[error("share {index} of token {name} is in already; another operator's is needed")]
    AlreadyIn {
        /// The token.
        name: String,
        /// The share.
        index: u8,
    },
    /// The encryption failed.
    #[error(transparent)]
    Hpke(#[from] HpkeError),
}

/// Seals a share to the start of the keeper that made the offer, after it has verified the offer against the pinned
/// host identity key. Gives the bytes to submit; nobody but that keeper can read them, and only until it ends.
///
/// # Errors
///
/// When the offer is not the pinned host's, or does not want this share.
pub fn seal_share(offer: &[u8], pinned: &HostPublicKey, share: &Share) -> Result<Vec<u8>, SealShareError> {
    let offer = Offer::verify(offer, pinned)?;
    let (set, index) = (share.set(), share.index());
    if !share.is_intact() {
        return Err(SealShareError::Altered { index });
    }
    let wanted = offer.tokens().iter().find(|token| token.token == *set.token());
    let token = wanted.ok_or_else(|| SealShareError::NoSuchToken(set.token().clone()))?;
    let name = token.name.clone();
    if token.set_id() != set.id() {
        let found = crate::gather::hex(&set.id());
        return Err(SealShareError::OtherSet { name, wanted: token.set_text(), found });
    }
    if token.unsealed {
        return Err(SealShareError::Unsealed(name));
    }
    if token.held.contains(&index) {
        return Err(SealShareError::AlreadyIn { name, index });
    }
    let incarnation = offer.incarnation();
    let info = info(pinned, incarnation, set.token(), set.id());
    let sealed = offer.key().seal(&info, name.as_bytes(), &share.encode())?;
    Ok(codec::encode(&Envelope { version: VERSION, name, incarnation: incarnation.into(), sealed }))
}

/// What a sealed share is bound to: host (and by it the appliance whose genesis pins it), start, token and set.
pub(crate) fn info(host: &HostPublicKey, incarnation: [u8; 16], token: &TokenName, set: SetId) -> Vec<u8> {
    let (host, incarnation, set) = (ByteArray::from(host.digest()), ByteArray::from(incarnation), ByteArray::from(set));
    codec::encode(&("psdd unseal", VERSION, host, incarnation, token, set))
}
