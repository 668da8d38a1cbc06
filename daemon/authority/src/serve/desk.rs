//! The one thread that has the books: statements come over a bounded queue and are answered in order, all that wait in one transaction.

use super::clock::now;
use super::problems::Failure;
use crate::books::Fault;
use crate::funds::{FundsError, FundsSystem};
use crate::pki::{EnrolError, Enrolment, PkiError};
use crate::statement::Kind;
use psdd_wire::enrolment::EnrolmentRequest;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// Most statements in one transaction: they share its sync.
const MOST_TOGETHER: usize = 64;

/// What a client wants of the books.
pub(super) enum Ask {
    /// A statement of a PSD, COSE_Sign1.
    Statement(Kind, Vec<u8>),
    /// The account of a licence.
    Account(String),
    /// The certificate of a PSD's next key.
    Certificate(EnrolmentRequest),
}

/// What has the books: the funds system, and the CA of PSD keys.
pub(super) struct Offices {
    pub(super) funds: FundsSystem,
    pub(super) enrolment: Enrolment,
}

/// Why there is no answer.
enum NoAnswer {
    Refused(Failure),
    Fault(Fault),
}

impl From<FundsError> for NoAnswer {
    fn from(error: FundsError) -> Self {
        match error {
            FundsError::Refused(refusal) => NoAnswer::Refused(refusal.into()),
            FundsError::Fault(fault) => NoAnswer::Fault(fault),
        }
    }
}

impl From<EnrolError> for NoAnswer {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Refused(refusal) => NoAnswer::Refused(refusal.into()),
            EnrolError::Books(fault) | EnrolError::Pki(PkiError::Books(fault)) => NoAnswer::Fault(fault),
            // The transaction was given up before anything was written.
            EnrolError::Pki(error) => NoAnswer::Fault(Fault::Broken(error.to_string())),
        }
    }
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
    offices: Offices,
    queued: usize,
) -> std::io::Result<(Desk, oneshot::Receiver<Fault>, std::thread::JoinHandle<()>)> {
    let (jobs, waiting) = mpsc::channel(queued);
    let (failed, failure) = oneshot::channel();
    let thread = std::thread::Builder::new().name("books".to_owned()).spawn(move || {
        if let Err(fault) = work(offices, waiting)
            && let Err(fault) = failed.send(fault)
        {
            tracing::error!(%fault, "the books failed while nobody listened any more");
        }
    })?;
    Ok((Desk { jobs }, failure, thread))
}

fn work(Offices { mut funds, enrolment }: Offices, mut waiting: mpsc::Receiver<Job>) -> Result<(), Fault> {
    let mut jobs = Vec::with_capacity(MOST_TOGETHER);
    while waiting.blocking_recv_many(&mut jobs, MOST_TOGETHER) > 0 {
        let all = |funds: &mut FundsSystem| {
            let judged = jobs.iter().map(|Job { caller, ask, .. }| match answer(funds, &enrolment, caller, ask) {
                Ok(body) => Ok(Ok(body)),
                Err(NoAnswer::Refused(failure)) => Ok(Err(failure)),
                Err(NoAnswer::Fault(fault)) => Err(fault),
            });
            judged.collect::<Result<Vec<_>, Fault>>()
        };
        match funds.together(all) {
            Ok(answers) => jobs.drain(..).zip(answers).for_each(|(job, answer)| job.tell(answer)),
            Err(fault) if fault.is_busy() => jobs.drain(..).for_each(|job| job.tell(Err(Failure::overloaded()))),
            // Whether it is on stable storage is not known, so nothing is answered.
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

impl Job {
    fn tell(self, answer: Result<Vec<u8>, Failure>) {
        if self.reply.send(answer).is_err() {
            tracing::debug!(caller = self.caller, "the client went away; it repeats what it said");
        }
    }
}

fn answer(funds: &mut FundsSystem, enrolment: &Enrolment, caller: &str, ask: &Ask) -> Result<Vec<u8>, NoAnswer> {
    let caller = Some(caller);
    let now = now().map_err(|error| NoAnswer::Fault(Fault::Broken(error.to_string())))?;
    let (kind, bytes) = match ask {
        Ask::Statement(kind, bytes) => (kind, bytes),
        Ask::Account(licence) => return Ok(encoded(funds.account(caller, licence)?)),
        Ask::Certificate(asked) => return Ok(encoded(enrolment.enrol(funds.books(), caller, asked, now)?)),
    };
    Ok(match kind {
        Kind::ValueRequest => encoded(funds.value_request(caller, bytes, now)?),
        Kind::ValueVoid => encoded(funds.void_statement(caller, bytes, now)?),
        Kind::WithdrawalRequest => encoded(funds.withdrawal_request(caller, bytes, now)?),
        Kind::WithdrawalReport => encoded(funds.withdrawal_report(caller, bytes, now)?),
    })
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
