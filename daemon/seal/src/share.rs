//! One share of a set: its index, and 32 bytes that alone tell nothing.
//!
//! Refuses Debug and Clone; the value is in locked memory.

use crate::locked::{LockError, LockedBytes};
use crate::set::{SetId, ShareSet, ShareSetError, VALUE};
use zeroize::Zeroizing;

/// More than any share takes, so that its bytes are never moved while they are written.
const ROOM: usize = 2048;

/// One operator's share.
pub struct Share {
    set: ShareSet,
    index: u8,
    value: LockedBytes,
}

/// Why bytes are not a share.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// They are not of the form.
    #[error("not a share: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    /// Its set.
    #[error(transparent)]
    Set(#[from] ShareSetError),
    /// Its index is not one of its set.
    #[error("share {index} of {shares}: there is no such share")]
    Index {
        /// The index it has.
        index: u8,
        /// How many shares its set has.
        shares: u8,
    },
    /// Its value does not have 32 bytes.
    #[error("share {0} does not have {VALUE} bytes")]
    Length(u8),
    /// The memory.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Share {
    pub(crate) fn new(set: ShareSet, index: u8, value: &[u8]) -> Result<Self, LockError> {
        Ok(Self { set, index, value: LockedBytes::copy_of(value)? })
    }

    /// Reads a share. Whether it is as it was made, [`Share::is_intact`] says.
    ///
    /// # Errors
    ///
    /// When the bytes are not of the form.
    pub fn decode(bytes: &[u8]) -> Result<Self, ShareError> {
        let mut decoder = minicbor::Decoder::new(bytes);
        if decoder.array()? != Some(3) {
            return Err(minicbor::decode::Error::message("not an array of three").into());
        }
        let set = decoder.decode::<ShareSet>()?.checked()?;
        let index = decoder.u8()?;
        let value = decoder.bytes()?;
        if decoder.position() != bytes.len() {
            return Err(minicbor::decode::Error::message("bytes after the end").into());
        }
        if index == 0 || index > set.shares() {
            return Err(ShareError::Index { index, shares: set.shares() });
        }
        if value.len() != VALUE {
            return Err(ShareError::Length(index));
        }
        Ok(Self::new(set, index, value)?)
    }

    /// The bytes of the share; they are secret.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        let mut encoder = minicbor::Encoder::new(&mut *bytes);
        let written = encoder.array(3).and_then(|e| e.encode(&self.set)).and_then(|e| e.u8(self.index));
        match written.and_then(|e| e.bytes(self.value()).map(drop)) {
            Ok(()) => bytes,
            Err(error) => unreachable!("writing to memory cannot fail: {error}"),
        }
    }

    /// The set it belongs to.
    pub fn set(&self) -> &ShareSet {
        &self.set
    }

    /// The name of its set.
    pub fn set_id(&self) -> SetId {
        self.set.id()
    }

    /// Which share of its set it is, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Whether its value is the one its own set says it was made with.
    pub fn is_intact(&self) -> bool {
        self.set.commits_to(self.index, self.value())
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.value.as_bytes()
    }
}
