//! Data objects of the token: the ledger's anchor and the daemon's fence.
//!
//! Owns their handles and how one is replaced. PKCS#11 lets no one change CKA_VALUE of a data object, so a new object
//! is made before the old one is destroyed, and a crash between the two leaves both. CKA_VALUE therefore begins with
//! a counter of writes, 8 bytes, big-endian: the highest one is the object. There is never a moment without it.

use super::admin::AdminFault;
use super::pool::refused;
use super::sign::Signing;
use super::watch::{Call, CallSlot};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use std::collections::HashMap;
use std::sync::PoisonError;

const APPLICATION: &[u8] = b"psdd";
const COUNTER: usize = 8;

/// Handles by label, so that the fence is read every second without a search.
#[derive(Default)]
pub struct Objects {
    handles: HashMap<String, ObjectHandle>,
}

/// One object as it was read.
struct Found {
    handle: ObjectHandle,
    counter: u64,
    bytes: Vec<u8>,
}

impl Objects {
    /// The bytes of the object of this label, if there is one.
    ///
    /// # Errors
    ///
    /// As the module.
    pub fn read(&mut self, signing: &Signing, slot: &CallSlot, label: &str) -> Result<Option<Vec<u8>>, AdminFault> {
        let session = signing.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = OnToken { session: &session, slot };
        let judge = |error: Error| AdminFault::Call(signing.token.classifier.judge(&error));
        if let Some(handle) = self.handles.get(label) {
            match objects.value(*handle) {
                Ok(Some(found)) => return Ok(Some(found.bytes)),
                // Another process replaced the object: look for the new one.
                Ok(None) | Err(Error::Pkcs11(RvError::ObjectHandleInvalid, _)) => drop(self.handles.remove(label)),
                Err(error) => return Err(judge(error)),
            }
        }
        let mut found = objects.find(label).map_err(judge)?;
        Ok(found.pop().map(|newest| {
            self.handles.insert(label.to_owned(), newest.handle);
            newest.bytes
        }))
    }

    /// Puts these bytes in place of the object of this label.
    ///
    /// # Errors
    ///
    /// As the module; the old object stands then, or the new one does.
    pub fn write(&mut self, signing: &Signing, slot: &CallSlot, label: &str, bytes: &[u8]) -> Result<(), AdminFault> {
        let session = signing.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = OnToken { session: &session, slot };
        let judge = |error: Error| AdminFault::Call(signing.token.classifier.judge(&error));
        let older = objects.find(label).map_err(judge)?;
        let last = older.last().map_or(0, |newest| newest.counter);
        let Some(counter) = last.checked_add(1) else {
            return Err(AdminFault::Refused(refused("counter-exhausted", label)));
        };
        let handle = objects.create(label, counter, bytes).map_err(judge)?;
        self.handles.insert(label.to_owned(), handle);
        for old in older {
            match objects.destroy(old.handle) {
                Ok(()) | Err(Error::Pkcs11(RvError::ObjectHandleInvalid, _)) => {}
                Err(error) => return Err(judge(error)),
            }
        }
        Ok(())
    }
}

struct OnToken<'s> {
    session: &'s Session,
    slot: &'s CallSlot,
}

impl OnToken<'_> {
    /// All objects of the label, the newest last.
    fn find(&self, label: &str) -> Result<Vec<Found>, Error> {
        let template = [
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Application(APPLICATION.to_vec()),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        let mut found = Vec::new();
        for handle in self.slot.during(Call::Find, || self.session.find_objects(&template))? {
            match self.value(handle) {
                Ok(object) => found.extend(object),
                // Destroyed by another process since it was found.
                Err(Error::Pkcs11(RvError::ObjectHandleInvalid, _)) => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|object| object.counter);
        Ok(found)
    }

    /// None where there is no value, which is how some tokens give an object that was destroyed elsewhere.
    fn value(&self, handle: ObjectHandle) -> Result<Option<Found>, Error> {
        let read = self.slot.during(Call::Find, || self.session.get_attributes(handle, &[AttributeType::Value]))?;
        let value = read.into_iter().find_map(|attribute| match attribute {
            Attribute::Value(bytes) => Some(bytes),
            _ => None,
        });
        let object = value.and_then(|value| {
            let (counter, bytes) = value.split_first_chunk::<COUNTER>()?;
            Some(Found { handle, counter: u64::from_be_bytes(*counter), bytes: bytes.to_vec() })
        });
        Ok(object)
    }

    fn create(&self, label: &str, counter: u64, bytes: &[u8]) -> Result<ObjectHandle, Error> {
        let template = [
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Modifiable(false),
            Attribute::Application(APPLICATION.to_vec()),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::Value([counter.to_be_bytes().as_slice(), bytes].concat()),
        ];
        self.slot.during(Call::Object, || self.session.create_object(&template))
    }

    fn destroy(&self, handle: ObjectHandle) -> Result<(), Error> {
        self.slot.during(Call::Object, || self.session.destroy_object(handle))
    }
}
