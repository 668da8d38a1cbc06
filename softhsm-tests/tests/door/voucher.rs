//! Value other than postage over the real token: signed, refused, verified offline, and judged in the ledger.

use crate::client::{Caller, code_of, day, item, key, outcome, outcomes, request};
use crate::contract::{V, deterministic};
use crate::run;
use psd::PsdId;
use psd::indicium::{Validity, Voucher};
use psdctl::dev::DevOptions;
use psdd_client::{Client, Outcome, VoucherItem, new_key};
use softhsm_tests::Appliance;
use std::process::{Command, Output};
use std::sync::Arc;

const VOUCHERS: &str = "VO010000000001";
const MAIL: &str = "PS010000000001";

fn psd(text: &str) -> PsdId {
    text.parse().expect("a PSD")
}

/// A voucher with a fresh key.
fn voucher(value: &str) -> V {
    V::map([
        ("key", V::Bytes(key().to_vec())),
        ("kind", V::text("ticket")),
        ("value", V::text(value)),
        ("holder", V::text("seat 12 B")),
        ("valid_from", V::Text(day(0))),
        ("valid_until", V::Text(day(365))),
    ])
}

/// Changes of a good voucher, and the code each is refused with.
fn refused_vouchers() -> Vec<(V, &'static str)> {
    let text = |field: &str, text: &str| voucher("25.00").with(field, V::text(text));
    let on = |field: &str, offset: i64| voucher("25.00").with(field, V::Text(day(offset)));
    vec![
        (voucher("25.00").with("key", V::Bytes(vec![7; 16])), "key-not-uuid7"),
        (text("value", "25,00"), "amount-not-decimal"),
        (text("value", "25.0001"), "amount-too-fine"),
        (text("kind", "Ticket"), "kind-invalid"),
        (text("kind", &"k".repeat(33)), "kind-invalid"),
        (text("holder", ""), "holder-invalid"),
        (text("holder", "seat\t12"), "holder-invalid"),
        (text("holder", &"h".repeat(65)), "holder-invalid"),
        (text("valid_from", "2026-02-30"), "validity-invalid"),
        (on("valid_until", -1), "validity-invalid"),
        (on("valid_until", 3_654), "validity-invalid"),
        (text("reference", ""), "reference-invalid"),
        (on("valid_from", -2), "date-out-of-window"),
        (on("valid_from", 31), "date-out-of-window"),
        (text("value", "0.009"), "postage-too-small"),
        (text("value", "100.001"), "postage-too-large"),
        (item("0.73"), "item-wrong-kind"),
    ]
}

#[test]
fn vouchers_are_signed_by_the_token_and_hold_everywhere() {
    let mut appliance = Appliance::up(DevOptions { vouchers: 1, ..softhsm_tests::options() });
    let caller = Caller::new(&appliance.layout);
    run(over_the_wire(&caller));
    run(by_the_sdk(&appliance));
    by_psdctl(&appliance);
    assert!(appliance.stop().success());
    let verdict = appliance.check(None);
    verdict.assert_clean("vouchers and marks in one ledger");
    assert_eq!((verdict.indicia, verdict.signatures), (10, 10));
    let state = appliance.layout.state().display().to_string();
    let root = appliance.layout.authority_root().display().to_string();
    let verified = psdctl(&appliance, &["ledger", "verify", &state, "--appliance-root", &root]);
    assert!(verified.status.success(), "{}", told(&verified));
    assert!(told(&verified).contains("10 pieces with their proofs"), "{}", told(&verified));
    let view = crate::inspecting::nothing_is_found(&appliance);
    assert_eq!((view.pieces, view.psds.len()), (10, 2));
}

async fn over_the_wire(caller: &Caller) {
    let wire = caller.connect().await;
    let psd = psd(VOUCHERS);
    let before = wire.registers(psd).await;
    for (item, code) in refused_vouchers() {
        let results = wire.sign(psd, std::slice::from_ref(&item)).await;
        assert_eq!(outcome(&results[0]), code, "{item:?}");
        let whole = wire.post("/v1/indicia", &request(psd, &[item], true)).await;
        let told =
            if whole.status == 200 { outcome(&whole.body.get("results").list()[0]) } else { code_of(&whole.body) };
        assert_eq!(told, code);
    }
    let to_mail = wire.sign(self::psd(MAIL), &[voucher("25.00"), item("0.73")]).await;
    assert_eq!(outcomes(&to_mail), ["item-wrong-kind", "signed"]);
    let both = voucher("25.00").with("postage", V::text("0.73"));
    let refused = wire.post("/v1/indicia", &request(psd, &[both], false)).await;
    assert_eq!((refused.status, code_of(&refused.body)), (400, "malformed"));
    assert_eq!(wire.registers(psd).await, before, "what was refused moved nothing");

    let items = [voucher("25.00"), item("0.73"), voucher("0.175").without("holder"), voucher("100.00")];
    let results = wire.sign(psd, &items).await;
    assert_eq!(outcomes(&results), ["signed", "item-wrong-kind", "signed", "signed"]);
    assert_eq!(wire.registers(psd).await, before.after(&[25_000, 175, 100_000]));
    let again = wire.sign(psd, &items[..1]).await;
    assert_eq!(again[0], results[0], "the same bytes, and no debit");
    let other = items[0].clone().with("holder", V::text("seat 13 B"));
    assert_eq!(outcomes(&wire.sign(psd, &[other]).await), ["key-reused"]);
    assert_eq!(wire.registers(psd).await, before.after(&[25_000, 175, 100_000]));
    claims_are_those_of_the_contract(&results[0], &items[0]);
    let view = wire.get(&format!("/v1/psds/{VOUCHERS}")).await;
    let view = view.body.get("psd");
    assert_eq!((view.get("format").str(), view.get("currency").str()), ("voucher", "EUR"));
}

/// What stands in the COSE_Sign1, read with nothing of the daemon's but the contract.
fn claims_are_those_of_the_contract(result: &V, asked: &V) {
    let symbol = result.get("indicium").bytes();
    assert_eq!(symbol[0], 0xd2, "tag 18");
    let message = deterministic(&symbol[1..]).expect("a deterministic COSE_Sign1");
    let [protected, unprotected, payload, signature] = message.list() else { panic!("four elements") };
    let header = deterministic(protected.bytes()).expect("a header");
    let content_type = V::text("application/psdd-voucher+cbor");
    assert_eq!(header, V::Map(vec![(V::Int(1), V::Int(-7)), (V::Int(3), content_type)]));
    assert_eq!((unprotected, signature.bytes().len()), (&V::Map(Vec::new()), 64));
    let claims = crate::client::contract().message("voucher-claims", payload.bytes()).expect("claims");
    for (claim, field) in
        [("kind", "kind"), ("holder", "holder"), ("valid_from", "valid_from"), ("valid_until", "valid_until")]
    {
        assert_eq!(claims.get(claim), asked.get(field), "{claim}");
    }
    crate::client::claims_the_registers(&claims, result);
    assert_eq!(
        (claims.get("psd").str(), claims.get("value").str(), claims.get("currency").str()),
        (VOUCHERS, "25.00", "EUR")
    );
    assert_eq!(*claims.get("specimen"), V::Bool(true), "the appliance is a development one");
}

async fn by_the_sdk(appliance: &Appliance) {
    let client = appliance.client(appliance.client_config()).await;
    let from = day(0).parse().expect("a day");
    let validity = Validity::new(from, from).expect("a day");
    let voucher = Arc::new(Voucher { kind: "gift-certificate".parse().expect("a kind"), holder: None, validity });
    let item = || VoucherItem {
        key: new_key(),
        value: "12.34".parse().expect("an amount"),
        voucher: Arc::clone(&voucher),
        reference: Some("r-1".to_owned()),
    };
    let items = vec![item(), item(), item()];
    let first = signed(&client, &items, appliance).await;
    assert_eq!(signed(&client, &items, appliance).await, first);
}

async fn signed(client: &Client, items: &[VoucherItem], appliance: &Appliance) -> Vec<Outcome> {
    let outcomes = client.sign_vouchers(psd(VOUCHERS), items.to_vec(), true).await.expect("verified answers");
    for outcome in &outcomes {
        match outcome {
            Outcome::Signed(piece) => appliance.notes.signed("acme", piece),
            Outcome::Refused(problem) => panic!("{problem}"),
        }
    }
    outcomes
}

/// A list from a file, and its marks judged without a connection.
fn by_psdctl(appliance: &Appliance) {
    let file = |name: &str| appliance.around().join(name).display().to_string();
    let (csv, out) = (file("tickets.csv"), file("tickets.jsonl"));
    let [from, until] = [day(0), day(30)];
    let rows: String = (1..=3).map(|seat| format!("ticket,5.00,row 1 seat {seat},{from},{until}\n")).collect();
    std::fs::write(&csv, format!("kind,value,holder,valid_from,valid_until\n{rows}")).expect("a list");
    let sign = ["vendor", "sign", "--psd", VOUCHERS, "--csv", &csv, "--out", &out];
    for _ in 0..2 {
        let output = psdctl(appliance, &sign);
        assert!(output.status.success() && told(&output).contains("15.00 EUR"), "{}", told(&output));
    }
    let verified = psdctl(appliance, &["indicium", "verify", &out]);
    assert!(verified.status.success() && told(&verified).contains("3 marks: 3 valid"), "{}", told(&verified));
    let text = std::fs::read_to_string(&out).expect("results");
    let line: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let mark = line["indicium"].as_str().expect("a mark");
    let forged = mark.replacen("64352e3030", "64392e3030", 1);
    assert_ne!(forged, mark);
    let refuted = psdctl(appliance, &["indicium", "verify", &forged]);
    assert_eq!(refuted.status.code(), Some(1), "{}", told(&refuted));
    assert!(told(&refuted).contains("bad signature"), "{}", told(&refuted));
    let decoded = psdctl(appliance, &["indicium", "decode", mark]);
    assert!(told(&decoded).contains("row 1 seat 1") && told(&decoded).contains("SPECIMEN"), "{}", told(&decoded));
    let drawn = psdctl(appliance, &["indicium", "render", mark, "--format", "svg"]);
    assert!(drawn.status.success() && told(&drawn).contains(">5.00 EUR</text>"), "{}", told(&drawn));
}

fn psdctl(appliance: &Appliance, arguments: &[&str]) -> Output {
    let program = appliance.options.tools.psdd.with_file_name("psdctl");
    let mut command = Command::new(program);
    command.args(arguments).env("PSDCTL_CONFIG", appliance.layout.psdctl_config());
    command.output().expect("psdctl runs")
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
