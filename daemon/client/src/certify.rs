//! Asking for certifications of corrected mail, and judging what comes back before anyone sees it.

use crate::client::{Client, is_psd};
use crate::error::{ClientError, ContractError};
use crate::exchange::Call;
use crate::item::Outcome;
use crate::rounds::{Rounds, parts};
use crate::sign::hex;
use crate::verify::history::Debit;
use crate::verify::{VerificationError, registers_of_view};
use psd::certification::{Certification, Certified, Paid, PayingMark, decode};
use psd::indicium::{Decoded, Destination};
use psd::key::Role;
use psd::record::{Event, Record};
use psd::{MailingDate, PieceKey, PostageAmount, PsdId, RateName, Registers, RunId, ScaleId, UnixMillis};
use psdd_wire::message::{
    self, CertificationResponse, CertifiedPiece, CertifyRequest, CertifyResponse, CertifyResult, ProvenBy,
};
use psdd_wire::receipt::Receipt;
use std::borrow::Cow;
use std::sync::PoisonError;

/// One piece of corrected mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertifyItem {
    /// Idempotency key; keep it until the outcome is stored. From [`crate::new_key`].
    pub key: PieceKey,
    /// Day of mailing.
    pub date: MailingDate,
    /// Where the piece goes.
    pub destination: Destination,
    /// Class of mail in the rate table.
    pub class: RateName,
    /// Surcharges of the table that are asked for.
    pub surcharges: Vec<String>,
    /// Its sides, each with its unit, where the class asks for them.
    pub size: Option<[String; 3]>,
    /// The scale it was weighed on.
    pub scale: ScaleId,
    /// What the scale read, milligrams.
    pub weight_mg: i64,
    /// When.
    pub weighed: UnixMillis,
    /// The reading as the scale signed it.
    pub reading: Option<Vec<u8>>,
    /// What was paid for it.
    pub payment: Payment,
    /// The caller's own reference, 1 to 64 bytes.
    pub reference: Option<String>,
}

/// What a piece carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payment {
    /// Nothing.
    Nothing,
    /// Printed postage that nothing proves.
    Imprint(PostageAmount),
    /// The bytes of the indicium on it.
    Indicium(Vec<u8>),
}

impl CertifyItem {
    fn wire(&self) -> message::CertifyItem<'_> {
        let (imprint, indicium) = match &self.payment {
            Payment::Nothing => (None, None),
            Payment::Imprint(amount) => (Some(Cow::Owned(amount.to_string())), None),
            Payment::Indicium(bytes) => (None, Some(Cow::Borrowed(bytes.as_slice()))),
        };
        message::CertifyItem {
            key: Cow::Borrowed(self.key.as_bytes()),
            date: Cow::Owned(self.date.to_string()),
            size: self.size.clone(),
            class: Cow::Borrowed(self.class.as_str()),
            scale: Cow::Borrowed(self.scale.as_str()),
            weight: self.weight_mg,
            imprint,
            reading: self.reading.as_deref().map(Cow::Borrowed),
            weighed: self.weighed.0,
            indicium,
            reference: self.reference.as_deref().map(Cow::Borrowed),
            surcharges: self.surcharges.clone(),
            destination: Cow::Owned(self.destination.to_string()),
        }
    }
}

/// What the pieces of one request have in common.
#[derive(Clone, Copy, Debug)]
pub struct CertifyTerms<'t> {
    /// Name of the rate table.
    pub rates: &'t RateName,
    /// The open run that they are part of.
    pub run: Option<&'t RunId>,
    /// What shall prove them.
    pub proof: ProvenBy,
}

impl<'t> CertifyTerms<'t> {
    /// Of pieces that are of no run.
    pub const fn of(rates: &'t RateName, proof: ProvenBy) -> Self {
        Self { rates, run: None, proof }
    }
}

impl Client {
    /// Has a PSD certify pieces under these terms; outcomes stand in the order of the items.
    ///
    /// What the appliance computes is compared with what its PSD signed, or with what a receipt proves to stand in the log, and that with what was asked. In all else as [`Client::sign`].
    pub async fn certify(
        &self,
        psd: PsdId,
        terms: CertifyTerms<'_>,
        items: &[CertifyItem],
        all_or_none: bool,
    ) -> Result<Vec<Outcome<CertifiedPiece>>, ClientError> {
        let mut outcomes = Vec::with_capacity(items.len());
        for part in parts(items, |item| item.key, all_or_none)? {
            let mut rounds = Rounds::of(part, all_or_none, self.shared.exchange.most_retries);
            outcomes.extend(loop {
                let told = self.certify_once(psd, terms, &rounds.asked(), all_or_none).await?;
                if let Some(outcomes) = rounds.told(told).await {
                    break outcomes;
                }
            });
        }
        Ok(outcomes)
    }

    async fn certify_once(
        &self,
        psd: PsdId,
        terms: CertifyTerms<'_>,
        items: &[&CertifyItem],
        all_or_none: bool,
    ) -> Result<Vec<Outcome<CertifiedPiece>>, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let request = CertifyRequest {
            run: terms.run.map(|run| Cow::Borrowed(run.as_str())),
            items: items.iter().map(|item| item.wire()).collect(),
            proof: terms.proof,
            rates: Cow::Borrowed(terms.rates.as_str()),
            checkpoint: floor.note().map(Cow::Borrowed),
            all_or_none,
        };
        let call = Call::post(format!("/v1/psds/{psd}/certifications"), psdd_wire::encode(&request));
        let response: CertifyResponse = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, response.checkpoint.as_deref())?;
        if response.results.len() != items.len() {
            let (items, results) = (items.len(), response.results.len());
            return Err(ContractError::ResultCount { items, results }.into());
        }
        let mut outcomes = Vec::with_capacity(items.len());
        for (index, (asked, result)) in items.iter().zip(response.results).enumerate() {
            if result.key() != asked.key.as_bytes() {
                return Err(VerificationError::Key { index, asked: asked.key, told: hex(result.key()) }.into());
            }
            outcomes.push(match result {
                CertifyResult::Certified(piece) => {
                    self.judge_certification(psd, terms, asked, &piece).await?;
                    Outcome::Signed(piece)
                }
                CertifyResult::Refused(refused) => Outcome::Refused(refused.problem),
            });
        }
        Ok(outcomes)
    }

    /// Everything that must hold of a certification.
    async fn judge_certification(
        &self,
        psd: PsdId,
        terms: CertifyTerms<'_>,
        asked: &CertifyItem,
        piece: &CertifiedPiece,
    ) -> Result<(), ClientError> {
        is_psd(psd, piece.psd)?;
        let key = asked.key;
        let registers = registers_of_view(psd, piece.sequence, &piece.registers)?;
        let wrong = |what| VerificationError::Certification { key, what };
        let read = match (terms.proof, &piece.receipt) {
            (ProvenBy::Signature, None) => signed_claims(&piece.certification).map_err(wrong)?,
            (ProvenBy::Receipt, Some(receipt)) => self.proven(psd, key, piece, receipt)?,
            (ProvenBy::Signature | ProvenBy::Receipt, _) => {
                return Err(wrong("it is proven in another way than was asked for").into());
            }
        };
        if let Some(what) = differing(terms, asked, piece, &registers, &read) {
            return Err(VerificationError::Certification { key, what }.into());
        }
        self.signature_holds((psd, key), piece, &read).await?;
        let (sequence, leaf, postage) = (piece.sequence, piece.leaf, piece.debited);
        let debit = Debit { psd, sequence, leaf, key, postage, registers };
        Ok(self.shared.history.lock().unwrap_or_else(PoisonError::into_inner).judge(&debit)?)
    }

    /// The certification that has this number, as people write it, with its claims: verified like a fresh one but for what was asked.
    pub async fn certification_by_number(&self, number: &str) -> Result<(CertifiedPiece, Certification), ClientError> {
        let floor = self.shared.checkpoints.floor();
        let call = Call::get(format!("/v1/certifications/numbers/{}", plain_number(number)));
        let told: CertificationResponse = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        let piece = told.piece;
        let bytes = piece.key;
        let key = PieceKey::from_bytes(bytes);
        let key = key.ok_or_else(|| VerificationError::Number { number: number.to_owned(), told: hex(&bytes) })?;
        let wrong = |what| VerificationError::Certification { key, what };
        if piece.number.as_deref().map(plain_number) != Some(plain_number(number)) {
            return Err(wrong("it has another number than was asked for").into());
        }
        let read = match &piece.receipt {
            None => signed_claims(&piece.certification).map_err(wrong)?,
            Some(receipt) => self.proven(piece.psd, key, &piece, receipt)?,
        };
        let registers = registers_of_view(piece.psd, piece.sequence, &piece.registers)?;
        let claims = &read.certification;
        let told = (piece.psd, &registers, piece.due, piece.paid, piece.debited);
        let proven =
            (read.certifier.psd, &read.certifier.registers, claims.due, claims.paid.amount(), claims.shortfall());
        if told != proven {
            return Err(wrong("it says otherwise than was told").into());
        }
        self.signature_holds((piece.psd, key), &piece, &read).await?;
        Ok((piece, read.certification))
    }

    async fn signature_holds(
        &self,
        (psd, key): (PsdId, PieceKey),
        piece: &CertifiedPiece,
        read: &Certified,
    ) -> Result<(), ClientError> {
        if let (Some(book), Some(signature)) = (&self.shared.book, &read.signature) {
            let serial = signature.certificate_serial;
            if book.key(psd, Role::Certification, serial).is_none() {
                self.certificates(psd).await?;
            }
            let certified = book.key(psd, Role::Certification, serial);
            let certified = certified.ok_or(VerificationError::UnknownCertificate { key, psd, serial })?;
            if !certified.verifies(&signature.signed, &signature.bytes) {
                return Err(VerificationError::Signature { key, serial }.into());
            }
            let at = UnixMillis(piece.time);
            if !certified.valid_at(at) {
                return Err(VerificationError::NotValidAt { key, serial, at }.into());
            }
        }
        Ok(())
    }
}

impl Client {
    /// The certification in a record that its receipt proves to stand in the log.
    fn proven(
        &self,
        psd: PsdId,
        key: PieceKey,
        piece: &CertifiedPiece,
        receipt: &[u8],
    ) -> Result<Certified, VerificationError> {
        let wrong = |what| VerificationError::Certification { key, what };
        let receipt = Receipt::parse(receipt).map_err(|source| VerificationError::Receipt { key, source })?;
        if receipt.proof.leaf != piece.leaf {
            return Err(wrong("its receipt is of another leaf"));
        }
        self.shared
            .checkpoints
            .prove(&receipt, &piece.certification)
            .map_err(|source| VerificationError::Receipt { key, source })?;
        let record = Record::decode(&piece.certification).ok().ok_or_else(|| wrong("its record is none"))?;
        let Event::Certification(recorded) = record.event else {
            return Err(wrong("its record is of something else"));
        };
        let stamp = &recorded.stamp;
        if (stamp.psd, stamp.sequence, recorded.key) != (psd, piece.sequence, key) || record.at.time.0 != piece.time {
            return Err(wrong("its record is of another piece"));
        }
        let read = decode(&recorded.certification).map_err(|source| wrong(source.0))?;
        if read.signature.is_some() {
            return Err(wrong("it is proven in another way than was asked for"));
        }
        Ok(read)
    }
}

/// A certification that a key signed. One that a receipt is to prove passes for none without it.
fn signed_claims(bytes: &[u8]) -> Result<Certified, &'static str> {
    let read = decode(bytes).map_err(|source| source.0)?;
    if read.signature.is_some() { Ok(read) } else { Err("nothing proves it: it has neither a signature nor a receipt") }
}

/// A number in one writing, as it stands in a path: people write it in any case and with anything between its groups.
pub(crate) fn plain_number(number: &str) -> String {
    let alike = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    };
    number.chars().filter(char::is_ascii_alphanumeric).map(alike).collect()
}

/// Whether what paid is this indicium, with the postage in it.
fn is_of(mark: &PayingMark, indicium: &[u8]) -> bool {
    let of = |read: Decoded| (read.psd, read.ascending, read.postage);
    let claimed = (Some(mark.id.psd), mark.id.ascending, mark.postage);
    mark.digest == psdd_wire::sha256(indicium) && psd::indicium::decode(indicium).is_ok_and(|read| of(read) == claimed)
}

/// The first thing that the PSD signed and that is not what was asked or told.
fn differing(
    terms: CertifyTerms<'_>,
    asked: &CertifyItem,
    told: &CertifiedPiece,
    registers: &Registers,
    read: &Certified,
) -> Option<&'static str> {
    let (certifier, claims) = (&read.certifier, &read.certification);
    let paid = match (&asked.payment, &claims.paid) {
        (Payment::Nothing, Paid::Nothing) => true,
        (Payment::Imprint(printed), Paid::Imprint(amount)) => printed == amount,
        (Payment::Indicium(bytes), Paid::Mark(mark)) => is_of(mark, bytes),
        (Payment::Nothing | Payment::Imprint(_) | Payment::Indicium(_), _) => false,
    };
    let weighed = &claims.weighed;
    let rows = [
        ("the device is another", certifier.psd == told.psd),
        ("the registers are not those told", certifier.registers == *registers),
        ("the day of mailing is another", claims.date == asked.date),
        ("the destination is another", claims.destination == asked.destination),
        ("the class is another", claims.rated.class == asked.class),
        ("the run is another", claims.run.as_ref() == terms.run),
        ("the rate table is another", claims.rated.rates == *terms.rates && claims.rated.rates.as_str() == told.rates),
        ("the version of the table is not that told", claims.rated.version == told.version),
        ("the tariff is not that told", claims.rated.tariff.as_str() == told.tariff),
        ("the weight is another", i64::try_from(weighed.weight_mg) == Ok(asked.weight_mg)),
        ("the scale is another", weighed.scale == asked.scale && weighed.taken == asked.weighed),
        ("what was paid is not what was shown", paid && claims.paid.amount() == told.paid),
        ("what is due is not what was told", claims.due == told.due),
        ("what was debited is not the shortfall", claims.shortfall() == told.debited),
    ];
    rows.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::certification::{Certifier, Proof, Rated, Weighed, claims, join, to_be_signed};
    use psd::key::Algorithm;

    /// An appliance that leaves the signature away, and gives no receipt in its place, has proven nothing.
    #[test]
    fn claims_that_nothing_proves_pass_for_no_certification() {
        let amount = |mills| PostageAmount::from_mills(mills).unwrap();
        let certification = |proof| Certification {
            date: "2026-11-20".parse().unwrap(),
            destination: "20500".parse().unwrap(),
            weighed: Weighed { weight_mg: 1, scale: "dock-1".parse().unwrap(), taken: UnixMillis(1) },
            rated: Rated {
                rates: "postland".parse().unwrap(),
                version: 1,
                digest: [1; 32],
                class: "letter".parse().unwrap(),
                tariff: "full".parse().unwrap(),
            },
            due: amount(730),
            paid: Paid::Nothing,
            run: None,
            proof,
        };
        let certifier = |certificate_serial| Certifier {
            psd: "PS010000000001".parse().unwrap(),
            certificate_serial,
            registers: Registers::from_parts(amount(730), amount(0), amount(730), 1).unwrap(),
            currency: psd::Currency::USD,
            specimen: false,
        };
        assert!(signed_claims(&claims(&certifier(None), &certification(Proof::Receipt))).is_err());
        let structure = to_be_signed(&certifier(Some(7)), &certification(Proof::Signature), Algorithm::EcdsaP256);
        assert!(signed_claims(&join(&structure.unwrap(), &[7; 64])).is_ok());
    }

    #[test]
    fn a_number_is_one_whatever_it_is_written_like() {
        for text in ["7KQ4-M2XD-P0N2", "7kq4 m2xd pon2", " 7KQ4M2XDPON2?#/"] {
            assert_eq!(plain_number(text), "7KQ4M2XDP0N2", "{text}");
        }
        assert_eq!(plain_number("1B17-HGYA-CCKA"), plain_number("lbl7 hgya ccka"));
    }
}
