//! From the URI to a session with its token, logged in once.

use crate::error::TokenError;
use crate::percent::encode;
use crate::pin::{self, AskPin};
use crate::uri::TokenUri;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::Error;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, SlotInfo, TokenInfo};

/// A failed call, with its name.
pub(crate) fn call(step: &'static str) -> impl Fn(Error) -> TokenError {
    move |source| TokenError::Call { step, source }
}

/// A session, read-only unless it is to write, in which private objects are seen.
///
/// # Errors
///
/// When no token or more than one matches, which no PIN is tried on; when the login fails, which is not tried again.
pub(crate) fn session(uri: &TokenUri, writes: bool, ask: AskPin<'_>) -> Result<Session, TokenError> {
    let path = uri.module_path.as_deref().ok_or(TokenError::NoModule)?;
    let load = |source| TokenError::Load { path: path.to_owned(), source };
    let pkcs11 = Pkcs11::new(path).map_err(load)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(load)?;
    let (slot, info) = find(&pkcs11, uri)?;
    let opened = if writes { pkcs11.open_rw_session(slot) } else { pkcs11.open_ro_session(slot) };
    let session = opened.map_err(call("C_OpenSession"))?;
    if !info.login_required() {
        return Ok(session);
    }
    if info.user_pin_locked() {
        return Err(TokenError::Locked);
    }
    if info.user_pin_final_try() && uri.pin.is_some() {
        return Err(TokenError::LastTry);
    }
    let login = if info.protected_authentication_path() {
        // The token asks by itself, at a keypad of its own.
        session.login(UserType::User, None)
    } else {
        let pin = pin::read(uri.pin.as_ref(), info.label(), ask)?;
        session.login_with_raw(UserType::User, &pin)
    };
    login.map_err(|source| TokenError::Login { source, tries: tries(pkcs11.get_token_info(slot).ok()) })?;
    Ok(session)
}

fn find(pkcs11: &Pkcs11, uri: &TokenUri) -> Result<(Slot, TokenInfo), TokenError> {
    let library = pkcs11.get_library_info().map_err(call("C_GetInfo"))?;
    let version = (library.library_version().major(), library.library_version().minor());
    let of_library = is(&uri.library_manufacturer, library.manufacturer_id())
        && is(&uri.library_description, library.library_description())
        && uri.library_version.is_none_or(|wanted| wanted == version);
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for slot in pkcs11.get_slots_with_initialized_token().map_err(call("C_GetSlotList"))? {
        let info = pkcs11.get_token_info(slot).map_err(call("C_GetTokenInfo"))?;
        let of_slot = pkcs11.get_slot_info(slot).map_err(call("C_GetSlotInfo"))?;
        if of_library && matches(uri, slot, &of_slot, &info) {
            found.push((slot, info));
        } else {
            others.push(named(&info));
        }
    }
    match <[_; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(none) if none.is_empty() => Err(TokenError::NoToken(others)),
        Err(many) => Err(TokenError::ManyTokens(many.iter().map(|(_, info)| named(info)).collect())),
    }
}

fn matches(uri: &TokenUri, slot: Slot, of_slot: &SlotInfo, token: &TokenInfo) -> bool {
    is(&uri.token, token.label())
        && is(&uri.manufacturer, token.manufacturer_id())
        && is(&uri.serial, token.serial_number())
        && is(&uri.model, token.model())
        && is(&uri.slot_description, of_slot.slot_description())
        && is(&uri.slot_manufacturer, of_slot.manufacturer_id())
        && uri.slot_id.is_none_or(|id| id == slot.id())
}

fn is(wanted: &Option<String>, told: &str) -> bool {
    wanted.as_deref().is_none_or(|wanted| wanted == told)
}

/// A token as a URI that finds it again.
fn named(info: &TokenInfo) -> String {
    format!("pkcs11:token={};serial={}", encode(info.label().as_bytes()), encode(info.serial_number().as_bytes()))
}

/// PKCS#11 has flags for the tries that are left and no number (CK_TOKEN_INFO, v2.40 §3.2).
fn tries(info: Option<TokenInfo>) -> &'static str {
    match info {
        Some(info) if info.user_pin_locked() => "the PIN is locked now",
        Some(info) if info.user_pin_final_try() => "one try is left before the PIN is locked",
        Some(info) if info.user_pin_count_low() => "a wrong PIN was given; the token locks it after some more",
        Some(_) => "it is not tried again by itself",
        None => "the token does not say how many tries are left",
    }
}
