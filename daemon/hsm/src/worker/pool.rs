//! The queue of frames to sign, and how the sessions share it.
//!
//! Owns the order: frames are taken from the front, in chunks, by every session that is free, so that a frame alone
//! keeps all sessions busy and a lone message waits for nobody's batch to fill. Whoever does the last chunk of a frame
//! writes its answer.

use super::connection::PsddConnection;
use super::fault::Fault;
use super::keys::{Hold, Key};
use crate::protocol::{FaultClass, HsmFault, Messages, Reply};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A frame that is being signed.
pub struct SignJob {
    connection: Arc<PsddConnection>,
    request: u64,
    /// The key that signs.
    pub key: Arc<Key>,
    /// Keeps the key from being destroyed until the frame is answered.
    hold: Mutex<Option<Hold>>,
    /// The length of each signature.
    each: usize,
    /// What it signs.
    pub messages: Messages,
    /// The lowest ascending register in the messages, where they are indicia.
    lowest: Option<u64>,
    /// Whether the signatures stay here: a test, answered with `Done`.
    is_test: bool,
    chunk: usize,
    taken: AtomicUsize,
    /// Messages with a signature; those of void chunks never count, so a void frame is never answered as signed.
    finished: AtomicUsize,
    answered: AtomicBool,
    signatures: Mutex<Vec<u8>>,
}

impl SignJob {
    /// A job for so many sessions.
    pub fn new(
        connection: Arc<PsddConnection>,
        request: u64,
        hold: Hold,
        messages: Messages,
        lowest: Option<u64>,
        sessions: usize,
    ) -> Self {
        let count = messages.len();
        let key = Arc::clone(hold.key());
        let each = key.entry.algorithm.signature_len();
        Self {
            connection,
            request,
            key,
            hold: Mutex::new(Some(hold)),
            each,
            messages,
            lowest,
            is_test: false,
            chunk: (count / (sessions * 4).max(1)).clamp(1, 16),
            taken: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            answered: AtomicBool::new(false),
            signatures: Mutex::new(vec![0; count * each]),
        }
    }

    /// A job that makes one signature over this and forgets it.
    pub fn test(connection: Arc<PsddConnection>, request: u64, hold: Hold, message: &[u8]) -> Self {
        let messages = [message].into_iter().collect();
        Self { is_test: true, ..Self::new(connection, request, hold, messages, None, 1) }
    }

    /// The next messages nobody has taken.
    pub fn take(&self) -> Option<Range<usize>> {
        let count = self.messages.len();
        let start = self.taken.fetch_add(self.chunk, Ordering::Relaxed);
        (start < count).then(|| start..count.min(start + self.chunk))
    }

    fn is_exhausted(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.messages.len()
    }

    /// Whether nobody needs the rest: it failed, or psdd went away, or another frame's commit overtook it.
    pub fn is_void(&self) -> bool {
        if self.answered.load(Ordering::Relaxed) || !self.connection.is_alive() {
            return true;
        }
        let floor = self.key.floor();
        let overtaken = self.lowest.is_some_and(|lowest| lowest <= floor);
        if overtaken {
            self.fail(HsmFault {
                class: FaultClass::Refused,
                code: "ar-below-floor".to_owned(),
                step: format!("ascending register is not above {floor}, committed meanwhile"),
                retryable: false,
            });
        }
        overtaken
    }

    /// Enters the signatures of a chunk; the last one answers.
    pub fn finish(&self, range: Range<usize>, signatures: &[u8]) {
        let at = range.start * self.each;
        self.lock()[at..at + range.len() * self.each].copy_from_slice(signatures);
        let finished = self.finished.fetch_add(range.len(), Ordering::AcqRel) + range.len();
        if finished == self.messages.len() && !self.answered.swap(true, Ordering::AcqRel) {
            self.let_go();
            let (request, incarnation) = (self.request, self.connection.incarnation());
            let each = u16::try_from(self.each).expect("a signature is short");
            self.connection.send(&if self.is_test {
                Reply::Done { request, incarnation }
            } else {
                Reply::Signed { request, incarnation, signatures: std::mem::take(&mut *self.lock()), each }
            });
        }
    }

    /// Fails the whole frame, unless it is answered already.
    pub fn fail(&self, fault: HsmFault) {
        if !self.answered.swap(true, Ordering::AcqRel) {
            self.let_go();
            let (request, incarnation) = (self.request, self.connection.incarnation());
            self.connection.send(&Reply::Failed { request, incarnation, fault });
        }
    }

    /// Before the answer is sent, so that who has it may have the key destroyed.
    fn let_go(&self) {
        drop(self.hold.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.signatures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a session is to do next.
pub enum Next {
    /// Take chunks of this frame until there are none left.
    Sign(Arc<SignJob>),
    /// Nothing came for a while: keep the session alive.
    Idle,
    /// End.
    Stop,
}

/// The queue.
pub struct Pool {
    queue: Mutex<Queue>,
    bell: Condvar,
}

struct Queue {
    frames: VecDeque<Arc<SignJob>>,
    waiting: usize,
    stopping: bool,
    /// Sessions that have not ended.
    running: usize,
}

/// The most frames in the queue; psdd's link holds fewer.
const MAX_FRAMES: usize = 4096;

impl Pool {
    /// An empty queue for so many sessions.
    pub fn new(sessions: usize) -> Self {
        let queue = Queue { frames: VecDeque::new(), waiting: 0, stopping: false, running: sessions };
        Self { queue: Mutex::new(queue), bell: Condvar::new() }
    }

    /// Adds a frame; fails it when too many wait already.
    pub fn push(&self, job: SignJob) {
        let job = Arc::new(job);
        let mut queue = self.lock();
        if queue.frames.len() >= MAX_FRAMES {
            drop(queue);
            job.fail(HsmFault {
                class: FaultClass::Request,
                code: "queue-full".to_owned(),
                step: "queue".to_owned(),
                retryable: true,
            });
            return;
        }
        let chunks = job.messages.len().div_ceil(job.chunk);
        let wake = queue.waiting.min(chunks);
        queue.frames.push_back(job);
        drop(queue);
        for _ in 0..wake {
            self.bell.notify_one();
        }
    }

    /// The frame at the front, or what else there is to do after `idle`.
    pub fn next(&self, idle: Duration) -> Next {
        let mut queue = self.lock();
        loop {
            if queue.stopping {
                queue.running -= 1;
                self.bell.notify_all();
                return Next::Stop;
            }
            while queue.frames.front().is_some_and(|job| job.is_exhausted()) {
                queue.frames.pop_front();
            }
            if let Some(job) = queue.frames.front() {
                return Next::Sign(Arc::clone(job));
            }
            queue.waiting += 1;
            let (woken, timeout) = self.bell.wait_timeout(queue, idle).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.waiting -= 1;
            if timeout.timed_out() && queue.frames.is_empty() && !queue.stopping {
                return Next::Idle;
            }
        }
    }

    /// Lets every session finish its call and no more; true when all did within `patience`.
    pub fn stop(&self, patience: Duration) -> bool {
        let mut queue = self.lock();
        queue.stopping = true;
        self.bell.notify_all();
        let waited = self.bell.wait_timeout_while(queue, patience, |queue| queue.running > 0);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.running == 0
    }

    /// Whether the sessions are to end after the call they are in.
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fault of the worker's own making.
pub fn refused(code: &str, step: impl Into<String>) -> HsmFault {
    HsmFault { class: FaultClass::Refused, code: code.to_owned(), step: step.into(), retryable: false }
}

/// The fault of a signature that is not one.
pub fn bad_length(length: usize) -> Fault {
    Fault {
        class: hsm_profiles::ErrorClass::Module,
        code: format!("bad-output: a signature of {length} bytes"),
        step: "C_Sign".to_owned(),
        retryable: true,
    }
}
