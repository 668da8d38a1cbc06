//! The digest of an item's content: what an idempotency key is bound to.

use crate::message::{CertifyItem, PostalItem, ProvenBy, RunRequest, SignItem, SignTarget, VoucherItem};

/// SHA-256 over the content as received, with the PSD or the licence asked for and without the key. Texts count as they were written:
/// `0.73` and `0.730` are different content. How a PSD is chosen among those of a licence is no content.
pub fn content_digest(target: &SignTarget<'_>, item: &SignItem<'_>) -> [u8; 32] {
    match item {
        SignItem::Postal(item) => postal(target, item),
        SignItem::Voucher(item) => voucher(target, item),
    }
}

fn postal(target: &SignTarget<'_>, item: &PostalItem<'_>) -> [u8; 32] {
    let (prefix, signer): (&[u8], _) = match (target, item.token) {
        (SignTarget::Psd(psd), false) => (b"psdd-indicium-1", psd),
        (SignTarget::Psd(psd), true) => (b"psdd-indicium-token-1", psd),
        (SignTarget::Licence { licence, select: _ }, false) => (b"psdd-indicium-pool-1", licence),
        (SignTarget::Licence { licence, select: _ }, true) => (b"psdd-indicium-pool-token-1", licence),
    };
    let weight = item.weight.map(u64::to_be_bytes);
    let fields: [Option<&[u8]>; 8] = [
        Some(signer.as_bytes()),
        Some(item.postage.as_bytes()),
        Some(item.date.as_bytes()),
        Some(item.destination.as_bytes()),
        Some(item.rate.as_bytes()),
        item.recipient.as_deref().map(str::as_bytes),
        item.reference.as_deref().map(str::as_bytes),
        weight.as_ref().map(<[u8; 8]>::as_slice),
    ];
    of_fields(prefix, fields)
}

fn voucher(target: &SignTarget<'_>, item: &VoucherItem<'_>) -> [u8; 32] {
    let (prefix, signer): (&[u8], _) = match target {
        SignTarget::Psd(psd) => (b"psdd-voucher-1", psd),
        SignTarget::Licence { licence, select: _ } => (b"psdd-voucher-pool-1", licence),
    };
    let fields: [Option<&[u8]>; 7] = [
        Some(signer.as_bytes()),
        Some(item.kind.as_bytes()),
        Some(item.value.as_bytes()),
        item.holder.as_deref().map(str::as_bytes),
        Some(item.valid_from.as_bytes()),
        Some(item.valid_until.as_bytes()),
        item.reference.as_deref().map(str::as_bytes),
    ];
    of_fields(prefix, fields)
}

/// The same of a piece to be certified. What the appliance computes (what is due, by which table) is no content.
/// A piece of a run is another content than the same by itself.
pub fn certification_digest(
    psd: &str,
    rates: &str,
    (run, proof): (Option<&str>, ProvenBy),
    item: &CertifyItem<'_>,
) -> [u8; 32] {
    let (weight, weighed) = (item.weight.to_be_bytes(), item.weighed.to_be_bytes());
    let size = item.size.as_ref().map(|size| size.join("\n"));
    let surcharges = (!item.surcharges.is_empty()).then(|| item.surcharges.join("\n"));
    let fields: [Option<&[u8]>; 14] = [
        Some(psd.as_bytes()),
        Some(rates.as_bytes()),
        Some(item.class.as_bytes()),
        Some(item.date.as_bytes()),
        Some(item.destination.as_bytes()),
        Some(item.scale.as_bytes()),
        Some(&weight),
        Some(&weighed),
        item.reading.as_deref(),
        size.as_deref().map(str::as_bytes),
        surcharges.as_deref().map(str::as_bytes),
        item.imprint.as_deref().map(str::as_bytes),
        item.indicium.as_deref(),
        item.reference.as_deref().map(str::as_bytes),
    ];
    let Some(run) = run else {
        let prefix: &[u8] = match proof {
            ProvenBy::Signature => b"psdd-certification-1",
            ProvenBy::Receipt => b"psdd-certification-receipt-1",
        };
        return of_fields(prefix, fields);
    };
    let prefix: &[u8] = match proof {
        ProvenBy::Signature => b"psdd-certification-run-1",
        ProvenBy::Receipt => b"psdd-certification-run-receipt-1",
    };
    let mut with_run = [None; 15];
    with_run[0] = Some(run.as_bytes());
    with_run[1..].copy_from_slice(&fields);
    of_fields(prefix, with_run)
}

/// The same of a manifest. ZIPs count in the order in which they were received.
pub fn run_digest(psd: &str, request: &RunRequest<'_>) -> [u8; 32] {
    let total = request.total.to_be_bytes();
    let counts: Vec<String> = request.counts.iter().map(|of| format!("{} {}", of.zip, of.pieces)).collect();
    let (counts, discounts) = (counts.join("\n"), request.discounts.join("\n"));
    let fields: [Option<&[u8]>; 8] = [
        Some(psd.as_bytes()),
        Some(request.run.as_bytes()),
        Some(request.date.as_bytes()),
        Some(request.class.as_bytes()),
        Some(request.rates.as_bytes()),
        Some(&total),
        Some(counts.as_bytes()),
        Some(discounts.as_bytes()),
    ];
    of_fields(b"psdd-run-1", fields)
}

fn of_fields<const N: usize>(prefix: &[u8], fields: [Option<&[u8]>; N]) -> [u8; 32] {
    // One call over all of it costs a fraction of one for each field.
    let mut content = Vec::with_capacity(256);
    content.extend_from_slice(prefix);
    for field in fields {
        // An absent field and an empty one differ: lengths are counted from one.
        let length = field.map_or(0, |bytes| bytes.len() + 1);
        content.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
        content.extend_from_slice(field.unwrap_or_default());
    }
    crate::sha256(&content)
}
