//! What was paid for a piece: by an indicium that is verified, or by what is said to be printed on it.

use super::{Request, refused};
use psd::certification::{MarkId, NotCertifiable, Paid, PayingMark};
use psd::device::Identity;
use psd::indicium::{Decoded, DecodedDetails, decode};
use psd::key::Role;
use psd::record::Environment;
use psd::{PostageAmount, PsdId, State};
use psdd_wire::item::ToCertify;
use psdd_wire::message::CertifyItem;
use psdd_wire::sha256;
use psdd_wire::spki::PublicKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// PSDs of this appliance whose indicia may pay, as the core has committed them.
pub struct Payers {
    /// Whether indicia are specimens here.
    pub environment: Environment,
    /// Those that the indicia of the request name, where there are such.
    pub psds: BTreeMap<PsdId, (Arc<Identity>, State)>,
}

impl Payers {
    /// The PSDs that the indicia of these items name.
    pub fn named_by(items: &[CertifyItem<'_>]) -> impl Iterator<Item = PsdId> {
        let named: std::collections::BTreeSet<PsdId> =
            items.iter().filter_map(|item| decode(item.indicium.as_deref()?).ok()?.psd).collect();
        named.into_iter()
    }
}

/// What was paid.
pub(super) fn paid(item: &CertifyItem<'_>, asked: &ToCertify, request: &Request<'_>) -> Result<Paid, NotCertifiable> {
    match (item.indicium.as_deref(), asked.imprint) {
        (Some(indicium), _) => mark(indicium, request).map(Paid::Mark),
        (None, Some(imprint)) => Ok(Paid::Imprint(imprint)),
        (None, None) => Ok(Paid::Nothing),
    }
}

/// The indicium on a piece, if it is one of ours that pays: judged in the order of the codes in docs/certification.md.
fn mark(bytes: &[u8], request: &Request<'_>) -> Result<PayingMark, NotCertifiable> {
    let read = decode(bytes).map_err(|error| refused("indicium-malformed", error))?;
    let device = read.device.clone();
    let unknown = || {
        let says = format!(
            "the indicium is of device {device}, which is no PSD of this appliance: nothing proves what it paid"
        );
        refused("indicium-unknown", says)
    };
    let psd = read.psd.ok_or_else(unknown)?;
    let (identity, state) = request.payers.psds.get(&psd).ok_or_else(unknown)?;
    // Whoever shows what its PSD signed may hear more of that PSD, and nobody else.
    signed(&read, state)?;
    pays_here(&read, identity, request)?;
    if read.ascending > state.registers.ascending() {
        let says = format!(
            "the indicium's ascending register is {}, and that of PSD {psd} stands at {}",
            read.ascending,
            state.registers.ascending()
        );
        return Err(refused("indicium-unknown", says));
    }
    let id = MarkId { psd, ascending: read.ascending };
    Ok(PayingMark { id, digest: sha256(bytes), postage: read.postage })
}

/// Whether its kind, licence, currency and environment are those of what it is to pay.
fn pays_here(read: &Decoded, identity: &Identity, request: &Request<'_>) -> Result<(), NotCertifiable> {
    let ours = identity.format.committed_ascending(&read.signed).is_some();
    let postal = matches!(read.details, DecodedDetails::Postal(_));
    // One without postage has its ascending register in common with the one before it, and would use that one up.
    if !ours || !postal || read.postage == PostageAmount::ZERO {
        return Err(refused(
            "indicium-not-postage",
            "the indicium is a voucher, of another layout than its PSD's, or over nothing: it pays no postage",
        ));
    }
    if identity.licence != request.identity.licence {
        let says = "the indicium is of another licence than the PSD that shall certify; ask a PSD of the same licence";
        return Err(refused("indicium-other-licence", says));
    }
    if identity.currency != request.identity.currency {
        let says = format!(
            "the indicium counts {}, the PSD that shall certify {}",
            identity.currency.as_str(),
            request.identity.currency.as_str()
        );
        return Err(refused("indicium-other-currency", says));
    }
    if read.specimen != request.payers.environment.makes_specimens() {
        return Err(refused(
            "indicium-specimen",
            "the indicium is a specimen and this appliance's are money, or the other way round",
        ));
    }
    Ok(())
}

/// Whether a key of its PSD signed it that can be believed.
fn signed(read: &Decoded, state: &State) -> Result<(), NotCertifiable> {
    let serial = read.certificate_serial;
    let certified = state.certified_key(Role::Indicium, serial).ok_or_else(|| {
        let says =
            format!("the indicium names certificate {serial}, which no indicium key of PSD {} ever had", read.device);
        refused("indicium-unknown-key", says)
    })?;
    let verified = PublicKey::of_spki(&certified.key.spki).is_some_and(|key| key.signed(&read.signed, &read.signature));
    if !verified {
        let says = format!(
            "the signature of the indicium does not verify under certificate {serial}: it is forged or was misread; scan again"
        );
        return Err(refused("indicium-bad-signature", says));
    }
    match &certified.life.revoked {
        Some(revocation) => {
            let says = format!(
                "the key of certificate {serial} is revoked since {} ({}): its indicia pay nothing",
                revocation.since, revocation.reason
            );
            Err(refused("indicium-revoked", says))
        }
        None => Ok(()),
    }
}
