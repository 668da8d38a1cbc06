//! PSDs and their keys on the wire, as more than one door shows them.

use crate::core::{PeriodsByLicence, inspection_view};
use psd::State;
use psd::clock::ClockReading;
use psd::device::Identity;
use psd::key::Role;
use psd::policy::AuthorityPolicy;
use psdd_wire::message::{
    AuthorityPolicyView, ClockView, KeyView, LimitsView, PsdView, ValueRequestResponse, ValueState,
};
use serde_bytes::ByteBuf;

/// Every generation of every key of a PSD.
pub(super) fn key_views(state: &State) -> Vec<KeyView> {
    let view = |certified: &psd::device::CertifiedKey| KeyView {
        role: certified.key.role.to_string(),
        spki: certified.key.spki.to_vec(),
        chain: certified.chain.iter().map(|der| ByteBuf::from(der.to_vec())).collect(),
        key_id: certified.key.key_id.to_vec(),
        serial: certified.key.certificate_serial,
        algorithm: certified.key.algorithm.to_string(),
    };
    state.keys.iter().map(view).collect()
}

/// The authority's own policy, if it ever instructed one.
pub(super) fn policy_view(policy: &AuthorityPolicy) -> Option<AuthorityPolicyView> {
    let AuthorityPolicy { version, text } = policy;
    (*version > 0).then(|| AuthorityPolicyView { digest: text.digest(), version: *version })
}

/// A PSD.
pub(super) fn psd_view(
    identity: &Identity,
    state: &State,
    clock: Option<ClockReading>,
    periods: &PeriodsByLicence,
) -> PsdView {
    PsdView {
        psd: identity.psd,
        zips: identity.zips.map(|zips| [zips.low(), zips.high()].map(|zip| format!("{zip:05}"))),
        clock: clock.map(ClockView::from),
        locks: state.locks.reasons().map(|reason| reason.as_str().to_owned()).collect(),
        state: state.lifecycle.as_str().to_owned(),
        value: ValueState {
            ended: state.value_sequence,
            pending: state.pending.as_ref().map(|pending| ValueRequestResponse {
                psd: identity.psd,
                amount: pending.amount,
                purpose: pending.purpose.as_str().to_owned(),
                request: pending.request.to_vec(),
                sequence: pending.sequence,
            }),
        },
        format: identity.format.name().to_owned(),
        limits: LimitsView {
            largest_refill: identity.limits.largest_refill,
            largest_postage: identity.limits.largest_postage,
            smallest_refill: identity.limits.smallest_refill,
            smallest_postage: identity.limits.smallest_postage,
            largest_descending: identity.limits.largest_descending,
        },
        licence: identity.licence.to_string(),
        currency: identity.currency,
        sequence: state.sequence,
        registers: state.registers.into(),
        inspection: inspection_view(identity, state, periods),
        certificate: state.key_in_use(Role::Indicium).and_then(|certified| certified.key.certificate_serial),
    }
}
