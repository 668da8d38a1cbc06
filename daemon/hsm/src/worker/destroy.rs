//! Destroying a key, wherever the token has it.
//!
//! Owns the proof: that nothing of the CKA_ID is found afterwards. Refuses while a frame of the key is queued. What is not
//! there is destroyed already, so that a request that was cut short is simply made again.

use super::admin::AdminFault;
use super::keys::{Home, Keys, Working, hex};
use super::pool::refused;
use super::sign::Signing;
use super::watch::{Call, CallSlot};
use crate::role::Role;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use std::sync::{Arc, PoisonError};

/// Destroys every object of the key: private and secret first, so that a call that is cut short leaves no key that signs.
///
/// # Errors
///
/// When it is in use, or the module fails; the key signs no more then unless it was in use.
pub fn destroy(signing: &Signing, keys: &Keys, key_id: &[u8], slot: &CallSlot) -> Result<(), AdminFault> {
    if key_id.first().and_then(|number| Role::from_number(*number)).is_none() {
        let step = format!("CKA_ID {} is of nobody's role", hex(key_id));
        return Err(AdminFault::Refused(refused("role-mismatch", step)));
    }
    if let Some(key) = keys.take(key_id).map_err(AdminFault::Refused)? {
        // Waits for a session that still signs a frame nobody waits for.
        *key.working_mut() = Working::Destroyed;
        match key.home {
            Home::Wrapped(_) => signing.cache.leave(&key),
            Home::Token(_) => {}
        }
        if let Err(fault) = destroy_objects(signing, key_id, slot) {
            // It stays in the table, unable to sign, so that nobody makes another under its CKA_ID.
            keys.put_back(Arc::clone(&key));
            return Err(fault);
        }
    } else {
        destroy_objects(signing, key_id, slot)?;
    }
    tracing::info!(key_id = %hex(key_id), "key destroyed");
    Ok(())
}

fn destroy_objects(signing: &Signing, key_id: &[u8], slot: &CallSlot) -> Result<(), AdminFault> {
    let session = signing.holder.lock().unwrap_or_else(PoisonError::into_inner);
    let judge = |error: Error| AdminFault::Call(signing.token.classifier.judge(&error));
    for handle in find(&session, key_id, slot).map_err(judge)? {
        match slot.during(Call::Object, || session.destroy_object(handle)) {
            // A session copy may go with its original.
            Ok(()) | Err(Error::Pkcs11(RvError::ObjectHandleInvalid, _)) => {}
            Err(error) => return Err(judge(error)),
        }
    }
    match find(&session, key_id, slot).map_err(judge)?.len() {
        0 => Ok(()),
        left => {
            let step = format!("{left} objects of key {} are still there", hex(key_id));
            Err(AdminFault::Refused(refused("not-destroyed", step)))
        }
    }
}

/// All keys of the CKA_ID, those of the token and those of sessions. Other objects, such as certificates, may share it.
fn find(session: &Session, key_id: &[u8], slot: &CallSlot) -> Result<Vec<ObjectHandle>, Error> {
    let mut found = Vec::new();
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY, ObjectClass::PUBLIC_KEY] {
        let template = [Attribute::Class(class), Attribute::Id(key_id.to_vec())];
        found.extend(slot.during(Call::Find, || session.find_objects(&template))?);
    }
    Ok(found)
}
