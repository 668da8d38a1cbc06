//! A set of shares: what is public about it, and how it is made.
//!
//! The set is kept by the keeper and repeated in each share. It holds the secret encrypted under a random key; only
//! that key is split.

use crate::codec;
use crate::locked::{LockError, LockedBytes};
use crate::share::Share;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use vsss_rs::Gf256;
use zeroize::{Zeroize, Zeroizing};

/// The format of sets and shares that this crate writes and reads.
pub(crate) const VERSION: u8 = 1;
/// The most shares of a set.
pub const MAX_SHARES: u8 = 16;
/// The longest secret, in bytes: that of a PIN.
pub const MAX_SECRET: usize = 256;
/// The bytes of a share's value, and of the key that is split.
pub(crate) const VALUE: usize = 32;

const NONCE: usize = 12;
const TAG: usize = 16;
/// The secret is padded, so that its length is not told: two bytes of length, then room for the longest.
const PADDED: usize = 2 + MAX_SECRET;
/// CK_TOKEN_INFO has 32 bytes for the label and 16 for the serial number.
const MAX_TOKEN_TEXT: usize = 64;

/// The random name of a set.
pub type SetId = [u8; 16];

/// Which token a set is for: CK_TOKEN_INFO.label and serialNumber together, without their padding.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct TokenName {
    /// CK_TOKEN_INFO.label.
    #[n(0)]
    pub label: String,
    /// CK_TOKEN_INFO.serialNumber.
    #[n(1)]
    pub serial: String,
}

/// What is public about a set of shares.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct ShareSet {
    #[n(0)]
    version: u8,
    #[n(1)]
    token: TokenName,
    #[n(2)]
    id: ByteArray<16>,
    #[n(3)]
    threshold: u8,
    #[n(4)]
    shares: u8,
    #[n(5)]
    commitments: Vec<ByteArray<32>>,
    /// Nonce, ciphertext and tag of the padded secret: AES-256-GCM under the key that is split.
    #[n(6)]
    sealed: ByteVec,
}

/// Why bytes are not a set.
#[derive(Debug, thiserror::Error)]
pub enum ShareSetError {
    /// They are not of the form.
    #[error("not a set of shares: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    /// It was written by another version.
    #[error("the set is of format {0}; this version reads {VERSION}")]
    Version(u8),
    /// Its numbers do not fit each other.
    #[error("the set is inconsistent: {0}")]
    Inconsistent(&'static str),
}

/// Why a secret was not split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// Too few, too many, or more needed than made.
    #[error(
        "{threshold} of {shares} shares: the threshold must be at least 2, and no more than the shares, which are at most {MAX_SHARES}"
    )]
    Numbers {
        /// How many would be needed.
        threshold: u8,
        /// How many would be made.
        shares: u8,
    },
    /// The secret is empty or too long.
    #[error("a secret has 1 to {MAX_SECRET} bytes, not {0}")]
    Length(usize),
    /// The name of the token is empty or too long.
    #[error("label and serial number of a token have 1 to {MAX_TOKEN_TEXT} bytes each")]
    Token,
    /// The memory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The Shamir crate.
    #[error("the key could not be split: {0}")]
    Shamir(vsss_rs::Error),
    /// The cipher or its random numbers.
    #[error("the secret could not be encrypted")]
    Crypto(#[from] aws_lc_rs::error::Unspecified),
    /// What was made does not give the secret back; nothing of it may be used.
    #[error("shares {0:?} do not give the secret back; nothing was kept, try again")]
    SelfTest(Vec<u8>),
}

impl ShareSet {
    /// Reads a set.
    ///
    /// # Errors
    ///
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, ShareSetError> {
        codec::decode::<Self>(bytes)?.checked()
    }

    pub(crate) fn checked(self) -> Result<Self, ShareSetError> {
        if self.version != VERSION {
            return Err(ShareSetError::Version(self.version));
        }
        if !numbers_are_right(self.threshold, self.shares) {
            return Err(ShareSetError::Inconsistent("threshold and number of shares"));
        }
        if self.commitments.len() != usize::from(self.shares) {
            return Err(ShareSetError::Inconsistent("not one commitment a share"));
        }
        if self.sealed.len() != NONCE + PADDED + TAG {
            return Err(ShareSetError::Inconsistent("the length of the encrypted secret"));
        }
        if !token_is_right(&self.token) {
            return Err(ShareSetError::Inconsistent("the name of the token"));
        }
        Ok(self)
    }

    /// The bytes of the set.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The token whose PIN was split.
    pub fn token(&self) -> &TokenName {
        &self.token
    }

    /// The random name of the set.
    pub fn id(&self) -> SetId {
        *self.id
    }

    /// How many shares give the secret back.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// How many shares there are.
    pub fn shares(&self) -> u8 {
        self.shares
    }

    /// Whether this is the value that the share of this index was made with.
    pub(crate) fn commits_to(&self, index: u8, value: &[u8]) -> bool {
        let place = usize::from(index).checked_sub(1).and_then(|place| self.commitments.get(place));
        place.is_some_and(|made| **made == commitment(&self.id, index, value))
    }

    /// Rebuilds the secret from so many shares as the threshold says; none where they do not give it back.
    pub(crate) fn combine(&self, shares: &[Share]) -> Result<Option<LockedBytes>, LockError> {
        let mut points: Vec<Vec<u8>> = shares.iter().map(point).collect();
        let combined = Gf256::combine_bytes(&points).map(Zeroizing::new);
        points.iter_mut().for_each(Zeroize::zeroize);
        let Ok(key) = combined else { return Ok(None) };
        self.open(&key)
    }

    fn open(&self, key: &[u8]) -> Result<Option<LockedBytes>, LockError> {
        let (nonce, ciphertext) = self.sealed.split_at(NONCE);
        let mut secret = LockedBytes::copy_of(ciphertext)?;
        let opened = RandomizedNonceKey::new(&AES_256_GCM, key).and_then(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce)?;
            let page = &mut secret.page_mut()[..PADDED + TAG];
            key.open_in_place(nonce, Aad::from(self.associated()), page).map(|padded| padded.len())
        });
        if opened.is_err() {
            return Ok(None);
        }
        let page = secret.page_mut();
        let length = usize::from(u16::from_le_bytes([page[0], page[1]]));
        if length == 0 || length > MAX_SECRET {
            return Ok(None);
        }
        page.copy_within(2..2 + length, 0);
        secret.set_length(length);
        Ok(Some(secret))
    }

    /// Everything of the set but the ciphertext, so that none of it can be changed.
    fn associated(&self) -> Vec<u8> {
        codec::encode(&(
            "psdd share set",
            self.version,
            &self.token,
            &self.id,
            self.threshold,
            self.shares,
            &self.commitments,
        ))
    }
}

/// Splits the PIN of a token: any `threshold` of `shares` shares give it back, fewer tell nothing.
///
/// The shares are tried before they are given out: the first and the last of them must give the secret back.
///
/// # Errors
///
/// When the numbers or lengths are not right, or a step fails.
pub fn split(token: TokenName, secret: &[u8], threshold: u8, shares: u8) -> Result<(ShareSet, Vec<Share>), SplitError> {
    if !numbers_are_right(threshold, shares) {
        return Err(SplitError::Numbers { threshold, shares });
    }
    if !token_is_right(&token) {
        return Err(SplitError::Token);
    }
    let padded = pad(secret)?;
    let mut key = LockedBytes::empty()?;
    aws_lc_rs::rand::fill(&mut key.page_mut()[..VALUE])?;
    key.set_length(VALUE);
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id)?;

    let split = Gf256::split_bytes(usize::from(threshold), usize::from(shares), key.as_bytes(), SystemRng);
    let points = Zeroizing::new(split.map_err(SplitError::Shamir)?);
    let commitments = (1..).zip(points.iter()).map(|(index, point)| commitment(&id, index, &point[1..]).into());
    let mut set = ShareSet {
        version: VERSION,
        token,
        id: id.into(),
        threshold,
        shares,
        commitments: commitments.collect(),
        sealed: Vec::new().into(),
    };
    set.sealed = encrypt(key.as_bytes(), &set.associated(), padded)?.into();
    let values = (1..).zip(points.iter()).map(|(index, point)| Share::new(set.clone(), index, &point[1..]));
    let made = values.collect::<Result<Vec<_>, _>>()?;
    let needed = usize::from(threshold);
    for tried in [&made[..needed], &made[made.len() - needed..]] {
        let back = set.combine(tried)?;
        if back.is_none_or(|back| back.as_bytes() != secret) {
            return Err(SplitError::SelfTest(tried.iter().map(Share::index).collect()));
        }
    }
    Ok((set, made))
}

fn numbers_are_right(threshold: u8, shares: u8) -> bool {
    threshold >= 2 && threshold <= shares && shares <= MAX_SHARES
}

fn token_is_right(token: &TokenName) -> bool {
    [&token.label, &token.serial].into_iter().all(|text| (1..=MAX_TOKEN_TEXT).contains(&text.len()))
}

fn pad(secret: &[u8]) -> Result<LockedBytes, SplitError> {
    let length = u16::try_from(secret.len()).ok().filter(|_| (1..=MAX_SECRET).contains(&secret.len()));
    let length = length.ok_or(SplitError::Length(secret.len()))?;
    let mut padded = LockedBytes::empty()?;
    padded.page_mut()[..2].copy_from_slice(&length.to_le_bytes());
    padded.page_mut()[2..2 + secret.len()].copy_from_slice(secret);
    padded.set_length(PADDED);
    Ok(padded)
}

fn encrypt(key: &[u8], associated: &[u8], mut padded: LockedBytes) -> Result<Vec<u8>, SplitError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key)?;
    let mut tag = [0; TAG];
    let page = &mut padded.page_mut()[..PADDED];
    let (nonce, made) = key.seal_in_place_separate_tag(Aad::from(associated), page)?;
    tag.copy_from_slice(made.as_ref());
    Ok([nonce.as_ref(), padded.as_bytes(), &tag].concat())
}

fn commitment(id: &[u8; 16], index: u8, value: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in [b"psdd share commitment".as_slice(), id, &[index], value] {
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// A share as the Shamir crate has it: its index, then its value.
fn point(share: &Share) -> Vec<u8> {
    let mut point = Vec::with_capacity(1 + VALUE);
    point.push(share.index());
    point.extend_from_slice(share.value());
    point
}

/// The random numbers of aws-lc-rs, as the Shamir crate wants them.
struct SystemRng;

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        aws_lc_rs::rand::fill(bytes).expect("the kernel gives random numbers");
        Ok(())
    }
}

impl TryCryptoRng for SystemRng {}
