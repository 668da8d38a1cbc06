//! `psdd-hsm split-pin`: the PIN of a token, split among operators at a ceremony.
//!
//! Writes a file for each share into a directory of the ceremony, and then the set, which is public, into the state
//! directory: only with that do the shares count. A new set takes the place of an older one, whose shares are void
//! from then on. The token is not asked: a login may cost a try.

use crate::config::{Checked, ConfigError, Serials};
use crate::durable;
use crate::secret::{Pin, PinError};
use psdd_seal::{
    HpkeError, RecipientPublicKey, Share, ShareFileError, ShareSet, ShareSetError, SplitError, TokenName, write_clear,
    write_encrypted,
};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Who gets a share, and the key it is encrypted to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The holder's name: letters, digits, dots, dashes and underscores.
    pub name: String,
    /// The holder's public key, P-256 or X25519.
    pub key: RecipientPublicKey,
}

/// How a PIN is to be split.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SplitPlan {
    /// The token's name in psdd-hsm.toml.
    pub token: String,
    /// How many shares are needed, 2 or more.
    pub threshold: u8,
    /// How many shares are made, at most 16.
    pub shares: u8,
    /// Who gets them, in order; shares beyond the list are written in the clear.
    pub holders: Vec<Holder>,
    /// The file with the PIN, in place of the one that the configuration names.
    pub pin_file: Option<PathBuf>,
    /// The directory of the ceremony; made 0700 where it is missing.
    pub out: PathBuf,
}

/// One share that was given out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GivenShare {
    /// Its index, from 1.
    pub index: u8,
    /// Its holder; none where it lies in the clear.
    pub holder: Option<String>,
    /// Its file.
    pub path: PathBuf,
}

/// Shares that were made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SplitPin {
    /// The set, as the keeper has it.
    pub set: ShareSet,
    /// The shares, by index.
    pub shares: Vec<GivenShare>,
}

/// Why a PIN was not split, or a set not found. The set in force stands.
#[derive(Debug, thiserror::Error)]
pub enum SplitPinError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The PIN.
    #[error("the PIN of token {token}")]
    Pin {
        /// The token's name.
        token: String,
        /// Why.
        #[source]
        source: PinError,
    },
    /// A holder's name.
    #[error("holder {0:?}: a name is made of letters, digits, '.', '-' and '_', and no two are alike")]
    HolderName(String),
    /// A holder's key.
    #[error("the public key of {holder}")]
    HolderKey {
        /// The holder.
        holder: String,
        /// Why.
        #[source]
        source: HpkeError,
    },
    /// More holders than shares.
    #[error("{holders} holders for {shares} shares")]
    Holders {
        /// How many holders.
        holders: usize,
        /// How many shares.
        shares: u8,
    },
    /// The splitting.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// A share's file.
    #[error(transparent)]
    File(#[from] ShareFileError),
    /// A file cannot be read or written.
    #[error("{path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no set for a token whose PIN is sealed.
    #[error(
        "token {token}: pin_sealed = true, but {path} is missing: `psdd-hsm split-pin` writes it, and a copy beside the shares"
    )]
    NoSet {
        /// The token's name.
        token: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// The file of the set is damaged.
    #[error("{path} is not right; its copy is beside the shares of the ceremony")]
    Set {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ShareSetError,
    },
    /// The set is of another token.
    #[error(
        "{path} is of the token with serial {found_serial:?} and label {found_label:?}, not of token {token}: split its PIN"
    )]
    OtherToken {
        /// The token's name.
        token: String,
        /// The file.
        path: PathBuf,
        /// The serial number in it.
        found_serial: String,
        /// The label in it.
        found_label: String,
    },
}

impl Holder {
    /// Takes a holder and the text of a public key, PEM.
    ///
    /// # Errors
    ///
    /// When the name cannot stand in a file name, or the key is not one of P-256 or X25519.
    pub fn new(name: &str, key: &[u8]) -> Result<Self, SplitPinError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(allowed) {
            return Err(SplitPinError::HolderName(name.to_owned()));
        }
        let key = RecipientPublicKey::from_pem(key);
        let key = key.map_err(|source| SplitPinError::HolderKey { holder: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), key })
    }
}

/// Splits the PIN of a token as planned.
///
/// # Errors
///
/// When any step fails; files of shares that were written by then are void.
pub fn split_pin(config: &Path, plan: &SplitPlan) -> Result<SplitPin, SplitPinError> {
    let checked = Checked::load(config, Serials::Required)?;
    let token = &checked.config.tokens[checked.index_of(&plan.token)?];
    check_holders(plan)?;
    let pin = match &plan.pin_file {
        Some(path) => Pin::read_file(path),
        None => token.read_pin(),
    };
    let pin = pin.map_err(|source| SplitPinError::Pin { token: token.name.clone(), source })?;
    let name = TokenName { label: token.label.clone(), serial: token.serial.clone().unwrap_or_default() };
    let (set, shares) = psdd_seal::split(name, pin.as_bytes(), plan.threshold, plan.shares)?;
    drop(pin);

    let make = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_at(path));
    make(&plan.out)?;
    make(&checked.config.state_dir)?;
    let mut given = Vec::with_capacity(shares.len());
    for (place, share) in shares.iter().enumerate() {
        given.push(give(plan, share, plan.holders.get(place))?);
    }
    let copy = plan.out.join(format!("{}.share-set", plan.token));
    durable::replace(&copy, &set.encode()).map_err(io_at(&copy))?;
    // Last, so that a set in force has all its shares.
    let path = set_path(&checked, &plan.token);
    durable::replace(&path, &set.encode()).map_err(io_at(&path))?;
    Ok(SplitPin { set, shares: given })
}

fn check_holders(plan: &SplitPlan) -> Result<(), SplitPinError> {
    if plan.holders.len() > usize::from(plan.shares) {
        return Err(SplitPinError::Holders { holders: plan.holders.len(), shares: plan.shares });
    }
    let mut names = BTreeSet::new();
    match plan.holders.iter().find(|holder| !names.insert(&holder.name)) {
        Some(twice) => Err(SplitPinError::HolderName(twice.name.clone())),
        None => Ok(()),
    }
}

fn give(plan: &SplitPlan, share: &Share, holder: Option<&Holder>) -> Result<GivenShare, SplitPinError> {
    let stem = format!("{}.share-{}-of-{}", plan.token, share.index(), plan.shares);
    let (path, written) = match holder {
        Some(holder) => {
            let path = plan.out.join(format!("{stem}.{}.pem", holder.name));
            let text = write_encrypted(share, &holder.name, &holder.key)?;
            let written = durable::create_new(&path, text.as_bytes());
            (path, written)
        }
        None => {
            let path = plan.out.join(format!("{stem}.pem"));
            let text = write_clear(share)?;
            let written = durable::create_new(&path, text.as_bytes());
            (path, written)
        }
    };
    written.map_err(io_at(&path))?;
    Ok(GivenShare { index: share.index(), holder: holder.map(|holder| holder.name.clone()), path })
}

/// Reads the set in force of a token whose PIN is sealed.
///
/// # Errors
///
/// When there is none, or it is another token's.
pub fn read_set(checked: &Checked, index: usize) -> Result<ShareSet, SplitPinError> {
    let token = &checked.config.tokens[index];
    let path = set_path(checked, &token.name);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SplitPinError::NoSet { token: token.name.clone(), path });
        }
        Err(source) => return Err(SplitPinError::Io { path, source }),
    };
    let set = match ShareSet::decode(&bytes) {
        Ok(set) => set,
        Err(source) => return Err(SplitPinError::Set { path, source }),
    };
    let found = set.token();
    if found.label != token.label || Some(&found.serial) != token.serial.as_ref() {
        let (found_serial, found_label) = (found.serial.clone(), found.label.clone());
        return Err(SplitPinError::OtherToken { token: token.name.clone(), path, found_serial, found_label });
    }
    Ok(set)
}

fn set_path(checked: &Checked, token: &str) -> PathBuf {
    checked.config.state_dir.join(format!("{token}.share-set"))
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> SplitPinError {
    move |source| SplitPinError::Io { path: path.to_owned(), source }
}

impl std::fmt::Display for SplitPin {
    /// The table for the ceremony's page.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (set, token) = (&self.set, self.set.token());
        writeln!(f, "token    label {:?}, serial {:?}", token.label, token.serial)?;
        let id: String = set.id().iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(f, "set      {id}")?;
        writeln!(f, "needed   {} of {}", set.threshold(), set.shares())?;
        for share in &self.shares {
            let holder = share.holder.as_deref().unwrap_or("in the clear");
            writeln!(f, "share {:2} {:24} {}", share.index, holder, share.path.display())?;
        }
        Ok(())
    }
}
