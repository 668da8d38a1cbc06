//! `psdctl.toml`: where the appliance is and with which files to meet it.

use psd::PsdId;
use psdd_client::{ClientConfig, Files, Verification};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "psdctl.toml";

/// The file as written; relative paths are relative to it.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct CtlConfig {
    /// `host:port` of the vendor door.
    pub endpoint: String,
    /// Name in the server's certificate.
    pub server_name: String,
    /// CA of the server's certificate, PEM.
    pub server_ca: PathBuf,
    /// Client certificate, PEM.
    pub client_cert: PathBuf,
    /// Client key, PEM.
    pub client_key: PathBuf,
    /// The postal authority's root, PEM.
    pub authority_root: PathBuf,
    /// The PSD used where a command names none.
    #[serde(default)]
    pub psd: Option<String>,
    /// Certificates of PSD keys and their issuers for offline verification, PEM.
    #[serde(default)]
    pub certificates: Option<PathBuf>,
    /// The authority's funds system, for commands that go there by themselves.
    #[serde(default)]
    pub funds: Option<FundsConfig>,
    /// The operator door, for the groups of operators.
    #[serde(default)]
    pub operator: Option<DoorConfig>,
    /// The authority door, for inspectors.
    #[serde(default)]
    pub authority: Option<AuthorityDoor>,
}

/// `[authority]`: the authority door, and what an inspector keeps of it.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct AuthorityDoor {
    /// `host:port`.
    pub endpoint: String,
    /// Name in its certificate.
    pub server_name: String,
    /// CA of its certificate, PEM.
    pub server_ca: PathBuf,
    /// Client certificate there, PEM.
    pub client_cert: PathBuf,
    /// Its key, PEM.
    pub client_key: PathBuf,
    /// Directory of the mirror of the log; `inspection` where absent.
    #[serde(default)]
    pub mirror: Option<PathBuf>,
    /// Whether a development appliance that nobody countersigned will do at the first use of a mirror.
    #[serde(default)]
    pub development: bool,
}

impl AuthorityDoor {
    /// The files of the door, to be resolved.
    pub(crate) fn paths_mut(&mut self) -> [&mut PathBuf; 3] {
        [&mut self.server_ca, &mut self.client_cert, &mut self.client_key]
    }

    /// How the door is reached.
    pub fn door(&self) -> DoorConfig {
        DoorConfig {
            endpoint: self.endpoint.clone(),
            server_name: self.server_name.clone(),
            server_ca: self.server_ca.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
        }
    }
}

/// `[operator]`: a door with CAs of its own, for the server as for clients.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct DoorConfig {
    /// `host:port`.
    pub endpoint: String,
    /// Name in its certificate.
    pub server_name: String,
    /// CA of its certificate, PEM.
    pub server_ca: PathBuf,
    /// Client certificate there, PEM.
    pub client_cert: PathBuf,
    /// Its key, PEM.
    pub client_key: PathBuf,
}

impl DoorConfig {
    /// The files, to be resolved.
    pub fn paths_mut(&mut self) -> [&mut PathBuf; 3] {
        [&mut self.server_ca, &mut self.client_cert, &mut self.client_key]
    }

    /// The configuration of a client there.
    pub fn client(&self) -> ClientConfig {
        let files = Files {
            server_ca: self.server_ca.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            authority_root: None,
        };
        let client = ClientConfig::new(&self.endpoint, &self.server_name, files);
        ClientConfig { verification: Verification::Registers, ..client }
    }
}

/// `[funds]`: the authority's funds system.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct FundsConfig {
    /// `host:port`.
    pub endpoint: String,
    /// Name in its certificate.
    pub server_name: String,
    /// CA of its certificate, PEM.
    pub server_ca: PathBuf,
    /// Client certificate there, PEM.
    pub client_cert: PathBuf,
    /// Its key, PEM.
    pub client_key: PathBuf,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error(
        "no configuration at {}; write one, or name it with --config or PSDCTL_CONFIG \
         (`psdctl dev up` writes one for a development appliance)", .path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("configuration {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not the TOML wanted.
    #[error("configuration {}:\n{source}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// No PSD is named.
    #[error("no PSD named: pass --psd ID, or set psd = \"…\" in psdctl.toml (`psdctl vendor psds` lists them)")]
    NoPsd,
    /// The funds system is not configured.
    #[error(
        "psdctl.toml has no [funds]: carry the statements by hand with `psdctl vendor value-request` and `value-apply`, \
         or say there how the authority's funds system is reached"
    )]
    NoFunds,
    /// What is named is no device ID.
    #[error(transparent)]
    Psd(#[from] psd::id::NameError),
}

impl CtlConfig {
    /// Reads the file named, or `psdctl.toml` in the directory named, or in the current one.
    pub fn read(named: Option<&Path>) -> Result<Self, ConfigError> {
        let (mut config, base) = read_as::<Self>(named)?;
        let files =
            [&mut config.server_ca, &mut config.client_cert, &mut config.client_key, &mut config.authority_root];
        let funds = config.funds.iter_mut().flat_map(|f| [&mut f.server_ca, &mut f.client_cert, &mut f.client_key]);
        for file in files.into_iter().chain(&mut config.certificates).chain(funds) {
            *file = base.join(&*file);
        }
        Ok(config)
    }

    /// The same, but `None` where no file was named and none lies in the current directory.
    pub fn read_if_present(named: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        match Self::read(named) {
            Ok(config) => Ok(Some(config)),
            Err(ConfigError::Missing { .. }) if named.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The configuration of the SDK.
    pub fn client(&self) -> ClientConfig {
        let files = Files {
            server_ca: self.server_ca.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            authority_root: Some(self.authority_root.clone()),
        };
        ClientConfig::new(&self.endpoint, &self.server_name, files)
    }

    /// The configuration of a client of the funds system.
    pub fn funds_client(&self) -> Result<ClientConfig, ConfigError> {
        let funds = self.funds.as_ref().ok_or(ConfigError::NoFunds)?;
        let files = Files {
            server_ca: funds.server_ca.clone(),
            client_cert: funds.client_cert.clone(),
            client_key: funds.client_key.clone(),
            authority_root: None,
        };
        let client = ClientConfig::new(&funds.endpoint, &funds.server_name, files);
        Ok(ClientConfig { verification: Verification::Registers, ..client })
    }

    /// The PSD a command shall use.
    pub fn psd(&self, named: Option<&str>) -> Result<PsdId, ConfigError> {
        let text = named.or(self.psd.as_deref()).ok_or(ConfigError::NoPsd)?;
        Ok(text.parse()?)
    }
}

/// What a group needs of the file, and the directory that its paths are relative to.
pub(crate) fn read_as<T: DeserializeOwned>(named: Option<&Path>) -> Result<(T, PathBuf), ConfigError> {
    let path = place(named);
    let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing { path: path.clone() },
        _ => ConfigError::Unreadable { path: path.clone(), source },
    })?;
    let config = toml::from_str(&text)
        .map_err(|source| ConfigError::Malformed { path: path.clone(), source: Box::new(source) })?;
    Ok((config, path.parent().unwrap_or(Path::new("")).to_owned()))
}

pub(crate) fn place(named: Option<&Path>) -> PathBuf {
    match named {
        Some(named) if named.is_dir() => named.join(NAME),
        Some(named) => named.to_owned(),
        None => PathBuf::from(NAME),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "endpoint = \"localhost:8443\"\nserver_name = \"localhost\"\nserver_ca = \"tls/ca.pem\"\n\
        client_cert = \"c.pem\"\nclient_key = \"k.pem\"\nauthority_root = \"/abs/root.pem\"\npsd = \"PS010000001\"\n";

    #[test]
    fn paths_are_relative_to_the_file_and_unknown_fields_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), TEXT).unwrap();
        let config = CtlConfig::read(Some(dir.path())).unwrap();
        assert_eq!(config.server_ca, dir.path().join("tls/ca.pem"));
        assert_eq!(config.authority_root, Path::new("/abs/root.pem"));
        assert_eq!(config.psd(None).unwrap().to_string(), "PS010000000001");
        assert_eq!(config.psd(Some("PS020000007")).unwrap().serial(), 7);
        std::fs::write(dir.path().join(NAME), format!("{TEXT}verify = false\n")).unwrap();
        let error = CtlConfig::read(Some(&dir.path().join(NAME))).unwrap_err().to_string();
        assert!(error.contains("unknown field `verify`"), "{error}");
    }
}
