//! Refunds of spoiled marks: paid for a mark that the PSD really signed, within the window, once.

use super::{BadMark, Refusal, Terms};
use psd::indicium::{Decoded, FORMATS};
use psd::{MailingDate, PsdId, UnixMillis};
use psdd_wire::checkpoint::verify_p256;
use psdd_wire::message::ValueRequestClaims;
use psdd_wire::sha256;

/// A certified indicium key of the PSD.
#[derive(Clone, Debug)]
pub struct MarkKey {
    /// Serial number of its certificate, which the mark carries.
    pub serial: u32,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// Where it is revoked: from this time on its signatures prove nothing.
    pub trusted_until: Option<UnixMillis>,
}

/// A refund of the same piece that did not end void.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EarlierRefund {
    /// The PSD.
    pub psd: PsdId,
    /// The download.
    pub number: u64,
}

/// What the books know of the mark in a request.
#[derive(Debug)]
pub struct RefundCase<'a> {
    /// The mark, as far as it can be read.
    pub mark: Result<Decoded, BadMark>,
    /// The certified indicium keys of the PSD.
    pub keys: &'a [MarkKey],
    /// A refund of the same leaf or the same mark.
    pub earlier: Option<EarlierRefund>,
}

/// Reads a mark in the first layout that takes it.
pub(crate) fn read_mark(bytes: &[u8]) -> Result<Decoded, BadMark> {
    let mut last = BadMark::NoLayout;
    for format in FORMATS {
        match format.decode(bytes) {
            Ok(decoded) => return Ok(decoded),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// What names a mark: the bytes under its signature. The symbol's own digest would not do, since data may follow the signature, and each
/// ECDSA signature has a twin.
pub fn mark_digest(mark: &Decoded) -> [u8; 32] {
    sha256(&mark.signed)
}

impl RefundCase<'_> {
    pub(super) fn judge(&self, claims: &ValueRequestClaims, terms: &Terms, now: UnixMillis) -> Result<(), Refusal> {
        let mark = self.mark.as_ref().map_err(Clone::clone)?;
        if mark.psd != Some(claims.psd) {
            return Err(BadMark::Device(mark.device.clone()).into());
        }
        if mark.postage != claims.amount {
            return Err(BadMark::Postage(mark.postage).into());
        }
        if mark.ascending > claims.registers.ascending {
            return Err(BadMark::Ascending.into());
        }
        let key = self.keys.iter().find(|key| key.serial == mark.certificate_serial);
        let key = key.ok_or(BadMark::Certificate(mark.certificate_serial))?;
        if !verify_p256(&key.spki, &mark.signed, &mark.signature) {
            return Err(BadMark::Signature.into());
        }
        if mark.specimen && !terms.refund_specimens {
            return Err(BadMark::Specimen.into());
        }
        let window = || Refusal::RefundWindow { date: mark.date, days: terms.refund_days };
        let day = MailingDate::from_yyyymmdd(mark.date).ok_or_else(window)?.day_number();
        let today = MailingDate::of(now).ok_or_else(window)?.day_number();
        if day.abs_diff(today) > u64::from(terms.refund_days) {
            return Err(window());
        }
        // By day, in UTC: the mark says no more, and on the day itself nobody can tell which came first.
        if key.trusted_until.and_then(MailingDate::of).is_some_and(|until| until.day_number() <= day) {
            return Err(BadMark::Revoked(mark.certificate_serial).into());
        }
        match self.earlier {
            Some(EarlierRefund { psd, number }) => Err(Refusal::RefundTwice { psd, number }),
            None => Ok(()),
        }
    }
}
