//! What can be said of a symbol by itself and the keys that the log knows, on several threads.

use super::ScanCode;
use crate::fold::{Fold, mark_digest};
use psd::custody::Revocation;
use psd::indicium::{Decoded, decode};
use psd::key::Role;
use psd::{PostageAmount, PsdId};
use psdd_wire::pasted::from_text;

/// A symbol after that.
pub(super) enum Judged {
    /// It is worth nothing: why, and the device it names.
    Refused(ScanCode, Option<String>, String),
    /// The certified key signed it.
    Signed(Mark),
}

/// What is left to judge by.
pub(super) struct Mark {
    pub(super) psd: PsdId,
    pub(super) ascending: PostageAmount,
    pub(super) postage: PostageAmount,
    /// YYYYMMDD, as the mark says.
    pub(super) date: u32,
    pub(super) digest: [u8; 24],
    pub(super) revoked: Option<Revocation>,
}

/// Judges lines on all cores, in their order.
pub(super) fn all(fold: &Fold, batch: &[(u64, Vec<u8>)]) -> Vec<Judged> {
    let share = batch.len().div_ceil(fold.threads()).max(1);
    std::thread::scope(|scope| {
        let judge =
            |lines: &[(u64, Vec<u8>)]| -> Vec<Judged> { lines.iter().map(|(_, line)| one(fold, line)).collect() };
        let workers: Vec<_> = batch.chunks(share).map(|lines| scope.spawn(move || judge(lines))).collect();
        let judged = workers.into_iter().flat_map(|worker| match worker.join() {
            Ok(judged) => judged,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        judged.collect()
    })
}

fn one(fold: &Fold, line: &[u8]) -> Judged {
    let bytes = std::str::from_utf8(line).ok().and_then(from_text);
    let Some(bytes) = bytes else {
        return Judged::Refused(ScanCode::Malformed, None, "neither hex nor base64".to_owned());
    };
    match decode(&bytes) {
        Ok(decoded) => known(fold, &decoded),
        Err(error) => Judged::Refused(ScanCode::Malformed, None, error.to_string()),
    }
}

fn known(fold: &Fold, decoded: &Decoded) -> Judged {
    let refused = |code, says: String| Judged::Refused(code, Some(decoded.device.clone()), says);
    if !decoded.special.is_empty() {
        return refused(ScanCode::Malformed, format!("{} bytes stand behind the signature", decoded.special.len()));
    }
    let psds = fold.appliance.as_ref().map(|appliance| &appliance.psds);
    let found = decoded.psd.and_then(|id| Some((id, psds?.get(&id)?)));
    let Some((id, psd)) = found else {
        return refused(ScanCode::UnknownPsd, format!("the log knows no device {}", decoded.device));
    };
    let serial = decoded.certificate_serial;
    let Some(key) = fold.certificates.get(&(id, Role::Indicium, serial)) else {
        let says = format!("no certificate {serial} of the authority is for an indicium key of {id}");
        return refused(ScanCode::UnknownCertificate, says);
    };
    if !key.signed(decoded) {
        let says = format!("the signature does not verify under certificate {serial}");
        return refused(ScanCode::BadSignature, says);
    }
    let mut keys = psd.state().keys.iter().filter(|key| key.key.role == Role::Indicium);
    let of_serial = keys.find(|key| key.key.certificate_serial == Some(serial));
    Judged::Signed(Mark {
        psd: id,
        ascending: decoded.ascending,
        postage: decoded.postage,
        date: decoded.date,
        digest: mark_digest(&decoded.signed),
        revoked: of_serial.and_then(|key| key.life.revoked),
    })
}
