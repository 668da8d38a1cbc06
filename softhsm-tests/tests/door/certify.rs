//! Corrected mail over the real token: weighed, rated, compared with what was paid, debited, certified; and refused row by row.

use crate::certify_numbers::{a_number_leads_to_its_piece_and_to_no_other, its_number_stays, number_of};
use crate::certify_receipts::receipts_prove_what_they_are_for;
use crate::certify_runs::{self, a_run_is_rated_by_what_was_announced, the_count_is_settled_once};
use crate::client::{Caller, Wire, code_of, day, item, key, mills, outcome, outcomes};
use crate::contract::{V, deterministic};
use crate::inspecting::nothing_is_found;
use crate::run;
use psd::PsdId;
use psd::certification;
use psdctl::dev::DevOptions;
use psdd_client::{CertifyItem, CertifyTerms, Outcome, Payment, ProvenBy, new_key};
use softhsm_tests::Appliance;
use std::process::{Command, Output};

pub const MAILER: &str = "PS010000000001";
pub const WEIGHER: &str = "PS010000000002";
const VOUCHERS: &str = "VO010000000001";
/// A letter of up to an ounce, metered, by the table.
pub const DUE: &str = "0.74";

pub fn psd(text: &str) -> PsdId {
    text.parse().expect("a PSD")
}

fn now_ms() -> u64 {
    let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    u64::try_from(now).expect("after 1970")
}

/// A letter of 20 g with a fresh key, on which nothing was paid.
pub fn letter() -> V {
    V::map([
        ("key", V::Bytes(key().to_vec())),
        ("date", V::Text(day(0))),
        ("class", V::text("letter-metered")),
        ("scale", V::text("dev-1")),
        ("weight", V::Int(20_000)),
        ("weighed", V::Int(i128::from(now_ms()))),
        ("destination", V::text("20260-0004-99")),
    ])
}

pub fn paid_by(mark: &[u8]) -> V {
    letter().with("indicium", V::Bytes(mark.to_vec()))
}

fn body(items: &[V], all_or_none: bool) -> Vec<u8> {
    let request = V::map([("rates", V::text("us-domestic")), ("items", V::Array(items.to_vec()))]);
    if all_or_none { request.with("all_or_none", V::Bool(true)).encode() } else { request.encode() }
}

pub async fn certify(wire: &Wire, items: &[V]) -> Vec<V> {
    let reply = wire.post(&format!("/v1/psds/{WEIGHER}/certifications"), &body(items, false)).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    let results = reply.body.get("results").list().to_vec();
    assert_eq!(results.len(), items.len());
    results
}

/// Due, paid and debited of a result.
fn amounts(result: &V) -> [&str; 3] {
    ["due", "paid", "debited"].map(|name| result.get(name).str())
}

#[test]
fn corrected_mail_is_certified_by_the_token_and_holds_everywhere() {
    let mut appliance =
        Appliance::up(DevOptions { psds: 2, vouchers: 1, certifying: true, ..softhsm_tests::options() });
    let caller = Caller::new(&appliance.layout);
    run(what_is_owed_is_debited(&caller));
    run(cases_come_out_as_computed_by_hand(&caller));
    run(each_refusal_has_its_code(&caller));
    run(an_indicium_pays_or_its_postage_comes_back(&caller));
    run(by_the_sdk(&appliance));
    run(receipts_prove_what_they_are_for(&appliance, &caller));
    run(a_number_leads_to_its_piece_and_to_no_other(&appliance, &caller));
    let of_run = run(a_run_is_rated_by_what_was_announced(&caller));
    let leaf = by_psdctl(&appliance).to_string();
    run(a_new_table_binds_the_next_piece(&appliance));
    let numbered = run(number_of(&caller));
    assert!(appliance.stop().success());
    appliance.start().expect("psdd starts again");
    let caller = Caller::new(&appliance.layout);
    run(its_number_stays(&caller, &numbered));
    run(the_count_is_settled_once(&appliance, &caller, &of_run));
    certify_runs::by_psdctl(&appliance);
    assert!(appliance.stop().success());
    appliance.check(None).assert_clean("certifications and marks in one ledger");
    let state = appliance.layout.state().display().to_string();
    let root = appliance.layout.authority_root().display().to_string();
    let verified = psdctl(&appliance, &["ledger", "verify", &state, "--appliance-root", &root]);
    assert!(verified.status.success(), "{}", told(&verified));
    let shown = psdctl(&appliance, &["ledger", "show", &state, &leaf]);
    for says in ["certification", "rated            letter-metered full by us-domestic version 1"] {
        assert!(told(&shown).contains(says), "{says}: {}", told(&shown));
    }
    let view = nothing_is_found(&appliance);
    assert_eq!(view.psds.len(), 3);
}

pub async fn mark(wire: &Wire, signer: &str, postage: &str) -> Vec<u8> {
    let results = wire.sign(psd(signer), &[item(postage)]).await;
    assert_eq!(outcomes(&results), ["signed"]);
    results[0].get("indicium").bytes().to_vec()
}

async fn what_is_owed_is_debited(caller: &Caller) {
    let wire = caller.connect().await;
    let short = mark(&wire, MAILER, "0.50").await;
    let before = wire.registers(psd(WEIGHER)).await;
    let items = [
        paid_by(&short),
        letter(),
        letter().with("imprint", V::text("0.70")),
        letter().with("imprint", V::text("1.00")),
        // 30 g are more than an ounce.
        letter().with("weight", V::Int(30_000)),
    ];
    let results = certify(&wire, &items).await;
    let told: Vec<[&str; 3]> = results.iter().map(amounts).collect();
    assert_eq!(
        told,
        [
            [DUE, "0.50", "0.24"],
            [DUE, "0.00", DUE],
            [DUE, "0.70", "0.04"],
            [DUE, "1.00", "0.00"],
            ["1.03", "0.00", "1.03"]
        ]
    );
    let after = before.after(&[240, 740, 40, 0, 1_030]);
    assert_eq!(wire.registers(psd(WEIGHER)).await, after);
    assert_eq!(certify(&wire, &items).await, results, "the same bytes, and no debit");
    let uuid = uuid::Uuid::from_slice(items[0].get("key").bytes()).expect("a key");
    let stored = wire.get(&format!("/v1/certifications/{uuid}")).await;
    assert_eq!((stored.status, stored.body.get("piece")), (200, &results[0]));
    assert_eq!(wire.get(&format!("/v1/indicia/{uuid}")).await.status, 404, "it is no indicium");

    // The indicium is spent, whatever the key and however often.
    assert_eq!(outcomes(&certify(&wire, &[paid_by(&short), paid_by(&short)]).await), ["indicium-certified"; 2]);
    let fresh = mark(&wire, MAILER, "0.74").await;
    let twice = certify(&wire, &[paid_by(&fresh), paid_by(&fresh)]).await;
    assert_eq!((amounts(&twice[0]), outcome(&twice[1])), ([DUE, DUE, "0.00"], "indicium-certified"));
    let other = items[0].clone().with("weight", V::Int(20_100));
    assert_eq!(outcomes(&certify(&wire, &[other]).await), ["key-reused"]);
    assert_eq!(wire.registers(psd(WEIGHER)).await, after.after(&[0]));
    claims_are_those_of_the_contract(&results[0], &items[0], &short);
}

/// What stands in the COSE_Sign1, read with nothing of the daemon's but the contract.
fn claims_are_those_of_the_contract(result: &V, asked: &V, mark: &[u8]) {
    let bytes = result.get("certification").bytes();
    assert_eq!(bytes[0], 0xd2, "tag 18");
    let message = deterministic(&bytes[1..]).expect("a deterministic COSE_Sign1");
    let [protected, unprotected, payload, signature] = message.list() else { panic!("four elements") };
    let header = deterministic(protected.bytes()).expect("a header");
    let content_type = V::text(certification::CONTENT_TYPE);
    assert_eq!(header, V::Map(vec![(V::Int(1), V::Int(-7)), (V::Int(3), content_type)]));
    assert_eq!((unprotected, signature.bytes().len()), (&V::Map(Vec::new()), 64));
    let claims = crate::client::contract().message("certification-claims", payload.bytes()).expect("claims");
    for field in ["date", "class", "scale", "weight", "weighed", "destination"] {
        assert_eq!(claims.get(field), asked.get(field), "{field}");
    }
    for field in ["due", "paid", "debited", "psd", "rates", "tariff", "version"] {
        assert_eq!(claims.get(field), result.get(field), "{field}");
    }
    crate::client::claims_the_registers(&claims, result);
    assert_eq!(claims.get("mark").bytes(), psdd_wire::sha256(mark));
    assert_eq!(claims.get("mark_psd").str(), MAILER);
    assert_eq!(*claims.get("specimen"), V::Bool(true), "the appliance is a development one");
}

/// Changes of a good item, and the code each is refused with; every code of docs/protocol.md, "Certifications", that a client can bring
/// about here.
async fn refused_items(wire: &Wire) -> Vec<(V, &'static str)> {
    let text = |field: &str, text: &str| letter().with(field, V::text(text));
    let number = |field: &str, number: i128| letter().with(field, V::Int(number));
    let now = i128::from(now_ms());
    let good = mark(wire, MAILER, "0.50").await;
    let voucher = V::map([
        ("key", V::Bytes(key().to_vec())),
        ("kind", V::text("ticket")),
        ("value", V::text("0.50")),
        ("valid_from", V::Text(day(0))),
        ("valid_until", V::Text(day(1))),
    ]);
    let voucher = wire.sign(psd(VOUCHERS), &[voucher]).await[0].get("indicium").bytes().to_vec();
    let changed = |at: usize, to: u8| {
        let mut mark = good.clone();
        mark[at] = to;
        mark
    };
    let many = V::Array(vec![V::text("certified-mail-by-pigeon")]);
    vec![
        (letter().with("key", V::Bytes(vec![7; 16])), "key-not-uuid7"),
        (text("imprint", "0,50"), "amount-not-decimal"),
        (text("imprint", "-0.50"), "amount-negative"),
        (text("date", "2026-02-30"), "date-invalid"),
        (text("destination", "2026"), "destination-invalid"),
        (text("class", "a letter"), "class-invalid"),
        (text("scale", "dock 3"), "scale-invalid"),
        (paid_by(&good).with("imprint", V::text("0.50")), "paid-both-ways"),
        (text("reference", ""), "reference-invalid"),
        (text("scale", "dock-3"), "scale-unknown"),
        (number("weighed", now + 3_600_000), "reading-from-future"),
        (number("weighed", now - 2 * 86_400_000), "reading-too-old"),
        (number("weight", -20_000), "weight-negative"),
        (number("weight", 100), "weight-not-of-scale"),
        (number("weight", 40_000_000), "weight-not-of-scale"),
        (number("weight", 20_050), "weight-not-of-scale"),
        (letter().with("reading", V::Bytes(vec![0xd2, 0x84])), "reading-unproven"),
        (text("date", "2025-01-02"), "rates-not-in-force"),
        (text("class", "brick"), "class-unknown"),
        (letter().with("surcharges", many), "surcharge-unknown"),
        (number("weight", 200_000), "weight-beyond-class"),
        (letter().with("size", V::Array(vec![V::text("1 yard"), V::text("2 in"), V::text("3 in")])), "size-invalid"),
        (letter().with("size", V::Array(vec![V::text("40 in"), V::text("2 in"), V::text("3 in")])), "not-rated"),
        (paid_by(b"no mark"), "indicium-malformed"),
        // Its serial number is another.
        (paid_by(&changed(10, 0xee)), "indicium-unknown"),
        (paid_by(&voucher), "indicium-not-postage"),
        (paid_by(&changed(5, 0xee)), "indicium-unknown-key"),
        // Its postage.
        (paid_by(&changed(19, 0xee)), "indicium-bad-signature"),
        (text("date", &day(-2)), "date-out-of-window"),
        (text("date", &day(31)), "date-out-of-window"),
    ]
}

/// Of a run of pieces of every kind each owes what was computed by hand for it, and all together what the registers moved by.
async fn cases_come_out_as_computed_by_hand(caller: &Caller) {
    let wire = caller.connect().await;
    let lines = include_str!("certifications.csv").lines().skip(1);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.len() >= 30 && rows.iter().filter(|row| row[6].len() > 4 || row[7].len() > 4).count() >= 10);
    let mut items = Vec::new();
    for row in &rows {
        let mut item = letter().with("class", V::text(row[0])).with("destination", V::text("20260"));
        item = item.with("weight", V::Int(row[1].parse().expect("a weight")));
        if !row[2].is_empty() {
            item = item.with("size", V::Array(row[2].split('|').map(V::text).collect()));
        }
        if !row[3].is_empty() {
            item = item.with("surcharges", V::Array(row[3].split('+').map(V::text).collect()));
        }
        items.push(match row[4] {
            "imprint" => item.with("imprint", V::text(row[5])),
            "indicium" => item.with("indicium", V::Bytes(mark(&wire, MAILER, row[5]).await)),
            _ => item,
        });
    }
    let before = wire.registers(psd(WEIGHER)).await;
    let results = certify(&wire, &items).await;
    let mut debits = Vec::new();
    for (row, result) in rows.iter().zip(&results) {
        assert_eq!(outcome(result), "signed", "{row:?}");
        let [due, paid, debited] = amounts(result);
        assert_eq!([paid, due, debited], [row[5], row[6], row[7]], "{}: {row:?}", row[9]);
        assert_eq!(mills(paid).saturating_sub(mills(due)), mills(row[8]), "{row:?}");
        debits.push(mills(debited));
    }
    assert_eq!(wire.registers(psd(WEIGHER)).await, before.after(&debits), "the whole is the sum of its parts");
}

/// Whichever is asked for first; a refund that is given up leaves the indicium free to pay.
async fn an_indicium_pays_or_its_postage_comes_back(caller: &Caller) {
    let wire = caller.connect().await;
    let signed = wire.sign(psd(MAILER), &[item("0.50"), item("0.50")]).await;
    assert_eq!(outcomes(&signed), ["signed", "signed"]);
    let refund = |nth: usize| {
        let body = V::map([("key", V::Bytes(signed[nth].get("key").bytes().to_vec()))]).encode();
        let path = format!("/v1/psds/{MAILER}/refund-requests");
        let wire = &wire;
        async move { wire.post(&path, &body).await }
    };
    let pays = |nth: usize| paid_by(signed[nth].get("indicium").bytes());

    assert_eq!(outcome(&certify(&wire, &[pays(0)]).await[0]), "signed");
    let refused = refund(0).await;
    assert_eq!((refused.status, code_of(&refused.body)), (409, "refund-of-paying-indicium"));

    let asked = refund(1).await;
    assert_eq!(asked.status, 200, "{:?}", asked.body);
    assert_eq!(outcome(&certify(&wire, &[pays(1)]).await[0]), "indicium-refunded");
    let body = V::map([("sequence", asked.body.get("sequence").clone())]).encode();
    let voided = wire.post(&format!("/v1/psds/{MAILER}/value-voids"), &body).await;
    assert_eq!(voided.status, 200, "{:?}", voided.body);
    assert_eq!(outcome(&certify(&wire, &[pays(1)]).await[0]), "signed");
}

async fn each_refusal_has_its_code(caller: &Caller) {
    let wire = caller.connect().await;
    let path = format!("/v1/psds/{WEIGHER}/certifications");
    let rows = refused_items(&wire).await;
    let before = wire.registers(psd(WEIGHER)).await;
    for (item, code) in &rows {
        assert_eq!(outcome(&certify(&wire, std::slice::from_ref(item)).await[0]), *code, "{item:?}");
        let whole = wire.post(&path, &body(&[item.clone(), letter()], true)).await;
        let told =
            if whole.status == 200 { outcome(&whole.body.get("results").list()[0]) } else { code_of(&whole.body) };
        assert_eq!(told, *code);
    }
    let unknown = V::map([("rates", V::text("moon")), ("items", V::Array(vec![letter()]))]).encode();
    let results = wire.post(&path, &unknown).await;
    assert_eq!(outcome(&results.body.get("results").list()[0]), "rates-not-in-force");
    let vouchers = wire.post(&format!("/v1/psds/{VOUCHERS}/certifications"), &body(&[letter()], false)).await;
    assert_eq!(outcome(&vouchers.body.get("results").list()[0]), "rates-other-currency");
    for (path, request, told) in [
        ("/v1/psds/PS019999999999/certifications".to_owned(), body(&[letter()], false), (404, "psd-unknown")),
        ("/v1/psds/nobody/certifications".to_owned(), body(&[letter()], false), (404, "psd-unknown")),
        (path.clone(), body(&[], false), (400, "item-count")),
        (path.clone(), body(&[letter().with("postage", V::text("1"))], false), (400, "malformed")),
        (path.clone(), vec![0xa0], (400, "malformed")),
    ] {
        let reply = wire.post(&path, &request).await;
        assert_eq!((reply.status, code_of(&reply.body)), told);
    }
    assert_eq!(wire.get(&path).await.status, 405);
    assert_eq!(wire.registers(psd(WEIGHER)).await, before, "what was refused moved nothing");
    assert_eq!(amounts(&certify(&wire, &[letter()]).await[0])[2], DUE, "the daemon lives on");
}

pub fn to_certify(payment: Payment) -> CertifyItem {
    CertifyItem {
        key: new_key(),
        date: day(0).parse().expect("a day"),
        destination: "20260".parse().expect("a ZIP"),
        class: "letter-metered".parse().expect("a name"),
        surcharges: Vec::new(),
        size: None,
        scale: "dev-1".parse().expect("a name"),
        weight_mg: 20_000,
        weighed: psd::UnixMillis(now_ms()),
        reading: None,
        payment,
        reference: Some("r-1".to_owned()),
    }
}

async fn by_the_sdk(appliance: &Appliance) {
    let client = appliance.client(appliance.client_config()).await;
    let imprint = Payment::Imprint("0.50".parse().expect("an amount"));
    let items = [to_certify(Payment::Nothing), to_certify(imprint)];
    let rates = "us-domestic".parse().expect("a name");
    let signed = ProvenBy::Signature;
    let first =
        client.certify(psd(WEIGHER), CertifyTerms::of(&rates, signed), &items, true).await.expect("verified answers");
    let debited: Vec<String> = first
        .iter()
        .map(|outcome| match outcome {
            Outcome::Signed(piece) => piece.debited.to_string(),
            Outcome::Refused(problem) => panic!("{problem}"),
        })
        .collect();
    assert_eq!(debited, [DUE, "0.24"]);
    assert_eq!(
        client.certify(psd(WEIGHER), CertifyTerms::of(&rates, signed), &items, true).await.expect("verified answers"),
        first
    );
}

/// The leaf of the first of two pieces.
fn by_psdctl(appliance: &Appliance) -> u64 {
    let file = |name: &str| appliance.around().join(name).display().to_string();
    let (csv, out) = (file("corrected.csv"), file("corrected.jsonl"));
    let (today, now) = (day(0), now_ms());
    let rows = format!(
        "letter-metered,20260,20000,dev-1,{now},0.50,r-1\nletter-metered,94301,30000,dev-1,{now},,r-2\nletter-metered,94301,-1,dev-1,{now},,r-3\n"
    );
    std::fs::write(&csv, format!("class,destination,weight_mg,scale,weighed,imprint,reference\n{rows}"))
        .expect("a list");
    let command = [
        "vendor",
        "certify",
        "--psd",
        WEIGHER,
        "--rates",
        "us-domestic",
        "--csv",
        &csv,
        "--out",
        &out,
        "--date",
        &today,
    ];
    for _ in 0..2 {
        let output = psdctl(appliance, &command);
        assert_eq!(output.status.code(), Some(1), "one piece is refused: {}", told(&output));
        for says in ["2 of 3 pieces", "$1.27", "weight-negative"] {
            assert!(told(&output).contains(says), "{says}: {}", told(&output));
        }
    }
    let lines = std::fs::read_to_string(&out).expect("results");
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines[0]["debited"].as_str(), lines[1]["debited"].as_str()), (Some("0.24"), Some("1.03")));
    assert_eq!((lines[2]["line"].as_u64(), lines[2]["code"].as_str()), (Some(4), Some("weight-negative")));
    lines[0]["leaf"].as_u64().expect("a leaf")
}

/// A second version of the table, in force for some days, a cent dearer.
async fn a_new_table_binds_the_next_piece(appliance: &Appliance) {
    let layout = &appliance.layout;
    let wire = Caller::new(layout).connect().await;
    let old = [letter()];
    let certified = certify(&wire, &old).await;
    assert_eq!(certified[0].get("version").u64(), 1);
    let first = std::fs::read(layout.rates().join("us-domestic-1.cose")).expect("the first table");
    let text = psdd_wire::cose::Sign1::parse(&first).expect("a signed table").payload;
    let text = String::from_utf8(text).expect("text").replace("version = 1", "version = 2");
    let text =
        text.replace("from = \"2025-07-13\"", &format!("from = \"{}\"", day(-1))).replace("\"0.74\"", "\"0.75\"");
    let dir = psdd_authority::directory::AuthorityDir::at(&layout.authority());
    let second = psdd_authority::rates::publish(&dir, text.as_bytes()).expect("a table in order");

    // A table that nobody published is not taken, and what is in force stays so.
    let path = layout.rates().join("us-domestic-2.cose");
    let mut forged = second.bytes.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    std::fs::write(&path, forged).expect("written");
    let said = crate::reload::reload(appliance);
    assert!(said.contains("us-domestic-2.cose") && said.contains("signature"), "{said}");
    assert!(said.contains("reloaded, but for") && said.contains("rate tables and scales"), "{said}");
    assert_eq!(amounts(&certify(&wire, &[letter()]).await[0])[0], DUE);

    // Nor is a pipe, which nobody may ever write to, or a table under a name that would be passed over.
    std::fs::remove_file(&path).expect("removed");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    assert!(crate::reload::reload(appliance).contains("it is no regular file"));
    std::fs::remove_file(&path).expect("removed");
    let misnamed = path.with_extension("rates");
    std::fs::write(&misnamed, &second.bytes).expect("written");
    assert!(crate::reload::reload(appliance).contains("name it so, or move it away"));
    assert_eq!(amounts(&certify(&wire, &[letter()]).await[0])[0], DUE);
    std::fs::remove_file(&misnamed).expect("removed");

    std::fs::write(&path, second.bytes).expect("written");
    crate::reload::reload(appliance);
    let results = certify(&wire, &[letter()]).await;
    assert_eq!((results[0].get("version").u64(), mills(results[0].get("due").str())), (2, 750));
    assert_eq!(certify(&wire, &old).await, certified, "what was certified stays as it was");
}

pub fn psdctl(appliance: &Appliance, arguments: &[&str]) -> Output {
    let program = appliance.options.tools.psdd.with_file_name("psdctl");
    let mut command = Command::new(program);
    command.args(arguments).env("PSDCTL_CONFIG", appliance.layout.psdctl_config());
    command.output().expect("psdctl runs")
}

pub fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
