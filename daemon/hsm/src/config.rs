//! The keeper's configuration.
//!
//! Owns its form and its checks. Refuses unknown fields; every error names file, line and field. Called by the
//! keeper and by the one-off commands.

use crate::secret::{Pin, PinError};
use crate::spec::WorkerSpec;
use hsm_profiles::{Profile, ProfileError, ProfileSource, ReadTomlError, parse_toml, read_toml};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Everything psdd-hsm is told.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where login marks are kept; must be on stable storage.
    pub state_dir: PathBuf,
    /// The Unix socket that shares of sealed PINs come in by; needed where a PIN is sealed.
    pub unseal_socket: Option<PathBuf>,
    /// The name of a systemd credential with the host identity key, in place of the file in `state_dir`.
    pub host_key_credential: Option<String>,
    /// The tokens.
    #[serde(rename = "token")]
    pub tokens: Vec<TokenConfig>,
}

/// One token and its worker.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// What psdd calls it: letters, digits, dots, dashes and underscores.
    pub name: String,
    /// A shipped profile, or the path of one.
    pub profile: String,
    /// CK_TOKEN_INFO.label.
    pub label: String,
    /// CK_TOKEN_INFO.serialNumber; may be absent only until `init-token` has printed it.
    pub serial: Option<String>,
    /// The file with the user PIN.
    pub pin_file: Option<PathBuf>,
    /// The name of a systemd credential with the user PIN, in place of `pin_file`.
    pub pin_credential: Option<String>,
    /// Whether operators give the user PIN in shares, in place of `pin_file`.
    #[serde(default)]
    pub pin_sealed: bool,
    /// The Unix socket psdd connects to.
    pub socket: PathBuf,
    /// The module, in place of the profile's.
    pub module: Option<PathBuf>,
    /// How many sessions sign, in place of the profile's.
    pub sessions: Option<u32>,
    /// Whether to sign with session copies, in place of the profile's.
    pub session_copy: Option<bool>,
    /// Variables for the worker, such as SOFTHSM2_CONF; it gets no others.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Deadlines in place of the profile's.
    #[serde(default)]
    pub deadlines: DeadlineOverrides,
}

/// Deadlines of calls, in milliseconds.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct DeadlineOverrides {
    /// C_SignInit and C_Sign together.
    pub sign_ms: Option<u64>,
    /// C_Login.
    pub login_ms: Option<u64>,
    /// C_GenerateKeyPair.
    pub generate_ms: Option<u64>,
    /// One find.
    pub find_ms: Option<u64>,
    /// Any other call.
    pub other_ms: Option<u64>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read, or is not of the form.
    #[error(transparent)]
    Toml(#[from] ReadTomlError),
    /// A field is of the form but not sensible.
    #[error("{path}:{line}: token.{field}: {problem}")]
    Field {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The field of the token.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A field beside the tokens is not sensible.
    #[error("{path}: {field}: {problem}")]
    Global {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A token's profile cannot be had.
    #[error("{path}:{line}: token.profile: {problem}")]
    Profile {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        problem: ProfileError,
    },
    /// It names no token.
    #[error("{0}: token: there is no token to keep")]
    NoToken(PathBuf),
    /// There is no token of this name.
    #[error("{path}: no token is named {name:?}")]
    UnknownToken {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

/// A configuration that was checked, with the profiles it names.
pub struct Checked {
    /// The file it came from.
    pub path: PathBuf,
    /// What it says.
    pub config: Config,
    tokens: Vec<CheckedToken>,
    text: String,
}

struct CheckedToken {
    source: ProfileSource,
    profile: Profile,
}

/// Whether tokens may be without a serial number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serials {
    /// All must have one: only serial number and label together tell a token.
    Required,
    /// `init-token` makes the token, so its number is not known yet.
    Optional,
}

impl Checked {
    /// Reads and checks a file, and the profiles it names.
    ///
    /// # Errors
    ///
    /// With the file, the line and the field that are wrong.
    pub fn load(path: &Path, serials: Serials) -> Result<Self, ConfigError> {
        let text = read_toml(path)?;
        let config: Config = parse_toml(&path.to_string_lossy(), &text)?;
        let mut checked = Self { path: path.to_owned(), config, tokens: Vec::new(), text };
        checked.check(serials)?;
        Ok(checked)
    }

    fn check(&mut self, serials: Serials) -> Result<(), ConfigError> {
        if self.config.tokens.is_empty() {
            return Err(ConfigError::NoToken(self.path.clone()));
        }
        let mut names = BTreeSet::new();
        let mut sockets = BTreeSet::new();
        for (index, token) in self.config.tokens.iter().enumerate() {
            let refuse = |field, problem: String| Err(self.field_error(index, field, problem));
            if !is_name(&token.name) {
                return refuse("name", format!("{:?} is not made of letters, digits, '.', '-' and '_'", token.name));
            }
            if !names.insert(&token.name) {
                return refuse("name", format!("{:?} is used twice", token.name));
            }
            if !sockets.insert(&token.socket) {
                return refuse("socket", format!("{} is used twice", token.socket.display()));
            }
            let sources = [token.pin_file.is_some(), token.pin_credential.is_some(), token.pin_sealed];
            if sources.into_iter().filter(|source| *source).count() != 1 {
                let problem = "exactly one of pin_file, pin_credential and pin_sealed = true is needed";
                return refuse("pin_file", problem.to_owned());
            }
            if token.serial.is_none() && serials == Serials::Required {
                return refuse("serial", "is missing; `psdd-hsm init-token` prints it".to_owned());
            }
            let source = ProfileSource::find(&token.profile);
            let parsed = source.and_then(|source| Ok((source.parse()?, source)));
            let (profile, source) = parsed.map_err(|problem| ConfigError::Profile {
                path: self.path.clone(),
                line: self.line_of(index, "profile"),
                problem,
            })?;
            let limit = profile.sessions.limit;
            if token.sessions.is_some_and(|sessions| sessions == 0 || sessions > limit) {
                return refuse("sessions", format!("must be 1 to {limit}, the limit of the profile"));
            }
            self.tokens.push(CheckedToken { source, profile });
        }
        self.check_unsealing(&sockets)
    }

    fn check_unsealing(&self, sockets: &BTreeSet<&PathBuf>) -> Result<(), ConfigError> {
        let refuse = |problem| Err(ConfigError::Global { path: self.path.clone(), field: "unseal_socket", problem });
        match &self.config.unseal_socket {
            None if self.config.tokens.iter().any(|token| token.pin_sealed) => {
                refuse("is missing; where pin_sealed = true, shares come in by it")
            }
            Some(socket) if sockets.contains(socket) => refuse("is the socket of a token"),
            None | Some(_) => Ok(()),
        }
    }

    fn field_error(&self, index: usize, field: &'static str, problem: String) -> ConfigError {
        ConfigError::Field { path: self.path.clone(), line: self.line_of(index, field), field, problem }
    }

    /// The line of a field of a token, or of the token where the field is absent.
    fn line_of(&self, index: usize, field: &str) -> usize {
        let lines = || self.text.lines().map(str::trim).enumerate().map(|(at, line)| (at + 1, line));
        let headers: Vec<usize> = lines().filter(|(_, line)| line.starts_with("[[token]]")).map(|(at, _)| at).collect();
        let from = headers.get(index).copied().unwrap_or(1);
        let to = headers.get(index + 1).copied().unwrap_or(usize::MAX);
        let is_field = |line: &str| line.split_once('=').is_some_and(|(key, _)| key.trim() == field);
        lines().find(|(at, line)| (from..to).contains(at) && is_field(line)).map_or(from, |(at, _)| at)
    }

    /// The place of the token of this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn index_of(&self, name: &str) -> Result<usize, ConfigError> {
        let found = self.config.tokens.iter().position(|token| token.name == name);
        found.ok_or_else(|| ConfigError::UnknownToken { path: self.path.clone(), name: name.to_owned() })
    }

    /// The profile of the token at this place.
    pub fn profile(&self, index: usize) -> &Profile {
        &self.tokens[index].profile
    }

    /// What the worker of the token at this place is told.
    pub fn worker_spec(&self, index: usize) -> WorkerSpec {
        let (token, checked) = (&self.config.tokens[index], &self.tokens[index]);
        let (profile, overrides) = (&checked.profile, &token.deadlines);
        WorkerSpec {
            token: token.name.clone(),
            label: token.label.clone(),
            serial: token.serial.clone().unwrap_or_default(),
            module: token.module.as_ref().map(|path| path.to_string_lossy().into_owned()),
            profile_origin: checked.source.origin.clone(),
            profile_text: checked.source.text.clone(),
            sessions: token.sessions.unwrap_or(profile.sessions.default),
            session_copy: token.session_copy.unwrap_or(profile.sessions.session_copy),
            sign_ms: overrides.sign_ms.unwrap_or(profile.deadlines.sign_ms),
            login_ms: overrides.login_ms.unwrap_or(profile.deadlines.login_ms),
            generate_ms: overrides.generate_ms.unwrap_or(profile.deadlines.generate_ms),
            find_ms: overrides.find_ms.unwrap_or(profile.deadlines.find_ms),
            other_ms: overrides.other_ms.unwrap_or(profile.deadlines.other_ms),
            state_dir: self.config.state_dir.to_string_lossy().into_owned(),
            keeper_pid: rustix::process::getpid().as_raw_nonzero().get(),
            clear_command: format!(
                "psdd-hsm clear-login-latch --config {} --token {}",
                self.path.display(),
                token.name
            ),
        }
    }
}

impl TokenConfig {
    /// Reads the user PIN from where the configuration says it is.
    ///
    /// # Errors
    ///
    /// When it cannot be read or locked.
    pub fn read_pin(&self) -> Result<Pin, PinError> {
        match (&self.pin_file, &self.pin_credential) {
            (Some(path), _) => Pin::read_file(path),
            (None, Some(credential)) => Pin::read_file(&credential_path(credential)),
            (None, None) => Err(PinError::Sealed),
        }
    }
}

/// Where systemd puts a credential of this name; relative where systemd passed none.
pub(crate) fn credential_path(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY").unwrap_or_default()).join(name)
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
state_dir = "/var/lib/psdd-hsm"
[[token]]
name = "a"
profile = "softhsm2"
label = "psdd-a"
serial = "0123456789abcdef"
pin_file = "/etc/psdd/pin"
socket = "/run/psdd-hsm/a.sock"
[token.environment]
SOFTHSM2_CONF = "/etc/softhsm2.conf"
"#;

    fn load(text: &str, serials: Serials) -> Result<Checked, String> {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("psdd-hsm.toml");
        std::fs::write(&path, text).expect("written");
        let message = |error: ConfigError| error.to_string().replace(&path.display().to_string(), "FILE");
        Checked::load(&path, serials).map_err(message)
    }

    #[test]
    fn a_good_configuration_loads_with_the_profile_s_defaults() {
        let checked = load(GOOD, Serials::Required).expect("good");
        let spec = checked.worker_spec(0);
        assert_eq!((spec.sessions, spec.session_copy, spec.sign_ms), (2, true, 5000));
    }

    #[test]
    fn errors_name_file_line_and_field() {
        let rows = [
            ("label = \"psdd-a\"", "lable = \"psdd-a\"", "FILE:6: token.lable: unknown field"),
            ("name = \"a\"", "name = \"a/b\"", "FILE:4: token.name: "),
            ("serial = \"0123456789abcdef\"\n", "", "FILE:3: token.serial: is missing"),
            ("pin_file = \"/etc/psdd/pin\"\n", "", "FILE:3: token.pin_file: exactly one"),
            ("pin_file = \"/etc/psdd/pin\"\n", "pin_sealed = true\n", "FILE: unseal_socket: is missing"),
            ("pin_file", "pin_sealed = true\npin_file", "FILE:9: token.pin_file: exactly one"),
            ("state_dir", "unseal_socket = \"/run/psdd-hsm/a.sock\"\nstate_dir", "FILE: unseal_socket: is the socket"),
            ("socket", "sessions = 65\nsocket", "FILE:9: token.sessions: must be 1 to 64"),
            ("\"softhsm2\"", "\"softhsm3\"", "FILE:5: token.profile: no profile named"),
        ];
        for (from, to, expected) in rows {
            let Err(message) = load(&GOOD.replacen(from, to, 1), Serials::Required) else {
                panic!("{to} was taken");
            };
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn the_example_of_the_units_holds() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/etc/psdd-hsm.toml");
        let checked = Checked::load(&path, Serials::Required).expect("good");
        assert_eq!(checked.config.state_dir, Path::new("/var/lib/psdd-hsm"));
        assert_eq!(checked.config.tokens[0].pin_credential.as_deref(), Some("user-pin"));
    }

    #[test]
    fn only_init_token_may_go_without_a_serial() {
        let text = GOOD.replace("serial = \"0123456789abcdef\"\n", "");
        assert!(load(&text, Serials::Optional).is_ok());
    }
}
