//! POST /v1/indicia: decode → authorise → the core → encode what is durable.

use super::connection::{Connection, Permitted};
use super::problems::{Failure, of_outcome};
use super::submit::{AUTHORISE_ATTEMPTS, Authorised, Pieces, check_count, compare_checkpoint, submit, totals};
use crate::core::{Outcome, PolicyGeneration, Selection, SignTarget};
use crate::spine::{Fatal, Metrics, die};
use http::StatusCode;
use psd::device::Piece;
use psd::record::{Event, Indicium};
use psd::{LicenceNumber, PsdId};
use psdd_ledger::{Body, Durable};
use psdd_policy::Action;
use psdd_wire::item::piece_of;
use psdd_wire::message::{
    RefusedPiece, Select, SignItem, SignRequest, SignResponse, SignResult, SignTarget as Asked, SignedPiece,
};
use psdd_wire::problem::Problem;
use rand::RngCore;

/// A signed piece in a response takes some bytes less.
const LONG_RESULT: usize = 320;

pub(super) async fn sign(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: SignRequest<'_> = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    let count = request.items.len();
    check_count(count)?;
    let signer = signer(&request.target)?;
    if let Some(note) = request.checkpoint.as_deref() {
        compare_checkpoint(&connection.state, note)?;
    }
    let mut results: Vec<Option<SignResult>> = Vec::with_capacity(count);
    results.resize_with(count, || None);
    let mut open: Vec<usize> = (0..count).collect();
    for _ in 0..AUTHORISE_ATTEMPTS {
        let pieces = judge_form(&request, &mut open, &mut results)?;
        if open.is_empty() {
            break;
        }
        open = pass_core(connection, &request, &signer, pieces, &open, &mut results).await?;
    }
    let results = results.into_iter().zip(&request.items);
    let results = results.map(|(result, item)| result.unwrap_or_else(|| refused(item, of_outcome(&Outcome::Stale))));
    let results: Vec<SignResult> = results.collect();
    for result in &results {
        count_refusal(&connection.state.metrics, result);
    }
    let capacity = 512 + LONG_RESULT * results.len();
    let response = SignResponse { results, checkpoint: connection.state.newest.note() };
    Ok(psdd_wire::encode_with_capacity(&response, capacity))
}

/// The pieces of the open items. Those that are no pieces are refused here and stay open no longer. Under `all_or_none` the request is
/// refused before any item is judged, so that nothing is said of keys that were used before.
fn judge_form(
    request: &SignRequest<'_>,
    open: &mut Vec<usize>,
    results: &mut [Option<SignResult>],
) -> Result<Pieces, Failure> {
    let mut pieces = Vec::with_capacity(open.len());
    let mut failure = None;
    open.retain(|&index| {
        let item = &request.items[index];
        match piece_of(&request.target, item) {
            Ok(piece) => pieces.push(with_body(piece, item)),
            Err(error) if request.all_or_none => {
                let detail = format!("item {index}: {error}; no item of this all-or-none request was judged");
                failure.get_or_insert_with(|| Failure::lasting(StatusCode::BAD_REQUEST, error.code(), detail));
            }
            Err(error) => {
                results[index] = Some(refused(item, Some(Problem::lasting(error.code(), error.to_string()))));
                return false;
            }
        }
        true
    });
    failure.map_or(Ok(pieces), Err)
}

fn with_body(mut piece: Piece, item: &SignItem<'_>) -> (Piece, Option<Body>) {
    let body = item.recipient().map(|recipient| {
        let mut salt = [0; 16];
        rand::rng().fill_bytes(&mut salt);
        Body { salt, body: recipient.as_bytes().into() }
    });
    piece.recipient = body.as_ref().map(Body::commitment);
    (piece, body)
}

/// Authorises the pieces of the open items together and has the core judge them. What is still open afterwards: those whose policy
/// changed meanwhile.
async fn pass_core(
    connection: &Connection,
    request: &SignRequest<'_>,
    signer: &Signer,
    pieces: Pieces,
    open: &[usize],
    results: &mut [Option<SignResult>],
) -> Result<Vec<usize>, Failure> {
    let totals = totals(&pieces)?;
    let (target, policy) = authorise(connection, signer, Action::SignIndicium(totals))?;
    let all_or_none = request.all_or_none;
    let authorised = Authorised { target, signer: signer_text(&request.target), all_or_none, policy };
    let outcomes = submit(connection, authorised, pieces).await?;
    let mut stale = Vec::new();
    for (at, outcome) in open.iter().copied().zip(outcomes) {
        results[at] = match outcome {
            Outcome::Stale => {
                stale.push(at);
                None
            }
            Outcome::Signed(durable) => match signed_piece(&durable) {
                Some(piece) => Some(SignResult::Signed(piece)),
                None => die(&Fatal::Broken("a piece was answered with another kind of record".to_owned())),
            },
            other => Some(refused(&request.items[at], of_outcome(&other))),
        };
    }
    Ok(stale)
}

/// Who shall sign, valid in form.
enum Signer {
    Psd(PsdId),
    Licence(LicenceNumber, Selection),
}

fn signer(asked: &Asked<'_>) -> Result<Signer, Failure> {
    match asked {
        Asked::Psd(psd) => psd.parse().ok().map(Signer::Psd).ok_or_else(|| Failure::unknown_psd(psd)),
        Asked::Licence { licence, select } => {
            let selection = match select {
                Select::RoundRobin => Selection::RoundRobin,
                Select::MostFunds => Selection::MostFunds,
                Select::Zip => Selection::Zip,
            };
            let number = licence.parse().ok().ok_or_else(|| Failure::unknown_licence(licence))?;
            Ok(Signer::Licence(number, selection))
        }
    }
}

fn signer_text<'r>(asked: &'r Asked<'_>) -> &'r str {
    match asked {
        Asked::Psd(signer) | Asked::Licence { licence: signer, .. } => signer,
    }
}

/// The PSD, or those of the licence that the client may use, and the policy by which it may.
fn authorise(
    connection: &Connection,
    signer: &Signer,
    action: Action,
) -> Result<(SignTarget, PolicyGeneration), Failure> {
    match signer {
        Signer::Psd(psd) => {
            let policy = connection.may(*psd, action).ok_or_else(|| Failure::unknown_psd(psd.text().as_str()))??;
            Ok((SignTarget::Psd(*psd), policy))
        }
        Signer::Licence(licence, selection) => {
            let unknown = || Failure::unknown_licence(licence.as_str());
            let Permitted { within, licences, policy } =
                connection.may_under(licence, action).ok_or_else(unknown)??;
            let (licence, selection) = (licence.clone(), *selection);
            Ok((SignTarget::Licence { licence, selection, licences, within }, policy))
        }
    }
}

/// What a durable record says to its client: the same for the first answer and every repetition.
pub(super) fn signed_piece(durable: &Durable) -> Option<SignedPiece> {
    let record = durable.record();
    let Event::Indicium(Indicium { stamp, key, indicium, token, .. }) = &record.event else { return None };
    Some(SignedPiece {
        key: *key.as_bytes(),
        psd: stamp.psd,
        leaf: durable.leaf(),
        time: record.at.time.0,
        token: token.map(|token| token.to_string()),
        indicium: indicium.clone(),
        sequence: stamp.sequence,
        registers: stamp.registers.into(),
    })
}

fn refused(item: &SignItem<'_>, problem: Option<Problem>) -> SignResult {
    let problem = problem.unwrap_or_else(|| Problem::lasting("malformed", "no outcome"));
    SignResult::Refused(RefusedPiece { key: item.key().to_vec(), problem })
}

fn count_refusal(metrics: &Metrics, result: &SignResult) {
    if let SignResult::Refused(refused) = result {
        metrics.refused(&refused.problem.facts.code);
    }
}
