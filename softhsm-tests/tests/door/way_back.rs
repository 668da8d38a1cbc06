//! Value on its way back: the postage of a spoiled mark, once, and all that is left, at the end of a PSD's life.

use crate::client::{Reply, Wire, code_of, item, key, outcomes};
use crate::contract::V;
use crate::value::{Funds, answer_to, apply, ask, assert_code};
use crate::{run, shared};
use psd::PsdId;
use psdd_wire::cose::{Sign1, VALUE_REQUEST, WITHDRAWAL_ACKNOWLEDGEMENT, WITHDRAWAL_REPORT};
use psdd_wire::message::{ValueAuthorisationClaims, ValueRequestClaims};

async fn refund(wire: &Wire, psd: PsdId, key: &[u8]) -> Reply {
    let body = V::map([("key", V::Bytes(key.to_vec()))]).encode();
    wire.post(&format!("/v1/psds/{psd}/refund-requests"), &body).await
}

async fn withdraw(wire: &Wire, psd: PsdId) -> Reply {
    wire.post(&format!("/v1/psds/{psd}/withdrawals"), &V::map([]).encode()).await
}

async fn acknowledge(wire: &Wire, psd: PsdId, acknowledgement: Vec<u8>) -> Reply {
    let body = V::map([("acknowledgement", V::Bytes(acknowledgement))]).encode();
    wire.post(&format!("/v1/psds/{psd}/withdrawal-acknowledgements"), &body).await
}

#[test]
fn the_postage_of_a_spoiled_mark_comes_back_once() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let other_psd = shared.psds.take(&shared.appliance);
    let caller = shared.caller();
    let funds = Funds::real(&caller);
    let stranger = shared.appliance.issue("refund-stranger", "stranger", 313);
    run(async {
        let wire = caller.connect().await;
        let before = wire.registers(psd).await;
        let spoiled = wire.sign(psd, &[item("0.73"), item("0.50")]).await;
        assert_eq!(outcomes(&spoiled), ["signed", "signed"]);
        let (first, second) = (spoiled[0].get("key").bytes(), spoiled[1].get("key").bytes());

        let stranger = caller.with(&stranger).connect().await;
        assert_code(&refund(&stranger, psd, first).await, 404, "key-unknown", "another tenant's key");
        assert_code(&refund(&wire, psd, &key()).await, 404, "key-unknown", "no piece");
        assert_code(&refund(&wire, other_psd, first).await, 404, "key-unknown", "another PSD's piece");
        assert_code(&refund(&wire, psd, &[1; 16]).await, 400, "key-not-uuid7", "no key");

        let asked = refund(&wire, psd, first).await;
        assert_eq!((asked.status, asked.body.get("purpose").str()), (200, "refund"), "{:?}", asked.body);
        assert_eq!(refund(&wire, psd, first).await.body, asked.body, "the one under way");
        assert_code(&refund(&wire, psd, second).await, 409, "value-request-pending", "another piece");
        let request = Sign1::parse(asked.body.get("request").bytes()).expect("a COSE_Sign1");
        let claims: ValueRequestClaims = psdd_wire::read(&request.payload).expect("claims");
        let named = claims.refund.expect("the piece");
        assert_eq!((named.leaf, &named.key[..]), (spoiled[0].get("leaf").u64(), first));
        assert_eq!(named.indicium, spoiled[0].get("indicium").bytes(), "the mark itself is the evidence");

        let right = answer_to(&asked);
        for leaf in [None, Some(named.leaf + 1)] {
            let wrong = funds.authorise(&ValueAuthorisationClaims { refund: leaf, ..right.clone() });
            assert_code(&apply(&wire, psd, &wrong).await, 409, "value-wrong-piece", "another piece");
        }
        let good = funds.authorise(&right);
        let applied = apply(&wire, psd, &good).await;
        assert_eq!(applied.status, 200, "{:?}", applied.body);
        let again = apply(&wire, psd, &good).await;
        assert_eq!(again.body.without("checkpoint"), applied.body.clone().without("checkpoint"), "the same answer");
        let after = wire.registers(psd).await;
        assert_eq!(after.descending, before.descending - 500, "the postage of the first is back");
        assert_eq!(after.ascending, before.ascending + 1_230, "what was used stays used");
        assert_code(&refund(&wire, psd, first).await, 409, "refunded-before", "twice");

        // One that is given up may be asked for again.
        let asked = refund(&wire, psd, second).await;
        let number = V::map([("sequence", V::Int(asked.body.get("sequence").u64().into()))]);
        assert_eq!(wire.post(&format!("/v1/psds/{psd}/value-voids"), &number.encode()).await.status, 200);
        assert_code(&apply(&wire, psd, &funds.authorise(&answer_to(&asked))).await, 409, "value-void", "given up");
        let asked = refund(&wire, psd, second).await;
        assert_eq!(apply(&wire, psd, &funds.authorise(&answer_to(&asked))).await.status, 200);
        assert_eq!(wire.registers(psd).await.descending, before.descending);
    });
}

#[test]
fn a_withdrawn_psd_reads_zero_and_signs_no_more() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let caller = shared.caller();
    let funds = Funds::real(&caller);
    run(async {
        let wire = caller.connect().await;
        let before = wire.registers(psd).await;
        let asked = withdraw(&wire, psd).await;
        assert_eq!((asked.status, asked.body.get("purpose").str()), (200, "withdrawal"), "{:?}", asked.body);
        assert_eq!(crate::client::mills(asked.body.get("amount").str()), before.descending, "all of it");
        assert_eq!(withdraw(&wire, psd).await.body, asked.body, "the same request");
        let refused = wire.sign(psd, &[item("0.73")]).await;
        assert_eq!(code_of(refused[0].get("problem")), "psd-withdrawing");
        assert_code(&ask(&wire, psd, "5.00").await, 409, "psd-withdrawing", "value");
        let number = V::map([("sequence", V::Int(asked.body.get("sequence").u64().into()))]);
        let void = wire.post(&format!("/v1/psds/{psd}/value-voids"), &number.encode()).await;
        assert_code(&void, 409, "psd-withdrawing", "there is no way back");

        let frozen = wire.registers(psd).await;
        let right = answer_to(&asked);
        let signed =
            |claims: &ValueAuthorisationClaims| funds.signed(WITHDRAWAL_ACKNOWLEDGEMENT, psdd_wire::encode(claims));
        let change = |change: &dyn Fn(&mut ValueAuthorisationClaims)| {
            let mut claims = right.clone();
            change(&mut claims);
            signed(&claims)
        };
        let late = change(&|claims| claims.expires = 1);
        for (name, bytes, status, code) in [
            ("an authorisation", funds.authorise(&right), 400, "value-malformed"),
            ("a request", funds.signed(VALUE_REQUEST, psdd_wire::encode(&right)), 400, "value-malformed"),
            ("another number", change(&|claims| claims.sequence += 1), 409, "value-wrong-sequence"),
            ("a number of before", change(&|claims| claims.sequence -= 1), 409, "value-wrong-sequence"),
            ("too late", late, 409, "value-expired"),
        ] {
            assert_code(&acknowledge(&wire, psd, bytes).await, status, code, name);
            assert_eq!(wire.registers(psd).await, frozen, "{name}");
        }
        let acknowledgement = signed(&right);
        let done = acknowledge(&wire, psd, acknowledgement.clone()).await;
        assert_eq!(done.status, 200, "{:?}", done.body);
        let after = wire.registers(psd).await;
        assert_eq!((after.ascending, after.descending), (before.ascending, 0));
        let again = acknowledge(&wire, psd, acknowledgement).await;
        assert_eq!(again.body.without("checkpoint"), done.body.clone().without("checkpoint"), "the same report");
        let report = Sign1::parse(done.body.get("report").bytes()).expect("a COSE_Sign1");
        assert_eq!(report.content_type, WITHDRAWAL_REPORT);
        let rule = "withdrawal-report-claims";
        crate::client::contract().message(rule, &report.payload).unwrap_or_else(|why| panic!("{why}"));
        let claims: ValueRequestClaims = psdd_wire::read(&report.payload).expect("claims");
        assert_eq!(claims.registers.descending.mills(), 0, "the final report reads zero");
        let view = wire.get(&format!("/v1/psds/{psd}")).await;
        assert_eq!(view.body.get("psd").get("state").str(), "withdrawn");
        let refused = wire.sign(psd, &[item("0.73")]).await;
        assert_eq!(code_of(refused[0].get("problem")), "psd-not-active");
    });
}
