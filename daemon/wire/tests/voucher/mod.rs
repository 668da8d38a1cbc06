//! Vouchers: their items, what the layout writes, and what the contract refuses.

use crate::contract::{Contract, V, deterministic};
use crate::{amount, psd, registers};
use psd::indicium::voucher::Vouchers;
use psd::indicium::{Fields, Format};
use psdd_wire::message::{SignTarget, VoucherItem};
use std::borrow::Cow;

pub fn item(full: bool) -> VoucherItem<'static> {
    VoucherItem {
        key: Cow::Borrowed(&[1; 16]),
        kind: "gift-certificate".into(),
        value: "25.00".into(),
        holder: full.then(|| "card 4711".into()),
        reference: full.then(|| "r-1".into()),
        valid_from: "2026-11-20".into(),
        valid_until: "2027-11-20".into(),
    }
}

/// A voucher as the layout writes it: the symbol, and the claims in it.
pub fn claims(full: bool) -> (Vec<u8>, Vec<u8>) {
    let details =
        psdd_wire::item::piece_of(&SignTarget::Psd("PS010000001".into()), &keyed(item(full)).into()).unwrap().details;
    let told = registers();
    let registers = psd::Registers::from_parts(told.ascending, told.descending, told.control_total, told.pieces);
    let fields = Fields {
        psd: psd(),
        certificate_serial: 7,
        registers: registers.unwrap(),
        postage: amount(25_000),
        currency: "EUR".parse().unwrap(),
        licensing_zip: "94301".parse().unwrap(),
        software_id: *b"psdd01",
        specimen: full,
        details: &details,
    };
    let mut signed = Vec::new();
    Vouchers.encode_unsigned(&fields, &mut signed).unwrap();
    let structure = deterministic(&signed).expect("a deterministic Sig_structure");
    let [context, _, external, claims] = structure.list() else { panic!("four elements") };
    assert_eq!((context, external), (&V::text("Signature1"), &V::Bytes(Vec::new())));
    (Vouchers.join(&signed, &[1; 64]), claims.bytes().to_vec())
}

fn keyed(mut item: VoucherItem<'static>) -> VoucherItem<'static> {
    (item.key.to_mut()[6], item.key.to_mut()[8]) = (0x70, 0x80);
    item
}

#[test]
fn a_voucher_is_of_one_form() {
    let contract = Contract::read();
    let judge = |item: V| {
        let request = V::map([("psd", V::text("PS010000001")), ("items", V::Array(vec![item]))]);
        contract.judge("sign-request", &request.encode())
    };
    let item = V::map([
        ("key", V::Bytes(vec![1; 16])),
        ("kind", V::text("ticket")),
        ("value", V::text("25.00")),
        ("valid_from", V::text("2026-11-20")),
        ("valid_until", V::text("2027-11-20")),
    ]);
    judge(item.clone()).expect("the plain voucher");
    let wrong = [
        ("kind", V::text("Ticket")),
        ("kind", V::text("")),
        ("value", V::Int(25)),
        ("holder", V::Int(1)),
        ("valid_from", V::text("20261120")),
        ("postage", V::text("0.73")),
        ("currency", V::text("EUR")),
    ];
    for (key, value) in wrong {
        assert!(judge(item.clone().with(key, value.clone())).is_err(), "{key} = {value:?}");
    }
    for key in ["key", "kind", "value", "valid_from", "valid_until"] {
        assert!(judge(item.clone().without(key)).is_err(), "without {key}");
    }
    let claims = deterministic(&claims(true).1).expect("deterministic");
    for key in ["psd", "count", "value", "currency", "ascending", "control_total", "certificate"] {
        assert!(contract.judge("voucher-claims", &claims.clone().without(key).encode()).is_err(), "without {key}");
    }
}
