//! A session that signs, on its thread.
//!
//! Owns one session: repairs it, keeps it alive, and ends the worker when only a fresh process can help.

use super::admin::AdminFault;
use super::cache::Cache;
use super::ending::{Ending, end};
use super::fault::Fault;
use super::keys::{Home, Key, Working, hex};
use super::pool::{Next, Pool, SignJob, bad_length, refused};
use super::token::Token;
use super::watch::{Call, CallSlot};
use super::wrapping::{self, UnwrapFault, Wrapper};
use super::{public_half, sweep};
use crate::role::Algorithm;
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use hsm_profiles::{EcdsaMechanism, ErrorClass};
use sha2::{Digest, Sha256, Sha384};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What all signing sessions share.
pub struct Signing {
    /// The token.
    pub token: Token,
    /// The frames.
    pub pool: Pool,
    /// The session that owns the copies and does everything but signing.
    pub holder: Mutex<Session>,
    /// How ECDSA is asked for.
    pub ecdsa: EcdsaMechanism,
    /// The wrapping key.
    pub wrapper: Wrapper,
    /// The wrapped keys that are unwrapped.
    pub cache: Cache,
    /// Whether to sign with copies.
    pub session_copy: bool,
    /// Whether only a fresh process repairs a session.
    pub fresh_process_only: bool,
    /// After how long a session is asked for its state; zero for never.
    pub keep_alive: Duration,
}

/// Signs until the worker ends.
pub fn run(signing: &Signing, slot: &CallSlot) {
    let mut signer = Signer { signing, slot, session: open(signing, slot) };
    // A year is for ever here, and no condition variable overflows on it.
    let never = Duration::from_secs(365 * 24 * 3600);
    let idle = if signing.keep_alive.is_zero() { never } else { signing.keep_alive };
    loop {
        match signing.pool.next(idle) {
            Next::Sign(job) => signer.work(&job),
            Next::Idle => signer.keep_alive(),
            Next::Stop => return,
        }
    }
}

fn open(signing: &Signing, slot: &CallSlot) -> Session {
    match signing.token.open_session(slot) {
        Ok(session) => session,
        Err(fault) => end(ending_of(fault.class), &format!("no session: {}: {}", fault.step, fault.code)),
    }
}

/// How the worker ends after a fault that it cannot repair itself.
pub fn ending_of(class: ErrorClass) -> Ending {
    match class {
        ErrorClass::Login => Ending::LoginLost,
        ErrorClass::Token => Ending::Token,
        ErrorClass::Session | ErrorClass::Module | ErrorClass::Request => Ending::Module,
    }
}

struct Signer<'s> {
    signing: &'s Signing,
    slot: &'s CallSlot,
    session: Session,
}

impl Signer<'_> {
    fn work(&mut self, job: &Arc<SignJob>) {
        let mut signatures = Vec::with_capacity(16 * job.key.entry.algorithm.signature_len());
        while let Some(range) = job.take() {
            signatures.clear();
            if job.is_void() {
                continue;
            }
            match self.sign_chunk(job, range.clone(), &mut signatures) {
                Ok(()) => job.finish(range, &signatures),
                Err(AdminFault::Refused(fault)) => {
                    tracing::error!(code = %fault.code, step = %fault.step, "a frame is refused");
                    job.fail(fault);
                }
                Err(AdminFault::Call(fault)) => {
                    tracing::error!(code = %fault.code, step = %fault.step, class = ?fault.class, "cannot sign");
                    job.fail(fault.to_wire());
                    self.after(&fault);
                }
            }
            if self.signing.pool.is_stopping() {
                return;
            }
        }
    }

    fn sign_chunk(&mut self, job: &SignJob, range: Range<usize>, signatures: &mut Vec<u8>) -> Result<(), AdminFault> {
        let key = &job.key;
        // Another session may let the key go between the load and its use, under load and with a small cache.
        loop {
            let working = key.working();
            match *working {
                Working::Ready(handle) => {
                    key.used(self.signing.cache.next_use());
                    return Ok(self.sign_with(key, handle, job, range, signatures)?);
                }
                Working::Destroyed => {
                    return Err(AdminFault::Refused(refused("unknown-key", "the key was destroyed")));
                }
                Working::Absent => {}
            }
            drop(working);
            self.load(key)?;
        }
    }

    fn sign_with(
        &mut self,
        key: &Key,
        handle: ObjectHandle,
        job: &SignJob,
        range: Range<usize>,
        signatures: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let each = key.entry.algorithm.signature_len();
        for index in range {
            let message = job.messages.get(index).expect("a frame is checked to be sound before it is queued");
            let signature = match self.sign(key, handle, message) {
                // The call was never made in a session that is gone: a new session may make it.
                Err(fault) if fault.class == ErrorClass::Session && !self.signing.fresh_process_only => {
                    self.replace_session(&fault);
                    self.sign(key, handle, message)?
                }
                outcome => outcome?,
            };
            if signature.len() != each {
                return Err(bad_length(signature.len()));
            }
            signatures.extend_from_slice(&signature);
        }
        Ok(())
    }

    fn sign(&self, key: &Key, handle: ObjectHandle, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let call = |mechanism: &Mechanism<'_>, input: &[u8]| {
            self.slot.during(Call::Sign, || self.session.sign(mechanism, handle, input))
        };
        let signed = match (key.entry.algorithm, self.signing.ecdsa) {
            (Algorithm::EcdsaP256, EcdsaMechanism::RawDigest) => call(&Mechanism::Ecdsa, &Sha256::digest(message)),
            (Algorithm::EcdsaP384, EcdsaMechanism::RawDigest) => call(&Mechanism::Ecdsa, &Sha384::digest(message)),
            (Algorithm::EcdsaP256, EcdsaMechanism::EcdsaSha256) => call(&Mechanism::EcdsaSha256, message),
            (Algorithm::EcdsaP384, EcdsaMechanism::EcdsaSha256) => call(&Mechanism::EcdsaSha384, message),
            (Algorithm::Ed25519, _) => {
                call(&Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)), message)
            }
            (Algorithm::HmacSha256, _) => call(&Mechanism::Sha256Hmac, message),
        };
        signed.map_err(|error| self.judge(&error))
    }

    /// Gets the object that signs: the key, or its copy, or what is unwrapped.
    fn load(&self, key: &Arc<Key>) -> Result<(), AdminFault> {
        let blob = match &key.home {
            Home::Token(private) => {
                let mut working = key.working_mut();
                if *working == Working::Absent {
                    let handle = if self.signing.session_copy { self.make_copy(*private)? } else { *private };
                    *working = Working::Ready(handle);
                }
                return Ok(());
            }
            Home::Wrapped(blob) => blob,
        };
        self.signing.cache.make_room(|handle| self.destroy(handle))?;
        let mut working = key.working_mut();
        if *working == Working::Absent {
            let blob = Arc::clone(&*blob.lock().unwrap_or_else(PoisonError::into_inner));
            *working = Working::Ready(self.unwrap(key, &blob)?);
            drop(working);
            self.signing.cache.enter(key);
        }
        Ok(())
    }

    fn make_copy(&self, private: ObjectHandle) -> Result<ObjectHandle, AdminFault> {
        let holder = self.signing.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let template = [Attribute::Token(false)];
        let copy = self.slot.during(Call::Copy, || holder.copy_object(private, &template));
        let copy = copy.map_err(|error| self.judge(&error))?;
        match sweep::session_departure(&holder, copy, self.slot).map_err(|error| self.judge(&error))? {
            None => Ok(copy),
            Some(problem) => Err(AdminFault::Refused(refused("copy-not-protected", problem))),
        }
    }

    /// Unwraps a key, and lets it prove that it is the one psdd means.
    fn unwrap(&self, key: &Key, blob: &[u8]) -> Result<ObjectHandle, AdminFault> {
        let entry = &key.entry;
        let wrapper = self.signing.wrapper.ready().map_err(AdminFault::Refused)?;
        let classifier = &self.signing.token.classifier;
        let (handle, departure) = {
            let holder = self.signing.holder.lock().unwrap_or_else(PoisonError::into_inner);
            let handle = match wrapping::unwrap(&holder, wrapper, entry, blob, classifier, self.slot) {
                Ok(handle) => handle,
                Err(UnwrapFault::Blob(problem)) => {
                    return Err(AdminFault::Refused(refused("wrapped-key-invalid", problem)));
                }
                Err(UnwrapFault::Call(fault)) => return Err(AdminFault::Call(fault)),
            };
            (handle, sweep::session_departure(&holder, handle, self.slot).map_err(|error| self.judge(&error))?)
        };
        let proof = self.sign(key, handle, public_half::proof_of(entry.algorithm));
        let problem = match (departure, proof) {
            (Some(problem), _) => refused("unwrapped-not-protected", problem),
            (None, Ok(proof)) if public_half::proves(entry.algorithm, &entry.spki, &proof) => return Ok(handle),
            (None, Ok(_)) => {
                let step = format!("the blob holds another key than {}", hex(&entry.key_id));
                refused("wrapped-key-mismatch", step)
            }
            (None, Err(fault)) if fault.class == ErrorClass::Request => {
                refused("wrapped-key-mismatch", format!("{}: {}", fault.step, fault.code))
            }
            (None, Err(fault)) => return Err(AdminFault::Call(fault)),
        };
        self.destroy(handle)?;
        Err(AdminFault::Refused(problem))
    }

    /// Destroys a session object.
    fn destroy(&self, object: ObjectHandle) -> Result<(), Fault> {
        let holder = self.signing.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let destroyed = self.slot.during(Call::Object, || holder.destroy_object(object));
        destroyed.map_err(|error| self.judge(&error))
    }

    fn judge(&self, error: &Error) -> Fault {
        self.signing.token.classifier.judge(error)
    }

    fn replace_session(&mut self, fault: &Fault) {
        tracing::warn!(code = %fault.code, step = %fault.step, "session replaced");
        self.session = open(self.signing, self.slot);
    }

    /// What a fault means for the session and the worker, after the request was answered.
    fn after(&mut self, fault: &Fault) {
        match fault.class {
            ErrorClass::Request => {}
            ErrorClass::Session if !self.signing.fresh_process_only => self.replace_session(fault),
            ErrorClass::Session | ErrorClass::Module | ErrorClass::Login | ErrorClass::Token => {
                end(ending_of(fault.class), &format!("{}: {}", fault.step, fault.code))
            }
        }
    }

    fn keep_alive(&mut self) {
        let state = self.slot.during(Call::KeepAlive, || self.session.get_session_info());
        if let Err(error) = state {
            let fault = self.signing.token.classifier.judge(&error);
            self.after(&fault);
        }
    }
}
