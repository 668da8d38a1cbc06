//! Digital tokens of the real daemon: two keys in a real token, a half each, at the doors of both parties; exactly once, whoever is killed.

use crate::certify::{psdctl, told};
use crate::client::{Caller, Wire, code_of, day, item, key, outcomes};
use crate::contract::V;
use crate::inspecting::nothing_is_found;
use crate::inspection::inspector;
use crate::run;
use psd::PsdId;
use psd::digital_token::DigitalToken;
use psdctl::dev::DevOptions;
use softhsm_tests::Appliance;
use std::collections::BTreeSet;

const ADDRESS: &str = "A. Resident\n1 Main St\nSpringfield";

fn psd() -> PsdId {
    "PS010000000001".parse().expect("a PSD")
}

/// A letter to an address, with a digital token.
fn letter() -> V {
    item("0.73").with("destination", V::text("20500")).with("recipient", V::text(ADDRESS)).with("token", V::Bool(true))
}

/// What somebody reads off a piece.
fn read_off(result: &V) -> V {
    V::map([
        ("psd", V::Text(psd().to_string())),
        ("date", V::Text(day(0))),
        ("token", V::text(result.get("token").str())),
        ("pieces", V::Int(i128::from(result.get("registers").get("pieces").u64()))),
        ("postage", V::text("0.73")),
        ("recipient", V::text("A RESIDENT, 1 Main St., SPRINGFIELD")),
        ("destination", V::text("20500")),
    ])
}

async fn judged(wire: &Wire, query: &V) -> V {
    let reply = wire.post("/v1/digital-tokens", &query.encode()).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    reply.body
}

/// Verdict and what the log has.
fn verdict(told: &V) -> (&str, &str) {
    (told.get("verdict").str(), told.find("log").map_or("-", V::str))
}

/// A token with the groups of these: the first's of the vendor, the second's of the post, and a check digit that holds.
fn joined(vendor: &str, postal: &str) -> String {
    let half = |token: &str, nth: usize| token.split(' ').nth(nth).expect("a half").to_owned();
    let groups = [half(vendor, 0), half(postal, 1)].join(" ");
    let mut whole = (0..10).map(|digit| format!("{groups} {digit}"));
    whole.find(|text| DigitalToken::stored(text).is_ok()).expect("one digit holds")
}

async fn tokens_come_with_the_indicia_and_again(caller: &Caller) {
    let wire = caller.connect().await;
    let before = wire.registers(psd()).await;
    let to_a_point = item("0.73").with("token", V::Bool(true));
    let items = [letter(), item("0.73"), letter(), to_a_point];
    let results = wire.sign(psd(), &items).await;
    assert_eq!(outcomes(&results), ["signed"; 4]);
    assert_eq!(wire.registers(psd()).await, before.after(&[730; 4]));
    assert!(results[1].find("token").is_none(), "nobody asked");
    let with: Vec<&V> = [0, 2, 3].iter().map(|at| &results[*at]).collect();
    let texts: BTreeSet<&str> = with.iter().map(|result| result.get("token").str()).collect();
    assert!(texts.len() == 3 && texts.iter().all(|text| DigitalToken::stored(text).is_ok()), "{texts:?}");
    assert_eq!(wire.sign(psd(), &items).await, results, "a repetition is the same");
    let stored = wire
        .get(&format!("/v1/indicia/{}", uuid::Uuid::from_slice(results[0].get("key").bytes()).expect("a key")))
        .await;
    assert_eq!(stored.body.get("piece"), &results[0]);
    let without = items[0].clone().without("token");
    assert_eq!(outcomes(&wire.sign(psd(), &[without]).await), ["key-reused"], "it is content");
    assert_eq!(wire.registers(psd()).await, before.after(&[730; 4]));
    for lacking in [letter().without("recipient"), letter().with("recipient", V::text(" .-"))] {
        assert_eq!(outcomes(&wire.sign(psd(), &[lacking]).await), ["token-needs-recipient"]);
    }
}

async fn each_half_is_judged_by_its_party(appliance: &Appliance, caller: &Caller) {
    let (vendor, post) = (caller.connect().await, inspector(appliance).connect().await);
    let results = vendor.sign(psd(), &[letter(), letter()]).await;
    let (one, other) = (read_off(&results[0]), read_off(&results[1]));
    let leaf = results[0].get("leaf").u64();
    for (wire, half) in [(&vendor, "vendor"), (&post, "postal")] {
        let told = judged(wire, &one).await;
        assert_eq!((verdict(&told), told.get("half").str()), (("holds", "same"), half));
        assert_eq!((told.get("key").u64(), told.get("leaf").u64()), (1, leaf));
        let plain = one.get("token").str().replace(' ', "-");
        assert_eq!(verdict(&judged(wire, &one.clone().with("token", V::Text(plain))).await), ("holds", "same"));
        // What is changed on the piece, and the halves of another one.
        let changed = [
            ("recipient", V::text("B. Resident, 1 Main St, Springfield")),
            ("postage", V::text("0.74")),
            ("date", V::Text(day(1))),
            ("destination", V::text("20501")),
        ];
        for (field, value) in changed {
            let told = judged(wire, &one.clone().with(field, value)).await;
            assert_eq!(verdict(&told), ("does-not-hold", "same"), "{half}: {field}");
        }
        let told = judged(wire, &one.clone().with("token", V::text(other.get("token").str()))).await;
        assert_eq!(verdict(&told), ("does-not-hold", "other"), "{half}");
        let told = judged(wire, &one.clone().with("pieces", V::Int(9_999))).await;
        assert_eq!(verdict(&told), ("does-not-hold", "none"), "{half}");
    }
    // One party's half says nothing of the other's.
    let (first, second) = (one.get("token").str(), other.get("token").str());
    for (token, of_vendor, of_post) in [
        (joined(first, second), ("holds", "other"), ("does-not-hold", "other")),
        (joined(second, first), ("does-not-hold", "other"), ("holds", "other")),
    ] {
        let query = one.clone().with("token", V::Text(token));
        assert_eq!(verdict(&judged(&vendor, &query).await), of_vendor);
        assert_eq!(verdict(&judged(&post, &query).await), of_post);
    }
    let (left, right) = (&first[..5], &first[6..11]);
    if left != right {
        let swapped = joined(&format!("{right} {left} 0"), &format!("{right} {left} 0"));
        for wire in [&vendor, &post] {
            assert_eq!(
                verdict(&judged(wire, &one.clone().with("token", V::Text(swapped.clone()))).await).0,
                "does-not-hold"
            );
        }
    }
    let digit = if first.ends_with('0') { "1" } else { "0" };
    for torn in [format!("{}{digit}", &first[..first.len() - 1]), first[1..].to_owned(), "none".to_owned()] {
        assert_eq!(verdict(&judged(&vendor, &one.clone().with("token", V::Text(torn))).await), ("misread", "-"));
    }
}

async fn whoever_asks_is_held_to_his_own_and_to_his_tries(appliance: &Appliance, caller: &Caller) {
    let wire = caller.connect().await;
    let result = wire.sign(psd(), &[letter()]).await.remove(0);
    let good = read_off(&result);
    let stranger = caller.with(&appliance.issue("token-stranger", "stranger", 331)).connect().await;
    let denied = stranger.post("/v1/digital-tokens", &good.encode()).await;
    assert_eq!((denied.status, code_of(&denied.body)), (403, "not-permitted"));
    for (query, status, code) in [
        (good.clone().with("psd", V::text("PS010000000099")), 404, "psd-unknown"),
        (good.clone().with("date", V::text("2026-02-30")), 400, "date-invalid"),
        (good.clone().with("postage", V::text("0,73")), 400, "amount-not-decimal"),
        (good.clone().without("recipient"), 400, "token-needs-recipient"),
        (good.clone().without("token"), 400, "malformed"),
    ] {
        let reply = wire.post("/v1/digital-tokens", &query.encode()).await;
        assert_eq!((reply.status, code_of(&reply.body)), (status, code));
    }
    // Whoever makes up tokens has so many tries; those of the other party, and the daemon, go on.
    let forged = good.clone().with("pieces", V::Int(9_998));
    let mut shown = 0;
    let spent = loop {
        let reply = wire.post("/v1/digital-tokens", &forged.encode()).await;
        if reply.status != 200 {
            break reply;
        }
        shown += 1;
        assert!(shown <= 20, "nobody stops it");
    };
    assert_eq!((spent.status, code_of(&spent.body)), (429, "token-tries-spent"));
    assert_eq!(wire.post("/v1/digital-tokens", &good.encode()).await.status, 429, "a good one tells a guess too");
    assert_eq!(outcomes(&wire.sign(psd(), &[letter()]).await), ["signed"]);
    let metrics = appliance.local("/metrics");
    let count = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.and_then(|number| number.parse::<u64>().ok()).unwrap_or_else(|| panic!("{name}: {metrics}"))
    };
    assert!(count("psdd_digital_tokens_wrong_total") >= 20);
    assert!(count("psdd_digital_tokens_judged_total") > count("psdd_digital_tokens_wrong_total"));
}

/// Asks again until every piece is signed, and for all once more.
async fn until_signed(caller: &Caller, items: &[V]) -> Vec<V> {
    for _ in 0..200 {
        let results = caller.connect().await.sign(psd(), items).await;
        if outcomes(&results).iter().all(|outcome| *outcome == "signed") {
            return results;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("never signed");
}

fn killed_between(appliance: &mut Appliance, caller: &Caller) {
    let before = run(async { caller.connect().await.registers(psd()).await });
    let mut expected = before;
    let mut tokens = BTreeSet::new();
    for round in 0..6 {
        let items: Vec<V> = (0..64).map(|_| letter().with("key", V::Bytes(key().to_vec()))).collect();
        let asked = {
            let (caller, items) = (caller.clone(), items.clone());
            std::thread::spawn(move || {
                run(async move { outcomes(&caller.connect().await.sign(psd(), &items).await).len() })
            })
        };
        std::thread::sleep(std::time::Duration::from_millis(3 * round));
        assert!(appliance.kill_workers() > 0 || round > 0, "there is a worker");
        assert_eq!(asked.join().expect("an answer"), 64);
        let results = run(until_signed(caller, &items));
        tokens.extend(
            results
                .iter()
                .map(|result| (result.get("registers").get("pieces").u64(), result.get("token").str().to_owned())),
        );
        expected = expected.after(&[730; 64]);
        assert_eq!(run(async { caller.connect().await.registers(psd()).await }), expected, "round {round}");
    }
    assert_eq!(tokens.len(), 6 * 64, "each piece has one number and one token");
}

fn by_psdctl(appliance: &Appliance, result: &V) {
    let query = read_off(result);
    let text = |field: &str| query.get(field).str().to_owned();
    let piece = query.get("pieces").u64().to_string();
    let (token, day, recipient) = (text("token"), text("date"), text("recipient"));
    let by_hand = |token: &str, more: &[&str]| {
        let fixed = ["token", "verify", token, "--psd", "PS010000000001", "--piece", &piece, "--postage", "0.73"];
        let where_to = ["--date", &day, "--destination", "20500", "--recipient", &recipient];
        psdctl(appliance, &[&fixed[..], &where_to[..], more].concat())
    };
    let post = by_hand(&token, &["--authority"]);
    assert!(post.status.success() && told(&post).contains("the post's half is of these data"), "{}", told(&post));
    let torn = by_hand(&token[1..], &["--authority"]);
    assert!(torn.status.code() == Some(1) && told(&torn).contains("misread"), "{}", told(&torn));
    let scans = appliance.around().join("tokens.csv");
    let row = |piece: &str, token: &str| format!("PS010000000001,{piece},0.73,{day},20500,\"{recipient}\",{token}");
    let rows = [row(&piece, &token), row("9999", &token), row(&piece, "torn"), row(&piece, &token)];
    std::fs::write(&scans, format!("psd,piece,postage,date,destination,recipient,token\n{}\n", rows.join("\n")))
        .expect("written");
    let judged = psdctl(appliance, &["token", "verify", "--authority", "--scans", &scans.display().to_string()]);
    assert_eq!(judged.status.code(), Some(1), "{}", told(&judged));
    for says in ["1 of 4 tokens hold", "does-not-hold", "misread", "repeated"] {
        assert!(told(&judged).contains(says), "{says}: {}", told(&judged));
    }
    // A row that is refused, or too many that do not hold, keep nobody from the other verdicts.
    let elsewhere = row(&piece, &token).replace("PS010000000001", "PS010000000009");
    let wrong = (0..25).map(|more| row(&(9_000 + more).to_string(), &token));
    let rows: Vec<String> = [elsewhere, row(&piece, &token)].into_iter().chain(wrong).collect();
    std::fs::write(&scans, format!("psd,piece,postage,date,destination,recipient,token\n{}\n", rows.join("\n")))
        .expect("written");
    let judged = psdctl(appliance, &["token", "verify", "--authority", "--scans", &scans.display().to_string()]);
    assert_eq!(judged.status.code(), Some(1), "{}", told(&judged));
    for says in ["1 of 27 tokens hold", "there is no PSD", "20 digital tokens did not hold"] {
        assert!(told(&judged).contains(says), "{says}: {}", told(&judged));
    }
    let count = |verdict| told(&judged).matches(verdict).count();
    let (wrong, left) = (count("does-not-hold"), count("not-judged"));
    assert!(wrong > 0 && left > 1 && wrong + left == 26, "{}", told(&judged));
}

#[test]
fn a_piece_has_its_token_from_both_keys_or_is_not_debited() {
    let mut appliance = Appliance::up(DevOptions { digital_tokens: true, ..softhsm_tests::options() });
    let caller = Caller::new(&appliance.layout);
    run(tokens_come_with_the_indicia_and_again(&caller));
    run(each_half_is_judged_by_its_party(&appliance, &caller));
    let result = run(async { caller.connect().await.sign(psd(), &[letter()]).await.remove(0) });
    by_psdctl(&appliance, &result);
    run(whoever_asks_is_held_to_his_own_and_to_his_tries(&appliance, &caller));
    killed_between(&mut appliance, &caller);
    appliance.restart();
    let caller = Caller::new(&appliance.layout);
    run(async {
        let told = judged(&caller.connect().await, &read_off(&result)).await;
        assert_eq!(verdict(&told), ("holds", "same"), "after a kill of psdd");
    });
    assert!(appliance.stop().success());
    appliance.check(None).assert_clean("digital tokens in one ledger");
    let state = appliance.layout.state().display().to_string();
    let root = appliance.layout.authority_root().display().to_string();
    let verified = psdctl(&appliance, &["ledger", "verify", &state, "--appliance-root", &root]);
    assert!(verified.status.success(), "{}", told(&verified));
    nothing_is_found(&appliance);
}

#[test]
fn a_psd_without_the_keys_makes_no_token_and_judges_none() {
    let appliance = Appliance::up(softhsm_tests::options());
    let caller = Caller::new(&appliance.layout);
    run(async {
        let wire = caller.connect().await;
        let before = wire.registers(psd()).await;
        let results = wire.sign(psd(), &[letter(), item("0.73")]).await;
        assert_eq!(outcomes(&results), ["no-token-key", "signed"]);
        assert_eq!(wire.registers(psd()).await, before.after(&[730]));
        let query = read_off(&results[1].clone().with("token", V::text("12345 67890 6")));
        let reply = wire.post("/v1/digital-tokens", &query.encode()).await;
        assert_eq!((reply.status, code_of(&reply.body)), (409, "no-token-key"));
    });
}
