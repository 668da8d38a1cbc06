//! psdd-seal: sealed start. The PIN of a token is split among operators, and each share travels sealed to the keeper.
//!
//! Owns the formats: the share and its file, the set it belongs to, the keeper's signed offer, the envelope of a share.
//! No sockets, no files, no PKCS#11. `psdd-hsm` splits and gathers with it, `psdctl` seals with it, `psdd` carries
//! bytes of it that it cannot read.
//!
//! The secret is encrypted under a random key, and that key is split (Shamir over GF(256), vsss-rs). So every share is
//! 32 random bytes, of which a hash may be published: the set names each share's commitment, and a share that was
//! altered or belongs elsewhere is named before anything is combined, let alone tried on a token.

#![forbid(unsafe_code)]

mod answer;
mod codec;
mod desk;
mod envelope;
mod file;
mod gather;
mod host_key;
mod hpke;
mod locked;
mod offer;
mod set;
mod share;

pub use answer::{Answer, AnswerError, Refusal};
pub use desk::{Desk, DeskError, SealedToken, Taken};
pub use envelope::{SealShareError, seal_share};
pub use file::{EncryptedShare, ShareFile, ShareFileError, write_clear, write_encrypted};
pub use gather::{Gathering, Progress, ShareRefused};
pub use host_key::{HostKey, HostKeyError, HostPublicKey};
pub use hpke::{HpkeError, RecipientKey, RecipientPublicKey};
pub use locked::{LOCKED_CAPACITY, LockError, LockedBytes};
pub use offer::{Offer, OfferError, TokenOffer};
pub use set::{MAX_SECRET, MAX_SHARES, SetId, ShareSet, ShareSetError, SplitError, TokenName, split};
pub use share::{Share, ShareError};
