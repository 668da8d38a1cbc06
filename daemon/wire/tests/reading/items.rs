//! Items: a code for every value that no piece can have, in a fixed order; and the digest a key is bound to.

use psdd_wire::digest::content_digest;
use psdd_wire::item::piece_of;
use psdd_wire::message::{PostalItem, Select, SignItem, SignTarget, VoucherItem};
use std::borrow::Cow;

fn item() -> PostalItem<'static> {
    let mut key = vec![1; 16];
    (key[6], key[8]) = (0x70, 0x80);
    PostalItem {
        token: false,
        key: key.into(),
        date: "2026-11-20".into(),
        rate: "FCL".into(),
        weight: Some(28),
        postage: "0.73".into(),
        recipient: Some("A. Resident".into()),
        reference: Some("r-1".into()),
        destination: "20500-0003".into(),
    }
}

fn psd(text: &str) -> SignTarget<'_> {
    SignTarget::Psd(text.into())
}

type Change = fn(&mut PostalItem<'static>);

fn code(change: Change) -> &'static str {
    let mut item = item();
    change(&mut item);
    piece_of(&psd("PS010000001"), &item.into()).map_or_else(|error| error.code(), |_| "fine")
}

#[test]
fn each_code_has_its_values() {
    let rows: [(&str, Change); 23] = [
        ("fine", |_| {}),
        ("key-not-uuid7", |item| item.key.to_mut()[6] = 0x40),
        ("key-not-uuid7", |item| item.key = Cow::Owned(vec![0x70; 15])),
        ("key-not-uuid7", |item| item.key = Cow::Owned(Vec::new())),
        ("amount-not-decimal", |item| item.postage = "0,73".into()),
        ("amount-negative", |item| item.postage = "-0.73".into()),
        ("amount-too-fine", |item| item.postage = "0.7301".into()),
        ("amount-too-large", |item| item.postage = "99999999999999999".into()),
        ("date-invalid", |item| item.date = "2026-02-29".into()),
        ("date-invalid", |item| item.date = "20261120".into()),
        ("destination-invalid", |item| item.destination = "2050".into()),
        ("rate-invalid", |item| item.rate = "fcl".into()),
        ("recipient-invalid", |item| item.recipient = Some("".into())),
        ("recipient-invalid", |item| item.recipient = Some("x".repeat(513).into())),
        ("fine", |item| item.recipient = Some("x".repeat(512).into())),
        ("reference-invalid", |item| item.reference = Some("".into())),
        ("reference-invalid", |item| item.reference = Some("x".repeat(65).into())),
        ("fine", |item| (item.recipient, item.reference, item.weight) = (None, None, None)),
        ("fine", |item| item.token = true),
        ("token-needs-recipient", |item| (item.token, item.recipient) = (true, None)),
        ("token-needs-recipient", |item| (item.token, item.recipient) = (true, Some(" .-".into()))),
        ("fine", |item| {
            (item.token, item.recipient, item.destination) = (true, None, "20500-0003-12".into());
        }),
        ("token-needs-recipient", |item| {
            (item.token, item.recipient, item.destination) = (true, None, "20500-0003-00".into());
        }),
    ];
    for (number, (wanted, change)) in rows.into_iter().enumerate() {
        assert_eq!(code(change), wanted, "row {number}");
    }
}

#[test]
fn of_several_faults_the_first_in_order_is_told() {
    let faults: [(&str, Change); 7] = [
        ("key-not-uuid7", |item| item.key = Cow::Owned(Vec::new())),
        ("amount-not-decimal", |item| item.postage = "x".into()),
        ("date-invalid", |item| item.date = "x".into()),
        ("destination-invalid", |item| item.destination = "x".into()),
        ("rate-invalid", |item| item.rate = "x".into()),
        ("recipient-invalid", |item| item.recipient = Some("".into())),
        ("reference-invalid", |item| item.reference = Some("".into())),
    ];
    for first in 0..faults.len() {
        let mut item = item();
        faults[first..].iter().for_each(|(_, change)| change(&mut item));
        assert_eq!(piece_of(&psd("PS010000001"), &item.into()).unwrap_err().code(), faults[first].0);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Computed with Python's hashlib from the rule of [`content_digest`]: they can never change, because
/// ledgers hold them.
#[test]
fn digests_are_those_of_the_first_release() {
    let full = content_digest(&psd("PS010000001"), &item().into());
    assert_eq!(hex(&full), "64c792367edeeda0cd06a69031b3726613a3136ea82fe7fb37c016fb36f63e28");
    let token = PostalItem { token: true, ..item() };
    assert_eq!(
        hex(&content_digest(&psd("PS010000001"), &token.into())),
        "c0aa8d4fd2ac52a71f16cf9806929a9ebaf96bee771289764978620638d64fcb"
    );
    let token = SignItem::from(PostalItem { token: true, ..item() });
    let select = Select::MostFunds;
    let by_licence = content_digest(&SignTarget::Licence { licence: "L-1000".into(), select }, &token);
    assert_eq!(hex(&by_licence), "ca479e5a3474a434b973a60666122884ffaca77f86949ae5163986c29081957e");
    let bare = PostalItem { recipient: None, reference: None, weight: None, ..item() };
    assert_eq!(
        hex(&content_digest(&psd("PS010000001"), &bare.into())),
        "698e4d5e7f59e0190971ca3f24da1bad8c3036bae6abd789a8b0b9f8428adebb"
    );
    for select in Select::ALL {
        let by_licence = content_digest(&SignTarget::Licence { licence: "L-1000".into(), select }, &item().into());
        assert_eq!(
            hex(&by_licence),
            "b846d3314ee55b96dcfa7e4fc42983f0fd3e484d652172b7f1621e89d694e7ab",
            "the selection is no content"
        );
    }
}

#[test]
fn the_digest_tells_every_difference_of_content_and_none_of_key() {
    let changes: [Change; 10] = [
        |item| item.token = true,
        |item| item.postage = "0.730".into(),
        |item| item.date = "2026-11-21".into(),
        |item| item.destination = "205000003".into(),
        |item| item.rate = "FCM".into(),
        |item| item.recipient = None,
        |item| item.recipient = Some("".into()),
        |item| item.reference = None,
        |item| item.weight = None,
        // The same bytes in neighbouring fields.
        |item| (item.recipient, item.reference) = (Some("A. Residentr-1".into()), Some("".into())),
    ];
    let mut digests = std::collections::BTreeSet::from([content_digest(&psd("PS010000001"), &item().into())]);
    digests.insert(content_digest(&psd("PS010000002"), &item().into()));
    let licence = SignTarget::Licence { licence: "PS010000001".into(), select: Select::RoundRobin };
    assert!(digests.insert(content_digest(&licence, &item().into())), "a licence named like a PSD");
    for change in changes {
        let mut item = item();
        change(&mut item);
        assert!(digests.insert(content_digest(&psd("PS010000001"), &item.clone().into())), "{item:?}");
    }
    let other_key = PostalItem { key: Cow::Owned(vec![2; 16]), ..item() };
    assert_eq!(
        content_digest(&psd("PS010000001"), &item().into()),
        content_digest(&psd("PS010000001"), &other_key.into())
    );
}

fn voucher() -> VoucherItem<'static> {
    VoucherItem {
        key: item().key,
        kind: "ticket".into(),
        value: "25.00".into(),
        holder: Some("seat 12 B".into()),
        reference: Some("r-1".into()),
        valid_from: "2026-11-20".into(),
        valid_until: "2027-11-20".into(),
    }
}

type VoucherChange = fn(&mut VoucherItem<'static>);

#[test]
fn each_code_of_a_voucher_has_its_values() {
    let rows: [(&str, VoucherChange); 22] = [
        ("fine", |_| {}),
        ("key-not-uuid7", |item| item.key = Cow::Owned(Vec::new())),
        ("amount-not-decimal", |item| item.value = "25,00".into()),
        ("amount-negative", |item| item.value = "-25.00".into()),
        ("amount-too-fine", |item| item.value = "25.0001".into()),
        ("amount-too-large", |item| item.value = "99999999999999999".into()),
        ("kind-invalid", |item| item.kind = "".into()),
        ("kind-invalid", |item| item.kind = "Ticket".into()),
        ("kind-invalid", |item| item.kind = "k".repeat(33).into()),
        ("fine", |item| item.kind = "k".repeat(32).into()),
        ("holder-invalid", |item| item.holder = Some("".into())),
        ("holder-invalid", |item| item.holder = Some("x".repeat(65).into())),
        ("holder-invalid", |item| item.holder = Some("a\tb".into())),
        ("fine", |item| item.holder = Some("x".repeat(64).into())),
        ("validity-invalid", |item| item.valid_from = "2026-02-29".into()),
        ("validity-invalid", |item| item.valid_until = "20271120".into()),
        ("validity-invalid", |item| item.valid_until = "2026-11-19".into()),
        ("validity-invalid", |item| item.valid_until = "2036-11-21".into()),
        ("fine", |item| item.valid_until = "2036-11-20".into()),
        ("reference-invalid", |item| item.reference = Some("".into())),
        ("reference-invalid", |item| item.reference = Some("x".repeat(65).into())),
        ("fine", |item| (item.holder, item.reference) = (None, None)),
    ];
    for (number, (wanted, change)) in rows.into_iter().enumerate() {
        let mut item = voucher();
        change(&mut item);
        let code = piece_of(&psd("PS010000001"), &item.into()).map_or_else(|error| error.code(), |_| "fine");
        assert_eq!(code, wanted, "row {number}");
    }
}

#[test]
fn of_several_faults_of_a_voucher_the_first_in_order_is_told() {
    let faults: [(&str, VoucherChange); 6] = [
        ("key-not-uuid7", |item| item.key = Cow::Owned(Vec::new())),
        ("amount-not-decimal", |item| item.value = "x".into()),
        ("kind-invalid", |item| item.kind = "X".into()),
        ("holder-invalid", |item| item.holder = Some("".into())),
        ("validity-invalid", |item| item.valid_from = "x".into()),
        ("reference-invalid", |item| item.reference = Some("".into())),
    ];
    for first in 0..faults.len() {
        let mut item = voucher();
        faults[first..].iter().for_each(|(_, change)| change(&mut item));
        assert_eq!(piece_of(&psd("PS010000001"), &item.into()).unwrap_err().code(), faults[first].0);
    }
}

/// Computed with Python's hashlib from the rule of docs/protocol.md.
#[test]
fn digests_of_vouchers_are_those_of_the_first_release() {
    let full = content_digest(&psd("PS010000001"), &voucher().into());
    assert_eq!(hex(&full), "a517ee0ba17f7a0f603ce1fd20643bb7302141faaaee9c6583cf4e35266efeb4");
    let bare = VoucherItem { holder: None, reference: None, ..voucher() };
    assert_eq!(
        hex(&content_digest(&psd("PS010000001"), &bare.into())),
        "87a2f5a4f1eee86d6dabb100bb0b7ff2f0891ac9e80d079eb37623c31e7a4ca9"
    );
}

#[test]
fn the_digest_tells_every_difference_of_a_voucher_and_none_of_key() {
    let changes: [VoucherChange; 9] = [
        |item| item.value = "25.0".into(),
        |item| item.kind = "tickets".into(),
        |item| item.holder = None,
        |item| item.holder = Some("".into()),
        |item| item.valid_from = "2026-11-21".into(),
        |item| item.valid_until = "2027-11-21".into(),
        |item| item.reference = None,
        |item| item.reference = Some("".into()),
        |item| (item.kind, item.value) = ("ticket2".into(), "5.00".into()),
    ];
    let mut digests = std::collections::BTreeSet::from([content_digest(&psd("PS010000001"), &voucher().into())]);
    digests.insert(content_digest(&psd("PS010000002"), &voucher().into()));
    let licence = SignTarget::Licence { licence: "PS010000001".into(), select: Select::RoundRobin };
    assert!(digests.insert(content_digest(&licence, &voucher().into())), "a licence named like a PSD");
    for change in changes {
        let mut item = voucher();
        change(&mut item);
        assert!(digests.insert(content_digest(&psd("PS010000001"), &item.clone().into())), "{item:?}");
    }
    let other_key = VoucherItem { key: Cow::Owned(vec![2; 16]), ..voucher() };
    let digest = |item: VoucherItem<'static>| content_digest(&psd("PS010000001"), &SignItem::from(item));
    assert_eq!(digest(voucher()), digest(other_key));
}
