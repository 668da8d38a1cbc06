//! Indicia that pay for certifications: each stands in the log before what it pays for, pays once, and its postage does not come back.

use super::marks::{device_of, indexed, leaf_of, symbol_key, time_of};
use super::{Fold, FoldError};
use crate::finding::Code;
use crate::mirror::Mirror;
use psd::UnixMillis;
use psd::certification::{self, MarkId, PayingMark};
use psd::device::{Purpose, Spoiled};
use psd::record::{CertifiedPiece, Event, Record};

/// A certification with the indicium that paid for it.
#[derive(Debug)]
pub(super) struct Payment {
    leaf: u64,
    time: UnixMillis,
    mark: MarkId,
    /// As the certification has it; what is wrong with one that cannot be read is told elsewhere.
    claimed: Option<PayingMark>,
}

/// What waits for the indexes.
#[derive(Debug, Default)]
pub(super) struct Payments {
    made: Vec<Payment>,
    /// Requests that the postage of a mark comes back, with their leaves.
    asked_back: Vec<(MarkId, u64)>,
}

impl Payments {
    pub(super) fn push(&mut self, leaf: u64, time: UnixMillis, piece: &CertifiedPiece) {
        let Some(mark) = piece.mark else { return };
        let read = certification::decode(&piece.certification).ok();
        let claimed = read.and_then(|read| read.certification.paid.mark().copied());
        self.made.push(Payment { leaf, time, mark, claimed });
    }

    /// Takes note of a request for a refund.
    pub(super) fn note(&mut self, leaf: u64, event: &Event) {
        if let Event::ValueRequested { stamp, purpose: Purpose::Refund(Spoiled { ascending, .. }), .. } = event {
            self.asked_back.push((MarkId { psd: stamp.psd, ascending: *ascending }, leaf));
        }
    }
}

fn key(mark: &MarkId) -> [u8; 16] {
    symbol_key(mark.psd, mark.ascending)
}

impl Fold {
    /// Judges the payments that wait; the marks of all records so far are indexed.
    pub(super) fn index_payments(&mut self, mirror: &mut Mirror) -> Result<(), FoldError> {
        let Payments { made, asked_back } = std::mem::take(&mut self.payments);
        let keys: Vec<_> = made.iter().map(|payment| key(&payment.mark)).collect();
        let marks = self.marks.look_up(&keys)?;
        for (payment, mark) in made.iter().zip(marks) {
            self.prove(payment, mark.map(|mark| leaf_of(&mark)), mirror)?;
        }
        let entries = made.iter().map(|payment| (key(&payment.mark), payment.leaf.to_be_bytes())).collect();
        for (key, earlier, leaf) in indexed(&mut self.paid, entries)? {
            let time = time_of(mirror, leaf)?;
            let says = format!("the certifications at records {earlier} and {leaf} are paid by the same indicium");
            self.find(Code::PaidTwice, device_of(&key), &[earlier, leaf], time, says);
        }
        let keys: Vec<_> = asked_back.iter().map(|(mark, _)| key(mark)).collect();
        let paid = self.paid.look_up(&keys)?;
        for ((mark, leaf), paid) in asked_back.into_iter().zip(paid) {
            // The other way round the appliance's own rules find it.
            let Some(paid) = paid.map(|paid| leaf_of(&paid)).filter(|paid| *paid < leaf) else { continue };
            let time = time_of(mirror, leaf)?;
            let says =
                format!("the postage that record {leaf} asks back is of the indicium that paid at record {paid}");
            self.find(Code::PaidAndRefunded, Some(mark.psd), &[paid, leaf], time, says);
        }
        Ok(())
    }

    /// The indicium that a certification says it was paid by must stand in the log before it, with these bytes and this postage.
    fn prove(&mut self, payment: &Payment, mark: Option<u64>, mirror: &mut Mirror) -> Result<(), FoldError> {
        let Payment { leaf, time, claimed: Some(claimed), .. } = payment else { return Ok(()) };
        let what = match mark {
            None => "stands nowhere in the log",
            Some(at) if at > *leaf => "comes later",
            Some(at) => match Record::decode(mirror.entry(at)?).map(|record| record.event) {
                Ok(Event::Indicium(signed)) if psdd_wire::sha256(&signed.indicium) != claimed.digest => {
                    "has other bytes in the log"
                }
                Ok(Event::Indicium(signed)) if signed.postage != claimed.postage => "has another postage in the log",
                Ok(Event::Indicium(_)) => return Ok(()),
                Ok(_) | Err(_) => "is none in the log",
            },
        };
        let MarkId { psd, ascending } = claimed.id;
        let says = format!(
            "the certification at record {leaf} says it was paid {} by the indicium of {psd} with the ascending register {ascending}, which {what}",
            claimed.postage
        );
        let leaves: Vec<u64> = [*leaf].into_iter().chain(mark).collect();
        self.find(Code::PaidUnproven, Some(psd), &leaves, *time, says);
        Ok(())
    }
}
