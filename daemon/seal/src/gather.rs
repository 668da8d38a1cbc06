//! Shares of one token as they come in, until there are enough.
//!
//! Refuses and names what does not belong; a share that is refused changes nothing. What is refused here is never
//! tried on a token.

use crate::locked::{LockError, LockedBytes};
use crate::set::ShareSet;
use crate::share::Share;

/// The shares of a token that are in.
pub struct Gathering {
    set: ShareSet,
    shares: Vec<Share>,
}

/// How far the shares of a token are.
pub enum Progress {
    /// So many are in, and more are needed.
    Waiting {
        /// How many are in.
        held: u8,
    },
    /// The secret.
    Complete(LockedBytes),
}

/// Why a share was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ShareRefused {
    /// It is of another set, made at another ceremony or for another token.
    #[error("share {index} is of set {found}; this token waits for shares of set {wanted}")]
    OtherSet {
        /// Its index.
        index: u8,
        /// Its set, in hex.
        found: String,
        /// The set that is waited for, in hex.
        wanted: String,
    },
    /// It is of the set by name, but not as it was made.
    #[error("share {index} of set {set} is not as it was made: it was altered, or damaged")]
    Altered {
        /// Its index.
        index: u8,
        /// Its set, in hex.
        set: String,
    },
    /// It is in already.
    #[error("share {index} is in already; another operator's is needed")]
    AlreadyIn {
        /// Its index.
        index: u8,
    },
    /// Each is as it was made, and yet they give nothing back: the set was damaged.
    #[error(
        "shares {indices:?} of set {set} do not give the PIN back, and no login was tried: the set is damaged. All are to be given again"
    )]
    DoNotCombine {
        /// Which.
        indices: Vec<u8>,
        /// Their set, in hex.
        set: String,
    },
    /// The memory.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Gathering {
    /// Waits for shares of this set.
    pub fn new(set: ShareSet) -> Self {
        Self { set, shares: Vec::new() }
    }

    /// The set.
    pub fn set(&self) -> &ShareSet {
        &self.set
    }

    /// The indices of the shares that are in, rising.
    pub fn held(&self) -> Vec<u8> {
        let mut held: Vec<u8> = self.shares.iter().map(Share::index).collect();
        held.sort_unstable();
        held
    }

    /// Takes a share. With the last one needed all are let go, whatever comes of them.
    ///
    /// # Errors
    ///
    /// When it does not belong, or the shares do not give the secret back.
    pub fn add(&mut self, share: Share) -> Result<Progress, ShareRefused> {
        let (index, set) = (share.index(), hex(&self.set.id()));
        if share.set_id() != self.set.id() {
            return Err(ShareRefused::OtherSet { index, found: hex(&share.set_id()), wanted: set });
        }
        if *share.set() != self.set || !share.is_intact() {
            return Err(ShareRefused::Altered { index, set });
        }
        if self.shares.iter().any(|held| held.index() == index) {
            return Err(ShareRefused::AlreadyIn { index });
        }
        self.shares.push(share);
        let held = u8::try_from(self.shares.len()).expect("no more shares than the set has");
        if held < self.set.threshold() {
            return Ok(Progress::Waiting { held });
        }
        let indices = self.held();
        let shares = std::mem::take(&mut self.shares);
        match self.set.combine(&shares)? {
            Some(secret) => Ok(Progress::Complete(secret)),
            None => Err(ShareRefused::DoNotCombine { indices, set }),
        }
    }
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
