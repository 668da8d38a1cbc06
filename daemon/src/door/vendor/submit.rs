//! Pieces on their way into the core, whatever signs them: their sums, the checkpoint that came with them, their outcomes.

use super::VendorState;
use super::connection::Connection;
use super::problems::{Failure, not_judged};
use crate::core::{Outcome, PolicyGeneration, SignTarget, Submission, SubmitReply};
use crate::spine::{Fatal, die};
use http::StatusCode;
use psd::PostageAmount;
use psd::device::Piece;
use psdd_ledger::Body;
use psdd_policy::SigningTotals;
use psdd_wire::MOST_ITEMS;
use psdd_wire::checkpoint::Checkpoint;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often an item may be authorised anew before it is refused as overload.
pub(super) const AUTHORISE_ATTEMPTS: usize = 3;

/// Pieces, each with its personal field.
pub(super) type Pieces = Vec<(Piece, Option<Body>)>;

/// A request that was authorised.
pub(super) struct Authorised<'r> {
    /// Who shall sign.
    pub(super) target: SignTarget,
    /// The same as it was asked for.
    pub(super) signer: &'r str,
    /// Whether one refusal refuses all.
    pub(super) all_or_none: bool,
    /// Under which policy.
    pub(super) policy: PolicyGeneration,
}

/// What becomes of the pieces, in their order.
pub(super) async fn submit(
    connection: &Connection,
    authorised: Authorised<'_>,
    pieces: Pieces,
) -> Result<Vec<Outcome>, Failure> {
    let Authorised { target, signer, all_or_none, policy } = authorised;
    let submission = Submission {
        request: connection.state.core.next_request(),
        tenant: connection.identity.tenant.clone(),
        client: Arc::clone(&connection.identity.client),
        target,
        pieces,
        all_or_none,
        policy,
    };
    match connection.state.core.submit(submission)?.await {
        Ok(SubmitReply::Judged(outcomes)) => Ok(outcomes),
        Ok(other) => Err(not_judged(&other, signer)),
        Err(_gone) => Err(Failure::stopping()),
    }
}

/// A request has one item at least, and no more than the contract allows.
pub(super) fn check_count(count: usize) -> Result<(), Failure> {
    if (1..=MOST_ITEMS).contains(&count) {
        return Ok(());
    }
    let detail = format!("a request has 1 to {MOST_ITEMS} items, this one has {count}");
    Err(Failure::lasting(StatusCode::BAD_REQUEST, "item-count", detail))
}

pub(super) fn totals(pieces: &[(Piece, Option<Body>)]) -> Result<SigningTotals, Failure> {
    let total = sum(pieces.iter().map(|(piece, _)| piece.postage))?;
    let largest = pieces.iter().map(|(piece, _)| piece.postage).max().unwrap_or(PostageAmount::ZERO);
    Ok(SigningTotals { count: u32::try_from(pieces.len()).unwrap_or(u32::MAX), total, largest })
}

pub(super) fn sum(mut amounts: impl Iterator<Item = PostageAmount>) -> Result<PostageAmount, Failure> {
    let total = amounts.try_fold(PostageAmount::ZERO, PostageAmount::checked_add);
    total.ok_or_else(|| Failure::lasting(StatusCode::BAD_REQUEST, "amount-too-large", "the total is beyond any amount"))
}

/// A validly signed checkpoint beyond the end of this log means that the ledger was rolled back or cloned: stop at once
/// (DESIGN.md §5).
pub(super) fn compare_checkpoint(state: &VendorState, note: &str) -> Result<(), Failure> {
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
