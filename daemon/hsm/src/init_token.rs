//! `psdd-hsm init-token`: makes a token of the configured label, and its wrapping key where the profile has one, for development and for the first day of an HSM.
//!
//! Refuses when a token of the label exists: C_InitToken destroys what a token holds. Runs in a process of its own,
//! because the module it loads needs the worker's environment.

use crate::config::{Checked, ConfigError, Serials};
use crate::secret::{Pin, PinError};
use crate::worker::{token, wrapping};
use cryptoki::context::Pkcs11;
use cryptoki::error::Error;
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum InitTokenError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A PIN cannot be read.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A PIN is not text, which C_InitToken and C_InitPIN take.
    #[error("the {0} PIN is not UTF-8")]
    PinNotText(&'static str),
    /// The process for the module.
    #[error("cannot run a process for the module")]
    Process(#[source] io::Error),
    /// That process failed; it has said why.
    #[error("the process for the module ended with {0}")]
    Failed(ExitStatus),
    /// No module is where it should be.
    #[error("none of the modules of the profile exists: {0:?}")]
    NoModule(Vec<PathBuf>),
    /// A PKCS#11 call.
    #[error("{0}")]
    Call(#[from] Error),
    /// There is such a token.
    #[error("a token labelled {label:?} exists already, with serial {serial:?}; nothing was changed")]
    Exists {
        /// The label.
        label: String,
        /// Its serial number.
        serial: String,
    },
    /// There is no slot for a token.
    #[error("no slot has a token that is not initialised yet")]
    NoSlot,
    /// The token that was made is not there.
    #[error("the token was initialised, but none is labelled {0:?} now")]
    Vanished(String),
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MadeToken {
    /// CK_TOKEN_INFO.serialNumber, for the configuration.
    pub serial: String,
    /// CK_TOKEN_INFO.label.
    pub label: String,
}

/// Starts this program again with the worker's environment, to make the token there.
///
/// # Errors
///
/// When that process cannot be run or fails.
pub fn run_in_process(config: &Path, name: &str, so_pin_file: &Path) -> Result<(), InitTokenError> {
    let checked = Checked::load(config, Serials::Optional)?;
    let token = &checked.config.tokens[checked.index_of(name)?];
    let mut command = Command::new("/proc/self/exe");
    command.args(["init-token", "--in-process", "--token", name]);
    command.arg("--config").arg(config).arg("--so-pin-file").arg(so_pin_file).envs(&token.environment);
    let status = command.status().map_err(InitTokenError::Process)?;
    if status.success() { Ok(()) } else { Err(InitTokenError::Failed(status)) }
}

/// Makes the token, in this process.
///
/// # Errors
///
/// When any step fails; a token of the label is never touched.
pub fn init_token(config: &Path, name: &str, so_pin_file: &Path) -> Result<MadeToken, InitTokenError> {
    let checked = Checked::load(config, Serials::Optional)?;
    let index = checked.index_of(name)?;
    let token = &checked.config.tokens[index];
    let so_pin = text(&Pin::read_file(so_pin_file)?, "SO")?;
    let user_pin = text(&token.read_pin()?, "user")?;
    let modules = &checked.profile(index).modules;
    let module = token.module.as_ref().or_else(|| modules.iter().find(|path| path.exists()));
    let pkcs11 = token::load(module.ok_or_else(|| InitTokenError::NoModule(modules.clone()))?)?;

    if let Some((_, serial)) = find(&pkcs11, &token.label)? {
        return Err(InitTokenError::Exists { label: token.label.clone(), serial });
    }
    let slot = first_empty(&pkcs11)?.ok_or(InitTokenError::NoSlot)?;
    pkcs11.init_token(slot, &so_pin, &token.label)?;
    // The slot may have another number now: SoftHSM numbers slots by their tokens' serials.
    let (slot, serial) = find(&pkcs11, &token.label)?.ok_or_else(|| InitTokenError::Vanished(token.label.clone()))?;
    let session = pkcs11.open_rw_session(slot)?;
    session.login(UserType::So, Some(&so_pin))?;
    session.init_pin(&user_pin)?;
    if let Some(rules) = &checked.profile(index).wrapping {
        let prepared = wrapping::prepare(&session, rules)?;
        session.logout()?;
        session.login(UserType::User, Some(&user_pin))?;
        wrapping::install(&session, rules, prepared)?;
    }
    session.logout()?;
    Ok(MadeToken { serial, label: token.label.clone() })
}

fn text(pin: &Pin, whose: &'static str) -> Result<AuthPin, InitTokenError> {
    match str::from_utf8(pin.as_bytes()) {
        Ok(text) => Ok(AuthPin::from(text)),
        Err(_) => Err(InitTokenError::PinNotText(whose)),
    }
}

fn find(pkcs11: &Pkcs11, label: &str) -> Result<Option<(Slot, String)>, Error> {
    for slot in pkcs11.get_slots_with_initialized_token()? {
        let info = pkcs11.get_token_info(slot)?;
        if info.label() == label {
            return Ok(Some((slot, info.serial_number().to_owned())));
        }
    }
    Ok(None)
}

fn first_empty(pkcs11: &Pkcs11) -> Result<Option<Slot>, Error> {
    for slot in pkcs11.get_slots_with_token()? {
        if !pkcs11.get_token_info(slot)?.token_initialized() {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}
