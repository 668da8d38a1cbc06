//! POST /v1/psds/{psd}/certifications: decode → weigh, rate, compare → authorise → the core → encode what is durable.

use super::connection::Connection;
use super::problems::{Failure, of_outcome};
use super::submit::{AUTHORISE_ATTEMPTS, Authorised, Pieces, check_count, compare_checkpoint, submit, sum, totals};
use crate::certify::{Payers, Request};
use crate::core::{Outcome, PolicyGeneration, Sight, SignTarget, View};
use crate::door::certified::{self, Numbered, certified_piece, prove, though_debited};
use crate::spine::{Fatal, die};
use http::StatusCode;
use psd::certification::Paid;
use psd::device::Piece;
use psd::indicium::Details;
use psd::record::Record;
use psd::{PostageAmount, PsdId, RateName, RunId, UnixMillis};
use psdd_policy::Action;
use psdd_wire::message::{
    CertifiedPiece, CertifyItem, CertifyRequest, CertifyResponse, CertifyResult, ProvenBy, RefusedPiece,
};
use psdd_wire::problem::Problem;
use std::collections::BTreeMap;

/// A certified piece in a response takes some bytes less, and its receipt as well.
const LONG_RESULT: usize = 960;
const LONG_RECEIPT: usize = 1_200;
/// Items with signatures, of indicia or scales, verified on a thread that serves other connections as well; more of them hold up none.
const VERIFIED_IN_PASSING: usize = 16;

pub(super) async fn certify(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: CertifyRequest<'_> = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    let count = request.items.len();
    check_count(count)?;
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    if let Some(note) = request.checkpoint.as_deref() {
        compare_checkpoint(&connection.state, note)?;
    }
    if request.rates.parse::<RateName>().is_err() {
        return Err(Failure::malformed(format!("rates: {:?} is no name of a rate table", request.rates)));
    }
    let run = request
        .run
        .as_deref()
        .map(|run| run.parse::<RunId>().map_err(|error| Failure::malformed(format!("run: {error}"))));
    let run = run.transpose()?;
    let (payers, view) = seen(connection, id, &request.items).await?;
    let long = request.items.iter().filter(|item| item.indicium.is_some() || item.reading.is_some()).count()
        > VERIFIED_IN_PASSING;
    let mut results: Vec<Option<CertifyResult>> = Vec::with_capacity(count);
    results.resize_with(count, || None);
    let mut open: Vec<usize> = (0..count).collect();
    for _ in 0..AUTHORISE_ATTEMPTS {
        let mut compute =
            || computed(connection, (psd, id), (&request, run.as_ref()), (&payers, &view), &mut open, &mut results);
        let (pieces, generation) = if long { tokio::task::block_in_place(compute)? } else { compute()? };
        if open.is_empty() {
            break;
        }
        open = pass_core(connection, (psd, id), &request, pieces, generation, &open, &mut results).await?;
    }
    let results = results.into_iter().zip(&request.items);
    let results = results.map(|(result, item)| result.unwrap_or_else(|| refused(item, of_outcome(&Outcome::Stale))));
    let mut results: Vec<CertifyResult> = results.collect();
    prove(&connection.state.receipts, &mut results).await.map_err(though_debited)?;
    for problem in results.iter().filter_map(CertifyResult::problem) {
        connection.state.metrics.refused(&problem.facts.code);
    }
    let long = LONG_RESULT + if request.proof == ProvenBy::Receipt { LONG_RECEIPT } else { 0 };
    let capacity = 512 + long * results.len();
    let response = CertifyResponse { results, checkpoint: connection.state.newest.note() };
    Ok(psdd_wire::encode_with_capacity(&response, capacity))
}

/// The numberings so far, where the appliance gives numbers. Asked for once the certifications are durable.
async fn numbered(connection: &Connection, psd: PsdId, times: &[UnixMillis]) -> Result<Option<Numbered>, Failure> {
    let licence = connection.state.licences.load().identity(psd).map(|identity| identity.licence.clone());
    match licence {
        Some(licence) => Numbered::of(connection.state.numbers.as_deref(), licence, times).await,
        None => Ok(None),
    }
}

/// A stored certification as it was told first.
pub(super) async fn stored(
    connection: &Connection,
    leaf: u64,
    record: &Record,
) -> Result<Option<CertifiedPiece>, Failure> {
    let Some(stamp) = record.event.stamp() else { return Ok(None) };
    certified::stored(
        &connection.state.receipts,
        numbered(connection, stamp.psd, &[record.at.time]).await?,
        (leaf, record),
    )
    .await
}

/// The PSD as it is committed, and those whose indicia are to pay: all asked for at once, and none that the appliance does not have.
async fn seen(connection: &Connection, id: PsdId, items: &[CertifyItem<'_>]) -> Result<(Payers, View), Failure> {
    let (core, licences) = (&connection.state.core, connection.state.licences.load_full());
    let own = core.view(Sight::Psd(id))?;
    let named = Payers::named_by(items).filter(|psd| licences.identity(*psd).is_some());
    let named: Vec<_> = named.map(|psd| Ok((psd, core.view(Sight::Psd(psd))?))).collect::<Result<_, Failure>>()?;
    let own = own.await.ok().ok_or_else(Failure::stopping)?;
    let mut psds = BTreeMap::new();
    for (psd, view) in named {
        let shown = view.await.ok().ok_or_else(Failure::stopping)?.psds.pop();
        psds.extend(shown.map(|shown| (psd, shown)));
    }
    Ok((Payers { environment: connection.state.environment, psds }, own))
}

/// The pieces of the open items, by the tables and scales in force, and the generation of these. Items that are no pieces are refused here and stay
/// open no longer; under `all_or_none` they refuse the request.
fn computed(
    connection: &Connection,
    (text, id): (&str, PsdId),
    (request, run): (&CertifyRequest<'_>, Option<&RunId>),
    (payers, view): (&Payers, &View),
    open: &mut Vec<usize>,
    results: &mut [Option<CertifyResult>],
) -> Result<(Pieces, PolicyGeneration), Failure> {
    let in_force = connection.state.policy.load();
    let Some(desk) = &in_force.certifying else {
        let detail = "this appliance has no [certification] in its configuration: it certifies nothing";
        return Err(Failure::lasting(StatusCode::NOT_FOUND, "certification-not-offered", detail));
    };
    let (identity, state) =
        view.psds.first().filter(|(identity, _)| identity.psd == id).ok_or_else(|| Failure::unknown_psd(text))?;
    let (rates, proof) = (&*request.rates, request.proof);
    let run = run.map(|run| (run, state.runs.open_named(run).map(AsRef::as_ref)));
    let asked = Request { psd: text, identity, rates, run, proof, clock: view.clock, payers };
    let mut pieces = Vec::with_capacity(open.len());
    let mut failure = None;
    open.retain(|&index| {
        let item = &request.items[index];
        match desk.piece(&asked, item) {
            Ok(piece) => pieces.push((piece, None)),
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
    failure.map_or(Ok((pieces, in_force.generation)), Err)
}

/// Authorises the pieces of the open items together and has the core judge them. What is still open afterwards: those whose policy, tables or
/// scales changed meanwhile.
async fn pass_core(
    connection: &Connection,
    (text, id): (&str, PsdId),
    request: &CertifyRequest<'_>,
    pieces: Pieces,
    generation: PolicyGeneration,
    open: &[usize],
    results: &mut [Option<CertifyResult>],
) -> Result<Vec<usize>, Failure> {
    let imprints = pieces.iter().map(|(piece, _)| imprint(piece));
    let totals = totals(&pieces)?;
    let receipts = if request.proof == ProvenBy::Receipt { totals.count } else { 0 };
    let action = Action::Certify { totals, imprints: sum(imprints)?, receipts };
    let policy = connection.may(id, action).ok_or_else(|| Failure::unknown_psd(text))??;
    if policy != generation {
        return Ok(open.to_vec());
    }
    let (target, all_or_none) = (SignTarget::Psd(id), request.all_or_none);
    let outcomes = submit(connection, Authorised { target, signer: text, all_or_none, policy }, pieces).await?;
    let signed = |outcome: &Outcome| match outcome {
        Outcome::Signed(durable) => Some(durable.record().at.time),
        Outcome::Refused(_) | Outcome::Fault(_) | Outcome::Stale => None,
    };
    let mut times: Vec<UnixMillis> = outcomes.iter().filter_map(signed).collect();
    times.dedup();
    let numbered = numbered(connection, id, &times).await.map_err(though_debited)?;
    let mut stale = Vec::new();
    for (at, outcome) in open.iter().copied().zip(outcomes) {
        results[at] = match outcome {
            Outcome::Stale => {
                stale.push(at);
                None
            }
            Outcome::Signed(durable) => match certified_piece((durable.leaf(), durable.record()), numbered.as_ref()) {
                Some(piece) => Some(CertifyResult::Certified(piece)),
                None => die(&Fatal::Broken("a certification was answered with another kind of record".to_owned())),
            },
            other => Some(refused(&request.items[at], of_outcome(&other))),
        };
    }
    Ok(stale)
}

/// What is said to be printed on a piece.
fn imprint(piece: &Piece) -> PostageAmount {
    match &piece.details {
        Details::Certification(certification, _) => match certification.paid {
            Paid::Imprint(amount) => amount,
            Paid::Nothing | Paid::Mark(_) => PostageAmount::ZERO,
        },
        Details::NotCertifiable(..) | Details::Postal(_) | Details::Voucher(_) => PostageAmount::ZERO,
    }
}

fn refused(item: &CertifyItem<'_>, problem: Option<Problem>) -> CertifyResult {
    let problem = problem.unwrap_or_else(|| Problem::lasting("malformed", "no outcome"));
    CertifyResult::Refused(RefusedPiece { key: item.key.to_vec(), problem })
}
