//! Requests that wait for their answer.
//!
//! Owns the rule "exactly once": whoever takes a request out of the table answers it, and nobody else can. Called
//! under the lock of the link by the sender, the reader and the deadline check.

use super::{Generated, LinkEvent, RequestId, Signatures};
use crate::protocol::{FaultClass, FoundKey, HsmFault};
use crossbeam_channel::Sender;
use std::collections::HashMap;
use std::time::Instant;

/// Who gets the answer.
pub(super) enum ReplyTo {
    /// The link's event handler; for frames of so many messages to sign.
    Events {
        /// How many signatures the answer must hold.
        messages: usize,
    },
    /// A thread that waits.
    Waiter(Sender<Result<Answer, HsmFault>>),
}

/// What a waiting caller gets.
#[derive(Debug)]
pub(super) enum Answer {
    Signed(Signatures),
    Generated(Generated),
    Object(Option<Vec<u8>>),
    Found(Option<FoundKey>),
    Clock(Option<u64>),
    Done,
}

struct Waiting {
    deadline: Instant,
    reply_to: ReplyTo,
}

/// The table of outstanding requests.
#[derive(Default)]
pub(super) struct Outstanding {
    waiting: HashMap<u64, Waiting>,
}

/// An answer that was matched with its request, to be delivered after the lock is released.
#[must_use]
pub(super) struct Delivery {
    request: u64,
    reply_to: ReplyTo,
    answer: Result<Answer, HsmFault>,
}

impl Outstanding {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn insert(&mut self, request: u64, deadline: Instant, reply_to: ReplyTo) {
        self.waiting.insert(request, Waiting { deadline, reply_to });
    }

    /// Matches an answer; none when nobody waits for it any more.
    pub(super) fn answer(&mut self, request: u64, answer: Result<Answer, HsmFault>) -> Option<Delivery> {
        let Waiting { reply_to, .. } = self.waiting.remove(&request)?;
        Some(Delivery { request, reply_to, answer })
    }

    /// Takes a request back that could not be sent.
    pub(super) fn forget(&mut self, request: u64) {
        self.waiting.remove(&request);
    }

    /// Fails all requests, because the worker is gone.
    pub(super) fn fail_all(&mut self) -> Vec<Delivery> {
        let mut lost: Vec<Delivery> = self
            .waiting
            .drain()
            .map(|(request, waiting)| Delivery { request, reply_to: waiting.reply_to, answer: Err(worker_lost()) })
            .collect();
        lost.sort_unstable_by_key(|delivery| delivery.request);
        lost
    }

    /// Fails the requests whose deadline has passed.
    pub(super) fn fail_late(&mut self, now: Instant) -> Vec<Delivery> {
        let mut late: Vec<u64> =
            self.waiting.iter().filter(|(_, waiting)| waiting.deadline <= now).map(|(request, _)| *request).collect();
        late.sort_unstable();
        late.into_iter().filter_map(|request| self.answer(request, Err(deadline_passed()))).collect()
    }
}

impl Delivery {
    /// Hands the answer over.
    pub(super) fn deliver(self, on_event: &impl Fn(LinkEvent)) {
        let request = RequestId(self.request);
        match self.reply_to {
            ReplyTo::Waiter(waiter) => {
                if waiter.send(self.answer).is_err() {
                    tracing::debug!(request = request.0, "nobody waits for this answer any more");
                }
            }
            ReplyTo::Events { messages } => on_event(match self.answer {
                Ok(Answer::Signed(signatures)) if signatures.len() == messages => {
                    LinkEvent::Signed { request, signatures }
                }
                Ok(
                    Answer::Signed(_)
                    | Answer::Generated(_)
                    | Answer::Object(_)
                    | Answer::Found(_)
                    | Answer::Clock(_)
                    | Answer::Done,
                ) => LinkEvent::Failed { request, fault: wrong_answer() },
                Err(fault) => LinkEvent::Failed { request, fault },
            }),
        }
    }
}

fn worker_lost() -> HsmFault {
    fault(FaultClass::WorkerLost, "worker-lost", "await answer")
}

fn deadline_passed() -> HsmFault {
    fault(FaultClass::Deadline, "deadline", "await answer")
}

/// The worker answered something else than was asked.
pub(super) fn wrong_answer() -> HsmFault {
    fault(FaultClass::Module, "wrong-answer", "read answer")
}

fn fault(class: FaultClass, code: &str, step: &str) -> HsmFault {
    HsmFault { class, code: code.to_owned(), step: step.to_owned(), retryable: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::time::Duration;

    fn events(deliveries: impl IntoIterator<Item = Delivery>) -> Vec<(u64, Option<FaultClass>)> {
        let seen = RefCell::new(Vec::new());
        for delivery in deliveries {
            delivery.deliver(&|event| {
                seen.borrow_mut().push(match event {
                    LinkEvent::Signed { request, .. } => (request.0, None),
                    LinkEvent::Failed { request, fault } => (request.0, Some(fault.class)),
                    other => panic!("{other:?}"),
                });
            });
        }
        seen.into_inner()
    }

    #[test]
    fn an_answer_a_deadline_and_a_loss_answer_each_request_once() {
        let now = Instant::now();
        let mut table = Outstanding::default();
        for request in 0..4 {
            let deadline = now + Duration::from_secs(request);
            table.insert(request, deadline, ReplyTo::Events { messages: 1 });
        }
        let signed = || Ok(Answer::Signed(Signatures::from_bytes(vec![0; 64])));

        assert_eq!(events(table.answer(3, signed())), [(3, None)]);
        assert_eq!(events(table.answer(3, signed())), []);
        let late = table.fail_late(now + Duration::from_secs(1));
        assert_eq!(events(late), [(0, Some(FaultClass::Deadline)), (1, Some(FaultClass::Deadline))]);
        assert_eq!(events(table.answer(1, signed())), [], "a late answer is discarded");
        assert_eq!(events(table.fail_all()), [(2, Some(FaultClass::WorkerLost))]);
        assert_eq!(events(table.fail_all()), []);
    }

    #[test]
    fn a_frame_that_comes_back_with_too_few_signatures_fails() {
        let mut table = Outstanding::default();
        table.insert(1, Instant::now(), ReplyTo::Events { messages: 2 });
        let answer = table.answer(1, Ok(Answer::Signed(Signatures::from_bytes(vec![0; 64]))));
        assert_eq!(events(answer), [(1, Some(FaultClass::Module))]);
    }
}
