//! Everything but signing, on one thread: keys made and destroyed, objects read and written, the clock.
//!
//! Uses the session that owns the key copies, so that signing sessions are never
//! taken from signing.

use super::connection::PsddConnection;
use super::destroy;
use super::ending::end;
use super::fault::Fault;
use super::generate::{self, Made, Order};
use super::keys::{self, Keys};
use super::objects::Objects;
use super::pool::refused;
use super::sign::{Signing, ending_of};
use super::sweep;
use super::watch::{Call, CallSlot};
use crate::protocol::{FaultClass, FoundKey, HsmFault, KEY_EXISTS, KeyEntry, Reply};
use crate::role::{Algorithm, Residence, Role};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use cryptoki::error::Error;
use cryptoki::session::Session;
use cryptoki::types::UtcTime;
use hsm_profiles::{ErrorClass, Profile};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// A request that is not to sign.
pub struct AdminJob {
    /// Who asked.
    pub connection: Arc<PsddConnection>,
    /// The number of the request.
    pub request: u64,
    /// What for.
    pub work: AdminWork,
}

/// What is asked.
pub enum AdminWork {
    /// Make a key.
    Generate {
        /// Its role.
        role: Role,
        /// Its algorithm.
        algorithm: Algorithm,
        /// Its CKA_ID.
        key_id: Vec<u8>,
        /// Its CKA_LABEL.
        label: String,
        /// Where its private half is to be kept.
        residence: Residence,
    },
    /// Search the token for a key.
    Find {
        /// Its CKA_ID.
        key_id: Vec<u8>,
    },
    /// Destroy a key.
    Destroy {
        /// Its CKA_ID.
        key_id: Vec<u8>,
    },
    /// Read a data object.
    ReadObject {
        /// Its CKA_LABEL.
        label: String,
    },
    /// Write a data object.
    WriteObject {
        /// Its CKA_LABEL.
        label: String,
        /// Its CKA_VALUE.
        bytes: Vec<u8>,
    },
    /// Read the token's clock.
    Clock,
}

/// The way to the thread.
#[derive(Clone)]
pub struct AdminQueue(Sender<AdminJob>);

const MAX_WAITING: usize = 256;

impl AdminQueue {
    /// A queue and its end.
    pub fn new() -> (Self, Receiver<AdminJob>) {
        let (sender, receiver) = crossbeam_channel::bounded(MAX_WAITING);
        (Self(sender), receiver)
    }

    /// Adds a request; fails it when too many wait already.
    pub fn push(&self, job: AdminJob) {
        match self.0.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job.fail(HsmFault {
                class: FaultClass::Request,
                code: "queue-full".to_owned(),
                step: "queue".to_owned(),
                retryable: true,
            }),
        }
    }
}

impl AdminJob {
    fn fail(&self, fault: HsmFault) {
        let incarnation = self.connection.incarnation();
        self.connection.send(&Reply::Failed { request: self.request, incarnation, fault });
    }
}

/// Why a request was not done.
pub enum AdminFault {
    /// The worker refuses it.
    Refused(HsmFault),
    /// The module failed it.
    Call(Fault),
}

impl From<Fault> for AdminFault {
    fn from(fault: Fault) -> Self {
        AdminFault::Call(fault)
    }
}

/// Does requests until the worker ends.
pub fn run(signing: &Signing, keys: &Keys, profile: &Profile, jobs: &Receiver<AdminJob>, slot: &CallSlot) {
    let mut admin = Admin { signing, keys, profile, slot, objects: Objects::default() };
    let never = Duration::from_secs(365 * 24 * 3600);
    let idle = if signing.keep_alive.is_zero() { never } else { signing.keep_alive };
    loop {
        match jobs.recv_timeout(idle) {
            Ok(job) => admin.work(job),
            Err(RecvTimeoutError::Timeout) => admin.keep_alive(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct Admin<'a> {
    signing: &'a Signing,
    keys: &'a Keys,
    profile: &'a Profile,
    slot: &'a CallSlot,
    objects: Objects,
}

impl Admin<'_> {
    fn work(&mut self, job: AdminJob) {
        if !job.connection.is_alive() {
            return;
        }
        let (request, incarnation) = (job.request, job.connection.incarnation());
        let outcome = match &job.work {
            AdminWork::Generate { role, algorithm, key_id, label, residence } => self
                .generate(&Order { role: *role, algorithm: *algorithm, key_id, label, residence: *residence })
                .map(|Made { spki, wrapped, .. }| Reply::Generated { request, incarnation, spki, wrapped }),
            AdminWork::Find { key_id } => self.find(key_id).map(|key| Reply::Found { request, incarnation, key }),
            AdminWork::Destroy { key_id } => destroy::destroy(self.signing, self.keys, key_id, self.slot)
                .map(|()| Reply::Done { request, incarnation }),
            AdminWork::ReadObject { label } => self
                .objects
                .read(self.signing, self.slot, label)
                .map(|bytes| Reply::Object { request, incarnation, bytes }),
            AdminWork::WriteObject { label, bytes } => {
                self.objects.write(self.signing, self.slot, label, bytes).map(|()| Reply::Done { request, incarnation })
            }
            AdminWork::Clock => self.clock().map(|unix_ms| Reply::ClockReading { request, incarnation, unix_ms }),
        };
        match outcome {
            Ok(reply) => job.connection.send(&reply),
            Err(AdminFault::Refused(fault)) => job.fail(fault),
            Err(AdminFault::Call(fault)) => {
                tracing::error!(code = %fault.code, step = %fault.step, class = ?fault.class, "cannot do a request");
                job.fail(fault.to_wire());
                self.after(&fault);
            }
        }
    }

    /// The session cannot be replaced: the copies of the keys die with it.
    fn after(&self, fault: &Fault) {
        match fault.class {
            ErrorClass::Request => {}
            ErrorClass::Session | ErrorClass::Module | ErrorClass::Login | ErrorClass::Token => {
                end(ending_of(fault.class), &format!("{}: {}", fault.step, fault.code))
            }
        }
    }

    fn keep_alive(&self) {
        let session = self.session();
        if let Err(error) = self.slot.during(Call::KeepAlive, || session.get_session_info()) {
            self.after(&self.judge(error));
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.signing.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, error: Error) -> Fault {
        self.signing.token.classifier.judge(&error)
    }

    fn generate(&self, order: &Order<'_>) -> Result<Made, AdminFault> {
        let refuse = |code, step: String| Err(AdminFault::Refused(refused(code, step)));
        let (role, key_id) = (order.role, order.key_id);
        if key_id.first() != Some(&role.number()) || key_id.len() > 64 {
            return refuse("role-mismatch", format!("a CKA_ID of a {role} key begins with {}", role.number()));
        }
        // The token is asked as well: a worker that was killed may have had a key made that its successor's sweep came too early for.
        let in_token = || match order.residence {
            Residence::Resident => sweep::is_there(&self.session(), key_id, self.slot),
            Residence::Wrapped => Ok(false),
        };
        if self.keys.find(key_id).is_some() || in_token().map_err(|error| AdminFault::Call(self.judge(error)))? {
            return refuse(KEY_EXISTS, format!("a key has CKA_ID {} already", keys::hex(key_id)));
        }
        if order.residence == Residence::Resident {
            let orphans = sweep::clear_public_orphans(&self.session(), key_id, self.slot);
            let orphans = orphans.map_err(|error| AdminFault::Call(self.judge(error)))?;
            if orphans > 0 {
                tracing::warn!(key_id = %keys::hex(key_id), orphans, "public keys without a private one are destroyed");
            }
        }
        let made = generate::make(&self.session(), self.signing, self.profile, order, self.slot)?;
        // A wrapped key is known when psdd adopts it: until then nobody has it, and it can be made again.
        if let Some(object) = made.object {
            let (key_id, algorithm, spki) = (key_id.to_vec(), order.algorithm, made.spki.clone());
            self.keys.insert(KeyEntry { key_id, role, algorithm, spki, unusable: None }, object);
        }
        let residence = order.residence;
        tracing::info!(key_id = %keys::hex(key_id), %role, %residence, label = order.label, "key made");
        Ok(made)
    }

    fn find(&self, key_id: &[u8]) -> Result<Option<FoundKey>, AdminFault> {
        let found = sweep::one(&self.session(), self.profile, key_id, self.slot);
        let Some((key, object)) = found.map_err(|error| AdminFault::Call(self.judge(error)))? else { return Ok(None) };
        if self.keys.find(key_id).is_none() {
            tracing::info!(key_id = %keys::hex(key_id), role = %key.entry.role, "a key is found that was not there before");
            self.keys.insert(key.entry.clone(), object);
        }
        Ok(Some(key))
    }

    fn clock(&self) -> Result<Option<u64>, AdminFault> {
        let time = self.signing.token.info(self.slot)?.utc_time();
        match time.map(unix_ms) {
            None => Ok(None),
            Some(Some(unix_ms)) => Ok(Some(unix_ms)),
            Some(None) => Err(AdminFault::Refused(refused("bad-clock", format!("{time:?} is not a time")))),
        }
    }
}

/// Milliseconds since 1970 of a time in UTC; none when it is not a time, or before.
fn unix_ms(time: UtcTime) -> Option<u64> {
    let (year, month, day) = (u64::from(time.year), u64::from(time.month), u64::from(time.day));
    let in_range = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !in_range || time.hour > 23 || time.minute > 59 || time.second > 60 {
        return None;
    }
    // Howard Hinnant's days_from_civil, for years after 0.
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = days.checked_sub(719_468)?;
    let seconds = (days * 24 + u64::from(time.hour)) * 3600 + u64::from(time.minute) * 60 + u64::from(time.second);
    Some(seconds * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_s_time_becomes_unix_time() {
        let time = |year, month, day, hour, minute, second| UtcTime { year, month, day, hour, minute, second };
        let rows = [
            (time(1970, 1, 1, 0, 0, 0), Some(0)),
            (time(2000, 2, 29, 23, 59, 59), Some(951_868_799_000)),
            (time(2024, 3, 1, 0, 0, 0), Some(1_709_251_200_000)),
            (time(2038, 1, 19, 3, 14, 8), Some(2_147_483_648_000)),
            (time(0, 0, 0, 0, 0, 0), None),
            (time(2024, 13, 1, 0, 0, 0), None),
            (time(2024, 1, 1, 24, 0, 0), None),
            (time(1969, 12, 31, 23, 59, 59), None),
        ];
        for (time, expected) in rows {
            assert_eq!(unix_ms(time), expected, "{time:?}");
        }
    }
}
