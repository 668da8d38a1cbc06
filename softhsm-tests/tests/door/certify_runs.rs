//! Mail runs of the real daemon: announced by a manifest, certified by what their ZIPs qualify for, counted, and what the count takes away debited once.

use crate::certify::{WEIGHER, letter, psd, psdctl, told};
use crate::client::{Caller, Wire, code_of, day, mills, outcomes};
use crate::contract::V;
use psd::record::{Event, Record};
use psdd_wire::receipt::Receipt;
use softhsm_tests::Appliance;

/// Pieces announced for each ZIP.
const MANIFEST: [(&str, u64); 3] = [("10001", 150), ("20260", 300), ("60601", 51)];

fn manifest(run: &str, counts: &[(&str, u64)], total: u64, discounts: &[&str]) -> V {
    let counts =
        counts.iter().map(|(zip, pieces)| V::map([("zip", V::text(zip)), ("pieces", V::Int(i128::from(*pieces)))]));
    let request = V::map([
        ("run", V::text(run)),
        ("date", V::Text(day(0))),
        ("class", V::text("letter-metered")),
        ("rates", V::text("us-domestic")),
        ("total", V::Int(i128::from(total))),
        ("counts", V::Array(counts.collect())),
    ]);
    let discounts: Vec<V> = discounts.iter().map(|name| V::text(name)).collect();
    if discounts.is_empty() { request } else { request.with("discounts", V::Array(discounts)) }
}

fn to(zip: &str) -> V {
    letter().with("destination", V::text(zip))
}

async fn certify_in(wire: &Wire, run: &str, items: &[V]) -> Vec<V> {
    let request = V::map([
        ("run", V::text(run)),
        ("items", V::Array(items.to_vec())),
        ("proof", V::text("receipt")),
        ("rates", V::text("us-domestic")),
    ]);
    let reply = wire.post(&format!("/v1/psds/{WEIGHER}/certifications"), &request.encode()).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    reply.body.get("results").list().to_vec()
}

/// Opened and half certified before a restart; what [`the_count_is_settled_once`] goes on with.
pub async fn a_run_is_rated_by_what_was_announced(caller: &Caller) -> Vec<V> {
    let wire = caller.connect().await;
    let runs = format!("/v1/psds/{WEIGHER}/runs");
    what_cannot_be_announced_is_refused(&wire, &runs).await;
    let request = manifest("autumn-7", &MANIFEST, 501, &["5-digit", "mixed-aadc"]);
    let opened = wire.post(&runs, &request.encode()).await;
    assert_eq!(opened.status, 200, "{:?}", opened.body);
    let run = opened.body.get("run");
    let tariffs: Vec<&str> = run.get("tariffs").list().iter().map(V::str).collect();
    assert_eq!(tariffs, ["full", "5-digit", "mixed-aadc"]);
    let of_zips: Vec<u64> = run.get("destinations").list().iter().map(|to| to.get("tariff").u64()).collect();
    assert_eq!(of_zips, [1, 1, 2]);
    let again = wire.post(&runs, &request.encode()).await;
    assert_eq!(again.body.get("run"), run, "the same manifest again");
    let other = wire.post(&runs, &manifest("autumn-7", &MANIFEST[..1], 150, &[]).encode()).await;
    assert_eq!((other.status, code_of(&other.body)), (409, "run-reused"));

    let before = wire.registers(psd(WEIGHER)).await;
    let items: Vec<V> = (0..149).map(|_| to("10001")).collect();
    let certified = certify_in(&wire, "autumn-7", &items).await;
    assert!(certified.iter().all(|piece| piece.get("due").str() == "0.545" && piece.get("tariff").str() == "5-digit"));
    assert_eq!(wire.registers(psd(WEIGHER)).await, before.after(&[545; 149]));
    let stray = [
        to("94301"),
        to("10001").with("date", V::Text(day(1))),
        to("10001").with("class", V::text("postcard")),
        to("10001").with("weight", V::Int(-1)),
    ];
    let refused = certify_in(&wire, "autumn-7", &stray).await;
    assert_eq!(outcomes(&refused), ["not-of-run", "not-of-run", "not-of-run", "weight-negative"]);
    assert_eq!(outcomes(&certify_in(&wire, "winter-1", &stray[..1]).await), ["run-not-open"]);
    // The same key by itself is another content.
    let alone = V::map([
        ("items", V::Array(items[..1].to_vec())),
        ("proof", V::text("receipt")),
        ("rates", V::text("us-domestic")),
    ]);
    let alone = wire.post(&format!("/v1/psds/{WEIGHER}/certifications"), &alone.encode()).await;
    assert_eq!(outcomes(alone.body.get("results").list()), ["key-reused"]);
    items
}

async fn what_cannot_be_announced_is_refused(wire: &Wire, runs: &str) {
    let rows = [
        (manifest("r", &MANIFEST, 500, &[]), "counts-differ"),
        (manifest("r", &[("10001", 1), ("10001", 2)], 3, &[]), "counts-invalid"),
        (manifest("r", &[("10001", 0)], 0, &[]), "counts-invalid"),
        (manifest("r", &[], 0, &[]), "counts-invalid"),
        (manifest("r", &[("1001", 1)], 1, &[]), "zip-unknown"),
        (manifest("r", &MANIFEST, 501, &["6-digit"]), "discount-unknown"),
        (manifest("r", &MANIFEST, 501, &["5-digit", "5-digit"]), "discount-unknown"),
        (manifest("r", &[("10001", 1_000_001)], 1_000_001, &[]), "run-too-large"),
        (manifest("r", &MANIFEST, 501, &[]).with("class", V::text("letters")), "class-unknown"),
        (manifest("r", &MANIFEST, 501, &[]).with("rates", V::text("postland")), "rates-not-in-force"),
        (manifest("r", &MANIFEST, 501, &[]).with("date", V::text("2026-02-30")), "date-invalid"),
        (manifest("r", &MANIFEST, 501, &[]).with("date", V::Text(day(60))), "date-out-of-window"),
        (manifest("a b", &MANIFEST, 501, &[]), "run-invalid"),
        (manifest("r", &MANIFEST, 501, &[]).with("scale", V::text("dock-1")), "malformed"),
    ];
    for (request, code) in rows {
        let refused = wire.post(runs, &request.encode()).await;
        assert_eq!(code_of(&refused.body), code, "{request:?}: {:?}", refused.body);
    }
    let open = wire.get(runs).await;
    assert_eq!(open.body.get("runs").list(), [], "nothing of it is announced");
    for (path, code) in [("none", "run-unknown"), ("a%20b", "run-unknown")] {
        let unknown = wire.post(&format!("{runs}/{path}/close"), &[]).await;
        assert_eq!((unknown.status, code_of(&unknown.body)), (404, code));
    }
}

/// After a restart: 149 of 150 came, so they pay the second tariff.
pub async fn the_count_is_settled_once(appliance: &Appliance, caller: &Caller, items: &[V]) {
    let wire = caller.connect().await;
    let runs = format!("/v1/psds/{WEIGHER}/runs");
    let open = wire.get(&runs).await;
    assert_eq!(open.body.get("runs").list()[0].get("run").str(), "autumn-7", "it is open still");
    let used = wire.registers(psd(WEIGHER)).await;
    assert_eq!(outcomes(&certify_in(&wire, "autumn-7", items).await), vec!["signed"; 149], "and knows its pieces");
    assert_eq!(wire.registers(psd(WEIGHER)).await, used);
    let more: Vec<V> = (0..300).map(|_| to("20260")).chain((0..51).map(|_| to("60601"))).collect();
    assert_eq!(outcomes(&certify_in(&wire, "autumn-7", &more).await), vec!["signed"; 351]);

    let close = format!("{runs}/autumn-7/close");
    as_long_as_it_is_open(appliance, &wire, &runs, &close).await;
    let before = wire.registers(psd(WEIGHER)).await;
    // Two at once: one counts, and both are told the same or that it is under way.
    let both = tokio::join!(wire.post(&close, &[]), wire.post(&close, &[]));
    for reply in [&both.0, &both.1] {
        assert!(reply.status == 200 || code_of(&reply.body) == "run-closing", "{:?}", reply.body);
    }
    assert!(both.0.status == 200 || both.1.status == 200);
    let closed = wire.post(&close, &[]).await;
    assert_eq!(closed.status, 200, "{:?}", closed.body);
    let told = closed.body.get("run").get("closed");
    let sums = ["owed", "debited", "settled", "overpaid"].map(|name| told.get(name).str());
    assert_eq!(sums, ["282.10", "274.948", "7.152", "0.00"], "149 at 0.593, 300 at 0.545, 51 at 0.593");
    let lost = &closed.body.get("run").get("lost").list()[0];
    assert_eq!((lost.get("group").str(), lost.get("counted").u64(), lost.get("lacking").u64()), ("10001", 149, 1));
    let after = wire.registers(psd(WEIGHER)).await;
    assert_eq!(after, before.settled(mills("7.152")), "once, and it is no piece");
    assert_eq!(wire.get(&format!("{runs}/autumn-7")).await.body.get("run").get("closed").get("owed").str(), "282.10");

    let log_key = wire.get("/v1/appliance").await.body.get("log_spki").bytes().to_vec();
    let record = told.get("record").bytes();
    Receipt::parse(told.get("receipt").bytes()).expect("a receipt").verify(record, &log_key).expect("of this record");
    let Event::RunClosed { closed, .. } = Record::decode(record).expect("a record").event else { panic!("{told:?}") };
    assert_eq!((closed.pieces(), closed.settled().mills()), (500, 7_152));

    assert_eq!(outcomes(&certify_in(&wire, "autumn-7", &[to("10001")]).await), ["run-not-open"]);
    assert_eq!(outcomes(&certify_in(&wire, "autumn-7", &items[..1]).await), ["signed"], "a repetition is answered");
    let again = wire.post(&runs, &manifest("autumn-7", &MANIFEST, 501, &["5-digit", "mixed-aadc"]).encode()).await;
    assert!(again.body.get("run").get("closed").get("owed").str() == "282.10", "a run sent twice is the one there was");
    let withdrawn = wire.post(&format!("{runs}/autumn-7"), &[]).await;
    assert_eq!((withdrawn.status, code_of(&withdrawn.body)), (405, "method-not-allowed"));
}

/// The PSD is not withdrawn, the run cannot be counted without its table, and there is an end to how many are open.
async fn as_long_as_it_is_open(appliance: &Appliance, wire: &Wire, runs: &str, close: &str) {
    let withdrawn = wire.post(&format!("/v1/psds/{WEIGHER}/withdrawals"), &V::map([]).encode()).await;
    assert_eq!((withdrawn.status, code_of(&withdrawn.body)), (409, "run-open"));
    let table = appliance.layout.rates().join("us-domestic-1.cose");
    let bytes = std::fs::read(&table).expect("the table it was announced by");
    std::fs::remove_file(&table).expect("removed");
    crate::reload::reload(appliance);
    let gone = wire.post(close, &[]).await;
    assert_eq!((gone.status, code_of(&gone.body)), (409, "rates-gone"));
    std::fs::write(&table, bytes).expect("put back");
    crate::reload::reload(appliance);
    let names: Vec<String> = (0..16).map(|number| format!("small-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let opened = wire.post(runs, &manifest(name, &[("10001", 1)], 1, &[]).encode()).await;
        if number < 15 {
            assert_eq!(opened.status, 200, "{:?}", opened.body);
        } else {
            assert_eq!((opened.status, code_of(&opened.body)), (409, "runs-too-many"));
        }
    }
    for name in &names[..15] {
        let closed = wire.post(&format!("{runs}/{name}/close"), &[]).await;
        assert_eq!(closed.body.get("run").get("closed").get("pieces").u64(), 0, "{:?}", closed.body);
    }
}

pub fn by_psdctl(appliance: &Appliance) {
    let file = |name: &str| appliance.around().join(name).display().to_string();
    let (plan, csv, out) = (file("manifest.csv"), file("run.csv"), file("run.jsonl"));
    std::fs::write(&plan, "zip,pieces\n10001,2\ntotal,2\n").expect("a manifest");
    let weighed = letter().get("weighed").u64();
    std::fs::write(
        &csv,
        format!("class,destination,weight_mg,scale,weighed,imprint\nletter-metered,10001,20000,dev-1,{weighed},0.50\n"),
    )
    .expect("a list");
    let of_psd = ["--psd", WEIGHER];
    let run = |arguments: &[&str]| psdctl(appliance, &[&["vendor", "run"], arguments, &of_psd].concat());
    let open = ["open", "short-1", "--rates", "us-domestic", "--class", "letter-metered", "--manifest", &plan];
    for _ in 0..2 {
        let opened = run(&open);
        assert!(opened.status.success() && told(&opened).contains("short-1"), "{}", told(&opened));
    }
    let listed = run(&["list"]);
    assert!(told(&listed).contains("short-1") && !told(&listed).contains("autumn-7"), "{}", told(&listed));
    let today = day(0);
    let certified = psdctl(
        appliance,
        &[
            &["vendor", "certify", "--rates", "us-domestic", "--csv", &csv, "--out", &out, "--date", &today][..],
            &["--run", "short-1"],
            &of_psd,
        ]
        .concat(),
    );
    assert!(certified.status.success() && told(&certified).contains("$0.25"), "{}", told(&certified));
    let closed = run(&["close", "short-1"]);
    assert!(closed.status.success(), "{}", told(&closed));
    for says in ["1 of 2 announced", "owed by the count", "$0.25", "proven by a receipt"] {
        assert!(told(&closed).contains(says), "{says}: {}", told(&closed));
    }
    let shown = run(&["show", "autumn-7"]);
    assert_eq!(shown.status.code(), Some(1), "discounts were lost: {}", told(&shown));
    for says in ["1 piece too few", "$7.152", "500 of 501 announced"] {
        assert!(told(&shown).contains(says), "{says}: {}", told(&shown));
    }
}
