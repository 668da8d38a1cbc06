//! The look-up thread: idempotency keys and stored results, from short snapshots.

use super::{Fatal, die};
use crate::core::{ChunkId, Event, Found, RequestId, Sought};
use crossbeam_channel::{Receiver, Sender};
use psd::certification::MarkId;
use psd::{PieceKey, TenantName};
use psdd_ledger::{DoneStep, Durable, ReadError, Reader};
use tokio::sync::oneshot;

/// What to read.
pub(super) enum LookUp {
    /// Keys of a request in the core.
    Keys(RequestId, TenantName, Vec<Sought>),
    /// Whether an indicium has paid for a certification, for the core.
    Paid(ChunkId, MarkId),
    /// A stored result, for a door.
    Piece(TenantName, PieceKey, oneshot::Sender<Option<Durable>>),
    /// The newest record in a slot of a PSD, for a door.
    Live(String, String, oneshot::Sender<Option<Durable>>),
    /// The steps of a ceremony that are done, and at least so many of the keys made in them, where there are so many.
    CeremonySteps(u64, usize, oneshot::Sender<Vec<DoneStep>>),
}

pub(super) fn run(mut reader: Reader, requests: &Receiver<LookUp>, core: &Sender<Event>) {
    while let Ok(request) = requests.recv() {
        let outcome = match request {
            LookUp::Keys(id, tenant, sought) => {
                found(&mut reader, &tenant, &sought).map(|found| core.send(Event::LookedUp(id, found)).is_ok())
            }
            LookUp::Paid(id, mark) => reader
                .paid(std::iter::once(Some(&mark)))
                .map(|paid| core.send(Event::PaidLookedUp(id, paid == [true])).is_ok())
                .map_err(Into::into),
            LookUp::Piece(tenant, key, reply) => reader
                .look_up(std::iter::once((&tenant, &key)))
                .map(|mut found| reply.send(found.pop().flatten()).is_ok()),
            LookUp::CeremonySteps(number, most_keys, reply) => {
                reader.ceremony_steps(number, most_keys).map(|steps| reply.send(steps).is_ok())
            }
            LookUp::Live(psd, slot, reply) => reader.live(&psd, &slot).map(|found| reply.send(found).is_ok()),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => tracing::debug!("nobody waits for a look-up any more"),
            Err(error) => die(&Fatal::Ledger(error.to_string())),
        }
    }
}

/// What the disk knows of the items of a request, in their order.
pub(crate) fn found(reader: &mut Reader, tenant: &TenantName, sought: &[Sought]) -> Result<Vec<Found>, ReadError> {
    let pieces = reader.look_up(sought.iter().map(|sought| (tenant, &sought.key)))?;
    // Most items are paid by no indicium, and ask about none.
    let used = match sought.iter().any(|sought| sought.mark.is_some()) {
        true => reader.paid(sought.iter().map(|sought| sought.mark.as_ref()))?,
        false => vec![false; sought.len()],
    };
    Ok(pieces.into_iter().zip(used).map(|(piece, mark_used)| Found { piece, mark_used }).collect())
}
