//! `psdd-hsm init-host`: the host identity key, and how the keeper finds it again.
//!
//! Owns `state_dir/host-identity.pem`. Refuses to replace a key: genesis pins its public half.

use crate::config::{Checked, ConfigError, Serials, credential_path};
use crate::durable;
use psdd_seal::{HostKey, HostKeyError, HostPublicKey};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why there is no host identity key.
#[derive(Debug, thiserror::Error)]
pub enum HostIdentityError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is none.
    #[error("there is no host identity key in {0}; `psdd-hsm init-host` makes one")]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("cannot read the host identity key {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the host identity key {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not such a key.
    #[error("the host identity key {path} is not right")]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: HostKeyError,
    },
}

/// Whether [`init_host`] made the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    /// It did.
    Now,
    /// It was there, and was left as it is.
    Before,
}

/// Makes the host identity key where there is none; gives its public half.
///
/// # Errors
///
/// When it cannot be made, or the one that is there cannot be read.
pub fn init_host(config: &Path) -> Result<(HostPublicKey, Made), HostIdentityError> {
    let checked = Checked::load(config, Serials::Optional)?;
    let path = path(&checked);
    if checked.config.host_key_credential.is_some() || path.exists() {
        return Ok((load(&checked)?.public().clone(), Made::Before));
    }
    let failed = |source| HostIdentityError::Write { path: path.clone(), source };
    let state_dir = &checked.config.state_dir;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(failed)?;
    let pem = HostKey::generate().map_err(|source| HostIdentityError::Key { path: path.clone(), source })?;
    durable::create_new(&path, pem.as_bytes()).map_err(failed)?;
    Ok((load(&checked)?.public().clone(), Made::Now))
}

/// Reads the host identity key.
///
/// # Errors
///
/// When there is none, or it is not right.
pub fn load(checked: &Checked) -> Result<HostKey, HostIdentityError> {
    let path = path(checked);
    let pem = match fs::read(&path) {
        Ok(pem) => Zeroizing::new(pem),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(HostIdentityError::Missing(path)),
        Err(source) => return Err(HostIdentityError::Read { path, source }),
    };
    HostKey::from_pem(&pem).map_err(|source| HostIdentityError::Key { path, source })
}

fn path(checked: &Checked) -> PathBuf {
    match &checked.config.host_key_credential {
        Some(name) => credential_path(name),
        None => checked.config.state_dir.join("host-identity.pem"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_host_key_is_made_once_and_readable_by_nobody_else() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (config, state) = (directory.path().join("psdd-hsm.toml"), directory.path().join("state"));
        let text = format!(
            "state_dir = \"{}\"\n[[token]]\nname = \"a\"\nprofile = \"softhsm2\"\nlabel = \"a\"\npin_file = \"/p\"\nsocket = \"/s\"\n",
            state.display()
        );
        fs::write(&config, text).expect("written");
        let (made, first) = init_host(&config).expect("made");
        let (found, second) = init_host(&config).expect("found");
        assert_eq!((first, second), (Made::Now, Made::Before));
        assert_eq!(made, found);
        let file = state.join("host-identity.pem");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);

        fs::write(&file, "no key").expect("written");
        assert!(matches!(init_host(&config), Err(HostIdentityError::Key { .. })));
        fs::remove_file(&file).expect("removed");
        let checked = Checked::load(&config, Serials::Optional).expect("good");
        assert!(matches!(load(&checked), Err(HostIdentityError::Missing(missing)) if missing == file));
    }
}
