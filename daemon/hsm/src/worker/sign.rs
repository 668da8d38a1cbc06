//! A session that signs, on its thread.
//!
//! Owns one session: repairs it, keeps it alive, and ends the worker when only a fresh process can help.

use super::ending::{Ending, end};
use super::fault::Fault;
use super::keys::{self, Key};
use super::pool::{Next, Pool, SignJob, bad_length};
use super::token::Token;
use super::watch::{Call, CallSlot};
use crate::protocol::SIGNATURE_LEN;
use crate::role::Algorithm;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use hsm_profiles::{EcdsaMechanism, ErrorClass};
use sha2::{Digest, Sha256};
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
        let mut signatures = Vec::with_capacity(16 * SIGNATURE_LEN);
        while let Some(range) = job.take() {
            signatures.clear();
            if job.is_void() {
                continue;
            }
            match self.sign_chunk(job, range.clone(), &mut signatures) {
                Ok(()) => job.finish(range, &signatures),
                Err(fault) => {
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

    fn sign_chunk(&mut self, job: &SignJob, range: Range<usize>, signatures: &mut Vec<u8>) -> Result<(), Fault> {
        let key = &job.key;
        let handle = self.handle(key)?;
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
            signatures.extend_from_slice(&signature);
        }
        Ok(())
    }

    fn sign(&self, key: &Key, handle: ObjectHandle, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let signed = match (key.entry.algorithm, self.signing.ecdsa) {
            (Algorithm::EcdsaP256, EcdsaMechanism::RawDigest) => {
                let digest = Sha256::digest(message);
                self.slot.during(Call::Sign, || self.session.sign(&Mechanism::Ecdsa, handle, &digest))
            }
            (Algorithm::EcdsaP256, EcdsaMechanism::EcdsaSha256) => {
                self.slot.during(Call::Sign, || self.session.sign(&Mechanism::EcdsaSha256, handle, message))
            }
            (Algorithm::Ed25519, _) => {
                let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
                self.slot.during(Call::Sign, || self.session.sign(&mechanism, handle, message))
            }
        };
        let signature = signed.map_err(|error| self.signing.token.classifier.judge(&error))?;
        if signature.len() != SIGNATURE_LEN {
            return Err(bad_length(signature.len()));
        }
        Ok(signature)
    }

    /// The object that signs: the key, or its copy, made at first use.
    fn handle(&self, key: &Key) -> Result<ObjectHandle, Fault> {
        if !self.signing.session_copy {
            return Ok(key.private);
        }
        match key.copy() {
            Some(copy) => Ok(copy),
            None => key.copy_or_make(|| self.make_copy(key)),
        }
    }

    fn make_copy(&self, key: &Key) -> Result<ObjectHandle, Fault> {
        let judge = |error| self.signing.token.classifier.judge(&error);
        let holder = self.signing.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let template = [Attribute::Token(false)];
        let copy = self.slot.during(Call::Copy, || holder.copy_object(key.private, &template)).map_err(judge)?;
        match keys::copy_departure(&holder, copy, self.slot).map_err(judge)? {
            None => Ok(copy),
            Some(problem) => Err(Fault {
                class: ErrorClass::Request,
                code: "copy-not-protected".to_owned(),
                step: problem,
                retryable: false,
            }),
        }
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
