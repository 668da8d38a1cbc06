//! What the keeper is told ten times a second: how far the worker is, and how long its oldest PKCS#11 call takes.
//!
//! Owns the table of calls under way. Every call into the module is made inside [`CallSlot::during`], because a call
//! cannot be cancelled and only the keeper can end a worker that hangs in one.

use super::ending;
use crate::frame;
use crate::protocol::{CallAge, Heartbeat, WorkerState};
use hsm_profiles::Deadlines;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the keeper hears of the worker.
pub const HEARTBEAT: Duration = Duration::from_millis(100);

/// What a thread is doing in the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Loading the module, C_Initialize, C_GetSlotList, C_GetTokenInfo.
    Load,
    /// C_OpenSession and C_CloseSession.
    Session,
    /// C_Login.
    Login,
    /// C_FindObjects and C_GetAttributeValue.
    Find,
    /// C_SignInit and C_Sign.
    Sign,
    /// C_GenerateKeyPair and C_GenerateKey.
    Generate,
    /// C_CopyObject.
    Copy,
    /// C_CreateObject, C_SetAttributeValue and C_DestroyObject.
    Object,
    /// C_GetSessionInfo.
    KeepAlive,
    /// C_WrapKey and C_UnwrapKey.
    Wrap,
}

impl Call {
    const ALL: [Call; 10] = [
        Call::Load,
        Call::Session,
        Call::Login,
        Call::Find,
        Call::Sign,
        Call::Generate,
        Call::Copy,
        Call::Object,
        Call::KeepAlive,
        Call::Wrap,
    ];

    const fn number(self) -> u64 {
        match self {
            Call::Load => 0,
            Call::Session => 1,
            Call::Login => 2,
            Call::Find => 3,
            Call::Sign => 4,
            Call::Generate => 5,
            Call::Copy => 6,
            Call::Object => 7,
            Call::KeepAlive => 8,
            Call::Wrap => 9,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Call::Load => "C_Initialize",
            Call::Session => "C_OpenSession",
            Call::Login => "C_Login",
            Call::Find => "C_FindObjects",
            Call::Sign => "C_Sign",
            Call::Generate => "C_GenerateKeyPair",
            Call::Copy => "C_CopyObject",
            Call::Object => "C_CreateObject",
            Call::KeepAlive => "C_GetSessionInfo",
            Call::Wrap => "C_WrapKey",
        }
    }

    fn deadline_ms(self, deadlines: &Deadlines) -> u64 {
        match self {
            Call::Login => deadlines.login_ms,
            Call::Find => deadlines.find_ms,
            Call::Sign => deadlines.sign_ms,
            Call::Generate | Call::Wrap => deadlines.generate_ms,
            Call::Load | Call::Session | Call::Copy | Call::Object | Call::KeepAlive => deadlines.other_ms,
        }
    }
}

/// The call one thread is in: milliseconds since the worker's start, shifted by 4 bits, and the call's number below;
/// 0 for none. One word, so that a reader never mixes two calls.
#[derive(Clone)]
pub struct CallSlot {
    word: Arc<AtomicU64>,
    epoch: Instant,
}

impl CallSlot {
    /// Makes a call, visibly.
    pub fn during<T>(&self, call: Call, make: impl FnOnce() -> T) -> T {
        let since = millis(self.epoch.elapsed()) + 1;
        self.word.store((since << 4) | call.number(), Ordering::Relaxed);
        let result = make();
        self.word.store(0, Ordering::Relaxed);
        result
    }
}

/// Everything the heartbeat reads.
pub struct Watch {
    epoch: Instant,
    deadlines: Deadlines,
    slots: Mutex<Vec<Arc<AtomicU64>>>,
    state: Mutex<(WorkerState, Option<String>)>,
}

impl Watch {
    /// A watch with these deadlines and no calls.
    pub fn new(deadlines: Deadlines) -> Self {
        Self {
            epoch: Instant::now(),
            deadlines,
            slots: Mutex::new(Vec::new()),
            state: Mutex::new((WorkerState::Starting, None)),
        }
    }

    /// A slot for one more thread.
    pub fn slot(&self) -> CallSlot {
        let word = Arc::new(AtomicU64::new(0));
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&word));
        CallSlot { word, epoch: self.epoch }
    }

    /// Says how far the worker is.
    pub fn set_state(&self, state: WorkerState, reason: Option<String>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (state, reason);
    }

    /// The call that is nearest to its deadline, and how far the worker is.
    pub fn heartbeat(&self) -> Heartbeat {
        let now_ms = millis(self.epoch.elapsed()) + 1;
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = slots.iter().filter_map(|slot| {
            let word = slot.load(Ordering::Relaxed);
            let call = Call::ALL.into_iter().find(|call| word != 0 && call.number() == word & 0xf)?;
            let age_ms = now_ms.saturating_sub(word >> 4);
            Some((age_ms, call, call.deadline_ms(&self.deadlines)))
        });
        let nearest = calls.min_by_key(|(age_ms, _, deadline_ms)| deadline_ms.saturating_sub(*age_ms));
        let oldest =
            nearest.map(|(age_ms, call, deadline_ms)| CallAge { call: call.name().to_owned(), age_ms, deadline_ms });
        let (state, reason) = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Heartbeat { state, oldest, reason }
    }

    /// Beats until the keeper is gone, and ends the worker then; or until the worker ends, so that a module that
    /// hangs in its exit handlers is ended too.
    pub fn beat(&self, mut pipe: impl Write) {
        while !ending::is_ending() {
            let beat = match frame::encode(&self.heartbeat()) {
                Ok(beat) => beat,
                Err(error) => unreachable!("a heartbeat is short: {error}"),
            };
            if let Err(error) = pipe.write_all(&beat) {
                ending::end(ending::Ending::KeeperGone, &format!("the keeper is gone: {error}"));
            }
            std::thread::sleep(HEARTBEAT);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_nearest_to_its_deadline_is_reported() {
        let deadlines = Deadlines { sign_ms: 50, login_ms: 10_000, generate_ms: 1, find_ms: 1, other_ms: 1 };
        let watch = Watch::new(deadlines);
        let (first, second) = (watch.slot(), watch.slot());
        assert_eq!(watch.heartbeat().oldest, None);
        let seen = first.during(Call::Login, || second.during(Call::Sign, || watch.heartbeat()));
        let oldest = seen.oldest.expect("two calls");
        assert_eq!((oldest.call.as_str(), oldest.deadline_ms), ("C_Sign", 50));
        assert_eq!(watch.heartbeat().oldest, None);
    }

    #[test]
    fn every_call_has_a_number_of_its_own() {
        for (index, call) in Call::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(call.number()), Ok(index));
        }
    }
}
