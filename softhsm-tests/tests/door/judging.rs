//! Items and batches: every code an item can be refused with, keys used again, order in a batch.

use crate::client::{Registers, code_of, day, item, items, key, key_at, mills, outcome, outcomes, request};
use crate::contract::V;
use crate::{run, shared};
use psd::PsdId;

const DAY_MS: i64 = 86_400_000;

/// Changes of a good item, and the code each is refused with.
fn refused_items() -> Vec<(&'static str, V, &'static str)> {
    let with = |field: &str, value: V| item("0.73").with(field, value);
    let text = |field: &str, text: &str| with(field, V::text(text));
    let uuid4 = *uuid::Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef).as_bytes();
    let mut other_variant = key();
    other_variant[8] |= 0xc0;
    let keyed = |bytes: [u8; 16]| with("key", V::Bytes(bytes.to_vec()));
    vec![
        ("a key of 15 bytes", with("key", V::Bytes(vec![7; 15])), "key-not-uuid7"),
        ("a key of 17 bytes", with("key", V::Bytes(vec![7; 17])), "key-not-uuid7"),
        ("an empty key", with("key", V::Bytes(Vec::new())), "key-not-uuid7"),
        ("a UUID of version 4", keyed(uuid4), "key-not-uuid7"),
        ("another variant", keyed(other_variant), "key-not-uuid7"),
        ("31 days old", keyed(key_at(-31 * DAY_MS)), "key-too-old"),
        (
            "of 1970",
            with("key", V::Bytes([&[0; 6][..], &[0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]].concat())),
            "key-too-old",
        ),
        ("three minutes ahead", keyed(key_at(180_000)), "key-from-future"),
        (
            "of the year 10889",
            with("key", V::Bytes([&[0xff; 6][..], &[0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]].concat())),
            "key-from-future",
        ),
        ("minus", text("postage", "-0.73"), "amount-negative"),
        ("a tenth of a mill", text("postage", "0.7301"), "amount-too-fine"),
        ("28 digits after the point", text("postage", "0.0000000000000000000000000001"), "amount-too-fine"),
        ("2^63 mills", text("postage", "9223372036854775.808"), "amount-too-large"),
        ("28 digits", text("postage", "9999999999999999999999999999"), "amount-too-large"),
        ("40 digits", text("postage", &"9".repeat(40)), "amount-too-large"),
        ("41 digits", text("postage", &"9".repeat(41)), "amount-not-decimal"),
        ("an exponent", text("postage", "1e-2"), "amount-not-decimal"),
        ("a comma", text("postage", "0,73"), "amount-not-decimal"),
        ("a plus", text("postage", "+0.73"), "amount-not-decimal"),
        ("a blank", text("postage", " 0.73"), "amount-not-decimal"),
        ("no digits", text("postage", ""), "amount-not-decimal"),
        ("a bare point", text("postage", ".73"), "amount-not-decimal"),
        ("not a number", text("postage", "NaN"), "amount-not-decimal"),
        ("other digits", text("postage", "０.７３"), "amount-not-decimal"),
        ("zero", text("postage", "0"), "postage-too-small"),
        ("minus zero", text("postage", "-0.00"), "postage-too-small"),
        ("below the smallest", text("postage", "0.009"), "postage-too-small"),
        ("above the largest", text("postage", "100.001"), "postage-too-large"),
        ("no day", text("date", "2026-02-30"), "date-invalid"),
        ("no date", text("date", "today"), "date-invalid"),
        ("another form", text("date", "20261120"), "date-invalid"),
        ("two days ago", with("date", V::Text(day(-2))), "date-out-of-window"),
        ("in 31 days", with("date", V::Text(day(31))), "date-out-of-window"),
        ("a ZIP of four digits", text("destination", "2026"), "destination-invalid"),
        ("a ZIP with letters", text("destination", "2026O"), "destination-invalid"),
        ("a hyphen in the wrong place", text("destination", "202-600004"), "destination-invalid"),
        ("a long destination", with("destination", V::Text("1".repeat(100_000))), "destination-invalid"),
        ("an empty rate", text("rate", ""), "rate-invalid"),
        ("a long rate", text("rate", "FCM12"), "rate-invalid"),
        ("a rate in small letters", text("rate", "fcm"), "rate-invalid"),
        ("an empty recipient", text("recipient", ""), "recipient-invalid"),
        ("513 bytes of recipient", with("recipient", V::Text("x".repeat(513))), "recipient-invalid"),
        ("512 characters of two bytes", with("recipient", V::Text("ä".repeat(512))), "recipient-invalid"),
        ("an empty reference", text("reference", ""), "reference-invalid"),
        ("65 bytes of reference", with("reference", V::Text("x".repeat(65))), "reference-invalid"),
    ]
}

#[test]
fn a_refused_item_has_its_code_and_debits_nothing() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        for (name, item, code) in refused_items() {
            assert_eq!(outcomes(&wire.sign(psd, &[item]).await), [code], "{name}");
            assert_eq!(wire.registers(psd).await, before, "{name}");
        }
        // All of them in one batch, each between two good ones that stand.
        let good = || item("0.73");
        let rows = refused_items();
        let mixed: Vec<V> = rows.iter().flat_map(|(_, bad, _)| [bad.clone(), good()]).collect();
        let expected: Vec<&str> = rows.iter().flat_map(|(_, _, code)| [*code, "signed"]).collect();
        let results = wire.sign(psd, &mixed).await;
        assert_eq!(outcomes(&results), expected);
        let after = before.after(&vec![730; rows.len()]);
        assert_eq!(wire.registers(psd).await, after);
        let shown =
            results.iter().rfind(|result| outcome(result) == "signed").map(|last| Registers::of(last.get("registers")));
        assert_eq!(shown, Some(Registers { sequence: 0, ..after }), "the last piece shows the registers after it");
        // The edges themselves are good.
        let edges = [
            item("0.01"),
            item("100.00"),
            item("0.0100"),
            item("0.735").with("date", V::Text(day(-1))),
            item("1").with("date", V::Text(day(30))),
            item("1").with("key", V::Bytes(key_at(-29 * DAY_MS).to_vec())),
            item("1").with("key", V::Bytes(key_at(60_000).to_vec())),
            item("1").with("destination", V::text("20260")).with("rate", V::text("A")),
            item("1").with("weight", V::Int(i128::from(u64::MAX))),
        ];
        let results = wire.sign(psd, &edges).await;
        assert!(outcomes(&results).iter().all(|outcome| *outcome == "signed"), "{:?}", outcomes(&results));
    });
}

#[test]
fn a_psd_is_signed_for_by_its_own_tenant_when_it_is_active() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let stranger = shared.appliance.issue("stranger", "rival", 300);
    // A name that a policy could mistake for the tenant's.
    let nearly = shared.appliance.issue("nearly", "acme2", 301);
    run(async {
        let acme = shared.caller().connect().await;
        let key_of_acme = key();
        let mine = item("0.73").with("key", V::Bytes(key_of_acme.to_vec()));
        let first = acme.sign(psd, std::slice::from_ref(&mine)).await;
        let before = acme.registers(psd).await;
        for identity in [&stranger, &nearly] {
            let wire = shared.caller().with(identity).connect().await;
            let view = format!("/v1/psds/{psd}");
            let amount = V::map([("amount", V::text("1"))]).encode();
            let authorisation = V::map([("authorisation", V::Bytes(vec![1]))]).encode();
            let rows: [(&str, String, Vec<u8>); 5] = [
                ("POST", "/v1/indicia".to_owned(), request(psd, &items(3, "0.73"), false)),
                ("GET", view.clone(), Vec::new()),
                ("GET", format!("{view}/certificates"), Vec::new()),
                ("POST", format!("{view}/value-requests"), amount),
                ("POST", format!("{view}/value-authorisations"), authorisation),
            ];
            for (method, path, body) in rows {
                let reply = wire.ask(method, &path, Some("application/cbor"), &body).await;
                assert_eq!((reply.status, code_of(&reply.body)), (403, "not-permitted"), "{method} {path}");
                let detail = match &reply.body {
                    V::Map(entries) => {
                        entries.iter().find(|(key, _)| *key == V::Int(-2)).map(|(_, detail)| detail.str())
                    }
                    _ => None,
                };
                assert!(detail.is_some_and(|detail| detail.contains("no policy permits it")), "{detail:?}");
            }
            // Keys are scoped by the tenant: another's are unknown, not forbidden.
            let uuid = uuid::Uuid::from_bytes(key_of_acme);
            let reply = wire.get(&format!("/v1/indicia/{uuid}")).await;
            assert_eq!((reply.status, code_of(&reply.body)), (404, "key-unknown"));
            let listed = wire.get("/v1/psds").await;
            assert!(listed.body.get("psds").list().iter().all(|view| view.get("psd").str().starts_with("PU")));
        }
        assert_eq!(acme.registers(psd).await, before);
        assert_eq!(acme.sign(psd, &[mine]).await, first, "and the owner's key still gives the owner's piece");
        let inactive: PsdId = "PV010000001".parse().expect("a PSD");
        assert_eq!(outcomes(&acme.sign(inactive, &items(2, "0.73")).await), ["psd-not-active", "psd-not-active"]);
        let request = V::map([("amount", V::text("1"))]).encode();
        let reply = acme.post(&format!("/v1/psds/{inactive}/value-requests"), &request).await;
        assert_eq!((reply.status, code_of(&reply.body)), (409, "psd-not-active"));
    });
}

#[test]
fn what_no_indicium_holds_is_refused() {
    let shared = shared();
    let psd: PsdId = "PT010000001".parse().expect("a PSD");
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        // Three bytes of mills: 16,777.215 is the most.
        assert_eq!(outcomes(&wire.sign(psd, &[item("16777.216")]).await), ["field-unencodable"]);
        assert_eq!(outcomes(&wire.sign(psd, &[item("16777.215")]).await), ["insufficient-funds"]);
        // The policy speaks before the PSD, and for the whole request.
        let reply = wire.post("/v1/indicia", &request(psd, &[item("0.73"), item("30000.01")], false)).await;
        assert_eq!((reply.status, code_of(&reply.body)), (403, "not-permitted"));
        assert!(format!("{:?}", reply.body).contains("authority-largest-piece of the authority"), "{:?}", reply.body);
        // A sum beyond any amount is nobody's policy.
        let huge = vec![item("9000000000000000"), item("9000000000000000")];
        let reply = wire.post("/v1/indicia", &request(psd, &huge, false)).await;
        assert_eq!((reply.status, code_of(&reply.body)), (400, "amount-too-large"));
        assert_eq!(wire.registers(psd).await, before);
    });
}

#[test]
fn items_are_judged_in_order_and_a_later_smaller_one_still_fits() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        // 1000.00 in the register: what does not fit debits nothing, and what comes after it is judged on what is left.
        let postages = [
            "100.00", "100.00", "100.00", "100.00", "100.00", "100.00", "100.00", "100.00", "100.00", "99.50", "0.60",
            "0.30", "0.30", "0.20", "0.01",
        ];
        let batch: Vec<V> = postages.iter().map(|postage| item(postage)).collect();
        let results = wire.sign(psd, &batch).await;
        let (mut left, mut expected, mut paid) = (before.descending, Vec::new(), Vec::new());
        for postage in postages.map(mills) {
            expected.push(if postage <= left { "signed" } else { "insufficient-funds" });
            if postage <= left {
                left -= postage;
                paid.push(postage);
            }
        }
        assert_eq!(outcomes(&results), expected);
        assert!(
            expected.contains(&"insufficient-funds") && expected[13..] == ["signed", "insufficient-funds"],
            "{expected:?}"
        );
        let after = before.after(&paid);
        assert_eq!(wire.registers(psd).await, after);
        assert_eq!(after.descending, 0);
        // Refusals bind nothing: the same keys are judged anew, the signed ones give the same pieces.
        let again = wire.sign(psd, &batch).await;
        assert_eq!(outcomes(&again), expected);
        assert!(again.iter().zip(&results).all(|(again, first)| outcome(first) != "signed" || again == first));
        assert_eq!(wire.registers(psd).await, after);
    });
}

#[test]
fn all_or_none_debits_nothing_when_one_item_is_refused() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        let rows: [(&str, V, &str); 4] = [
            ("by the PSD", item("100.001"), "postage-too-large"),
            ("by its date", item("1").with("date", V::Text(day(40))), "date-out-of-window"),
            ("by its key's age", item("1").with("key", V::Bytes(key_at(-40 * DAY_MS).to_vec())), "key-too-old"),
            ("by its weight in gold", item("100.00").with("postage", V::text("20000.00")), "postage-too-large"),
        ];
        for (name, bad, code) in rows {
            for at in [0, 2, 4] {
                let mut batch = items(5, "0.73");
                batch[at] = bad.clone();
                let mut expected = vec!["all-or-none"; 5];
                expected[at] = code;
                assert_eq!(outcomes(&wire.sign_with(psd, &batch, true).await), expected, "{name} at {at}");
                assert_eq!(wire.registers(psd).await, before, "{name} at {at}");
            }
        }
        // An item that is no piece refuses the request before any of it is judged.
        for (bad, code) in
            [(item("0.7301"), "amount-too-fine"), (item("1").with("rate", V::text("fcm")), "rate-invalid")]
        {
            let mut batch = items(5, "0.73");
            batch[3] = bad;
            let reply = wire.post("/v1/indicia", &request(psd, &batch, true)).await;
            assert_eq!((reply.status, code_of(&reply.body)), (400, code), "{:?}", reply.body);
            assert_eq!(wire.registers(psd).await, before);
        }
        // A piece that was signed before is never told to be refused.
        let earlier = item("0.73");
        let signed = wire.sign(psd, std::slice::from_ref(&earlier)).await;
        let mixed = wire.sign_with(psd, &[item("0.73"), earlier, item("100.001")], true).await;
        assert_eq!(outcomes(&mixed), ["all-or-none", "signed", "postage-too-large"]);
        assert_eq!(mixed[1], signed[0]);
        let before = before.after(&[730]);
        // The money runs out in the middle.
        let mut batch = items(12, "99.00");
        let mut expected = vec!["all-or-none"; 12];
        expected[10] = "insufficient-funds";
        assert_eq!(outcomes(&wire.sign_with(psd, &batch, true).await), expected);
        assert_eq!(wire.registers(psd).await, before);
        // With the same keys and enough money for all, all are signed.
        batch.truncate(10);
        assert_eq!(outcomes(&wire.sign_with(psd, &batch, true).await), vec!["signed"; 10]);
        let after = before.after(&[99_000; 10]);
        assert_eq!(wire.registers(psd).await, after);
        // Again the same, with and without.
        let again = wire.sign_with(psd, &batch, true).await;
        assert_eq!(wire.sign(psd, &batch).await, again);
        // Signed before and new ones together; 4096 items that stand and fall together.
        batch.push(item("0.01"));
        assert_eq!(outcomes(&wire.sign_with(psd, &batch, true).await), vec!["signed"; 11]);
        let most = items(4096, "0.002");
        assert_eq!(outcomes(&wire.sign_with(psd, &most, true).await)[0], "postage-too-small");
        assert_eq!(wire.registers(psd).await, after.after(&[10]));
    });
}

#[test]
fn four_thousand_items_stand_together() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        let most = items(4096, "0.01");
        let results = wire.sign_with(psd, &most, true).await;
        assert!(outcomes(&results).iter().all(|outcome| *outcome == "signed"), "{}", outcome(&results[0]));
        assert_eq!(wire.registers(psd).await, before.after(&[10; 4096]));
    });
}

#[test]
fn a_key_is_one_piece_however_often_it_comes() {
    let shared = shared();
    let (psd, other_psd) = (shared.psds.take(&shared.appliance), shared.psds.take(&shared.appliance));
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        // In one request: the same content is the same piece, other content is refused.
        let one = item("0.73");
        let other = one.clone().with("postage", V::text("0.74"));
        let same_amount = one.clone().with("postage", V::text("0.730"));
        let results = wire.sign(psd, &[one.clone(), one.clone(), other.clone(), same_amount.clone(), item("1")]).await;
        assert_eq!(outcomes(&results), ["signed", "signed", "key-reused", "key-reused", "signed"]);
        assert_eq!(results[0], results[1]);
        let after = before.after(&[730, 1000]);
        assert_eq!(wire.registers(psd).await, after);
        // The other content first: it wins.
        let two = item("0.75");
        let second = two.clone().with("date", V::Text(day(1)));
        assert_eq!(outcomes(&wire.sign(psd, &[second.clone(), two.clone()]).await), ["signed", "key-reused"]);
        let after = after.after(&[750]);
        // Across requests, on other connections and other PSDs, and with each field changed.
        let wire = shared.caller().connect().await;
        assert_eq!(wire.sign(psd, std::slice::from_ref(&one)).await[0], results[0]);
        assert_eq!(outcomes(&wire.sign(other_psd, std::slice::from_ref(&one)).await), ["key-reused"]);
        let changed = [
            one.clone().with("postage", V::text("0.731")),
            one.clone().with("date", V::Text(day(1))),
            one.clone().with("rate", V::text("FCN")),
            one.clone().with("destination", V::text("20260-0004")),
            one.clone().with("weight", V::Int(0)),
            one.clone().with("recipient", V::text("A")),
            one.clone().with("reference", V::text("A")),
        ];
        assert_eq!(outcomes(&wire.sign(psd, &changed).await), vec!["key-reused"; changed.len()]);
        // A key whose item was refused is free for another content.
        let refused = item("100.001");
        assert_eq!(outcomes(&wire.sign(psd, std::slice::from_ref(&refused)).await), ["postage-too-large"]);
        assert_eq!(outcomes(&wire.sign(psd, &[refused.with("postage", V::text("0.76"))]).await), ["signed"]);
        let after = after.after(&[760]);
        assert_eq!(wire.registers(psd).await, after);
        // In flight: the same 300 items ten times at once, half of them on other connections, and once with other content.
        let batch = items(300, "0.01");
        let changed: Vec<V> = batch.iter().map(|item| item.clone().with("postage", V::text("0.02"))).collect();
        let mut asked = Vec::new();
        for nth in 0..11 {
            let wire = if nth % 2 == 0 { wire.clone() } else { shared.caller().connect().await };
            let batch = if nth == 5 { changed.clone() } else { batch.clone() };
            asked.push(tokio::spawn(async move { wire.sign(psd, &batch).await }));
        }
        let mut told = Vec::new();
        for answer in asked {
            told.push(answer.await.expect("an answer"));
        }
        let changed = told.remove(5);
        let mut mills = vec![0; 300];
        for index in 0..300 {
            // Whichever content came first, the key is one piece.
            let first: Vec<&V> = told.iter().map(|results| &results[index]).collect();
            assert!(first.iter().all(|result| *result == first[0] || outcome(result) != "signed"), "{first:?}");
            mills[index] = match (outcome(first[0]), outcome(&changed[index])) {
                ("signed", "key-reused") => 10,
                ("key-reused", "signed") => 20,
                other => panic!("item {index}: {other:?}"),
            };
        }
        assert_eq!(wire.registers(psd).await, after.after(&mills));
        // Read back by its key, to the byte.
        let uuid = uuid::Uuid::from_slice(one.get("key").bytes()).expect("a UUID");
        assert_eq!(wire.get(&format!("/v1/indicia/{uuid}")).await.body.get("piece"), &results[0]);
        assert_eq!(wire.get(&format!("/v1/indicia/{}", uuid.simple())).await.body.get("piece"), &results[0]);
        assert_eq!(wire.registers(other_psd).await.pieces, 0);
    });
}

/// The same keys at once on two PSDs with other content, and with too little money: items wait for what becomes of others.
#[test]
fn keys_that_meet_in_flight_on_two_psds_are_one_piece() {
    let shared = shared();
    let (one, two) = (shared.psds.take(&shared.appliance), shared.psds.take(&shared.appliance));
    run(async {
        let wire = shared.caller().connect().await;
        let before = [wire.registers(one).await, wire.registers(two).await];
        for round in 0..6 {
            let batch = items(200, "0.05");
            let ask = |psd: PsdId, all_or_none: bool| {
                let (wire, batch) = (wire.clone(), batch.clone());
                tokio::spawn(async move { wire.sign_with(psd, &batch, all_or_none).await })
            };
            let answers = [ask(one, round % 2 == 0), ask(two, false), ask(one, false), ask(two, round % 3 == 0)];
            let mut told = Vec::new();
            for answer in answers {
                told.push(answer.await.expect("an answer"));
            }
            for index in 0..batch.len() {
                let signed: Vec<&V> =
                    told.iter().map(|results| &results[index]).filter(|result| outcome(result) == "signed").collect();
                assert!(!signed.is_empty(), "round {round}, item {index}: nobody got a piece");
                assert!(
                    signed.windows(2).all(|pair| pair[0] == pair[1]),
                    "round {round}, item {index}: two pieces for one key"
                );
            }
        }
        let after = [wire.registers(one).await, wire.registers(two).await];
        assert_eq!(after.iter().zip(before).map(|(after, before)| after.pieces - before.pieces).sum::<u64>(), 1200);
    });
}

#[test]
fn a_checkpoint_shown_must_be_of_this_log() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let mut newest = None;
        let begun = std::time::Instant::now();
        while newest.is_none() {
            assert!(begun.elapsed() < crate::client::PATIENCE, "no checkpoint");
            newest = wire.get("/v1/appliance").await.body.find("checkpoint").map(|note| note.str().to_owned());
        }
        let note = newest.expect("a checkpoint");
        let shown = async |note: &str| {
            let body = V::map([
                ("psd", V::Text(psd.to_string())),
                ("items", V::Array(vec![item("0.01")])),
                ("checkpoint", V::text(note)),
            ]);
            wire.post("/v1/indicia", &body.encode()).await
        };
        let before = wire.registers(psd).await;
        let lines: Vec<&str> = note.split('\n').collect();
        let size = lines[1].to_owned();
        let rows = [
            ("nothing", String::new()),
            ("noise", "x".repeat(1000)),
            ("of another log", note.replace("psdd.log/", "psdd.log/x")),
            ("of another size", note.replacen(&format!("\n{size}\n"), &format!("\n{size}0\n"), 1)),
            ("of a huge size", note.replacen(&format!("\n{size}\n"), "\n18446744073709551615\n", 1)),
            ("without a signature", note.split("\n\n").next().expect("a body").to_owned() + "\n\n"),
            ("with a line more", note.replacen("\n\n", "\nmore\n\n", 1)),
        ];
        for (name, changed) in rows {
            let reply = shown(&changed).await;
            assert_eq!((reply.status, code_of(&reply.body)), (400, "checkpoint-invalid"), "{name}");
            assert_eq!(wire.registers(psd).await, before, "{name}");
        }
        // The newest, and after more pieces an older one.
        for _ in 0..3 {
            let reply = shown(&note).await;
            assert_eq!(reply.status, 200, "{:?}", reply.body);
            assert_eq!(outcomes(reply.body.get("results").list()), ["signed"]);
        }
        assert_eq!(wire.registers(psd).await, before.after(&[10; 3]));
    });
}
