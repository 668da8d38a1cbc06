//! The token: the module loaded, the slot found, the one login made.
//!
//! Owns the way from a path to a logged-in session. Refuses to guess: the token is told by serial number and label
//! together, never by its slot, and a login that may have cost a try of the PIN is never tried again.

use super::fault::{Classifier, Fault, login_may_have_cost_a_try};
use super::watch::{Call, CallSlot, Watch};
use crate::login_marker::{LoginMarker, MarkerError};
use crate::protocol::{TokenIdentity, WorkerState};
use crate::secret::Pin;
use crate::spec::WorkerSpec;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::Error;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use hsm_profiles::Profile;
use std::path::PathBuf;

/// A token that is logged in.
pub struct Token {
    pkcs11: Pkcs11,
    slot: Slot,
    /// What it says of itself.
    pub identity: TokenIdentity,
    /// The most sessions it lets this process have, where it says so.
    pub max_sessions: Option<u64>,
    /// Judges its errors.
    pub classifier: Classifier,
}

/// Why a token could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No module is where it should be.
    #[error("none of the modules of the profile exists: {0:?}")]
    NoModule(Vec<PathBuf>),
    /// A call failed before the login.
    #[error("{}: {}", .0.step, .0.code)]
    Call(Fault),
    /// There is no such token, or more than one.
    #[error("{found} tokens have serial {serial:?} and label {label:?}; exactly one must")]
    NotFound {
        /// How many.
        found: usize,
        /// The configured serial number.
        serial: String,
        /// The configured label.
        label: String,
    },
    /// The login failed and is not tried again.
    #[error("login latched: {0}")]
    Latched(String),
    /// The login mark could not be written or removed, so no login is tried.
    #[error(transparent)]
    Marker(#[from] MarkerError),
}

impl Token {
    /// Loads the module, finds the token and logs in; gives the session that stays open for everything but signing.
    ///
    /// # Errors
    ///
    /// When any step fails; the worker ends then.
    pub fn open(
        spec: &WorkerSpec,
        profile: &Profile,
        pin: Pin,
        watch: &Watch,
        slot: &CallSlot,
    ) -> Result<(Self, Session), OpenError> {
        let classifier = Classifier::new(profile.error_classes.clone());
        let fault = |error: &Error| OpenError::Call(classifier.judge(error));
        let path = module_path(spec, profile)?;
        let pkcs11 = slot.during(Call::Load, || load(&path)).map_err(|error| fault(&error))?;
        let (at, info) = find(&pkcs11, spec, slot, &classifier)?;
        let session = slot.during(Call::Session, || pkcs11.open_rw_session(at)).map_err(|error| fault(&error))?;
        watch.set_state(WorkerState::Login, None);
        let marker = LoginMarker::new(spec.state_dir.as_ref(), &spec.token);
        let tries_left = || tries(slot.during(Call::Load, || pkcs11.get_token_info(at)));
        log_in(&session, pin, &marker, spec, slot, &classifier, tries_left)?;
        watch.set_state(WorkerState::Starting, None);
        let identity = identity(&info);
        let max_sessions = info.max_session_count().into();
        Ok((Self { pkcs11, slot: at, identity, max_sessions, classifier }, session))
    }

    /// A further session, logged in because the process is.
    ///
    /// # Errors
    ///
    /// As the module.
    pub fn open_session(&self, slot: &CallSlot) -> Result<Session, Fault> {
        let opened = slot.during(Call::Session, || self.pkcs11.open_ro_session(self.slot));
        opened.map_err(|error| self.classifier.judge(&error))
    }

    /// What the token says of itself now.
    ///
    /// # Errors
    ///
    /// As the module.
    pub fn info(&self, slot: &CallSlot) -> Result<TokenInfo, Fault> {
        let info = slot.during(Call::Load, || self.pkcs11.get_token_info(self.slot));
        info.map_err(|error| self.classifier.judge(&error))
    }
}

fn module_path(spec: &WorkerSpec, profile: &Profile) -> Result<PathBuf, OpenError> {
    if let Some(module) = &spec.module {
        return Ok(PathBuf::from(module));
    }
    let existing = profile.modules.iter().find(|path| path.exists());
    existing.cloned().ok_or_else(|| OpenError::NoModule(profile.modules.clone()))
}

/// Loads and initialises a module, with the operating system's locks.
///
/// # Errors
///
/// As the module.
pub fn load(path: &std::path::Path) -> Result<Pkcs11, Error> {
    let pkcs11 = Pkcs11::new(path)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    Ok(pkcs11)
}

fn find(
    pkcs11: &Pkcs11,
    spec: &WorkerSpec,
    slot: &CallSlot,
    classifier: &Classifier,
) -> Result<(Slot, TokenInfo), OpenError> {
    let fault = |error: Error| OpenError::Call(classifier.judge(&error));
    let mut found = Vec::new();
    for at in slot.during(Call::Load, || pkcs11.get_slots_with_token()).map_err(fault)? {
        let info = slot.during(Call::Load, || pkcs11.get_token_info(at)).map_err(fault)?;
        if info.serial_number() == spec.serial && info.label() == spec.label {
            found.push((at, info));
        }
    }
    match <[_; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(found) => {
            Err(OpenError::NotFound { found: found.len(), serial: spec.serial.clone(), label: spec.label.clone() })
        }
    }
}

fn log_in(
    session: &Session,
    pin: Pin,
    marker: &LoginMarker,
    spec: &WorkerSpec,
    slot: &CallSlot,
    classifier: &Classifier,
    tries: impl FnOnce() -> &'static str,
) -> Result<(), OpenError> {
    marker.set(&format!("a login to token {} (serial {}) did not finish", spec.token, spec.serial))?;
    let copy = RawAuthPin::new(Box::new(pin.as_bytes().to_vec()));
    drop(pin);
    let outcome = slot.during(Call::Login, || session.login_with_raw(UserType::User, &copy));
    drop(copy);
    match outcome {
        Ok(()) => {
            marker.clear()?;
            Ok(())
        }
        Err(error) => {
            let fault = classifier.judge(&error);
            if login_may_have_cost_a_try(&error) {
                let reason = format!("C_Login to token {} (serial {}) failed: {}", spec.token, spec.serial, fault.code);
                // Before the token is asked anything more: that call may hang.
                marker.set(&reason)?;
                let reason = format!("{reason}; {}", tries());
                marker.set(&reason)?;
                return Err(OpenError::Latched(reason));
            }
            marker.clear()?;
            Err(OpenError::Call(fault))
        }
    }
}

/// What the token says of the tries that are left. PKCS#11 has flags for it and no number (CK_TOKEN_INFO, v2.40 §3.2).
fn tries(info: Result<TokenInfo, Error>) -> &'static str {
    let Ok(info) = info else {
        return "how many tries are left is not known: C_GetTokenInfo failed";
    };
    if info.user_pin_locked() {
        "no try is left: the PIN is locked (CKF_USER_PIN_LOCKED), and only the security officer can set another"
    } else if info.user_pin_final_try() {
        "one try is left (CKF_USER_PIN_FINAL_TRY)"
    } else if info.user_pin_count_low() {
        "more than one try is left, how many the token does not say (CKF_USER_PIN_COUNT_LOW)"
    } else {
        "how many tries are left the token does not say: none of its PIN flags is set"
    }
}

fn identity(info: &TokenInfo) -> TokenIdentity {
    let version = |version: cryptoki::types::Version| format!("{}.{}", version.major(), version.minor());
    TokenIdentity {
        label: info.label().to_owned(),
        serial: info.serial_number().to_owned(),
        manufacturer: info.manufacturer_id().to_owned(),
        model: info.model().to_owned(),
        firmware: version(info.firmware_version()),
        hardware: version(info.hardware_version()),
        clock_on_token: info.clock_on_token(),
        user_pin_count_low: info.user_pin_count_low(),
        user_pin_locked: info.user_pin_locked(),
        write_protected: info.write_protected(),
        error_state: info.error_state(),
    }
}
