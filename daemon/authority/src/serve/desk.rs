//! The one thread that has the books: statements come over a bounded queue and are answered in order.

use super::clock::now;
use super::problems::Failure;
use crate::books::Fault;
use crate::funds::{FundsError, FundsSystem};
use crate::statement::Kind;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// What a client wants of the books.
pub(super) enum Ask {
    /// A statement of a PSD, COSE_Sign1.
    Statement(Kind, Vec<u8>),
    /// The account of a licence.
    Account(String),
}

struct Job {
    caller: String,
    ask: Ask,
    reply: oneshot::Sender<Result<Vec<u8>, Failure>>,
}

/// The way to the books.
#[derive(Clone)]
pub(super) struct Desk {
    jobs: mpsc::Sender<Job>,
}

/// Starts the thread. It ends when every [`Desk`] is gone, or with the fault that is sent.
pub(super) fn start(
    funds: FundsSystem,
    queued: usize,
) -> std::io::Result<(Desk, oneshot::Receiver<Fault>, std::thread::JoinHandle<()>)> {
    let (jobs, waiting) = mpsc::channel(queued);
    let (failed, failure) = oneshot::channel();
    let thread = std::thread::Builder::new().name("books".to_owned()).spawn(move || {
        if let Err(fault) = work(funds, waiting)
            && let Err(fault) = failed.send(fault)
        {
            tracing::error!(%fault, "the books failed while nobody listened any more");
        }
    })?;
    Ok((Desk { jobs }, failure, thread))
}

fn work(mut funds: FundsSystem, mut waiting: mpsc::Receiver<Job>) -> Result<(), Fault> {
    while let Some(Job { caller, ask, reply }) = waiting.blocking_recv() {
        let outcome = match answer(&mut funds, &caller, ask) {
            Ok(body) => Ok(body),
            Err(FundsError::Refused(refusal)) => Err(refusal.into()),
            Err(FundsError::Fault(fault)) if fault.is_busy() => Err(Failure::overloaded()),
            // Whether it is on stable storage is not known, so nothing is answered.
            Err(FundsError::Fault(fault)) => return Err(fault),
        };
        if reply.send(outcome).is_err() {
            tracing::debug!(caller, "the client went away; it repeats what it said");
        }
    }
    Ok(())
}

fn answer(funds: &mut FundsSystem, caller: &str, ask: Ask) -> Result<Vec<u8>, FundsError> {
    let caller = Some(caller);
    let (kind, bytes) = match ask {
        Ask::Statement(kind, bytes) => (kind, bytes),
        Ask::Account(licence) => return funds.account(caller, &licence).map(encoded),
    };
    let now = now().map_err(|error| Fault::Broken(error.to_string()))?;
    match kind {
        Kind::ValueRequest => funds.value_request(caller, &bytes, now).map(encoded),
        Kind::ValueVoid => funds.void_statement(caller, &bytes, now).map(encoded),
        Kind::WithdrawalRequest => funds.withdrawal_request(caller, &bytes, now).map(encoded),
        Kind::WithdrawalReport => funds.withdrawal_report(caller, &bytes, now).map(encoded),
    }
}

fn encoded<T: Serialize>(message: T) -> Vec<u8> {
    psdd_wire::encode(&message)
}

impl Desk {
    /// Hands something to the books and waits for the answer.
    pub(super) async fn ask(&self, caller: &str, ask: Ask) -> Result<Vec<u8>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job { caller: caller.to_owned(), ask, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::overloaded(),
            mpsc::error::TrySendError::Closed(_) => Failure::stopping(),
        })?;
        answer.await.unwrap_or_else(|_gone| Err(Failure::stopping()))
    }
}
