//! The file of a share: PEM with a checksum, in the clear or encrypted to its holder.
//!
//! Two labels, so that nobody mistakes one for the other. The checksum finds a damaged file before anything is judged.

use crate::codec;
use crate::gather::hex;
use crate::hpke::{HpkeError, RecipientKey, RecipientPublicKey, Sealed};
use crate::locked::{LockError, LockedBytes};
use crate::set::SetId;
use crate::share::{Share, ShareError};
use aws_lc_rs::digest::{SHA256, digest};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use pem_rfc7468::LineEnding;
use zeroize::Zeroizing;

const CLEAR: &str = "PSDD SHARE";
const ENCRYPTED: &str = "PSDD ENCRYPTED SHARE";
const VERSION: u8 = 1;
const CHECKSUM: usize = 8;
/// More than any file takes, so that its bytes are never moved while they are written.
const ROOM: usize = 8192;

/// Why a file is not a share's, or does not open.
#[derive(Debug, thiserror::Error)]
pub enum ShareFileError {
    /// It is not PEM.
    #[error("not a share file: {0}")]
    Pem(pem_rfc7468::Error),
    /// It is PEM of something else.
    #[error("a file of {0:?}, not of {CLEAR:?} or {ENCRYPTED:?}")]
    Label(String),
    /// It was damaged or cut.
    #[error("the checksum of the share file does not hold: the file is damaged")]
    Checksum,
    /// It is not of the form.
    #[error("the share file is malformed: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    /// It was written by another version.
    #[error("the share file is of format {0}; this version reads {VERSION}")]
    Version(u8),
    /// The share in it.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The share in it is another than its file says.
    #[error("the file says share {said} of set {set}, but holds another")]
    Mislabelled {
        /// The index it says.
        said: u8,
        /// The set it says, in hex.
        set: String,
    },
    /// It does not open with this key.
    #[error("the share of {holder} does not open")]
    Open {
        /// Who it is for.
        holder: String,
        /// Why.
        #[source]
        source: HpkeError,
    },
    /// It cannot be encrypted to the holder's key.
    #[error("cannot encrypt the share for {holder}")]
    Encrypt {
        /// Who it is for.
        holder: String,
        /// Why.
        #[source]
        source: HpkeError,
    },
    /// The memory.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// A share file that was read.
pub enum ShareFile {
    /// The share lies open in it.
    Clear(Share),
    /// The share is encrypted to its holder.
    Encrypted(EncryptedShare),
}

/// A share that only its holder can read.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct EncryptedShare {
    #[n(0)]
    version: u8,
    #[n(1)]
    holder: String,
    #[n(2)]
    set: ByteArray<16>,
    #[n(3)]
    index: u8,
    #[n(4)]
    sealed: Sealed,
}

impl ShareFile {
    /// Reads a share file.
    ///
    /// # Errors
    ///
    /// When it is not one, or damaged.
    pub fn read(text: &[u8]) -> Result<Self, ShareFileError> {
        let mut body = LockedBytes::empty()?;
        let (label, written) = pem_rfc7468::decode(text, body.page_mut()).map_err(ShareFileError::Pem)?;
        let length = written.len();
        body.set_length(length);
        let content = body.as_bytes().split_last_chunk::<CHECKSUM>();
        let (content, sum) = content.ok_or(ShareFileError::Checksum)?;
        if checksum(content) != *sum {
            return Err(ShareFileError::Checksum);
        }
        match label {
            CLEAR => Ok(Self::Clear(Share::decode(content)?)),
            ENCRYPTED => {
                let share: EncryptedShare = codec::decode(content)?;
                if share.version != VERSION {
                    return Err(ShareFileError::Version(share.version));
                }
                Ok(Self::Encrypted(share))
            }
            other => Err(ShareFileError::Label(other.to_owned())),
        }
    }
}

impl EncryptedShare {
    /// Who it is for.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Which share of its set it is.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// The set it belongs to.
    pub fn set_id(&self) -> SetId {
        *self.set
    }

    /// Opens it with its holder's private key.
    ///
    /// # Errors
    ///
    /// When the key is another's, or the file was altered.
    pub fn open(&self, key: &RecipientKey) -> Result<Share, ShareFileError> {
        let opened = key.open(&self.info(), &[], &self.sealed);
        let opened = opened.map_err(|source| ShareFileError::Open { holder: self.holder.clone(), source })?;
        let share = Share::decode(&opened)?;
        if share.index() != self.index || share.set_id() != *self.set {
            return Err(ShareFileError::Mislabelled { said: self.index, set: hex(&*self.set) });
        }
        Ok(share)
    }

    fn info(&self) -> Vec<u8> {
        info(&self.holder, self.set, self.index)
    }
}

fn info(holder: &str, set: ByteArray<16>, index: u8) -> Vec<u8> {
    codec::encode(&("psdd share for its holder", VERSION, holder, set, index))
}

/// The file of a share in the clear; it is secret, and its mode should be 0600.
///
/// # Errors
///
/// When it cannot be written as PEM.
pub fn write_clear(share: &Share) -> Result<Zeroizing<String>, ShareFileError> {
    write(CLEAR, &share.encode())
}

/// The file of a share that only the holder of this key can open.
///
/// # Errors
///
/// When it cannot be encrypted to the key.
pub fn write_encrypted(share: &Share, holder: &str, key: &RecipientPublicKey) -> Result<String, ShareFileError> {
    let set = ByteArray::from(share.set_id());
    let sealed = key.seal(&info(holder, set, share.index()), &[], &share.encode());
    let sealed = sealed.map_err(|source| ShareFileError::Encrypt { holder: holder.to_owned(), source })?;
    let share = EncryptedShare { version: VERSION, holder: holder.to_owned(), set, index: share.index(), sealed };
    Ok(std::mem::take(&mut *write(ENCRYPTED, &codec::encode(&share))?))
}

fn write(label: &'static str, content: &[u8]) -> Result<Zeroizing<String>, ShareFileError> {
    let mut body = Zeroizing::new(Vec::with_capacity(ROOM));
    body.extend_from_slice(content);
    body.extend_from_slice(&checksum(content));
    let mut buffer = Zeroizing::new(vec![0; ROOM]);
    let text = pem_rfc7468::encode(label, LineEnding::LF, &body, &mut buffer).map_err(ShareFileError::Pem)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&digest(&SHA256, content).as_ref()[..CHECKSUM]);
    sum
}
