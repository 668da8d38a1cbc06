//! `psdd-hsm give-share`: an operator's share given at the console, when `psdd` is not there to carry it.
//!
//! The share goes the same way as from afar: sealed to the keeper's offer, which the host identity key must have signed.
//! The command runs on the host, so it takes that key from there; from anywhere else `psdctl` takes it from genesis.

use crate::config::{Checked, ConfigError, Serials};
use crate::host_identity::{self, HostIdentityError};
use crate::unseal::{self, UnsealError};
use psdd_seal::{Answer, HpkeError, LockError, LockedBytes, RecipientKey, SealShareError, ShareFile, ShareFileError};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Why a share was not given.
#[derive(Debug, thiserror::Error)]
pub enum GiveShareError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It names no unseal socket.
    #[error("{0}: unseal_socket is missing: no PIN is sealed")]
    NoSocket(PathBuf),
    /// The host identity key.
    #[error(transparent)]
    Host(#[from] HostIdentityError),
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The memory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The share's file.
    #[error(transparent)]
    File(#[from] ShareFileError),
    /// The holder's key.
    #[error("the key of the holder")]
    HolderKey(#[source] HpkeError),
    /// The share is encrypted, and no key is given.
    #[error("the share is encrypted to {0}: --holder-key FILE is needed")]
    Encrypted(String),
    /// It was not sealed.
    #[error(transparent)]
    Seal(#[from] SealShareError),
    /// The keeper was not heard.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
}

/// Gives a share to the keeper of this configuration.
///
/// # Errors
///
/// When the share or the keeper's offer is not right, or the keeper does not answer.
pub fn give_share(config: &Path, share: &Path, holder_key: Option<&Path>) -> Result<Answer, GiveShareError> {
    let checked = Checked::load(config, Serials::Required)?;
    let socket = checked.config.unseal_socket.as_ref().ok_or_else(|| GiveShareError::NoSocket(config.to_owned()))?;
    let share = match ShareFile::read(read(share)?.as_bytes())? {
        ShareFile::Clear(share) => share,
        ShareFile::Encrypted(share) => {
            let path = holder_key.ok_or_else(|| GiveShareError::Encrypted(share.holder().to_owned()))?;
            let key = RecipientKey::from_pem(read(path)?.as_bytes()).map_err(GiveShareError::HolderKey)?;
            share.open(&key)?
        }
    };
    let offer = unseal::offer(socket, PATIENCE)?;
    let host = host_identity::load(&checked)?;
    let sealed = psdd_seal::seal_share(&offer, host.public(), &share)?;
    Ok(unseal::submit(socket, &sealed, PATIENCE)?)
}

/// Reads a secret file into locked memory; what is longer than a page is neither a share nor a key.
fn read(path: &Path) -> Result<LockedBytes, GiveShareError> {
    let failed = |source| GiveShareError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = LockedBytes::empty()?;
    let mut length = 0;
    loop {
        match file.read(&mut bytes.page_mut()[length..]).map_err(failed)? {
            0 => break,
            read => length += read,
        }
    }
    bytes.set_length(length);
    Ok(bytes)
}
