//! What a certification in the log says to whoever asks for it, at either door: its amounts, its number, its proof.

use super::failure::{Failure, SOON_MS};
use super::numbers::{Numberings, Numbers};
use super::receipts::Receipts;
use psd::certification::{Proof, of_own_record};
use psd::record::{Event, Record};
use psd::{LicenceNumber, UnixMillis};
use psdd_wire::message::{CertifiedPiece, CertifyResult};
use psdd_wire::problem::Problem;

/// What numbers the certifications of a PSD.
pub(super) struct Numbered {
    licence: LicenceNumber,
    numberings: Numberings,
}

impl Numbered {
    /// The numberings of records of these times, for a PSD of this licence; `None` where the appliance gives no numbers.
    pub(super) async fn of(
        numbers: Option<&Numbers>,
        licence: LicenceNumber,
        times: &[UnixMillis],
    ) -> Result<Option<Self>, Failure> {
        match numbers {
            Some(numbers) => Ok(Some(Self { licence, numberings: numbers.numberings(times).await? })),
            None => Ok(None),
        }
    }
}

/// What a durable record says to its client: the same for the first answer and every repetition. Where a receipt is to prove it, there is an
/// empty one, which [`prove`] fills, beside the record.
pub(super) fn certified_piece((leaf, record): (u64, &Record), numbered: Option<&Numbered>) -> Option<CertifiedPiece> {
    let Event::Certification(piece) = &record.event else { return None };
    let read = of_own_record(piece).ok()?;
    let number =
        numbered.and_then(|Numbered { licence, numberings }| numberings.of((record.at.time, leaf), licence, &read));
    let (number, line) = number.unzip();
    let (certification, receipt) = match read.proof {
        Proof::Signature => (piece.certification.clone(), None),
        Proof::Receipt => (record.encode(), Some(Vec::new())),
    };
    Some(CertifiedPiece {
        due: read.due,
        key: *piece.key.as_bytes(),
        psd: piece.stamp.psd,
        leaf,
        line: line.flatten().map(|line| line.to_string()),
        paid: read.paid.amount(),
        time: record.at.time.0,
        rates: read.rated.rates.to_string(),
        number: number.map(|number| number.to_string()),
        tariff: read.rated.tariff.to_string(),
        debited: piece.debited,
        receipt,
        version: read.rated.version,
        sequence: piece.stamp.sequence,
        registers: piece.stamp.registers.into(),
        certification,
    })
}

/// A stored certification, with its proof; `None` where the record is of something else.
pub(super) async fn stored(
    receipts: &Receipts,
    numbered: Option<Numbered>,
    of: (u64, &Record),
) -> Result<Option<CertifiedPiece>, Failure> {
    let Some(piece) = certified_piece(of, numbered.as_ref()) else { return Ok(None) };
    let mut results = [CertifyResult::Certified(piece)];
    prove(receipts, &mut results).await?;
    let [CertifyResult::Certified(piece)] = results else { return Ok(None) };
    Ok(Some(piece))
}

/// What failed once pieces were debited. They stand, whatever the failure says of a request that was not judged, and the same request again
/// brings what is missing.
pub(super) fn though_debited(failure: Failure) -> Failure {
    let Failure { status, problem: Problem { detail, facts, .. }, allow } = failure;
    let why = match facts.code.as_str() {
        "overloaded" => "too much is waiting".to_owned(),
        "stopping" => "the daemon is stopping".to_owned(),
        _ => detail.unwrap_or_default(),
    };
    let says = format!(
        "what was asked for is debited and stands in the log; its proof or its number is missing: {why}. Repeat it with the same keys"
    );
    let retry_after_ms = facts.retry_after_ms.unwrap_or(SOON_MS);
    let problem = match facts.code.as_str() {
        "log-damaged" => Problem::lasting(&facts.code, says),
        code => Problem::passing(code, says, retry_after_ms),
    };
    Failure { status, problem, allow }
}

/// Puts receipts to the certifications that are to be proven by them.
pub(super) async fn prove(receipts: &Receipts, results: &mut [CertifyResult]) -> Result<(), Failure> {
    let mut pieces: Vec<&mut CertifiedPiece> = results
        .iter_mut()
        .filter_map(|result| match result {
            CertifyResult::Certified(piece) if piece.receipt.is_some() => Some(piece),
            CertifyResult::Certified(_) | CertifyResult::Refused(_) => None,
        })
        .collect();
    pieces.sort_unstable_by_key(|piece| piece.leaf);
    let records = pieces.iter_mut().map(|piece| (piece.leaf, std::mem::take(&mut piece.certification))).collect();
    let proven = receipts.for_records(records).await?;
    for (piece, (record, receipt)) in pieces.into_iter().zip(proven) {
        (piece.certification, piece.receipt) = (record, Some(receipt));
    }
    Ok(())
}
