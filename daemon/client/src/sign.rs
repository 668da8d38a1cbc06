//! Asking for signatures, and judging what comes back before anyone sees it.

use crate::client::{Client, Known};
use crate::error::{ClientError, ContractError};
use crate::exchange::Call;
use crate::item::{Ask, Asked, Item, Outcome, VoucherItem};
use crate::rounds::{Rounds, parts};
use crate::signer::Signer;
use crate::verify::history::Debit;
use crate::verify::{Proven, VerificationError, fields_match, registers_of, verify_signatures};
use psd::indicium::Format;
use psd::key::Role;
use psd::{Currency, PieceKey, PsdId, UnixMillis};
use psdd_wire::message::{SignRequest, SignResponse, SignResult, SignedPiece};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

impl Client {
    /// Has a PSD sign items, or the PSDs of a licence; outcomes stand in the order of the items.
    ///
    /// More than 4096 items go in several requests, one after the other; with `all_or_none` they are refused. Items with a
    /// retryable refusal are repeated alone with the same key. On an error, pieces may have been debited: repeat the call with the
    /// same keys, which debits nothing twice.
    pub async fn sign(
        &self,
        signer: impl Into<Signer>,
        items: Vec<Item>,
        all_or_none: bool,
    ) -> Result<Vec<Outcome>, ClientError> {
        self.sign_all(&signer.into(), &items, all_or_none).await
    }

    /// Has a PSD of the format `voucher` sign vouchers, or those of a licence; in all else as [`Client::sign`].
    pub async fn sign_vouchers(
        &self,
        signer: impl Into<Signer>,
        items: Vec<VoucherItem>,
        all_or_none: bool,
    ) -> Result<Vec<Outcome>, ClientError> {
        self.sign_all(&signer.into(), &items, all_or_none).await
    }

    async fn sign_all<T: Ask>(
        &self,
        signer: &Signer,
        items: &[T],
        all_or_none: bool,
    ) -> Result<Vec<Outcome>, ClientError> {
        let mut outcomes = Vec::with_capacity(items.len());
        for part in parts(items, Ask::key, all_or_none)? {
            let mut rounds = Rounds::of(part, all_or_none, self.shared.exchange.most_retries);
            outcomes.extend(loop {
                let told = self.sign_once(signer, &rounds.asked(), all_or_none).await?;
                if let Some(outcomes) = rounds.told(told).await {
                    break outcomes;
                }
            });
        }
        Ok(outcomes)
    }

    async fn sign_once<T: Ask>(
        &self,
        signer: &Signer,
        items: &[&T],
        all_or_none: bool,
    ) -> Result<Vec<Outcome>, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let request = SignRequest {
            target: signer.wire(),
            items: items.iter().map(|item| item.wire()).collect(),
            checkpoint: floor.note().map(Cow::Borrowed),
            all_or_none,
        };
        let call =
            Call::post("/v1/indicia".to_owned(), psdd_wire::encode_with_capacity(&request, 512 + 192 * items.len()));
        let response: SignResponse = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, response.checkpoint.as_deref())?;
        if response.results.len() != items.len() {
            let (items, results) = (items.len(), response.results.len());
            return Err(ContractError::ResultCount { items, results }.into());
        }
        let asked: Vec<Asked> = items.iter().map(|item| item.asked()).collect();
        let mut signed = Vec::with_capacity(items.len());
        for (index, (asked, result)) in asked.iter().zip(&response.results).enumerate() {
            let told: &[u8] = match result {
                SignResult::Signed(piece) => &piece.key,
                SignResult::Refused(refused) => &refused.key,
            };
            if told != asked.key.as_bytes() {
                return Err(VerificationError::Key { index, asked: asked.key, told: hex(told) }.into());
            }
            if let SignResult::Signed(piece) = result {
                signed.push((asked.key, Some(asked), piece));
            }
        }
        self.judge_pieces(Some(signer), &signed).await?;
        Ok(response.results.into_iter().map(outcome).collect())
    }

    /// Everything that must hold of signed pieces. Only what holds in full enters the memory of debits.
    pub(crate) async fn judge_pieces(
        &self,
        asked_of: Option<&Signer>,
        pieces: &[(PieceKey, Option<&Asked>, &SignedPiece)],
    ) -> Result<(), ClientError> {
        let formats = self.formats(asked_of, pieces).await?;
        let mut debits = Vec::with_capacity(pieces.len());
        let mut marks = Vec::with_capacity(pieces.len());
        for (key, asked, piece) in pieces {
            let registers = registers_of(piece)?;
            let mark = fields_match(*key, *asked, piece, &registers, formats[&piece.psd])?;
            let (sequence, leaf, postage) = (piece.sequence, piece.leaf, mark.postage);
            debits.push(Debit { psd: piece.psd, sequence, leaf, key: *key, postage, registers });
            marks.push((*key, piece.psd, UnixMillis(piece.time), mark));
        }
        if let Some(book) = &self.shared.book {
            let unknown = marks
                .iter()
                .filter(|(_, psd, _, mark)| book.key(*psd, Role::Indicium, mark.certificate_serial).is_none());
            for psd in unknown.map(|(_, psd, ..)| *psd).collect::<BTreeSet<PsdId>>() {
                self.certificates(psd).await?;
            }
            let proven = marks.into_iter().map(|(key, psd, at, decoded)| {
                let serial = decoded.certificate_serial;
                let certified = book.key(psd, Role::Indicium, serial);
                let certified = certified.ok_or(VerificationError::UnknownCertificate { key, psd, serial })?;
                Ok(Proven { key, at, decoded, certified })
            });
            verify_signatures(proven.collect::<Result<_, VerificationError>>()?).await?;
        }
        let mut history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(debits.iter().try_for_each(|debit| history.judge(debit))?)
    }
}

impl Client {
    /// The layouts and currencies of the PSDs that signed, each of which must be one of those asked.
    async fn formats(
        &self,
        asked_of: Option<&Signer>,
        pieces: &[(PieceKey, Option<&Asked>, &SignedPiece)],
    ) -> Result<BTreeMap<PsdId, (&'static dyn Format, Currency)>, ClientError> {
        let mut formats = BTreeMap::new();
        for (key, _, piece) in pieces {
            if formats.contains_key(&piece.psd) {
                continue;
            }
            if let Some(Signer::Psd(asked)) = asked_of
                && *asked != piece.psd
            {
                return Err(VerificationError::Psd { key: *key, asked: *asked, told: piece.psd }.into());
            }
            let Known { format, licence, currency } = self.known(piece.psd).await?;
            if let Some(Signer::Licence { licence: asked, .. }) = asked_of
                && asked.as_str() != &*licence
            {
                let (key, psd, asked) = (*key, piece.psd, asked.to_string());
                return Err(VerificationError::Licence { key, psd, asked, told: licence.to_string() }.into());
            }
            formats.insert(piece.psd, (format, currency));
        }
        Ok(formats)
    }
}

fn outcome(result: SignResult) -> Outcome {
    match result {
        SignResult::Signed(piece) => Outcome::Signed(piece),
        SignResult::Refused(refused) => Outcome::Refused(refused.problem),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
