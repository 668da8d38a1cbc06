//! POST /v1/indicia: decode → authorise → the core → encode what is durable.

use super::VendorState;
use super::connection::Connection;
use super::problems::{Failure, not_judged, of_outcome};
use crate::core::{Outcome, Submission, SubmitReply};
use crate::spine::{Fatal, Metrics, die};
use http::StatusCode;
use psd::device::Piece;
use psd::record::{Event, Indicium};
use psd::{PostageAmount, PsdId};
use psdd_ledger::{Body, Durable};
use psdd_policy::{Action, SigningTotals};
use psdd_wire::MOST_ITEMS;
use psdd_wire::checkpoint::Checkpoint;
use psdd_wire::item::piece_of;
use psdd_wire::message::{RefusedPiece, SignRequest, SignResponse, SignResult, SignedPiece};
use psdd_wire::problem::Problem;
use rand::RngCore;
use std::sync::atomic::Ordering;

/// How often an item may be authorised anew before it is refused as overload.
const AUTHORISE_ATTEMPTS: usize = 3;

/// An item on its way through the door.
enum Item {
    Waiting(Box<(Piece, Option<Body>)>),
    Done(SignResult),
}

pub(super) async fn sign(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: SignRequest<'_> = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    let count = request.items.len();
    if count == 0 || count > MOST_ITEMS {
        let detail = format!("a request has 1 to {MOST_ITEMS} items, this one has {count}");
        return Err(Failure::lasting(StatusCode::BAD_REQUEST, "item-count", detail));
    }
    let psd: PsdId = request.psd.parse().ok().ok_or_else(|| Failure::unknown_psd(&request.psd))?;
    if let Some(note) = request.checkpoint.as_deref() {
        compare_checkpoint(&connection.state, note)?;
    }
    let keys: Vec<Vec<u8>> = request.items.iter().map(|item| item.key.to_vec()).collect();
    let mut items = judge_form(&request)?;
    for _ in 0..AUTHORISE_ATTEMPTS {
        if !items.iter().any(|item| matches!(item, Item::Waiting(_))) {
            break;
        }
        pass_core(connection, &request, psd, &keys, &mut items).await?;
    }
    let results = items
        .into_iter()
        .zip(keys)
        .map(|(item, key)| match item {
            Item::Done(result) => result,
            Item::Waiting(_) => refused(key, of_outcome(&Outcome::Stale)),
        })
        .collect();
    for result in &results {
        count_refusal(&connection.state.metrics, result);
    }
    Ok(psdd_wire::encode(&SignResponse { results, checkpoint: connection.state.newest.note() }))
}

/// Items that are no pieces are refused here. Under `all_or_none` the request is refused before any item is judged, so that nothing
/// is said of keys that were used before.
fn judge_form(request: &SignRequest<'_>) -> Result<Vec<Item>, Failure> {
    let mut rng = rand::rng();
    let mut items: Vec<Item> = Vec::with_capacity(request.items.len());
    for (index, item) in request.items.iter().enumerate() {
        items.push(match piece_of(&request.psd, item) {
            Ok(mut piece) => {
                let body = item.recipient.as_deref().map(|recipient| {
                    let mut salt = [0; 16];
                    rng.fill_bytes(&mut salt);
                    Body { salt, body: recipient.as_bytes().into() }
                });
                piece.recipient = body.as_ref().map(Body::commitment);
                Item::Waiting(Box::new((piece, body)))
            }
            Err(error) if request.all_or_none => {
                let detail = format!("item {index}: {error}; no item of this all-or-none request was judged");
                return Err(Failure::lasting(StatusCode::BAD_REQUEST, error.code(), detail));
            }
            Err(error) => {
                Item::Done(refused(item.key.to_vec(), Some(Problem::lasting(error.code(), error.to_string()))))
            }
        });
    }
    Ok(items)
}

/// Authorises the waiting items together and has the core judge them; those whose policy changed meanwhile stay waiting.
async fn pass_core(
    connection: &Connection,
    request: &SignRequest<'_>,
    psd: PsdId,
    keys: &[Vec<u8>],
    items: &mut [Item],
) -> Result<(), Failure> {
    let waiting: Vec<usize> =
        items.iter().enumerate().filter(|(_, item)| matches!(item, Item::Waiting(_))).map(|(at, _)| at).collect();
    let pieces: Vec<(Piece, Option<Body>)> = waiting
        .iter()
        .filter_map(|at| match &items[*at] {
            Item::Waiting(piece) => Some((**piece).clone()),
            Item::Done(_) => None,
        })
        .collect();
    let totals = totals(&pieces)?;
    let policy =
        connection.may(psd, Action::SignIndicium(totals)).ok_or_else(|| Failure::unknown_psd(&request.psd))??;
    let submission = Submission {
        request: connection.state.core.next_request(),
        tenant: connection.identity.tenant.clone(),
        psd,
        pieces,
        all_or_none: request.all_or_none,
        policy,
    };
    let answer = connection.state.core.submit(submission)?;
    let outcomes = match answer.await {
        Ok(SubmitReply::Judged(outcomes)) => outcomes,
        Ok(other) => return Err(not_judged(&other, &request.psd)),
        Err(_gone) => return Err(Failure::stopping()),
    };
    for (at, outcome) in waiting.into_iter().zip(outcomes) {
        if let Outcome::Stale = outcome {
            continue;
        }
        items[at] = Item::Done(match outcome {
            Outcome::Signed(durable) => match signed_piece(&durable) {
                Some(piece) => SignResult::Signed(piece),
                None => die(&Fatal::Broken("a piece was answered with another kind of record".to_owned())),
            },
            other => refused(keys[at].clone(), of_outcome(&other)),
        });
    }
    Ok(())
}

fn totals(pieces: &[(Piece, Option<Body>)]) -> Result<SigningTotals, Failure> {
    let mut total = PostageAmount::ZERO;
    let mut largest = PostageAmount::ZERO;
    for (piece, _) in pieces {
        let too_large =
            || Failure::lasting(StatusCode::BAD_REQUEST, "amount-too-large", "the total is beyond any amount");
        total = total.checked_add(piece.postage).ok_or_else(too_large)?;
        largest = largest.max(piece.postage);
    }
    Ok(SigningTotals { count: u32::try_from(pieces.len()).unwrap_or(u32::MAX), total, largest })
}

/// What a durable record says to its client: the same for the first answer and every repetition.
pub(super) fn signed_piece(durable: &Durable) -> Option<SignedPiece> {
    let record = durable.record();
    let Event::Indicium(Indicium { stamp, key, indicium, .. }) = &record.event else { return None };
    Some(SignedPiece {
        key: *key.as_bytes(),
        psd: stamp.psd,
        leaf: durable.leaf(),
        time: record.at.time.0,
        indicium: indicium.clone(),
        sequence: stamp.sequence,
        registers: stamp.registers.into(),
    })
}

fn refused(key: Vec<u8>, problem: Option<Problem>) -> SignResult {
    let problem = problem.unwrap_or_else(|| Problem::lasting("malformed", "no outcome"));
    SignResult::Refused(RefusedPiece { key, problem })
}

fn count_refusal(metrics: &Metrics, result: &SignResult) {
    if let SignResult::Refused(refused) = result {
        metrics.refused(&refused.problem.facts.code);
    }
}

/// A validly signed checkpoint beyond the end of this log means that the ledger was rolled back or cloned: stop at once
/// (DESIGN.md §5).
fn compare_checkpoint(state: &VendorState, note: &str) -> Result<(), Failure> {
    if state.newest.knows(note) {
        return Ok(());
    }
    let seen = Checkpoint::verified(note, &state.origin, &state.log_key)
        .map_err(|error| Failure::lasting(StatusCode::BAD_REQUEST, "checkpoint-invalid", error.to_string()))?;
    let size = state.log_size.load(Ordering::Acquire);
    if seen.size > size {
        die(&Fatal::Fenced(format!(
            "a client holds a signed checkpoint of {} records, this log has {size}",
            seen.size
        )));
    }
    Ok(())
}
